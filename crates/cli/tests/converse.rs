//! `docent chat --in`: questions about documents that follow each other.

mod support;

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use support::{Home, tiny};

fn home() -> Home {
    let home = Home::with_models();
    home.write(
        "boiler.md",
        "# Boiler\n\nThe magnesium anode of the boiler is replaced every two years. A new anode costs 45 euros.\n\n\
         The boiler stands in the cellar.\n",
    );
    home.write(
        "boat.md",
        "# Boat\n\nThe boat lies in Torvik. Its mast is of larch and was renewed in 2019.\n",
    );
    home
}

/// Says some lines in one conversation and gives the answers.
fn talk(home: &Home, args: &[&str], lines: &str) -> Vec<Value> {
    let mut command = home.command(&[&["-q", "chat", "--json"], args].concat());
    let mut chat =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    chat.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = chat.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_question_that_points_back_finds_what_it_points_at() {
    let home = home();
    let docs = home.docs().display().to_string();
    let answers = talk(
        &home,
        &["--in", &docs, "-m", "smollm2-135m-instruct"],
        "How often is the magnesium anode of the boiler replaced?\nAnd what does a new one cost?\n",
    );
    assert_eq!(answers.len(), 2);
    assert!(answers[1]["answer"].as_str().unwrap().contains("45 euros"), "{}", answers[1]);
    for citation in answers.iter().flat_map(|answer| answer["citations"].as_array().unwrap()) {
        assert_eq!(citation["check"], "verified");
    }
}

#[test]
fn a_turn_reads_only_what_is_new_and_a_conversation_is_taken_up_again() {
    let home = home();
    let docs = home.docs().display().to_string();
    let model = tiny();
    let settings = ["-m", &model, "--style", "write", "--max-tokens", "8"];
    let answers =
        talk(&home, &[&["--in", &docs], &settings[..]].concat(), "Where is the boiler?\nAnd the boat?\n");
    let count = |answer: &Value, key: &str| answer["usage"][key].as_u64().unwrap();
    let first = count(&answers[0], "prompt_tokens");
    assert!(count(&answers[1], "cached_tokens") + 1 >= first, "all of the first turn's prompt: {answers:?}");
    let id = answers[0]["conversation"].as_str().unwrap();
    assert_eq!(answers[1]["conversation"].as_str().unwrap(), id);

    let listed = home.docent(&["chat", "--list", "--json"]).exits(0).json();
    assert_eq!(
        (&listed["conversations"][0]["id"], &listed["conversations"][0]["n_turns"]),
        (&id.into(), &2.into())
    );
    home.docent(&["chat", "--list"]).exits(0).prints("Where is the boiler?");
    let again = talk(&home, &[&["--resume", "last"], &settings[..]].concat(), "And the mast?\n");
    assert!(
        count(&again[0], "prompt_tokens") > count(&answers[1], "prompt_tokens"),
        "the turns before stand before it"
    );
    assert_eq!(home.docent(&["chat", "--list", "--json"]).json()["conversations"][0]["n_turns"], 3);
    home.docent(&["chat", "--resume", "nosuch", "Hello?"]).exits(2).says("docent chat --list");
}

#[test]
fn nothing_is_written_down_where_that_is_not_wanted_and_all_can_be_forgotten() {
    let home = home();
    let docs = home.docs().display().to_string();
    let model = tiny();
    let settings = ["--in", &docs, "-m", &model, "--style", "write", "--max-tokens", "4"];
    talk(&home, &[&settings[..], &["--no-history"]].concat(), "Where is the boiler?\n");
    home.docent(&["chat", "--list"]).exits(1).says("no conversation");
    talk(&home, &settings, "Where is the boiler?\n");
    let file = home.home().join("data/conversations.jsonl");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    home.docent(&["history", "clear"]).exits(0).prints("1 questions forgotten");
    assert!(!file.exists());
}

#[test]
fn a_document_that_changed_since_is_named_when_a_conversation_is_taken_up() {
    let home = home();
    let docs = home.docs().display().to_string();
    let model = tiny();
    let settings = ["-m", &model, "--style", "write", "--max-tokens", "4"];
    talk(&home, &[&["--in", &docs], &settings[..]].concat(), "Where is the boiler?\n");
    home.write("boat.md", "# Boat\n\nThe boat was sold.\n");
    let again = home.docent(&[&["chat", "--resume", "last"], &settings[..], &["And the boat?"]].concat());
    assert!(again.code < 2, "{}", again.stderr);
    again.says("boat.md has changed");
}
