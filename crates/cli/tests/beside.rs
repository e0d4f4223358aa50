//! Commands beside a running server: it has the models open, and answers for them.
#![cfg(unix)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::Home;
use support::http::Server;

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
