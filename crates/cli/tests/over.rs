//! Questions about all documents: each is read, and it is said how much that was.

mod support;

use support::{Home, shelves, tiny};

fn home() -> Home {
    let home = Home::with_models();
    home.write(
        "boiler.md",
        "# Boiler\n\nThe boiler is serviced by Mr Ruiz every autumn. It stands in the cellar.\n",
    );
    home.write("lift.md", "# Lift\n\nThe lift is serviced by Mr Ruiz in spring. It holds six people.\n");
    home.write("cake.md", "# Cake\n\nBeat the eggs with sugar. Fold in the flour and bake for an hour.\n");
    home
}

#[test]
fn a_list_of_documents_names_those_that_hold_something_and_cites_each() {
    let home = home();
    let docs = home.docs().display().to_string();
    let asked = home.docent(&[
        "ask",
        "--in",
        &docs,
        "-m",
        "smollm2-135m-instruct",
        "--json",
        "Which documents mention Mr Ruiz?",
    ]);
    let asked = asked.exits(0).says("this asks about all documents: reading each of 3");
    let answer = asked.json();
    assert_eq!((&answer["coverage"]["documents"], &answer["coverage"]["read"]), (&3.into(), &3.into()));
    let text = answer["answer"].as_str().unwrap();
    assert!(text.contains("boiler.md") && text.contains("lift.md") && !text.contains("cake.md"), "{text}");
    let citations = answer["citations"].as_array().unwrap();
    assert!(citations.iter().all(|citation| citation["check"] == "verified"));
    let best = home.docent(&[
        "ask",
        "--in",
        &docs,
        "-m",
        "smollm2-135m-instruct",
        "--over",
        "best",
        "--json",
        "Which documents mention Mr Ruiz?",
    ]);
    assert!(best.json()["coverage"].is_null());
}

#[test]
fn a_summary_has_something_of_each_document() {
    let home = home();
    let docs = home.docs().display().to_string();
    let answer = home
        .docent(&["ask", "--in", &docs, "-m", "smollm2-135m-instruct", "--json", "Summarise this folder"])
        .exits(0)
        .json();
    let text = answer["answer"].as_str().unwrap();
    assert!(["boiler.md", "lift.md", "cake.md"].iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn a_writing_model_reads_each_document_and_the_next_question_reads_none_again() {
    let home = home();
    let docs = home.docs().display().to_string();
    let model = tiny();
    home.write("long.txt", shelves("jar", 90));
    let ask = |question: &str| {
        let args = [
            "ask",
            "--in",
            &docs,
            "-m",
            &model,
            "--style",
            "write",
            "--over",
            "all",
            "--budget",
            "900",
            "--max-tokens",
            "6",
            "--json",
            question,
        ];
        let ran = home.docent(&args);
        assert!(ran.code < 2, "{}", ran.stderr);
        ran.json()["coverage"].clone()
    };
    let count = |coverage: &serde_json::Value, key: &str| coverage[key].as_u64().unwrap();
    let first = ask("Who services the lift?");
    assert_eq!((count(&first, "documents"), count(&first, "read")), (4, 4));
    assert!(count(&first, "parts") > 4, "the long one is read in parts: {first}");
    let second = ask("How long does the cake bake?");
    assert!(count(&second, "cached_tokens") * 2 > count(&second, "tokens"), "{second}");
}
