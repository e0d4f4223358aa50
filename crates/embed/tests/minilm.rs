//! What users of the embedder rely on, with the real all-MiniLM-L6-v2 (pulled once into cargo's target folder).

use docent_embed::Embedder;
use serde_json::Value;
use std::sync::OnceLock;

/// Seven texts and their vectors. Made by an independent program: an ONNX graph built from the public weights
/// (sentence-transformers/all-MiniLM-L6-v2) and run in onnxruntime on one core in f32, mean pooling over at most 256
/// tokens, L2-normalised.
const GOLDEN: &str = include_str!("minilm.json");

fn embedder() -> &'static Embedder {
    static EMBEDDER: OnceLock<Embedder> = OnceLock::new();
    EMBEDDER.get_or_init(|| {
        Embedder::open(&docent_models::testing::model("all-minilm-l6-v2"), 2).expect("the model opens")
    })
}

fn one(text: &str) -> Vec<f32> {
    embedder().embed(&[text]).unwrap().remove(0)
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[test]
fn all_numbers_agree_with_an_independent_program() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let texts: Vec<&str> =
        golden["sentences"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    assert_eq!(texts.len(), 7);
    let vectors = embedder().embed(&texts).unwrap();
    for (i, (vector, expected)) in vectors.iter().zip(golden["embeddings"].as_array().unwrap()).enumerate() {
        let expected: Vec<f32> =
            expected.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
        assert_eq!(expected.len(), 384);
        let worst = difference(vector, &expected);
        assert!(worst < 1e-4, "text {i} is off by {worst}");
    }
}

#[test]
fn a_text_has_the_same_vector_alone_and_in_any_company() {
    let texts: Vec<String> =
        (0..24).map(|i| format!("Number {i}: {}", "the quick brown fox ".repeat(i % 9 * 6))).collect();
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = embedder().embed(&all).unwrap();
    for (text, vector) in all.iter().zip(&together) {
        assert_eq!(one(text), *vector, "alone: {text:.40}");
    }
    let mut backwards = all.clone();
    backwards.reverse();
    let mut again = embedder().embed(&backwards).unwrap();
    again.reverse();
    for (vector, other) in together.iter().zip(&again) {
        assert_eq!(vector, other, "the order of the texts reached their vectors");
    }
}

#[test]
fn every_text_has_a_unit_vector_however_strange() {
    let long = "word ".repeat(300_000);
    let strange = [
        "",
        " \n\t ",
        "\u{0}\u{1}\u{fffd}",
        "🦀🦀🦀 👩‍👩‍👧‍👦",
        "ﷺ ͡° ͜ʖ ͡° Z̸̢̛a̷l̴g̶o",
        "[CLS] [SEP] [PAD] [MASK] [UNK]",
        "东京是日本的首都。 서울 กรุงเทพมหานคร",
        &"x".repeat(100_000),
        &long,
    ];
    let vectors = embedder().embed(&strange).unwrap();
    assert_eq!(vectors.len(), strange.len());
    for (text, vector) in strange.iter().zip(&vectors) {
        let length = cosine(vector, vector);
        assert!((length - 1.0).abs() < 1e-5, "length {length} for {:?}", text.get(..20.min(text.len())));
    }
    assert!(embedder().embed(&[]).unwrap().is_empty());
}

#[test]
fn a_text_is_read_up_to_max_tokens_and_not_beyond() {
    let embedder = embedder();
    let max = embedder.max_tokens();
    let words = |n: usize| vec!["tree"; n].join(" ");
    assert_eq!(embedder.count_tokens(&words(max)), max);
    let full = one(&words(max));
    let beyond = one(&(words(max) + " and then something entirely different about submarines"));
    assert!(difference(&full, &beyond) < 1e-6, "text beyond the limit changed the vector");
    let shorter = one(&(words(max - 1) + " submarine"));
    assert!(difference(&full, &shorter) > 1e-4, "the last token within the limit was not read");
}

#[test]
fn a_long_text_is_cut_at_the_same_token_wherever_its_bytes_are() {
    // Far more bytes than a page before the limit is reached: the cut must not fall earlier.
    let sparse = ["tree"; 254].join(&" ".repeat(1000));
    let dense = ["tree"; 254].join(" ");
    assert!(difference(&one(&sparse), &one(&dense)) < 1e-6);
}

#[test]
fn texts_of_the_same_meaning_are_nearer_than_others() {
    let question = one("When does the museum open?");
    let answer = one("Opening hours: Tuesday to Sunday, 10 am to 6 pm.");
    let other = one("The mitochondrion is the powerhouse of the cell.");
    assert!(cosine(&question, &answer) > cosine(&question, &other) + 0.2);
}

#[test]
fn one_core_and_three_give_the_same_vectors() {
    let dir = docent_models::testing::model("all-minilm-l6-v2");
    let texts: Vec<String> = (0..24).map(|i| format!("sentence {i} ").repeat(i + 1)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let one = Embedder::open(&dir, 1).unwrap().embed(&texts).unwrap();
    let three = Embedder::open(&dir, 3).unwrap().embed(&texts).unwrap();
    assert_eq!(one, three, "the batches are the same, so are the bits");
}

/// `answerability.json`: questions and texts with the scores that `benches/answerability.py score --golden` computed in PyTorch.
#[test]
fn the_reader_of_pairs_agrees_with_an_independent_program_alone_and_in_company() {
    #[derive(serde::Deserialize)]
    struct Pair {
        question: String,
        text: String,
        score: f32,
    }
    let pairs: Vec<Pair> = serde_json::from_str(include_str!("answerability.json")).unwrap();
    for pair in &pairs {
        let alone = embedder().answers(&pair.question, &[&pair.text]).unwrap().unwrap()[0];
        assert!((alone - pair.score).abs() < 1e-2, "{}: {alone}, expected {}", pair.question, pair.score);
        let others: Vec<&str> =
            pairs.iter().map(|other| other.text.as_str()).chain([pair.text.as_str()]).collect();
        let all = embedder().answers(&pair.question, &others).unwrap().unwrap();
        assert_eq!(all.last(), Some(&alone));
    }
}

/// Documents that the reader was not trained on, with questions that a section answers (`yes`) and that only sound so (`no`).
#[test]
fn the_reader_tells_what_answers_from_what_is_only_about_the_same() {
    #[derive(serde::Deserialize)]
    struct Document {
        sections: Vec<Section>,
    }
    #[derive(serde::Deserialize)]
    struct Section {
        heading: String,
        text: String,
        yes: Vec<String>,
        no: Vec<String>,
    }
    let documents = include_str!("../../../corpora/answerability/held-out.jsonl").lines().take(12);
    let (mut yes, mut no) = (Vec::new(), Vec::new());
    for document in documents {
        for section in serde_json::from_str::<Document>(document).unwrap().sections {
            let text = format!("{}. {}", section.heading, section.text);
            let sure = |question: &String| embedder().answers(question, &[&text]).unwrap().unwrap()[0];
            yes.extend(section.yes.iter().map(sure));
            no.extend(section.no.iter().map(sure));
        }
    }
    let pairs = || yes.iter().flat_map(|yes| no.iter().map(move |no| (yes, no)));
    let share = pairs().filter(|(yes, no)| yes > no).count() as f32 / pairs().count() as f32;
    assert!(share > 0.7, "{share} of {} and {} are ranked rightly", yes.len(), no.len());
}

#[test]
fn an_embedder_can_be_shared_between_threads() {
    fn shareable<T: Send + Sync>(_: &T) {}
    shareable(embedder());
    let alone = one("shared");
    let from_threads: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| one("shared"))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(from_threads.iter().all(|vector| *vector == alone));
}
