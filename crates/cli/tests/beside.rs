//! Commands beside a running server: it has the models open, and answers for them.
#![cfg(unix)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use support::http::Server;
use support::{Home, Ran};

const WRITER: &str = "smollm2-135m-instruct";
const QUESTION: &str = "What is the normal pressure of the boiler?";

fn library() -> Home {
    let home = Home::with_models();
    home.write("boiler.md", "# Boiler\n\nThe normal pressure of the boiler is between 1.2 and 1.6 bar.\n");
    home.write("lease.md", "# Lease\n\nThe tenant gives notice three months before moving out.\n");
    home.docent(&["add", &home.docs().to_string_lossy()]).exits(0);
    home
}

/// Requests to a route that the server answered.
fn n_served(server: &Server, route: &str) -> u64 {
    let text = server.get("/metrics").is(200).body;
    let answered = format!("route=\"{route}\",");
    let lines = text.lines().filter(|line| {
        line.starts_with("docent_request_seconds_count")
            && line.contains(&answered)
            && line.contains("status=\"200\"")
    });
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// An answer without what is another one each time.
fn lasting(mut answer: Value) -> Value {
    for key in ["id", "timing", "usage", "prefix_store"] {
        assert!(answer.as_object_mut().unwrap().remove(key).is_some(), "{key}");
    }
    answer
}

#[test]
fn a_command_says_the_same_beside_a_server_as_alone_and_loads_nothing() {
    let home = library();
    let search = ["search", "notice period", "--path", "*.md", "--after", "2020", "--context", "1"];
    let ask = ["ask", QUESTION, "--style", "quote"];
    let alone = |args: &[&str]| home.docent(&[args, &["--alone"]].concat());
    let (found, answered) = (alone(&search).exits(0), alone(&ask).exits(0));
    let (found_json, answered_json) =
        (alone(&[&search[..], &["--json"]].concat()).json(), alone(&[&ask[..], &["--json"]].concat()).json());
    let server = Server::start(&home, &[]);
    let beside = |args: &[&str]| home.docent(args);
    assert_eq!(beside(&search).exits(0).stdout, found.stdout);
    assert_eq!(beside(&[&search[..], &["--json"]].concat()).exits(0).json(), found_json);
    assert_eq!(n_served(&server, "/v1/search"), 2);
    assert_eq!(beside(&ask).exits(0).stdout, answered.stdout);
    let printed = beside(&[&ask[..], &["--json"]].concat()).exits(0).json();
    assert_eq!(lasting(printed), lasting(answered_json));
    assert_eq!(n_served(&server, "/v1/ask"), 2);
    let written = ["ask", QUESTION, "--style", "write", "--temperature", "0", "--max-tokens", "20"];
    assert_eq!(alone(&written).exits(0).stdout, beside(&written).exits(0).stdout);
    assert_eq!(n_served(&server, "/v1/ask"), 3);
    // What is wrong is told as it is without a server, and ends as it does.
    beside(&["search", "--mode", "lexical", "zebra"]).exits(1);
    beside(&["search", "--collection", "nowhere", "x"]).exits(2).says("docent add");
    beside(&["ask", "--model", "nowhere", "x"]).exits(2).says("nowhere");
}

#[test]
fn a_server_that_was_started_otherwise_is_not_asked() {
    let home = library();
    let server = Server::start(&home, &["--threads", "1"]);
    for otherwise in
        [&["--no-history"][..], &["--no-cache"], &["--threads", "2"], &["--profile"], &["--kv", "f32"]]
    {
        home.docent(&[&["ask", QUESTION, "--style", "quote"], otherwise].concat()).exits(0);
    }
    assert_eq!(n_served(&server, "/v1/ask"), 0);
    home.docent(&["ask", QUESTION, "--style", "quote", "--threads", "1"]).exits(0);
    assert_eq!(n_served(&server, "/v1/ask"), 1);
}

#[test]
fn the_socket_is_for_one_user_and_needs_no_token() {
    let home = library();
    let token = "0123456789abcdef0123456789abcdef";
    let file = home.write("token", token);
    let server = Server::start(&home, &["--token-file", &file.to_string_lossy()]);
    let socket = home.home().join("data").join("server.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    home.docent(&["search", "notice period"]).exits(0).prints("three months");
    let shown = format!("Authorization: Bearer {token}");
    let metrics = server.send("GET", "/metrics", &[&shown], b"").is(200).body;
    assert!(metrics.contains("\"/v1/search\""), "{metrics}");
    // Over TCP nobody is told where things lie.
    assert_eq!(server.send("GET", "/beside", &[&shown], b"").is(404).code(), "no_such_route");
    assert_eq!(server.stop(), 0);
    assert!(!socket.exists(), "a server that ends takes its socket with it");
}

#[test]
fn the_socket_of_a_killed_server_is_passed_by_and_the_next_server_has_its_own() {
    let home = library();
    Server::start(&home, &[]).kill();
    let socket = home.home().join("data").join("server.sock");
    assert!(socket.exists());
    home.docent(&["search", "notice period"]).exits(0).prints("three months");
    let server = Server::start(&home, &[]);
    home.docent(&["search", "notice period"]).exits(0).prints("three months");
    assert_eq!(n_served(&server, "/v1/search"), 1);
}

#[test]
fn a_command_that_waits_says_so_and_ctrl_c_takes_its_question_back() {
    let home = library();
    let server = Server::start(&home, &[]);
    // The model may not close the list: it is busy until the client goes.
    let numbers = json!({ "type": "array", "items": { "type": "integer" }, "minItems": 100_000 });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "numbers", "schema": numbers } });
    let body = json!({ "model": WRITER, "messages": [{ "role": "user", "content": "Count." }], "response_format": format, "max_tokens": 100_000, "stream": true }).to_string();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: {}", server.address);
    let length = body.len();
    let busy = format!("{head}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
    let mut busy = server.open(busy.as_bytes());
    busy.read_exact(&mut [0; 1_000]).unwrap();
    let mut waiting = home.command(&["ask", QUESTION]).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(waiting.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.any(|line| line == "asked before this one: 1"), "it says that it waits");
    Command::new("kill").args(["-INT", &waiting.id().to_string()]).status().unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(130));
    drop(busy);
    server.wait_for("docent_answers_cancelled_total", 2);
}

/// A home with a folder to add, and with what an ingestion could do otherwise.
fn unread() -> Home {
    let home = Home::with_models();
    home.write("boiler.md", "# Boiler\n\nThe normal pressure of the boiler is between 1.2 and 1.6 bar.\n");
    home.write("lease.md", "# Lease\n\nThe tenant gives notice three months before moving out.\n");
    home.write(".hidden.md", "The spare key hangs behind the clock.\n");
    home.write("drafts/lease.md", "The tenant gives no notice.\n");
    home.write("noise.log", "Nothing to read here. ".repeat(200));
    home.write("broken.pdf", "%PDF-1.7\nnothing of the sort");
    home
}

/// Jobs that a server did, or does, for commands.
fn jobs(server: &Server) -> Vec<Value> {
    server.get("/v1/jobs").is(200).json()["jobs"].as_array().unwrap().clone()
}

/// Waits for a job that `suits`.
fn wait_for_job(server: &Server, suits: impl Fn(&Value) -> bool) {
    for _ in 0..3_000 {
        if jobs(server).iter().any(&suits) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no such job: {:?}", jobs(server));
}

/// Whether a job has put documents into the index.
fn has_indexed(job: &Value) -> bool {
    job["progress"]["phase"] == "working" && job["progress"]["files_done"].as_u64() > Some(0)
}

#[test]
fn a_server_adds_updates_and_removes_as_a_command_does_alone() {
    let (alone, served) = (unread(), unread());
    let server = Server::start(&served, &[]);
    let same = |args: &[&str], code: i32| {
        let args = |home: &Home| -> Vec<String> {
            let docs = home.docs().to_string_lossy().into_owned();
            args.iter().map(|arg| arg.replace("DOCS", &docs)).collect()
        };
        let run = |home: &Home| {
            let args = args(home);
            let ran = home.docent(&args.iter().map(String::as_str).collect::<Vec<_>>()).exits(code);
            let docs = home.docs().to_string_lossy().into_owned();
            // How long it took is another time each time.
            let told = ran.stderr.lines().filter(|line| !line.starts_with("indexed in "));
            (ran.stdout.replace(&docs, "DOCS"), told.collect::<Vec<_>>().join("\n").replace(&docs, "DOCS"))
        };
        assert_eq!(run(&served), run(&alone), "{args:?}", args = args(&alone));
    };
    // Each with the settings of its own command: hidden and ignored files, sizes, collections.
    same(&["add", "DOCS", "--ignore", "drafts", "--max-size", "1KB"], 3);
    same(&["ls"], 0);
    same(&["update", "--json"], 3);
    same(&["add", "DOCS", "--collection", "all", "--hidden", "--json"], 3);
    same(&["ls", "--collection", "all"], 0);
    for home in [&alone, &served] {
        home.write("roof.md", "The roof was tiled anew in 1998.\n");
    }
    same(&["update", "--retry-failed"], 3);
    same(&["update", "--collection", "all", "--ignore", "drafts"], 3);
    same(&["ls", "--collection", "all"], 0);
    same(&["rm", "DOCS", "--collection", "all"], 0);
    same(&["ls", "--collection", "all"], 1);
    assert_eq!(jobs(&server).len(), 6);
    assert!(jobs(&server).iter().all(|job| job["state"] == "done"), "{:?}", jobs(&server));
    // What is wrong is told as it is without a server.
    same(&["add", "DOCS/nowhere"], 2);
    same(&["rm", "DOCS/roof.md"], 2);
    same(&["update", "--collection", "empty"], 2);
    same(&["add", "DOCS", "--embedding", "nowhere"], 2);
    // What the server did is in its own searches at once.
    served.docent(&["search", "when was the roof tiled"]).exits(0).prints("1998");
    assert_eq!(n_served(&server, "/v1/search"), 1);
    served.docent(&["update", "--alone"]).exits(3);
    assert_eq!(n_served(&server, "/beside/jobs"), 8, "six that were done, two that failed in the doing");
}

#[test]
fn over_tcp_nobody_has_work_done_as_a_command_has() {
    let home = library();
    let server = Server::start(&home, &[]);
    let order = json!({ "what": "add", "paths": ["/etc"], "collection": ".", "embedding": null, "default_embedding": null, "reranking": null, "hidden": true, "no_ignore": true, "ignore": [], "retry_failed": false, "max_bytes": 1, "ocr": null });
    assert_eq!(server.post("/beside/jobs", &order).is(404).code(), "no_such_route");
    // Nor is it told that there is such a route.
    assert_eq!(server.post("/beside/jobs", &json!({})).is(404).code(), "no_such_route");
    assert_eq!(server.get("/beside/jobs").is(404).code(), "no_such_route");
    assert_eq!(jobs(&server), Vec::<Value>::new());
}

#[test]
fn a_command_that_is_stopped_stops_its_job_and_one_that_waits_says_so() {
    let home = Home::with_models();
    for i in 0..240 {
        home.write(&format!("{i}.txt"), support::shelves(&format!("jar of kind {i}"), 20));
    }
    home.write("aside/one.txt", "The spare key hangs behind the clock.\n");
    let docs = home.docs().to_string_lossy().into_owned();
    let server = Server::start(&home, &[]);
    let running = |job: &Value| job["state"] == "running" && has_indexed(job);
    let begin =
        |args: &[&str]| home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let interrupt = |id: u32| Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();

    let adding = begin(&["add", &docs]);
    wait_for_job(&server, running);
    // Another one waits for its turn, and is gone at once when it is stopped.
    let mut waiting = begin(&["add", &docs, "--collection", "other"]);
    let mut told = BufReader::new(waiting.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.any(|line| line.starts_with("waiting for another command")), "it says that it waits");
    interrupt(waiting.id());
    let ended = waiting.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), "no files (stopped; run it again to go on)\n");
    assert_eq!(jobs(&server)[0]["state"], "running");

    interrupt(adding.id());
    let ended = adding.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(said.contains("added") && said.contains("stopped"), "{said}");
    wait_for_job(&server, |job| job["id"] == "job-1" && job["state"] == "cancelled");
    wait_for_job(&server, |job| job["id"] == "job-2" && job["state"] == "cancelled");

    // One that is killed says nothing any more, and its job is stopped all the same.
    let mut killed = begin(&["update"]);
    wait_for_job(&server, |job| job["id"] == "job-3" && running(job));
    killed.kill().unwrap();
    killed.wait().unwrap();
    wait_for_job(&server, |job| job["id"] == "job-3" && job["state"] == "cancelled");

    // What was done is kept: the rest is what is added now.
    let rest = home.docent(&["update", "--json"]).exits(0).json();
    assert!(rest["unchanged"].as_u64() > Some(0), "{rest}");
    assert_eq!(rest["added"].as_u64().unwrap() + rest["unchanged"].as_u64().unwrap(), 241, "{rest}");
}

#[test]
fn a_command_goes_on_alone_when_the_server_is_killed() {
    let home = Home::with_models();
    for i in 0..160 {
        home.write(&format!("{i}.txt"), support::shelves(&format!("jar of kind {i}"), 20));
    }
    let server = Server::start(&home, &[]);
    let docs = home.docs().to_string_lossy().into_owned();
    let adding = home.command(&["add", &docs]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_job(&server, has_indexed);
    server.kill();
    let ended = Ran::new(&["add"], adding.wait_with_output().unwrap()).exits(0);
    ended.prints("added");
    assert_eq!(home.docent(&["ls"]).exits(0).stdout.lines().count(), 160);
    home.docent(&["doctor", "--index"]).exits(0);
}
