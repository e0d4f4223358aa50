//! A cross-encoder of BERT's shape with random weights, small enough to be made by a test.

use std::fs;
use std::path::Path;

const HIDDEN: usize = 16;
const WIDE: usize = 32;
const POSITIONS: usize = 64;
const WORDS: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "roof", "boiler", "mast", "the", "is", "leaks", "reset", "where"];

/// Writes the model's files to the folder `dir`.
pub fn write(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let config = serde_json::json!({
        "hidden_size": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": WIDE,
        "vocab_size": WORDS.len(), "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12, "hidden_act": "gelu", "model_type": "bert",
    });
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let vocab: serde_json::Map<String, serde_json::Value> =
        WORDS.iter().enumerate().map(|(i, word)| ((*word).to_owned(), i.into())).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": { "type": "Lowercase" }, "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]" },
    });
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(dir.join("model.safetensors"), weights()).unwrap();
}

/// The tensors in the format of safetensors: length of the header (u64), header (JSON), numbers.
fn weights() -> Vec<u8> {
    let layer = "encoder.layer.0.";
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![WORDS.len(), HIDDEN]),
        ("embeddings.position_embeddings.weight".into(), vec![POSITIONS, HIDDEN]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, HIDDEN]),
    ];
    let mut linear = |name: String, n_out: usize, n_in: usize| {
        shapes.push((format!("{name}.weight"), vec![n_out, n_in]));
        shapes.push((format!("{name}.bias"), vec![n_out]));
    };
    for part in
        ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
    {
        linear(format!("{layer}{part}"), HIDDEN, HIDDEN);
    }
    linear(format!("{layer}intermediate.dense"), WIDE, HIDDEN);
    linear(format!("{layer}output.dense"), HIDDEN, WIDE);
    linear("pooler.dense".into(), HIDDEN, HIDDEN);
    linear("classifier".into(), 1, HIDDEN);
    for norm in [
        "embeddings.LayerNorm",
        "encoder.layer.0.attention.output.LayerNorm",
        "encoder.layer.0.output.LayerNorm",
    ] {
        shapes.push((format!("{norm}.weight"), vec![HIDDEN]));
        shapes.push((format!("{norm}.bias"), vec![HIDDEN]));
    }
    let (mut header, mut numbers) = (serde_json::Map::new(), Vec::<u8>::new());
    let mut state = 0x2545_f491_u32;
    for (name, shape) in shapes {
        let start = numbers.len();
        for _ in 0..shape.iter().product::<usize>() {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let value = (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0;
            numbers.extend(value.to_le_bytes());
        }
        let entry =
            serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, numbers.len()] });
        header.insert(name, entry);
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, &numbers].concat()
}
