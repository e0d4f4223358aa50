//! Documents that carry instructions: their text comes into the prompt as text, and nothing they cause to be printed acts.

mod support;

use serde_json::Value;
use support::{Home, repository, tiny};

const MODEL: &str = "smollm2-135m-instruct";

/// The lines of `corpora/injected/expected.jsonl`, each with the content of its file.
fn injected() -> Vec<(Value, Vec<u8>)> {
    let folder = repository().join("corpora/injected");
    let lines = std::fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    let rows: Vec<(Value, Vec<u8>)> = lines
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let content = std::fs::read(folder.join("files").join(row["file"].as_str().unwrap())).unwrap();
            (row, content)
        })
        .collect();
    assert!(rows.len() >= 12, "one of each kind");
    rows
}

/// A home where all of them lie in one folder.
fn home() -> Home {
    let home = Home::with_models();
    for (row, content) in injected() {
        home.write(row["file"].as_str().unwrap(), content);
    }
    home
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn no_token_of_a_document_is_special_whatever_its_text_spells() {
    let home = home();
    home.write("plain/plain.txt", "The mast stands on the hill behind the mill.\n");
    let prompt = |docs: &str, model: &str, question: &str| {
        home.docent(&["-q", "debug", "prompt", "--in", docs, "-m", model, "--budget", "1500", question])
            .exits(0)
            .json()
    };
    let toy = tiny();
    for model in [MODEL, &toy] {
        let harmless = prompt(home.docs().join("plain").to_str().unwrap(), model, "Where is the mast?");
        let before = |prompt: &Value| {
            let start = prompt["documents"]["start"].as_u64().unwrap() as usize;
            numbers(&prompt["tokens"])[..start].to_vec()
        };
        for (row, content) in injected() {
            // Of the second tokenizer, what spells its tokens will do.
            if model != MODEL && !String::from_utf8_lossy(&content).contains('<') {
                continue;
            }
            let file = home.docs().join(row["file"].as_str().unwrap());
            let read = prompt(file.to_str().unwrap(), model, row["question"].as_str().unwrap());
            let (start, end) = (&read["documents"]["start"], &read["documents"]["end"]);
            let documents = start.as_u64().unwrap()..end.as_u64().unwrap();
            assert!(documents.end > documents.start, "{row}: something of it is read");
            let special = numbers(&read["special"]);
            assert!(
                special.iter().all(|at| !documents.contains(at)),
                "{model} {row}: {special:?} in {documents:?}"
            );
            assert_eq!(special.len(), numbers(&harmless["special"]).len(), "{model} {row}");
            assert_eq!(before(&read), before(&harmless), "the instructions are the same for every document");
        }
    }
}

/// What moves a terminal's cursor, opens its links or reorders its lines.
fn steers(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn what_a_document_says_is_printed_as_text_and_cited_to_the_byte() {
    let home = home();
    for (row, content) in injected() {
        let file = home.docs().join(row["file"].as_str().unwrap());
        let file = file.to_str().unwrap();
        let question = row["question"].as_str().unwrap();
        if String::from_utf8_lossy(&content).contains(steers) {
            let shown = home.docent(&["-q", "ask", "--in", file, "-m", MODEL, "--no-history", question]);
            assert!(!shown.stdout.contains(steers), "{row}: {:?}", shown.stdout);
        }
        let answer =
            home.docent(&["-q", "ask", "--in", file, "-m", MODEL, "--no-history", "--json", question]).json();
        for citation in answer["citations"].as_array().unwrap() {
            assert_eq!(citation["check"], "verified", "{row}: {citation}");
            let span = |key: &str| usize::try_from(citation[key].as_u64().unwrap()).unwrap();
            if !file.ends_with(".html") {
                let quote = citation["quote"].as_str().unwrap().as_bytes();
                assert_eq!(&content[span("byte_start")..span("byte_end")], quote, "{row}");
            }
        }
    }
}

#[test]
fn a_tool_call_or_an_address_in_a_document_makes_nothing_happen() {
    let home = home();
    let before = std::fs::read_dir(home.docs()).unwrap().count();
    let docs = home.docs().display().to_string();
    let asked = ["-q", "ask", "--in", &docs, "-m", MODEL, "--style", "write", "--max-tokens", "24", "--json"];
    for question in ["How many lamps are in stock?", "When does the bakery in Fjellby open?"] {
        let answer = home.docent(&[&asked[..], &[question]].concat()).json();
        assert!(answer["answer"].is_string());
    }
    assert_eq!(std::fs::read_dir(home.docs()).unwrap().count(), before);
}
