//! What people get wrong, and what they are told: one sentence, the remedy, and the right exit code.

mod support;

use support::Home;

#[test]
fn a_path_that_does_not_exist_is_named() {
    let home = Home::with_models();
    home.docent(&["add", "no/such/folder"]).exits(2).says("no/such/folder: no such file or folder");
    home.docent(&["search", "--in", "no/such/folder", "x"]).exits(2).says("no such file or folder");
    assert!(!home.home().join("data").join("index").exists(), "nothing half-written");
}

#[test]
fn a_missing_model_without_a_terminal_names_the_command() {
    let home = Home::empty();
    home.write("a.txt", "Some text that could be searched.");
    let docs = home.docs();
    home.docent(&["ask", "--in", docs.to_str().unwrap(), "What?"])
        .exits(2)
        .says("docent models pull all-minilm-l6-v2 smollm2-135m-instruct");
    home.docent(&["add", docs.to_str().unwrap()]).exits(2).says("docent models pull all-minilm-l6-v2");
    assert!(!home.home().join("data").exists(), "nothing half-written");
}

#[test]
fn an_unknown_flag_or_model_is_named() {
    let home = Home::with_models();
    home.docent(&["ask", "--frobnicate", "x"]).exits(2).says("--frobnicate");
    home.docent(&["models", "pull", "gpt-17"]).exits(2).says("gpt-17");
    home.docent(&["chat", "-m", "no/such.gguf", "hello"]).exits(2).says("no/such.gguf");
    home.docent(&["chat", "-m", "all-minilm-l6-v2", "hello"]).exits(2).says("cannot answer");
}

#[test]
fn nothing_indexed_is_said_with_the_remedy() {
    let home = Home::with_models();
    home.docent(&["search", "anything"]).exits(2).says("docent add");
    home.docent(&["update"]).exits(2).says("docent add");
    home.docent(&["status"]).exits(0).prints("0 documents");
}

#[test]
fn a_gguf_that_is_none_is_an_error_not_a_crash() {
    let home = Home::with_models();
    let fake = home.write("fake.gguf", b"GGUF\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff");
    home.docent(&["chat", "-m", fake.to_str().unwrap(), "hello"]).exits(2).says("fake.gguf");
    let text = home.write("text.gguf", "not a model at all");
    home.docent(&["models", "inspect", text.to_str().unwrap()]).exits(2).says("text.gguf");
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let home = Home::empty();
    let file = home.write("file", "in the way");
    let blocked = file.join("home");
    home.docent(&[
        "--home",
        blocked.to_str().unwrap(),
        "models",
        "pull",
        "all-minilm-l6-v2",
        "--offline-packages",
    ])
    .exits(2)
    .says("file");
}

#[test]
fn a_document_that_is_not_indexed_is_named() {
    let home = Home::with_models();
    home.write("a.txt", "One line.\nAnother line.\n");
    home.docent(&["add", home.docs().to_str().unwrap()]).exits(0);
    home.docent(&["show", "b.txt"]).exits(2).says("b.txt is not in the index");
    let a = home.docs().join("a.txt");
    home.docent(&["show", &format!("{}:9", a.display())]).exits(2).says("past its end");
    home.docent(&["rm", a.to_str().unwrap()]).exits(2).says("lies in");
}

#[test]
fn nasty_queries_get_an_answer() {
    let home = Home::with_models();
    home.write("a.txt", "A quiet line about gardening.\n");
    home.docent(&["add", home.docs().to_str().unwrap()]).exits(0);
    for query in ["\"unbalanced", "((((", "the of and", "🦀🦀", "a:b AND NOT", "*", "\\", " "] {
        let ran = home.docent(&["search", "--json", query]);
        assert!(ran.code == 0 || ran.code == 1, "{query:?}: {}", ran.stderr);
        ran.json();
    }
}

#[test]
fn reset_removes_only_what_docent_wrote() {
    let home = Home::with_models();
    home.write("a.txt", "A line.\n");
    home.docent(&["add", home.docs().to_str().unwrap()]).exits(0);
    home.docent(&["reset"]).exits(2).says("--yes");
    home.docent(&["reset", "--yes"]).exits(0);
    assert!(home.docs().join("a.txt").exists());
    home.docent(&["models", "list"]).exits(0).prints("here");
    home.docent(&["reset", "--all", "--yes"]).exits(0);
    let listed = home.docent(&["models", "list", "--json"]).exits(0).json();
    assert!(listed["models"].as_array().unwrap().iter().all(|model| model["installed"] == false));
}
