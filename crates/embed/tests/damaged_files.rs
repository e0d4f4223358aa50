//! A model folder with something wrong in it gives an error that names the file and the remedy, never a panic.

use docent_embed::{EmbedError, Embedder};
use std::fs;
use std::path::Path;

const REMEDY: &str = "docent models pull all-minilm-l6-v2";

/// A copy of the real model's small files, with the weights linked in.
fn copy() -> tempfile::TempDir {
    let from = docent_models::testing::model("all-minilm-l6-v2");
    let to = tempfile::tempdir_in(from.parent().unwrap()).unwrap();
    fs::create_dir(to.path().join("1_Pooling")).unwrap();
    for name in ["config.json", "tokenizer.json", "sentence_bert_config.json", "1_Pooling/config.json"] {
        fs::copy(from.join(name), to.path().join(name)).unwrap();
    }
    fs::hard_link(from.join("model.safetensors"), to.path().join("model.safetensors")).unwrap();
    to
}

fn error(dir: &Path) -> String {
    match Embedder::open(dir, 1) {
        Ok(_) => panic!("the damaged model was opened"),
        Err(e @ (EmbedError::Unreadable { .. } | EmbedError::Malformed { .. })) => e.to_string(),
        Err(other) => panic!("an error that does not name the file: {other}"),
    }
}

#[test]
fn the_undamaged_copy_opens() {
    assert_eq!(Embedder::open(copy().path(), 1).unwrap().dim(), 384);
}

#[test]
fn a_missing_file_is_named() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let dir = copy();
        fs::remove_file(dir.path().join(name)).unwrap();
        let message = error(dir.path());
        assert!(message.contains(name) && message.contains(REMEDY), "{message}");
    }
}

#[test]
fn a_damaged_file_is_named() {
    let damages: [(&str, &[u8]); 8] = [
        ("config.json", b""),
        ("config.json", b"{\"hidden_size\": 384}"),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"\xff\xfe"),
        ("sentence_bert_config.json", b"{\"max_seq_length\": 1000000}"),
        ("1_Pooling/config.json", b"{\"pooling_mode_mean_tokens\": false}"),
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\xff{}"),
    ];
    for (name, content) in damages {
        let dir = copy();
        let path = dir.path().join(name);
        fs::remove_file(&path).unwrap(); // the weights are a link: never write through it
        fs::write(&path, content).unwrap();
        let message = error(dir.path());
        assert!(message.contains(name) && message.contains(REMEDY), "{message}");
    }
}

#[test]
fn weights_that_do_not_fit_the_configuration_are_refused() {
    for (from, to) in [
        ("\"num_hidden_layers\": 6", "\"num_hidden_layers\": 7"),
        ("\"hidden_size\": 384", "\"hidden_size\": 768"),
        ("\"num_attention_heads\": 12", "\"num_attention_heads\": 0"),
        ("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"silu\""),
        ("\"vocab_size\": 30522", "\"vocab_size\": 100"),
        ("\"intermediate_size\": 1536", "\"intermediate_size\": 99999999999"),
    ] {
        let dir = copy();
        let path = dir.path().join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let message = error(dir.path());
        assert!(message.contains(REMEDY), "{message}");
    }
}

#[test]
fn truncated_weights_are_refused() {
    let dir = copy();
    let path = dir.path().join("model.safetensors");
    let head = fs::read(&path).unwrap()[..1_000_000].to_vec();
    fs::remove_file(&path).unwrap();
    fs::write(&path, head).unwrap();
    assert!(error(dir.path()).contains("model.safetensors"));
}
