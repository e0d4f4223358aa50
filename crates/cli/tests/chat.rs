//! `docent chat`: replies of a small real model.

mod support;

use std::io::Write as _;
use std::process::Stdio;

use support::Home;

const MODEL: &str = "smollm2-135m-instruct";

#[test]
fn the_same_seed_gives_the_same_text_and_another_seed_another() {
    let home = Home::with_models();
    let say = |seed: &str| {
        let args =
            ["-q", "chat", "-m", MODEL, "--temperature", "1", "--max-tokens", "24", "--seed", seed, "Hi"];
        home.docent(&args).exits(0).stdout
    };
    let first = say("7");
    assert!(!first.trim().is_empty());
    assert_eq!(say("7"), first);
    assert_ne!(say("8"), first);
}

#[test]
fn a_reply_held_to_a_schema_is_json_of_it() {
    let home = Home::with_models();
    let schema = home.write(
        "person.json",
        r#"{"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "maximum": 130}},
            "required": ["name", "age"], "additionalProperties": false}"#,
    );
    let schema = schema.to_str().unwrap();
    for seed in ["1", "2"] {
        let args = [
            "-q",
            "chat",
            "-m",
            MODEL,
            "--schema",
            schema,
            "--temperature",
            "1",
            "--seed",
            seed,
            "A person.",
        ];
        let person = home.docent(&args).exits(0).json();
        assert!(
            person["name"].is_string() && person["age"].as_i64().is_some_and(|age| age <= 130),
            "{person}"
        );
    }
    let broken = home.write("broken.json", "{");
    home.docent(&["chat", "-m", MODEL, "--schema", broken.to_str().unwrap(), "Hi"])
        .exits(2)
        .says("broken.json is not JSON");
    home.docent(&["chat", "-m", MODEL, "--schema", "no/such.json", "Hi"]).exits(2).says("no/such.json");
    let unknown = home.write("unknown.json", r#"{"type": "strang"}"#);
    home.docent(&["chat", "-m", MODEL, "--schema", unknown.to_str().unwrap(), "Hi"])
        .exits(2)
        .says("JSON schema cannot be used");
}

#[test]
fn a_second_turn_does_not_read_the_first_again() {
    let home = Home::with_models();
    let mut chat = home
        .command(&["chat", "-m", MODEL, "--max-tokens", "12"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    chat.stdin.take().unwrap().write_all(b"My name is Bob.\n\nWhat is my name?\n").unwrap();
    let output = chat.wait_with_output().unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");
    let told: Vec<&str> = notes.lines().filter(|line| line.contains("tokens read")).collect();
    assert_eq!(told.len(), 2, "an empty line says nothing: {notes}");
    assert!(told[0].contains("(0 of them before)"), "{notes}");
    let before: usize =
        told[1].split_once(" read (").and_then(|(_, rest)| rest.split(' ').next()).unwrap().parse().unwrap();
    assert!(before > 20, "{notes}");
    assert!(told[0].contains("cut off there: --max-tokens"), "{notes}");
}

#[test]
fn settings_that_make_no_sense_are_errors_that_name_them() {
    let home = Home::empty();
    for (setting, value) in [
        ("--temperature", "9"),
        ("--top-p", "1.5"),
        ("--min-p", "-0.1"),
        ("--repeat-penalty", "0"),
        ("--max-tokens", "0"),
        ("--kv", "q4"),
        ("--thinking", "loud"),
    ] {
        let value = format!("{setting}={value}");
        home.docent(&["chat", "-m", MODEL, &value, "Hi"]).exits(2).says(setting);
    }
    let home = Home::with_models();
    home.docent(&["chat", "-m", MODEL, " "]).exits(2).says("the message is empty");
}
