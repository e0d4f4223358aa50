//! What was asked is written down, for its owner alone, and can be made again to the byte.

mod support;

use serde_json::Value;
use support::{Home, Ran, shelves, tiny};

fn home() -> Home {
    let home = Home::with_models();
    home.write("books.txt", shelves("book", 20));
    home.write("jars.txt", shelves("jar", 16));
    home
}

/// An answer in the model's own words, with some randomness.
fn ask(home: &Home, question: &str, more: &[&str]) -> Ran {
    let (model, docs) = (tiny(), home.docs().display().to_string());
    let mut args =
        vec!["ask", "--in", &docs, "-m", &model, "--style", "write", "--json", "--max-tokens", "12"];
    args.extend(["--temperature", "0.9", "--seed", "7"]);
    args.extend(more);
    args.push(question);
    home.docent(&args)
}

fn records(home: &Home) -> Vec<Value> {
    let listed = home.docent(&["history", "--json"]).json();
    listed["records"].as_array().unwrap().clone()
}

#[test]
fn an_answer_is_made_again_to_the_byte_also_after_everything_kept_is_gone() {
    let home = home();
    let first = ask(&home, "Where is book number 3?", &[]).json();
    ask(&home, "Where is jar number 5?", &[]);
    let id = first["id"].as_str().unwrap();
    for purge in [false, true] {
        if purge {
            home.docent(&["cache", "purge", "--all"]).exits(0);
        }
        let again = home.docent(&["ask", "--replay", id, "--json"]).exits(0).json();
        assert_eq!((&again["same"], &again["answer"]["answer"]), (&Value::Bool(true), &first["answer"]));
        assert_eq!(again["differences"].as_array().unwrap().len(), 0);
    }
    assert_eq!(records(&home).len(), 2, "a replay is no new question");
}

#[test]
fn a_quoted_answer_is_made_again_too() {
    let home = home();
    let docs = home.docs().display().to_string();
    let asked = ["ask", "--in", &docs, "-m", "smollm2-135m-instruct", "--json", "Where is jar number 5?"];
    let first = home.docent(&asked).exits(0).json();
    let again = home.docent(&["ask", "--replay", "last", "--json"]).exits(0).json();
    assert_eq!((&again["same"], &again["answer"]["answer"]), (&Value::Bool(true), &first["answer"]));
}

#[test]
fn what_is_not_as_it_was_is_named_and_nothing_is_made_up() {
    let home = home();
    ask(&home, "Where is book number 3?", &[]);
    home.write("jars.txt", "All jars were sold.\n");
    home.docent(&["search", "--in", home.docs().to_str().unwrap(), "jars"]).exits(0);
    let again = home.docent(&["ask", "--replay", "last", "--json"]).exits(1).json();
    assert_eq!((&again["same"], &again["answer"]), (&Value::Bool(false), &Value::Null));
    assert_eq!(again["differences"].as_array().unwrap().len(), 1);
    assert!(again["differences"][0].as_str().unwrap().ends_with("jars.txt has changed"), "{again}");
    let other = home.docent(&["ask", "--replay", "last", "--isa", "scalar"]);
    other.exits(1).says("jars.txt has changed");
}

#[test]
fn nothing_is_written_down_where_that_is_not_wanted_and_all_can_be_forgotten() {
    let home = home();
    assert_eq!(ask(&home, "Where is book number 3?", &["--no-history"]).json()["id"], Value::Null);
    assert_eq!(ask(&home, "Where is book number 3?", &["--history", "off"]).json()["id"], Value::Null);
    home.docent(&["history"]).exits(1).says("nothing was asked yet");
    let asked = ask(&home, "Where is book number 4?", &[]).json();
    home.docent(&["history"]).exits(0).prints("Where is book number 4?");
    home.docent(&["history", "show", "last"])
        .exits(0)
        .prints(asked["id"].as_str().unwrap())
        .prints("books.txt");
    home.docent(&["history", "clear"]).exits(0).prints("1 questions forgotten");
    assert!(records(&home).is_empty());
    home.docent(&["ask", "--replay", "last"]).exits(2).says("docent history");
}

#[test]
fn what_would_be_read_is_told_without_reading_it() {
    let home = home();
    let (model, docs) = (tiny(), home.docs().display().to_string());
    let pack = |model: &str| {
        home.docent(&["pack", "--in", &docs, "-m", model, "--budget", "900", "Where is book number 3?"])
    };
    pack("smollm2-135m-instruct").exits(2).says("chooses sentences");
    pack(&model).exits(0).prints("found 1.").prints("no room");
    let dry = |more: &[&str]| {
        ask(&home, "Where is book number 3?", &[&["--dry-run"][..], more].concat()).exits(0).json()
    };
    let packing = dry(&["--budget", "900"]);
    let in_all: u64 =
        packing["passages"].as_array().unwrap().iter().map(|p| p["tokens"].as_u64().unwrap()).sum();
    assert!(in_all > 0 && in_all <= 900, "{packing}");
    assert!(!packing["left_out"].as_array().unwrap().is_empty(), "what has no room is told");
    assert_eq!((&packing["cached_tokens"], &packing["passages"][0]["why"]), (&0.into(), &"found".into()));
    assert!(records(&home).is_empty());

    let all = ask(&home, "Where is book number 3?", &["--budget", "all"]).json();
    let packing = dry(&["--budget", "all"]);
    assert_eq!(packing["prompt_tokens"], all["usage"]["prompt_tokens"]);
    assert!(packing["cached_tokens"].as_u64().unwrap() > 0, "it was just read");
    home.write("long.txt", "Many shelves stand in many rooms of the house.\n".repeat(4000));
    ask(&home, "Where is book number 3?", &["--budget", "all"]).exits(2).says("tokens too many");
}
