//! What a search gives beside passages: their surroundings, a second opinion, other collections.

mod support;

use serde_json::Value;
use support::{Home, cross_encoder};

fn add(home: &Home, folder: &str, more: &[&str]) {
    let folder = home.docs().join(folder);
    home.docent(&[&["add", folder.to_str().unwrap()], more].concat()).exits(0);
}

fn hits(home: &Home, args: &[&str]) -> Vec<Value> {
    let found = home.docent(&[&["search", "--json"], args].concat()).exits(0);
    found.json()["hits"].as_array().unwrap().clone()
}

fn house_and_boat() -> Home {
    let home = Home::with_models();
    home.write("house/roof.md", "# Roof\n\nThe roof was tiled anew in 1998 by the Bakker brothers.\n");
    home.write("house/cellar.txt", "The boiler below the roof beams is reset by holding the red button.\n");
    home.write("boat/mast.md", "# Mast\n\nThe roof of the cabin leaks where the mast stands.\n");
    home
}

/// A document of many passages; the tenth section is about zithers.
fn long_document(home: &Home) {
    let section = |i: usize| {
        let about = if i == 10 { "zithers" } else { "paint" };
        let sentence = format!("Sentence after sentence about {about}, number {i} of its kind. ");
        format!("## Part {i}\n\n{}\n\n", sentence.repeat(14).trim())
    };
    let text: String = (1..=20).map(section).collect();
    home.write("long/parts.md", format!("# Parts\n\n{text}"));
}

#[test]
fn context_shows_the_neighbours_of_a_hit_word_for_word() {
    let home = Home::with_models();
    long_document(&home);
    add(&home, "long", &[]);
    let args = ["--mode", "lexical", "-n", "1", "zithers"];
    let alone = &hits(&home, &args)[0];
    assert!(alone["context"].is_null() && !alone["text"].as_str().unwrap().contains("Part 9"), "{alone}");
    let hit = &hits(&home, &[&["--context", "1"], &args[..]].concat())[0];
    assert_eq!(hit["text"], alone["text"]);
    let around = &hit["context"];
    let text = around["text"].as_str().unwrap();
    for part in ["number 9 of", "number 10 of", "number 11 of"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("number 7 of") && !text.contains("number 13 of"), "{text}");
    let file = std::fs::read_to_string(home.docs().join("long/parts.md")).unwrap();
    let span = |key: &str| around[key].as_u64().unwrap() as usize;
    assert_eq!(&file[span("byte_start")..span("byte_end")], text);
    let first_line = file.lines().nth(span("line_start") - 1).unwrap();
    assert!(first_line.ends_with(text.lines().next().unwrap()), "{first_line}");
    let shown = home.docent(&[&["search", "--context", "1"], &args[..]].concat()).exits(0);
    assert!(
        shown.stdout.contains("number 9 of") && shown.stdout.contains("number 11 of"),
        "{}",
        shown.stdout
    );
    // Neighbours of neighbours: one stretch, and nothing is shown twice.
    let all = hits(&home, &["--mode", "lexical", "--context", "3", "-n", "6", "paint"]);
    let spans: Vec<(u64, u64)> = all
        .iter()
        .map(|hit| {
            (hit["context"]["byte_start"].as_u64().unwrap(), hit["context"]["byte_end"].as_u64().unwrap())
        })
        .collect();
    assert!(spans.len() < 6, "{spans:?}");
    for (i, a) in spans.iter().enumerate() {
        assert!(spans[..i].iter().all(|b| a.1 <= b.0 || b.1 <= a.0), "{spans:?}");
    }
    let n_hits: usize =
        all.iter().map(|hit| 1 + hit["context"]["other_hits"].as_array().unwrap().len()).sum();
    assert_eq!(n_hits, 6);
}

#[test]
fn a_model_that_is_not_here_is_named_with_its_remedy_and_not_pulled() {
    let home = house_and_boat();
    add(&home, "house", &[]);
    for args in [&["search", "--rerank", "roof"][..], &["ask", "--rerank", "roof?"], &["update", "--rerank"]]
    {
        home.docent(args).exits(2).says("docent models pull ms-marco-minilm-l6-v2");
    }
    let models = home.home().join("cache/models");
    assert!(!models.join("ms-marco-minilm-l6-v2").exists() && !models.join(".pulling").exists());
    home.docent(&["search", "--rerank=all-minilm-l6-v2", "roof"])
        .exits(2)
        .says("does not put passages in order");
    home.docent(&["search", "--rerank=no-such-model", "roof"]).exits(2).says("no-such-model");
    assert_eq!(hits(&home, &["roof"]).len(), 2, "nothing of this was remembered");
}

#[test]
fn a_second_model_orders_the_candidates_once_or_as_the_collection_is_set() {
    let home = house_and_boat();
    add(&home, ".", &[]);
    let folder = home.home().join("reader");
    cross_encoder::write(&folder);
    let with_model = format!("--rerank={}", folder.display());
    let plain = home.docent(&["search", "--json", "where is the roof"]).exits(0).json();
    assert!(plain["rerank"].is_null() && plain["hits"][0]["rerank_score"].is_null(), "{plain}");
    let read = home.docent(&["search", "--json", &with_model, "where is the roof"]).exits(0).json();
    let scores: Vec<f64> =
        read["hits"].as_array().unwrap().iter().map(|hit| hit["rerank_score"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), 3);
    assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
    assert_eq!(
        (&read["rerank"]["passages"], &read["rerank"]["model"]),
        (&3.into(), &folder.to_str().unwrap().into())
    );
    assert!(read["rerank"]["seconds"].as_f64().unwrap() > 0.0);
    // A page of one is the best of all candidates, not the best of one.
    let one = home.docent(&["search", "--json", "-n", "1", &with_model, "where is the roof"]).exits(0).json();
    assert_eq!(one["hits"][0]["path"], read["hits"][0]["path"]);

    home.docent(&["update", &with_model]).exits(0);
    let set = home.docent(&["search", "--json", "where is the roof"]).exits(0).json();
    assert_eq!(set["hits"], read["hits"]);
    let without = home.docent(&["search", "--json", "--rerank=none", "where is the roof"]).exits(0).json();
    assert_eq!(without["hits"], plain["hits"]);
    let status = home.docent(&["status", "--json"]).exits(0).json();
    assert_eq!(status["reranking_model"], folder.to_str().unwrap());
    let asked = home.docent(&["ask", "--style", "quote", "--json", "where is the roof"]).json();
    assert!(asked["timing"]["retrieve_s"].as_f64().unwrap() > 0.0, "{asked}");
    home.docent(&["update", "--rerank=none"]).exits(0);
    let after = home.docent(&["search", "--json", "where is the roof"]).exits(0).json();
    assert!(after["rerank"].is_null(), "{after}");
}

#[test]
fn several_collections_are_searched_at_once_and_hits_say_which_they_are_from() {
    let home = house_and_boat();
    home.write("garden/shed.md", "# Shed\n\nThe roof of the shed is made of tin.\n");
    add(&home, "house", &[]);
    add(&home, "boat", &["--collection", "sea"]);
    add(&home, "garden", &["--collection", "out"]);
    let found = |args: &[&str]| {
        let mut found: Vec<(String, String)> = hits(&home, args)
            .iter()
            .map(|hit| {
                let path = hit["path"].as_str().unwrap();
                let name = path.rsplit('/').next().unwrap().to_owned();
                (hit["collection"].as_str().unwrap_or("-").to_owned(), name)
            })
            .collect();
        found.sort();
        found
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    let (house, sea, out) =
        ([("-", "cellar.txt"), ("-", "roof.md")], [("sea", "mast.md")], [("out", "shed.md")]);
    assert_eq!(found(&["roof"]), pairs(&house));
    for mode in ["lexical", "vector", "hybrid"] {
        let all = pairs(&[&house[..], &out, &sea].concat());
        assert_eq!(found(&["--mode", mode, "--all-collections", "roof"]), all, "{mode}");
        let two = pairs(&[&house[..], &sea].concat());
        assert_eq!(found(&["--mode", mode, "--collection", ".,sea", "roof"]), two, "{mode}");
    }
    assert_eq!(
        found(&["--collection", "sea", "--collection", "out", "roof"]),
        pairs(&[&out[..], &sea].concat())
    );
    assert_eq!(found(&["--collection", "sea", "roof"]), pairs(&sea));
    assert_eq!(found(&["--all-collections", "--type", "txt", "roof"]), pairs(&house[..1]));
    // The best hit over all: the only passage about a mast, the only one about tin.
    for (question, name) in
        [("mast of the cabin", "mast.md"), ("tin shed", "shed.md"), ("Bakker 1998", "roof.md")]
    {
        let best = &hits(&home, &["--all-collections", "-n", "1", question])[0];
        assert!(best["path"].as_str().unwrap().ends_with(name), "{question}: {best}");
    }
    home.docent(&["search", "--all-collections", "roof"]).exits(0).prints("[sea]").prints("[(no name)]");
    home.docent(&["search", "--collection", "sea,nowhere", "roof"])
        .exits(2)
        .says("there is no collection nowhere");
    home.docent(&["ask", "--collection", "sea,out", "roof?"]).exits(2).says("works with one collection");
    home.docent(&["update", "--collection", "sea,out"]).exits(2).says("works with one collection");
    let boat = home.docs().join("boat");
    home.docent(&["search", "--collection", "sea,out", "--in", boat.to_str().unwrap(), "roof"])
        .exits(2)
        .says("name one");
}
