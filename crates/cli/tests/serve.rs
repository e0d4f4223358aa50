//! What programs get from `docent serve`.

mod support;

use std::io::Read as _;

use serde_json::{Value, json};
use support::Home;
use support::http::Server;

const WRITER: &str = "smollm2-135m-instruct";

/// A home with two documents in the index.
fn library() -> Home {
    let home = Home::with_models();
    home.write(
        "lease.md",
        "# Lease\n\n## Notice\n\nThe tenant gives notice three months before moving out.\n",
    );
    home.write("boiler.md", "# Boiler\n\nThe normal pressure of the boiler is between 1.2 and 1.6 bar.\n");
    let docs = home.docs();
    home.docent(&["add", &docs.to_string_lossy()]).exits(0);
    home
}

/// A request for an answer that goes on until the context is full: the model may not close the list.
fn endless(host: &str) -> String {
    let numbers = json!({ "type": "array", "items": { "type": "integer" }, "minItems": 100_000 });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "numbers", "schema": numbers } });
    let messages = json!([{ "role": "user", "content": "Count." }]);
    let body = json!({ "model": WRITER, "messages": messages, "response_format": format, "max_tokens": 100_000, "stream": true }).to_string();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json");
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

#[test]
fn programs_are_told_over_http_what_the_commands_print() {
    let home = library();
    let server = Server::start(&home, &[]);
    let found = server.post("/v1/search", &json!({ "query": "notice period" })).is(200).json();
    assert_eq!(found, home.docent(&["search", "--alone", "--json", "notice period"]).exits(0).json());
    let question = "What is the normal pressure of the boiler?";
    let asked = server.post("/v1/ask", &json!({ "question": question })).is(200).json();
    let printed = home.docent(&["ask", "--alone", "--json", question]).exits(0).json();
    assert_eq!(keys(&asked), keys(&printed));
    for key in ["status", "answer", "citations", "model"] {
        assert_eq!(asked[key], printed[key], "{key}");
    }
    let status = server.get("/v1/status").is(200).json();
    let printed = home.docent(&["status", "--json"]).exits(0).json();
    assert_eq!(status["documents"], 2);
    assert_eq!(status["roots"], printed["roots"]);
    assert!(keys(&printed).iter().all(|key| status.get(key.as_str()).is_some()), "{status}");
    let collections = server.get("/v1/collections").is(200).json();
    assert_eq!(collections, home.docent(&["collections", "--json"]).exits(0).json());
    let cache = server.get("/v1/cache").is(200).json();
    assert!(
        keys(&home.docent(&["cache", "status", "--json"]).exits(0).json())
            .iter()
            .all(|key| cache.get(key.as_str()).is_some())
    );
    assert_eq!(server.get("/v1/documents").is(200).json()["total"], 2);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_stream_tells_each_step_and_ends_with_the_checked_answer() {
    let home = library();
    let server = Server::start(&home, &[]);
    let request = json!({ "question": "When does the tenant give notice?", "stream": true, "style": "write", "max_tokens": 40 });
    let answered = server.post("/v1/ask", &request).is(200);
    assert!(answered.head.contains("text/event-stream"));
    let events = answered.events();
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    let at = |kind: &str| {
        kinds.iter().position(|&other| other == kind).unwrap_or_else(|| panic!("no {kind} in {kinds:?}"))
    };
    for pair in ["queued", "retrieved", "packed", "reading", "prefill", "answer", "result", "kept"].windows(2)
    {
        assert!(at(pair[0]) < at(pair[1]), "{pair:?} in {kinds:?}");
    }
    let reading = &events[at("reading")].1;
    assert_eq!(
        reading["prompt_tokens"].as_u64(),
        Some(reading["cached_tokens"].as_u64().unwrap() + reading["prefill_tokens"].as_u64().unwrap())
    );
    let result = &events[at("result")].1;
    let said: String = events
        .iter()
        .filter(|(kind, _)| kind == "answer")
        .filter_map(|(_, data)| data["text"].as_str())
        .collect();
    assert_eq!(said.trim(), result["answer"].as_str().unwrap());
    assert_eq!(result["usage"]["prompt_tokens"], reading["prompt_tokens"]);
}

/// Method, path, head, body; status and code of the answer.
type Case = (&'static str, &'static str, &'static [&'static str], &'static str, u16, &'static str);

#[test]
fn every_kind_of_bad_request_has_its_status_and_a_remedy() {
    let home = library();
    let server = Server::start(&home, &[]);
    const JSON: &str = "Content-Type: application/json";
    let cases: [Case; 22] = [
        ("POST", "/v1/search", &[JSON], "{", 400, "json"),
        ("POST", "/v1/search", &[JSON], r#"{"query": "x", "queri": 1}"#, 400, "json"),
        ("POST", "/v1/search", &[JSON], r#"{"query": 3}"#, 400, "json"),
        ("POST", "/v1/search", &[JSON], r#"{"query": " "}"#, 400, "empty_text"),
        ("POST", "/v1/search", &[JSON], r#"{"query": "x", "limit": 0}"#, 400, "limit"),
        ("POST", "/v1/search", &[JSON], r#"{"query": "x", "filter": {"after": "soon"}}"#, 400, "date"),
        ("POST", "/v1/search", &[JSON], r#"{"query": "x", "filter": {"paths": ["[a"]}}"#, 400, "pattern"),
        (
            "POST",
            "/v1/search",
            &[JSON],
            r#"{"query": "x", "collections": ["nowhere"]}"#,
            404,
            "no_such_collection",
        ),
        ("POST", "/v1/search", &[JSON], r#"{"query": "x", "rerank": "/etc"}"#, 404, "model_not_found"),
        ("POST", "/v1/search", &["Content-Type: text/plain"], r#"{"query": "x"}"#, 415, "not_json"),
        ("POST", "/v1/search", &[JSON, "Origin: http://evil.example"], r#"{"query": "x"}"#, 403, "origin"),
        ("POST", "/v1/search", &[JSON, "Host: evil.example"], r#"{"query": "x"}"#, 421, "host"),
        ("GET", "/v1/search", &[], "", 405, "method"),
        ("GET", "/v1/nothing", &[], "", 404, "no_such_route"),
        ("POST", "/v1/ask", &[JSON], r#"{"question": "x", "model": "/etc/passwd"}"#, 404, "model_not_found"),
        ("POST", "/v1/ask", &[JSON], r#"{"question": "x", "temperature": -1}"#, 400, "range"),
        ("GET", "/v1/documents/text?path=/etc/passwd", &[], "", 404, "not_indexed"),
        ("GET", "/v1/documents?limit=many", &[], "", 400, "query"),
        ("POST", "/v1/documents", &[JSON], r#"{"paths": ["/etc"]}"#, 403, "outside"),
        ("POST", "/v1/documents", &[JSON], r#"{"paths": ["/no/such/folder"]}"#, 403, "outside"),
        ("DELETE", "/v1/documents?path=/etc", &[], "", 404, "not_a_root"),
        (
            "POST",
            "/v1/chat/completions",
            &[JSON],
            r#"{"model": "docent", "messages": [], "frequency_penalty": 1}"#,
            400,
            "unsupported",
        ),
    ];
    for (method, path, head, body, status, code) in cases {
        let answered = server.send(method, path, head, body.as_bytes());
        assert_eq!(
            (answered.status, answered.code().as_str()),
            (status, code),
            "{method} {path} {body}\n{}",
            answered.body
        );
    }
    let large = format!(r#"{{"query": "{}"}}"#, "x".repeat(5 << 20));
    assert_eq!(server.send("POST", "/v1/search", &[JSON], large.as_bytes()).is(413).code(), "too_large");
    let long = json!({ "query": "x".repeat(30_000) });
    assert_eq!(
        server.send("POST", "/v1/search", &[JSON], long.to_string().as_bytes()).is(400).code(),
        "too_long"
    );
    server.get("/healthz").is(200);
}

#[test]
fn who_hangs_up_is_no_longer_worked_for() {
    let home = library();
    let server = Server::start(&home, &[]);
    let mut stream = server.open(endless(&server.address.to_string()).as_bytes());
    stream.read_exact(&mut [0; 1_000]).unwrap();
    assert_eq!(server.metric("docent_model_busy"), 1);
    drop(stream);
    server.wait_for("docent_answers_cancelled_total", 1);
    server.wait_for("docent_model_busy", 0);
    let answered = server
        .post("/v1/completions", &json!({ "model": WRITER, "prompt": "One, two,", "max_tokens": 3 }))
        .is(200)
        .json();
    assert_eq!(answered["usage"]["completion_tokens"], 3);
}

#[test]
fn a_server_that_is_stopped_ends_although_a_client_still_listens() {
    let home = library();
    let server = Server::start(&home, &[]);
    let mut stream = server.open(endless(&server.address.to_string()).as_bytes());
    stream.read_exact(&mut [0; 1_000]).unwrap();
    assert_eq!(server.stop(), 0);
    Server::start(&home, &[]).get("/healthz").is(200);
}

#[test]
fn openai_clients_get_what_they_know() {
    let home = library();
    let server = Server::start(&home, &[]);
    let models = server.get("/v1/models").is(200).json();
    let mut ids: Vec<&str> =
        models["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["all-minilm-l6-v2", "docent", WRITER]);
    let messages = json!([{ "role": "user", "content": "Say hello." }]);
    let request = json!({ "model": WRITER, "messages": messages, "max_tokens": 12, "temperature": 0 });
    let whole = server.post("/v1/chat/completions", &request).is(200).json();
    assert_eq!(whole["object"], "chat.completion");
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(!text.is_empty());
    let mut streamed = request.clone();
    streamed["stream"] = json!(true);
    streamed["stream_options"] = json!({ "include_usage": true });
    let events = server.post("/v1/chat/completions", &streamed).is(200).events();
    let pieces: String =
        events.iter().filter_map(|(_, data)| data["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(pieces, text, "the stream says the same");
    let usage = events.iter().rev().find_map(|(_, data)| data.get("usage")).unwrap();
    assert!(
        usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap() > 0,
        "the same conversation was read before: {usage}"
    );
    assert_eq!(events.last().unwrap().1, Value::Null, "[DONE]");
    let go_on = json!([{ "role": "user", "content": "Say hello." }, { "role": "assistant", "content": text }, { "role": "user", "content": "Again." }]);
    let next = server
        .post("/v1/chat/completions", &json!({ "model": WRITER, "messages": go_on, "max_tokens": 2 }))
        .is(200)
        .json();
    assert!(
        next["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64()
            > usage["prompt_tokens"].as_u64().map(|n| n - 8),
        "{next}"
    );
}

#[test]
fn a_chat_with_the_library_has_citations_with_and_without_docents_own_field() {
    let home = library();
    let server = Server::start(&home, &[]);
    let messages = json!([{ "role": "user", "content": "What is the normal pressure of the boiler?" }]);
    let plain = server
        .post("/v1/chat/completions", &json!({ "model": "docent", "messages": messages }))
        .is(200)
        .json();
    let text = plain["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(
        text.contains("1.6 bar") && text.contains("Sources:") && text.contains("boiler.md, line 3"),
        "{text}"
    );
    let own = json!({ "model": WRITER, "messages": messages, "docent": { "style": "quote", "filter": { "types": ["md"] } } });
    let own = server.post("/v1/chat/completions", &own).is(200).json();
    assert!(!own["choices"][0]["message"]["content"].as_str().unwrap().contains("Sources:"));
    assert_eq!(own["docent"]["citations"][0]["check"], "verified");
    let streamed = json!({ "model": "docent", "messages": messages, "stream": true, "docent": {} });
    let events = server.post("/v1/chat/completions", &streamed).is(200).events();
    let cited = events.iter().find_map(|(_, data)| data.get("docent")).unwrap();
    assert_eq!(cited["citations"], own["docent"]["citations"]);
    let follow_up = json!([
        { "role": "user", "content": "When does the tenant give notice?" },
        { "role": "assistant", "content": text.replace("Sources:", "Nothing:") },
        { "role": "user", "content": "What is the normal pressure of the boiler?" },
        { "role": "assistant", "content": text },
        { "role": "user", "content": "And which is too high for it?" },
    ]);
    let request = json!({ "model": "docent", "messages": follow_up, "docent": { "style": "quote" } });
    let followed = server.post("/v1/chat/completions", &request).is(200).json();
    let asked = home.docent(&["history", "--json"]).exits(0).json();
    assert!(asked.to_string().contains("And which is too high for it? ("), "{asked}");
    let cited = &followed["docent"]["citations"][0]["path"];
    assert!(cited.as_str().is_some_and(|path| path.ends_with("boiler.md")), "{followed}");
    let missing = json!({ "model": "docent/nowhere", "messages": messages });
    assert_eq!(server.post("/v1/chat/completions", &missing).is(404).code(), "no_such_collection");
}

#[test]
fn agents_list_and_call_tools_over_http() {
    let home = library();
    let server = Server::start(&home, &[]);
    const HEAD: [&str; 2] = ["Content-Type: application/json", "Accept: application/json, text/event-stream"];
    let call = |method: &str, params: Value| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let answered = server.send("POST", "/mcp", &HEAD, body.as_bytes()).is(200);
        let messages = answered.body.lines().filter_map(|line| line.strip_prefix("data:"));
        let mut messages = messages.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        messages.find(|message| message["id"] == 1).expect("a reply")["result"].clone()
    };
    let tools = call("tools/list", json!({}));
    let names = tools["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["ask", "list", "read_passage", "search"]);
    let found = call("tools/call", json!({ "name": "search", "arguments": { "query": "notice period" } }));
    let path = &found["structuredContent"]["hits"][0]["path"];
    assert!(path.as_str().is_some_and(|path| path.ends_with("lease.md")), "{found}");
    let question = json!({ "question": "What is the normal pressure of the boiler?" });
    let answered = call("tools/call", json!({ "name": "ask", "arguments": question }));
    assert_eq!(answered["structuredContent"]["status"], "answered", "{answered}");
    let foreign = [&HEAD[..], &["Origin: http://evil.example"]].concat();
    assert_eq!(server.send("POST", "/mcp", &foreign, b"{}").is(403).code(), "origin");
}

#[test]
fn an_answer_can_be_held_to_a_schema_and_to_a_tool() {
    let home = library();
    let server = Server::start(&home, &[]);
    let schema = json!({ "type": "object", "properties": { "ok": { "type": "boolean" } }, "required": ["ok"], "additionalProperties": false });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "verdict", "schema": schema } });
    let messages = json!([{ "role": "user", "content": "Is water wet?" }]);
    let request =
        json!({ "model": WRITER, "messages": messages, "response_format": format, "max_tokens": 40 });
    let said = server.post("/v1/chat/completions", &request).is(200).json();
    let verdict: Value =
        serde_json::from_str(said["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert!(verdict["ok"].is_boolean(), "{said}");
    let tool = json!({ "type": "function", "function": { "name": "wet", "parameters": schema } });
    let mut request = json!({ "model": WRITER, "messages": messages, "tools": [tool], "tool_choice": "required", "max_tokens": 60 });
    let called = server.post("/v1/chat/completions", &request).is(200).json();
    assert_eq!(called["choices"][0]["finish_reason"], "tool_calls", "{called}");
    let function = &called["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(function["name"], "wet");
    assert!(
        serde_json::from_str::<Value>(function["arguments"].as_str().unwrap()).unwrap()["ok"].is_boolean()
    );
    request["tool_choice"] = json!("auto");
    assert_eq!(
        server.post("/v1/chat/completions", &request).is(400).code(),
        "tools",
        "its template knows no tools"
    );
}

#[test]
fn embeddings_are_of_length_one_and_the_same_in_both_encodings() {
    let home = library();
    let server = Server::start(&home, &[]);
    let request = json!({ "model": "docent", "input": ["a boiler", "a lease"] });
    let floats = server.post("/v1/embeddings", &request).is(200).json();
    let vector: Vec<f64> =
        floats["data"][1]["embedding"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert_eq!(vector.len(), 384);
    assert!((vector.iter().map(|value| value * value).sum::<f64>() - 1.0).abs() < 1e-3);
    let request =
        json!({ "model": "all-minilm-l6-v2", "input": ["a boiler", "a lease"], "encoding_format": "base64" });
    let coded = server.post("/v1/embeddings", &request).is(200).json();
    assert_eq!(coded["data"][1]["embedding"].as_str().map(str::len), Some(384 * 4 / 3 * 4));
    assert_eq!(coded["usage"], floats["usage"]);
    let writes = json!({ "model": WRITER, "input": "x" });
    assert_eq!(server.post("/v1/embeddings", &writes).is(400).code(), "wrong_kind_of_model");
}

#[test]
fn documents_come_and_go_over_http() {
    let home = Home::with_models();
    let file = home.write("notes/tea.md", "# Tea\n\nGreen tea is brewed at eighty degrees.\n");
    let docs = home.docs();
    let server = Server::start(&home, &["--root", &docs.to_string_lossy()]);
    assert_eq!(server.post("/v1/search", &json!({ "query": "tea" })).is(409).code(), "empty");
    let added =
        server.post("/v1/documents", &json!({ "paths": [docs.join("notes")], "wait": true })).is(200).json();
    assert_eq!((&added["state"], &added["summary"]["added"]), (&json!("done"), &json!(1)), "{added}");
    assert_eq!(server.get(&format!("/v1/jobs/{}", added["id"].as_str().unwrap())).is(200).json(), added);
    let found = server.post("/v1/search", &json!({ "query": "brewed" })).is(200).json();
    let hit = &found["hits"][0];
    let span = format!(
        "/v1/documents/text?path={}&byte_start={}&byte_end={}",
        file.display(),
        hit["byte_start"],
        hit["byte_end"]
    );
    assert_eq!(server.get(&span).is(200).json()["text"], hit["text"]);
    let sent = server
        .send(
            "PUT",
            "/v1/documents/upload?name=coffee.md&wait=true",
            &[],
            b"# Coffee\n\nCoffee is ground coarsely for the press.\n",
        )
        .is(200);
    assert_eq!(sent.json()["summary"]["added"], 1, "{}", sent.body);
    let listed = server.get("/v1/documents?contains=coffee").is(200).json();
    let coffee = listed["documents"][0]["path"].as_str().unwrap().to_owned();
    assert!(coffee.starts_with(&*home.home().to_string_lossy()), "{coffee}");
    assert_eq!(server.send("PUT", "/v1/documents/upload?name=..%2Fx.md", &[], b"x").is(400).code(), "name");
    assert_eq!(
        server.send("DELETE", &format!("/v1/documents?path={coffee}"), &[], b"").is(200).json()["removed"],
        1
    );
    assert!(!std::path::Path::new(&coffee).exists(), "an uploaded document is gone when it is removed");
    let folder = docs.join("notes");
    assert_eq!(
        server.send("DELETE", &format!("/v1/documents?path={}", folder.display()), &[], b"").is(200).json()["removed"],
        1
    );
    assert!(file.exists(), "a document that was added stays where it is");
}

#[test]
fn other_machines_need_a_token_and_a_home_has_one_server() {
    let home = library();
    home.docent(&["serve", "--listen", "0.0.0.0:0"]).exits(2).says("--token-file");
    let short = home.write("short", "hunter2\n");
    home.docent(&["serve", "--listen", "127.0.0.1:0", "--token-file", &short.to_string_lossy()])
        .exits(2)
        .says("at least 16 characters");
    let file = home.write("token", "0123456789abcdef0123456789abcdef\n");
    let server = Server::start(&home, &["--token-file", &file.to_string_lossy()]);
    home.docent(&["serve", "--listen", "127.0.0.1:0"]).exits(2).says(&server.address.to_string());
    assert_eq!(server.get("/v1/status").is(401).code(), "invalid_api_key");
    assert_eq!(
        server
            .send("GET", "/v1/status", &["Authorization: Bearer 0123456789abcdef0123456789abcdee"], b"")
            .is(401)
            .code(),
        "invalid_api_key"
    );
    server
        .send("GET", "/v1/status", &["Authorization: Bearer 0123456789abcdef0123456789abcdef"], b"")
        .is(200);
    server.get("/healthz").is(200);
    server.get("/").is(200);
    server.get("/metrics").is(401);
}

#[test]
fn the_page_is_all_of_it_here_and_can_run_nothing_else() {
    let home = Home::empty();
    let server = Server::start(&home, &[]);
    let page = server.get("/").is(200);
    assert!(
        page.head.to_lowercase().contains("content-security-policy: default-src 'none'; script-src 'self'")
    );
    let mut names: Vec<&str> =
        page.body.split("\"/page/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    names.extend(["ask.js", "search.js", "library.js", "parts.js"]);
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        let file = server.get(&format!("/page/{name}")).is(200);
        assert!(
            !file.body.contains("http://") && !file.body.contains("https://"),
            "{name} names another site"
        );
        assert!(!file.body.contains("innerHTML"), "{name}");
    }
    assert!(!page.body.contains("onclick=") && !page.body.contains("style="), "the policy forbids both");
}
