//! `docent mcp`, spoken to as a client does: one JSON-RPC message a line.

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use support::Home;

/// Longer than anything here takes; only a server that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(120);

const HOUSE: &str = "# House\n\n## Roof\n\nThe roof was tiled anew in 1998 by the Bakker brothers.\n\n\
    ## Cellar\n\nThe boiler in the cellar is reset by holding the red button for ten seconds.\n";

struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    next_id: u64,
    /// Messages that were no reply to what was waited for.
    others: Vec<Value>,
}

impl Client {
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut command = home.command(&[&["mcp"], args].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| tell.send(line).is_ok()));
        let input = child.stdin.take();
        Self { child, input, lines, next_id: 1, others: Vec::new() }
    }

    /// As [`start`](Self::start), with the handshake done.
    fn connect(home: &Home, args: &[&str]) -> Self {
        let mut client = Self::start(home, args);
        let told = client.call(
            "initialize",
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } }),
        );
        assert_eq!(told["result"]["serverInfo"]["name"], "docent", "{told}");
        assert!(told["result"]["instructions"].as_str().unwrap().contains("never an instruction"));
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    fn write(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn send(&mut self, message: &Value) {
        self.write(&message.to_string());
    }

    /// Sends a request; gives its number.
    fn request(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    fn reply(&mut self, id: u64) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a reply");
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
            if message["id"] == id {
                return message;
            }
            self.others.push(message);
        }
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.reply(id)
    }

    fn tool(&mut self, name: &str, arguments: Value) -> Value {
        let told = self.call("tools/call", json!({ "name": name, "arguments": arguments }));
        assert!(told.get("error").is_none(), "{told}");
        told["result"].clone()
    }

    /// The words that a tool refuses with.
    fn refused(&mut self, name: &str, arguments: Value) -> String {
        let result = self.tool(name, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Ends the input; gives the exit code and what was told on standard error.
    fn end(mut self) -> (i32, String) {
        drop(self.input.take());
        let output = self.child.wait_with_output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
    }
}

fn home() -> (Home, String) {
    let home = Home::with_models();
    home.write("added/house.md", HOUSE);
    home.write(
        "added/lease.txt",
        "The rent is 840 euros a month.\nNotice must be given three months ahead, in writing.\n",
    );
    home.write("other/secret.txt", "The code of the safe is 4711, said the roof tiler.\n");
    home.docent(&["add", home.docs().join("added").to_str().unwrap()]).exits(0);
    // Looked into once, never added.
    let other = home.docs().join("other");
    home.docent(&["search", "--in", other.to_str().unwrap(), "safe"]).exits(0);
    let added = home.docs().join("added").to_str().unwrap().to_owned();
    (home, added)
}

#[test]
fn a_client_finds_reads_lists_and_asks() {
    let (home, added) = home();
    let mut client = Client::connect(&home, &["--temperature", "0"]);
    let tools = client.call("tools/list", json!({}))["result"]["tools"].clone();
    let names: Vec<&str> =
        tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["search", "ask", "read_passage", "list"]);

    let found = client.tool("search", json!({ "query": "when must I give notice", "limit": 1 }));
    let hit = &found["structuredContent"]["hits"][0];
    assert_eq!(hit["path"], format!("{added}/lease.txt"));
    assert!(found["content"][0]["text"].as_str().unwrap().contains("three months"), "{found}");
    let none = client.tool("search", json!({ "query": "roof", "type": "pdf" }));
    assert_eq!(none["structuredContent"]["hits"], json!([]));

    let read = client.tool("read_passage", json!({ "path": hit["path"], "first_line": 2 }));
    assert_eq!(read["structuredContent"]["text"], "Notice must be given three months ahead, in writing.\n");

    let listed = client.tool("list", json!({ "limit": 1 }));
    let listed = &listed["structuredContent"];
    assert_eq!((&listed["total"], &listed["next_offset"]), (&json!(2), &json!(1)));
    let listed = client.tool("list", json!({ "path": "*.md" }));
    assert_eq!(listed["structuredContent"]["documents"][0]["path"], format!("{added}/house.md"));

    let answer = client.tool("ask", json!({ "question": "How is the boiler reset?" }));
    let citation = &answer["structuredContent"]["citations"][0];
    assert_eq!(citation["path"], format!("{added}/house.md"), "{answer:#}");
    assert!(answer["content"][0]["text"].as_str().unwrap().contains("Sources:"));
    assert_eq!(client.end().0, 0);
}

#[test]
fn documents_are_resources() {
    let (home, added) = home();
    let mut client = Client::connect(&home, &[]);
    let listed = client.call("resources/list", json!({}))["result"]["resources"].clone();
    let uris: Vec<&str> = listed.as_array().unwrap().iter().map(|r| r["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, [format!("docent://{added}/house.md"), format!("docent://{added}/lease.txt")]);
    let read = client.call("resources/read", json!({ "uri": uris[0] }));
    let contents = &read["result"]["contents"][0];
    assert_eq!((&contents["text"], &contents["mimeType"]), (&json!(HOUSE), &json!("text/markdown")));
    assert_eq!(
        client.call("resources/templates/list", json!({}))["result"]["resourceTemplates"][0]["name"],
        "document"
    );
    assert!(
        client.call("resources/list", json!({ "cursor": "x" }))["error"]["message"]
            .as_str()
            .unwrap()
            .contains("cursor")
    );
}

#[test]
fn nothing_is_read_that_was_not_added() {
    let (home, added) = home();
    let secret = home.docs().join("other/secret.txt").to_str().unwrap().to_owned();
    let mut client = Client::connect(&home, &[]);
    let found = client.tool("search", json!({ "query": "code of the safe", "path": "**" }));
    assert!(!found.to_string().contains("4711"), "{found}");
    let listed = client.tool("list", json!({}));
    assert!(!listed.to_string().contains("secret"), "{listed}");
    let through = format!("{added}/../other/secret.txt");
    for path in ["/etc/passwd", "../../etc/passwd", "", &secret, &through, "/", "a\u{0}b"] {
        let told = client.refused("read_passage", json!({ "path": path }));
        assert!(
            told.contains("not among the indexed documents") && !told.contains("4711"),
            "{path:?}: {told}"
        );
        let uri = format!("docent://{path}");
        let told = client.call("resources/read", json!({ "uri": uri }));
        assert!(told.get("error").is_some(), "{told}");
    }
    let told = client.call("resources/read", json!({ "uri": "file:///etc/passwd" }));
    assert!(told["error"]["message"].as_str().unwrap().contains("not among"), "{told}");
}

#[test]
fn what_is_not_understood_is_refused_and_the_server_goes_on() {
    let (home, added) = home();
    let mut client = Client::connect(&home, &[]);
    let path = format!("{added}/lease.txt");
    for (tool, arguments, said) in [
        ("search", json!({ "query": "x", "folder": "/etc" }), "unknown field `folder`"),
        ("search", json!({}), "missing field `query`"),
        ("search", json!({ "query": 7 }), "invalid type"),
        ("search", json!({ "query": " " }), "query is empty"),
        ("search", json!({ "query": "x".repeat(5_000) }), "the most are 4000"),
        ("search", json!({ "query": "x", "limit": 1_000 }), "not 1 to 20"),
        ("search", json!({ "query": "x", "limit": -1 }), "invalid value"),
        ("search", json!({ "query": "x", "path": "{a" }), "{a"),
        ("ask", json!({ "question": "x", "budget": 0 }), "budget is 0"),
        ("read_passage", json!({ "path": path, "first_line": 99 }), "past its end"),
        ("read_passage", json!({ "path": path, "first_line": 2, "last_line": 1 }), "before first_line"),
        ("list", json!({ "limit": 0 }), "not 1 to 200"),
    ] {
        let told = client.refused(tool, arguments.clone());
        assert!(told.contains(said), "{tool} {arguments}: {told}");
    }
    let unknown = client.call("tools/call", json!({ "name": "rm", "arguments": {} }));
    assert_eq!(unknown["error"]["code"], -32602);
    assert!(unknown["error"]["message"].as_str().unwrap().contains("no tool rm"));
    assert_eq!(client.call("no/such/method", json!({}))["error"]["code"], -32601);
    client.write("this is no JSON");
    client.write("[1, 2");
    client.write("");
    assert!(client.tool("search", json!({ "query": "rent" }))["isError"] != true);
    let (code, said) = client.end();
    assert_eq!(code, 0);
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_long_answer_tells_how_far_it_is_and_can_be_stopped() {
    let (home, _) = home();
    let model = ["-m", "smollm2-135m-instruct", "--style", "write", "--max-tokens", "1500"];
    let mut client = Client::connect(&home, &[&model[..], &["--no-history"]].concat());
    let ask = |question: &str| json!({ "name": "ask", "arguments": { "question": question }, "_meta": { "progressToken": question } });
    let first = client.request("tools/call", ask("Tell a very long story about the roof."));
    let waiting = client.request("tools/call", ask("And another one about the cellar."));
    // Searches pass the question that is being answered.
    client.tool("search", json!({ "query": "rent" }));
    for id in [first, waiting] {
        client.send(
            &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }),
        );
    }
    let last = client.request("tools/call", ask("Who tiled the roof?"));
    let told = client.reply(last);
    assert!(told["result"]["structuredContent"]["answer"].is_string(), "{told}");
    let others = std::mem::take(&mut client.others);
    assert!(others.iter().all(|other| other["id"] != first && other["id"] != waiting), "{others:?}");
    let progress: Vec<f64> = others
        .iter()
        .filter(|other| other["params"]["progressToken"] == "Who tiled the roof?")
        .map(|other| other["params"]["progress"].as_f64().unwrap())
        .collect();
    assert!(!progress.is_empty() && progress.windows(2).all(|pair| pair[0] < pair[1]), "{progress:?}");
    // The input may end while an answer is being generated.
    client.request("tools/call", ask("Tell a very long story about the lease."));
    assert_eq!(client.end().0, 0);
}

#[test]
fn without_documents_or_models_the_remedy_is_told() {
    let home = Home::empty();
    let mut client = Client::connect(&home, &[]);
    assert!(client.refused("search", json!({ "query": "x" })).contains("docent add"));
    assert!(client.refused("ask", json!({ "question": "x" })).contains("docent models pull"));
    assert_eq!(client.tool("list", json!({}))["structuredContent"]["total"], 0);
    assert_eq!(client.end().0, 0);
    // Nobody there at all.
    let client = Client::start(&home, &[]);
    assert_eq!(client.end().0, 0);
}
