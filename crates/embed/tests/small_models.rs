//! Models of other shapes than MiniLM's, made here with random weights: RoBERTa's, first-token pooling, prefixes, and a
//! cross-encoder; held against a forward pass in f64, written straight from the papers.

use docent_embed::{CrossEncoder, Embedder, Prefixes};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

const HIDDEN: usize = 24;
const HEADS: usize = 3;
const WIDE: usize = 40;
const LAYERS: usize = 2;
const WORDS: [&str; 12] =
    ["red", "green", "blue", "sky", "grass", "is", "the", "what", "colour", "of", "query", "passage"];

/// Which family a small model is of.
#[derive(Clone, Copy, PartialEq)]
enum Family {
    Bert,
    Roberta,
}

struct Small {
    dir: tempfile::TempDir,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    family: Family,
}

impl Small {
    fn new(family: Family) -> Small {
        let mut small = Small { dir: tempfile::tempdir().unwrap(), tensors: BTreeMap::new(), family };
        let (n_vocab, n_positions) = (WORDS.len() + 4, if family == Family::Bert { 20 } else { 22 });
        let kinds = if family == Family::Bert { 2 } else { 1 };
        small.add("embeddings.word_embeddings.weight", &[n_vocab, HIDDEN]);
        small.add("embeddings.position_embeddings.weight", &[n_positions, HIDDEN]);
        small.add("embeddings.token_type_embeddings.weight", &[kinds, HIDDEN]);
        small.norm("embeddings.LayerNorm");
        for i in 0..LAYERS {
            let name = |part: &str| format!("encoder.layer.{i}.{part}");
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                small.linear(&name(&format!("attention.{part}")), HIDDEN, HIDDEN);
            }
            small.norm(&name("attention.output.LayerNorm"));
            small.linear(&name("intermediate.dense"), WIDE, HIDDEN);
            small.linear(&name("output.dense"), HIDDEN, WIDE);
            small.norm(&name("output.LayerNorm"));
        }
        if family == Family::Bert {
            small.linear("pooler.dense", HIDDEN, HIDDEN);
            small.linear("classifier", 1, HIDDEN);
        } else {
            small.linear("classifier.dense", HIDDEN, HIDDEN);
            small.linear("classifier.out_proj", 1, HIDDEN);
        }
        small.write(n_vocab, n_positions, kinds);
        small
    }

    fn add(&mut self, name: &str, shape: &[usize]) {
        let mut state = name.bytes().fold(17u32, |state, byte| state.wrapping_mul(31) + u32::from(byte)) | 1;
        let values = (0..shape.iter().product::<usize>()).map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            ((state >> 8) as f32 / (1u32 << 23) as f32 - 1.0) * 0.5
        });
        self.tensors.insert(name.to_owned(), (shape.to_vec(), values.collect()));
    }

    fn linear(&mut self, name: &str, n_out: usize, n_in: usize) {
        self.add(&format!("{name}.weight"), &[n_out, n_in]);
        self.add(&format!("{name}.bias"), &[n_out]);
    }

    fn norm(&mut self, name: &str) {
        self.add(&format!("{name}.weight"), &[HIDDEN]);
        self.add(&format!("{name}.bias"), &[HIDDEN]);
    }

    fn specials(&self) -> [&'static str; 4] {
        if self.family == Family::Bert {
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        } else {
            ["<s>", "<pad>", "</s>", "<unk>"]
        }
    }

    fn write(&self, n_vocab: usize, n_positions: usize, kinds: usize) {
        let dir = self.dir.path();
        let kind = if self.family == Family::Bert { "bert" } else { "xlm-roberta" };
        let config = serde_json::json!({
            "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "intermediate_size": WIDE, "vocab_size": n_vocab, "max_position_embeddings": n_positions,
            "type_vocab_size": kinds, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "model_type": kind,
            "pad_token_id": usize::from(self.family == Family::Roberta),
        });
        std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
        let words = self.specials().into_iter().chain(WORDS);
        let vocab: BTreeMap<&str, usize> = words.enumerate().map(|(i, word)| (word, i)).collect();
        let unknown = if self.family == Family::Bert { "[UNK]" } else { "<unk>" };
        let tokenizer = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": { "type": "Whitespace" }, "post_processor": null, "decoder": null,
            "model": { "type": "WordLevel", "vocab": vocab, "unk_token": unknown },
        });
        std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
        let prefix = if self.family == Family::Bert { "bert." } else { "roberta." };
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, (shape, values))| {
                let name =
                    if name.starts_with("classifier") { name.clone() } else { format!("{prefix}{name}") };
                (name, shape.clone(), values.iter().flat_map(|x| x.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        });
        let file = dir.join("model.safetensors");
        std::fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    fn first_token_pooling(self) -> Small {
        let folder = self.dir.path().join("1_Pooling");
        std::fs::create_dir(&folder).unwrap();
        let mode = r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#;
        std::fs::write(folder.join("config.json"), mode).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn ids(&self, text: &str) -> Vec<usize> {
        text.split(' ').map(|word| 4 + WORDS.iter().position(|known| *known == word).unwrap()).collect()
    }

    fn of(&self, name: &str) -> &[f32] {
        &self.tensors[name].1
    }

    // --- the forward pass in f64

    fn apply(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weights, bias) = (self.of(&format!("{name}.weight")), self.of(&format!("{name}.bias")));
        let row = |(row, bias): (&[f32], &f32)| {
            row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(*bias)
        };
        weights.chunks_exact(x.len()).zip(bias).map(row).collect()
    }

    fn normalised(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let (weight, bias) = (self.of(&format!("{name}.weight")), self.of(&format!("{name}.bias")));
        let scaled = x.iter().map(|x| (x - mean) / variance.sqrt());
        scaled.zip(weight).zip(bias).map(|((x, w), b)| x * f64::from(*w) + f64::from(*b)).collect()
    }

    /// Hidden states of the tokens; those from `second` on are of the second kind.
    fn forward(&self, ids: &[usize], second: usize) -> Vec<Vec<f64>> {
        let first_position = if self.family == Family::Bert { 0 } else { 2 };
        let mut x: Vec<Vec<f64>> = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            let kind = usize::from(at >= second && self.family == Family::Bert);
            let part = |name: &str, row: usize| &self.of(name)[row * HIDDEN..][..HIDDEN];
            let (word, position, kind) = (
                part("embeddings.word_embeddings.weight", *id),
                part("embeddings.position_embeddings.weight", first_position + at),
                part("embeddings.token_type_embeddings.weight", kind),
            );
            let sum: Vec<f64> = (0..HIDDEN)
                .map(|i| f64::from(word[i]) + f64::from(position[i]) + f64::from(kind[i]))
                .collect();
            x.push(self.normalised("embeddings.LayerNorm", &sum));
        }
        for i in 0..LAYERS {
            let name = |part: &str| format!("encoder.layer.{i}.{part}");
            let all = |part: &str| -> Vec<Vec<f64>> {
                x.iter().map(|x| self.apply(&name(&format!("attention.self.{part}")), x)).collect()
            };
            let (q, k, v) = (all("query"), all("key"), all("value"));
            let size = HIDDEN / HEADS;
            for (at, x) in x.iter_mut().enumerate() {
                let mut attended = Vec::new();
                for head in (0..HIDDEN).step_by(size) {
                    let weight = |k: &Vec<f64>| -> f64 {
                        let product: f64 = (head..head + size).map(|i| q[at][i] * k[i]).sum();
                        (product / (size as f64).sqrt()).exp()
                    };
                    let weights: Vec<f64> = k.iter().map(weight).collect();
                    let total: f64 = weights.iter().sum();
                    attended.extend(
                        (head..head + size)
                            .map(|i| weights.iter().zip(&v).map(|(w, v)| w * v[i]).sum::<f64>() / total),
                    );
                }
                let y = self.apply(&name("attention.output.dense"), &attended);
                let sum: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
                let middle = self.normalised(&name("attention.output.LayerNorm"), &sum);
                let wide = self.apply(&name("intermediate.dense"), &middle);
                let wide: Vec<f64> = wide.into_iter().map(|x| x * normal_distribution(x)).collect();
                let y = self.apply(&name("output.dense"), &wide);
                let sum: Vec<f64> = middle.iter().zip(&y).map(|(x, y)| x + y).collect();
                *x = self.normalised(&name("output.LayerNorm"), &sum);
            }
        }
        x
    }

    fn alone(&self, text: &str) -> Vec<usize> {
        let (first, last) = if self.family == Family::Bert { (2, 3) } else { (0, 2) };
        [vec![first], self.ids(text), vec![last]].concat()
    }

    fn score(&self, question: &str, text: &str) -> f64 {
        let (first, last) = if self.family == Family::Bert { (2, 3) } else { (0, 2) };
        let between = if self.family == Family::Bert { vec![last] } else { vec![last, last] };
        let head = [vec![first], self.ids(question), between].concat();
        let x = self.forward(&[head.clone(), self.ids(text), vec![last]].concat(), head.len());
        let names = if self.family == Family::Bert {
            ["pooler.dense", "classifier"]
        } else {
            ["classifier.dense", "classifier.out_proj"]
        };
        let pooled: Vec<f64> = self.apply(names[0], &x[0]).into_iter().map(f64::tanh).collect();
        self.apply(names[1], &pooled)[0]
    }
}

/// Φ by the Taylor series of erf.
fn normal_distribution(x: f64) -> f64 {
    let z = x / 2f64.sqrt();
    let (mut term, mut sum) = (z, z);
    for n in 1..300 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    0.5 * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
}

fn unit(x: Vec<f64>) -> Vec<f64> {
    let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.into_iter().map(|x| x / length).collect()
}

fn agree(found: &[f32], right: &[f64]) {
    assert_eq!(found.len(), right.len());
    for (found, right) in found.iter().zip(right) {
        assert!((f64::from(*found) - right).abs() < 2e-5, "{found} instead of {right}");
    }
}

#[test]
fn both_families_embed_as_the_papers_say() {
    for family in [Family::Bert, Family::Roberta] {
        let small = Small::new(family);
        let text = "what colour is the sky";
        let x = small.forward(&small.alone(text), usize::MAX);
        let mean = (0..HIDDEN).map(|i| x.iter().map(|x| x[i]).sum::<f64>()).collect();
        agree(&Embedder::open(small.path(), 1).unwrap().embed(&[text]).unwrap()[0], &unit(mean));
        let first = unit(x[0].clone());
        let mean_print = Embedder::open(small.path(), 1).unwrap().fingerprint().to_owned();
        let small = small.first_token_pooling();
        let embedder = Embedder::open(small.path(), 1).unwrap();
        agree(&embedder.embed(&[text]).unwrap()[0], &first);
        assert_ne!(embedder.fingerprint(), mean_print, "vectors of another pooling are not comparable");
    }
}

#[test]
fn prefixes_stand_before_questions_and_passages_and_are_in_the_fingerprint() {
    let small = Small::new(Family::Bert);
    let plain = Embedder::open(small.path(), 1).unwrap();
    let prefixes = Prefixes { query: "query ", passage: "passage " };
    let prefixed = Embedder::open_with(small.path(), 1, prefixes).unwrap();
    assert_eq!(prefixed.embed(&["the sky"]).unwrap(), plain.embed(&["passage the sky"]).unwrap(),);
    assert_eq!(prefixed.embed_queries(&["the sky"]).unwrap(), plain.embed(&["query the sky"]).unwrap(),);
    assert_ne!(prefixed.fingerprint(), plain.fingerprint());
    assert_eq!(plain.embed_queries(&["the sky"]).unwrap(), plain.embed(&["the sky"]).unwrap());
}

#[test]
fn a_model_that_no_reader_was_trained_for_has_none() {
    let small = Small::new(Family::Bert);
    let embedder = Embedder::open(small.path(), 1).unwrap();
    assert_eq!(embedder.answers("what colour is the sky", &["the sky is blue"]).unwrap(), None);
}

#[test]
fn a_cross_encoder_scores_pairs_as_the_papers_say_in_any_company() {
    for family in [Family::Bert, Family::Roberta] {
        let small = Small::new(family);
        let model = CrossEncoder::open(small.path(), 2).unwrap();
        let question = "what colour is the sky";
        let texts = ["the sky is blue", "grass", "the grass is green the grass is green"];
        let scores = model.scores(question, &texts).unwrap();
        let right: Vec<f64> = texts.iter().map(|text| small.score(question, text)).collect();
        agree(&scores, &right);
        for (text, score) in texts.iter().zip(&scores) {
            assert_eq!(model.scores(question, &[text]).unwrap(), [*score], "alone: {text}");
        }
        assert!(model.scores(question, &[]).unwrap().is_empty());
    }
}

#[test]
fn long_pairs_are_cut_and_the_question_keeps_at_most_half() {
    let small = Small::new(Family::Bert);
    let model = CrossEncoder::open(small.path(), 1).unwrap();
    // 20 tokens: 3 of them special, 8 for the question, 9 for the text.
    let long = vec!["sky"; 100].join(" ");
    let cut = small.score(&["sky"; 8].join(" "), &["sky"; 9].join(" "));
    agree(&model.scores(&long, &[&long]).unwrap(), &[cut]);
}
