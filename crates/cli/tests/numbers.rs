//! `docent debug` and `models inspect`: figures that other programs are compared with.

mod support;

use std::path::PathBuf;

use support::{Home, repository};

/// A model or token file that the runtime's own tests use.
fn data(name: &str) -> String {
    repository().join("crates/lm/tests/data").join(name).display().to_string()
}

fn logits(home: &Home, out: &str, more: &[&str]) -> Vec<u8> {
    let (model, tokens) = (data("nano-f32.gguf"), data("nano-f32.tokens.txt"));
    let out: PathBuf = home.docs().join(out);
    let mut args = vec!["debug", "logits", "-m", &model, "--tokens", &tokens, "--out"];
    args.push(out.to_str().unwrap());
    args.extend(more);
    home.docent(&args).exits(0);
    std::fs::read(&out).unwrap()
}

#[test]
fn logits_do_not_depend_on_the_cut_and_the_last_row_is_the_last() {
    let home = Home::empty();
    for kv in ["f32", "f16"] {
        let whole = logits(&home, "whole.npy", &["--kv", kv]);
        assert_eq!(logits(&home, "chunks.npy", &["--kv", kv, "--chunk", "7"]), whole);
        let last = logits(&home, "last.npy", &["--kv", kv, "--last"]);
        let header = String::from_utf8_lossy(&last[..80]).into_owned();
        assert!(header.contains("'<f4'") && header.contains("(1, 320)"), "{header}");
        assert_eq!(last[last.len() - 4 * 320..], whole[whole.len() - 4 * 320..]);
    }
}

#[test]
fn token_files_that_cannot_be_used_are_errors_that_say_why() {
    let home = Home::empty();
    let model = data("nano-f32.gguf");
    let cases = [("words.txt", "1, two, 3", "two is not a token id"), ("empty.txt", " \n", "no token ids")];
    for (name, content, message) in cases.into_iter().chain([("beyond.txt", "1 320", "320")]) {
        let path = home.write(name, content);
        let out = home.docs().join("x.npy");
        let (path, out) = (path.to_str().unwrap(), out.to_str().unwrap());
        home.docent(&["debug", "logits", "-m", &model, "--tokens", path, "--out", out])
            .exits(2)
            .says(message);
    }
    let text = home.write("text.json", "not json");
    home.docent(&["debug", "tokenize", "-m", &model, "--json", text.to_str().unwrap()])
        .exits(2)
        .says("JSON array of strings");
    let one = home.write("one.txt", "5");
    home.docent(&["debug", "likelihood", "-m", &model, "--tokens", one.to_str().unwrap()])
        .exits(2)
        .says("at least two tokens");
}

#[test]
fn many_texts_are_tokenised_at_once_and_each_as_if_alone() {
    let home = Home::empty();
    let model = data("nano-f32.gguf");
    let texts = home.write("texts.json", r#"["the cat", "", "<|im_end|>"]"#);
    let many = home.docent(&["debug", "tokenize", "-m", &model, "--json", texts.to_str().unwrap()]).exits(0);
    let many: Vec<Vec<u32>> = serde_json::from_str(&many.stdout).unwrap();
    let alone = home.write("alone.txt", "the cat");
    let alone = home.docent(&["debug", "tokenize", "-m", &model, alone.to_str().unwrap()]).exits(0);
    assert_eq!(alone.stdout.trim(), many[0].iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    assert!(many[1].is_empty());
    assert!(many[2].len() > 1, "a special token in text stays text: {:?}", many[2]);
    let special =
        home.docent(&["debug", "tokenize", "-m", &model, "--special", "--json", texts.to_str().unwrap()]);
    let special: Vec<Vec<u32>> = serde_json::from_str(&special.stdout).unwrap();
    assert_eq!(special[2].len(), 1);
}

#[test]
fn likelihoods_are_those_of_the_logits() {
    let home = Home::empty();
    let (model, tokens) = (data("nano-f32.gguf"), data("nano-f32.tokens.txt"));
    let bytes = logits(&home, "all.npy", &["--kv", "f32"]);
    let n_vocab = 320;
    let ids: Vec<usize> = std::fs::read_to_string(&tokens)
        .unwrap()
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().unwrap())
        .collect();
    let values = &bytes[bytes.len() - 4 * n_vocab * ids.len()..];
    let values: Vec<f64> =
        values.as_chunks::<4>().0.iter().map(|value| f64::from(f32::from_le_bytes(*value))).collect();
    let losses = values.chunks(n_vocab).zip(&ids[1..]).map(|(row, &id)| {
        let max = row.iter().copied().fold(f64::MIN, f64::max);
        max + row.iter().map(|value| (value - max).exp()).sum::<f64>().ln() - row[id]
    });
    let expected = losses.sum::<f64>() / (ids.len() - 1) as f64;
    let told = home
        .docent(&["debug", "likelihood", "-m", &model, "--tokens", &tokens, "--kv", "f32"])
        .exits(0)
        .json();
    assert_eq!(told["tokens"], ids.len());
    let nll = told["nll"].as_f64().unwrap();
    assert!((nll - expected).abs() < 1e-6, "{nll}, expected {expected}");
}

#[test]
fn a_model_is_inspected_and_its_memory_measured() {
    let home = Home::empty();
    let model = data("tiny-q4_k_m.gguf");
    let told = home.docent(&["models", "inspect", "--json", &model]).exits(0).json();
    assert_eq!((told["architecture"].as_str(), told["layers"].as_u64()), (Some("lfm2moe"), Some(4)));
    assert_eq!(told["types"][0]["type"].as_str().map(|name| name.ends_with("_K")), Some(true));
    let told = home.docent(&["debug", "memory", "-m", &model, "--context", "1024"]).exits(0).json();
    assert_eq!(told["context"], 1025);
    home.docent(&["debug", "memory", "-m", &model, "--context", "9000"]).exits(2).says("context is 8192");
}
