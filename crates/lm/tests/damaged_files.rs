//! Models whose files are wrong: an error that names what, never a panic, never a read out of bounds.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use docent_kernels::{Kernels, KvType, Settings};
use docent_lm::gguf::Gguf;
use docent_lm::{LmError, Logits, Model, ModelOptions};

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

fn open(bytes: Vec<u8>) -> Result<Model, LmError> {
    static KERNELS: OnceLock<Arc<Kernels>> = OnceLock::new();
    let kernels = KERNELS
        .get_or_init(|| Arc::new(Kernels::new(Settings { n_threads: 1, ..Settings::default() }).unwrap()));
    let options = ModelOptions { kv_type: KvType::F16, kernels: Arc::clone(kernels) };
    Model::from_file(Gguf::from_bytes("damaged.gguf", bytes)?, &options)
}

fn message(bytes: Vec<u8>) -> String {
    let error = open(bytes).expect_err("the file is bad").to_string();
    assert!(error.starts_with("damaged.gguf"), "{error}");
    error
}

fn find(bytes: &[u8], what: &str) -> usize {
    bytes.windows(what.len()).position(|w| w == what.as_bytes()).expect("it is in the file")
}

fn replaced(file: &str, what: &str, by: &str) -> Vec<u8> {
    assert_eq!(what.len(), by.len());
    let mut bytes = bytes(file);
    let at = find(&bytes, what);
    bytes[at..at + by.len()].copy_from_slice(by.as_bytes());
    bytes
}

/// The bytes behind a tensor's name: number of dimensions u32, dimensions u64, type u32, offset u64.
fn patched_behind(file: &str, name: &str, skip: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = bytes(file);
    let at = find(&bytes, name) + name.len() + skip;
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

#[test]
fn a_foreign_architecture_is_named_with_those_that_work() {
    let error = message(replaced("small-llama.gguf", "\u{5}\0\0\0\0\0\0\0llama", "\u{5}\0\0\0\0\0\0\0gemma"));
    assert!(error.contains("`gemma`") && error.contains("lfm2moe, lfm2, llama, qwen2, qwen3"), "{error}");
}

#[test]
fn a_missing_tensor_is_named() {
    let error = message(replaced("small-llama.gguf", "blk.1.ffn_up.weight", "blk.1.ffn_xx.weight"));
    assert_eq!(error, "damaged.gguf lacks the tensor `blk.1.ffn_up.weight`");
    let error = message(replaced("small-qwen2.gguf", "blk.1.attn_k.bias", "blk.1.attn_x.bias"));
    assert_eq!(error, "damaged.gguf lacks the tensor `blk.1.attn_k.bias`");
}

#[test]
fn a_missing_key_is_named() {
    let error = message(replaced("small-llama.gguf", "llama.embedding_length", "llama.embedding_lengxx"));
    assert_eq!(error, "damaged.gguf lacks the metadata key `llama.embedding_length`");
}

#[test]
fn a_tensor_of_a_type_that_is_not_supported_is_named_with_the_type() {
    let error = message(patched_behind("small-llama.gguf", "blk.0.attn_q.weight", 20, &16u32.to_le_bytes()));
    assert!(error.contains("`blk.0.attn_q.weight`") && error.contains("IQ2_XXS"), "{error}");
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let error = message(patched_behind("small-llama.gguf", "blk.0.attn_q.weight", 12, &31u64.to_le_bytes()));
    assert!(
        error.contains("`blk.0.attn_q.weight`") && error.contains("[32, 31], expected [32, 32]"),
        "{error}"
    );
}

#[test]
fn a_vocabulary_of_another_size_is_an_error_that_says_both() {
    let error = message(patched_behind("small-qwen2.gguf", "token_embd.weight", 12, &95u64.to_le_bytes()));
    assert!(error.contains("96 tokens") && error.contains("95 rows"), "{error}");
}

#[test]
fn other_ways_of_routing_scaling_and_convolving_are_refused_by_name() {
    let u32_behind = |file, key, value: u32| message(patched_behind(file, key, 4, &value.to_le_bytes()));
    let error = u32_behind("nano-f32.gguf", "lfm2moe.expert_gating_func", 1);
    assert!(error.contains("lfm2moe.expert_gating_func"), "{error}");
    let error = u32_behind("nano-f32.gguf", "lfm2moe.shortconv.l_cache", 4);
    assert!(error.contains("4 positions"), "{error}");
    let error = u32_behind("nano-f32.gguf", "lfm2moe.expert_used_count", 9);
    assert!(error.contains("lfm2moe.expert_used_count"), "{error}");
    let error = u32_behind("small-llama.gguf", "llama.attention.head_count", 3);
    assert!(error.contains("heads"), "{error}");
}

/// Opens a damaged file and, where that works, runs it; only a panic fails.
fn try_to_run(bytes: Vec<u8>) {
    if let Ok(model) = open(bytes) {
        let mut state = model.new_state();
        let _ = model.forward(&mut state, &[1, 2], Logits::None);
        let _ = model.forward(&mut state, &[0], Logits::Last);
        let _ = model.summary();
    }
}

#[test]
fn no_changed_byte_of_the_header_makes_a_model_panic() {
    for name in ["small-lfm2.gguf", "small-llama.gguf"] {
        let whole = bytes(name);
        // Everything before the weights.
        let file = Gguf::from_bytes(name, whole.clone()).unwrap();
        let data_start = file.tensors().map(|(_, tensor)| tensor.range.start).min().unwrap();
        for position in 0..data_start {
            for value in [0, 3, 0xff, whole[position] ^ 1] {
                let mut bytes = whole.clone();
                bytes[position] = value;
                try_to_run(bytes);
            }
        }
    }
}

#[test]
fn weights_that_are_no_numbers_do_not_make_a_model_panic() {
    for (name, pattern) in [
        ("small-lfm2.gguf", 0xff),
        ("nano-f32.gguf", 0xff),
        ("tiny-q4_k_m.gguf", 0x7c),
        ("tiny-q4_k_m.gguf", 0xff),
    ] {
        let mut bytes = bytes(name);
        let file = Gguf::from_bytes(name, bytes.clone()).unwrap();
        let data_start = file.tensors().map(|(_, tensor)| tensor.range.start).min().unwrap();
        bytes[data_start..].fill(pattern);
        try_to_run(bytes);
    }
}
