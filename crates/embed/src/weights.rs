//! The model's files: what is read from them, and what is refused.

use crate::adapter::Adapter;
use crate::error::EmbedError;
use docent_kernels::{LayerNorm, PackedMatrix};
use docent_mapped::MappedFile;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The numbers of `config.json` and its neighbours that decide the forward pass.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub hidden_size: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub intermediate_size: usize,
    pub vocab_size: usize,
    pub n_types: usize,
    pub n_positions: usize,
    /// Row of the first token's position.
    pub first_position: usize,
    pub layer_norm_eps: f32,
    /// Tokens the model takes, the first and the last included.
    pub max_tokens: usize,
    /// How a text's vector is made of its tokens'.
    pub pooling: Pooling,
}

/// From hidden states of tokens to one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first token.
    First,
}

/// A model's files, checked as far as can be done without its tensors.
#[derive(Clone)]
pub(crate) struct ModelFiles {
    pub config: Config,
    pub weights: Arc<MappedFile>,
    pub path: PathBuf,
    /// BLAKE3 of the weights and of the tokenizer.
    pub hash: String,
}

#[derive(Deserialize)]
struct BertConfig {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f32,
    hidden_act: String,
    model_type: String,
    #[serde(default)]
    pad_token_id: usize,
}

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: usize,
}

#[derive(Deserialize)]
struct PoolingConfig {
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
}

/// Opens the files in `dir`.
pub(crate) fn open(dir: &Path) -> Result<ModelFiles, EmbedError> {
    let config = read_config(dir)?;
    let path = dir.join("model.safetensors");
    let weights = MappedFile::open(&path);
    let weights = weights.map_err(|source| EmbedError::Unreadable { path: path.clone(), source })?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&weights);
    hasher.update(&read(&dir.join("tokenizer.json"))?);
    let hash = hasher.finalize().to_hex()[..32].to_owned();
    Ok(ModelFiles { config, weights: Arc::new(weights), path, hash })
}

fn read(path: &Path) -> Result<Vec<u8>, EmbedError> {
    fs::read(path).map_err(|source| EmbedError::Unreadable { path: path.to_owned(), source })
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, EmbedError> {
    serde_json::from_slice(&read(path)?).map_err(|e| EmbedError::malformed(path.to_owned(), e))
}

fn read_config(dir: &Path) -> Result<Config, EmbedError> {
    let path = dir.join("config.json");
    let bert: BertConfig = parse(&path)?;
    let refuse = |reason: String| Err(EmbedError::malformed(path.clone(), reason));
    // RoBERTa's positions begin behind that of padding: a relic of fairseq.
    let first_position = match bert.model_type.as_str() {
        "bert" => 0,
        "roberta" | "xlm-roberta" => bert.pad_token_id.saturating_add(1),
        _ => usize::MAX,
    };
    if first_position == usize::MAX || bert.hidden_act != "gelu" {
        return refuse(format!("`{}` with `{}` is not supported", bert.model_type, bert.hidden_act));
    }
    let (hidden, heads) = (bert.hidden_size, bert.num_attention_heads);
    // The limits are far above any model of this kind; they keep a damaged file from asking for a terabyte.
    let sane = (1..=8192).contains(&hidden)
        && (1..=256).contains(&heads)
        && hidden % heads == 0
        && (1..=256).contains(&bert.num_hidden_layers)
        && (1..=65_536).contains(&bert.intermediate_size)
        && (1..=16).contains(&bert.type_vocab_size)
        && (3..=65_536).contains(&bert.max_position_embeddings)
        && first_position + 3 <= bert.max_position_embeddings;
    if !sane {
        return refuse("its sizes make no sense".to_owned());
    }
    let sentence = dir.join("sentence_bert_config.json");
    let max_tokens = if sentence.exists() {
        parse::<SentenceConfig>(&sentence)?.max_seq_length
    } else {
        bert.max_position_embeddings - first_position
    };
    if !(3..=bert.max_position_embeddings - first_position).contains(&max_tokens) {
        return Err(EmbedError::malformed(
            sentence,
            format!("a length of {max_tokens} tokens is not possible"),
        ));
    }
    Ok(Config {
        hidden_size: hidden,
        n_layers: bert.num_hidden_layers,
        n_heads: heads,
        intermediate_size: bert.intermediate_size,
        vocab_size: bert.vocab_size,
        n_types: bert.type_vocab_size,
        n_positions: bert.max_position_embeddings,
        first_position,
        layer_norm_eps: bert.layer_norm_eps,
        max_tokens,
        pooling: read_pooling(dir)?,
    })
}

fn read_pooling(dir: &Path) -> Result<Pooling, EmbedError> {
    let path = dir.join("1_Pooling").join("config.json");
    if !path.exists() {
        return Ok(Pooling::Mean);
    }
    let mode: PoolingConfig = parse(&path)?;
    let other = mode.pooling_mode_max_tokens || mode.pooling_mode_mean_sqrt_len_tokens;
    match (mode.pooling_mode_mean_tokens, mode.pooling_mode_cls_token) {
        (true, false) if !other => Ok(Pooling::Mean),
        (false, true) if !other => Ok(Pooling::First),
        _ => {
            let what = "only the mean over all tokens and the first token alone are supported";
            Err(EmbedError::malformed(path, what))
        }
    }
}

/// The tensors of `model.safetensors`, by name, with their shapes checked.
pub(crate) struct Tensors<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    all: SafeTensors<'a>,
    adapter: Option<&'a Adapter<'a>>,
}

impl<'a> Tensors<'a> {
    pub(crate) fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self, EmbedError> {
        let all = SafeTensors::deserialize(bytes).map_err(|e| EmbedError::malformed(path.to_owned(), e))?;
        Ok(Tensors { path, bytes, all, adapter: None })
    }

    /// The same with what an adapter changes.
    pub(crate) fn adapted(self, adapter: Option<&'a Adapter<'a>>) -> Self {
        Tensors { adapter, ..self }
    }

    /// The numbers of an f32 tensor, as the adapter wants them if there is one.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EmbedError> {
        if let Some(instead) = self.adapter.and_then(|adapter| adapter.instead(name, shape)) {
            return Ok(instead);
        }
        let mut floats = self.floats_of_file(name, shape)?;
        if let Some(adapter) = self.adapter {
            adapter.add_to(name, shape, &mut floats);
        }
        Ok(floats)
    }

    fn floats_of_file(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EmbedError> {
        let (words, _) = self.bytes[self.place(name, shape)?].as_chunks::<4>();
        Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }

    /// Where an f32 tensor's bytes (little-endian) lie in the file. Some files prefix every name with `bert.` or `roberta.`.
    pub(crate) fn place(&self, name: &str, shape: &[usize]) -> Result<Range<usize>, EmbedError> {
        let wrong = |reason: String| EmbedError::malformed(self.path.to_owned(), reason);
        let view = (self.all.tensor(name))
            .or_else(|_| self.all.tensor(&format!("bert.{name}")))
            .or_else(|_| self.all.tensor(&format!("roberta.{name}")))
            .map_err(|_| wrong(format!("it has no tensor {name}")))?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            let found = format!("{:?} {:?}", view.dtype(), view.shape());
            return Err(wrong(format!("{name} is {found}, expected F32 {shape:?}")));
        }
        let start = view.data().as_ptr().addr() - self.bytes.as_ptr().addr();
        Ok(start..start + view.data().len())
    }

    /// A linear layer (n_in to n_out), or several with the same input as one. `names` have a `.weight` (n_out, n_in) and a
    /// `.bias` (n_out) each.
    pub(crate) fn linear(
        &self,
        names: &[String],
        n_out: usize,
        n_in: usize,
    ) -> Result<PackedMatrix, EmbedError> {
        let mut weights = Vec::with_capacity(names.len() * n_out * n_in);
        let mut bias = Vec::with_capacity(names.len() * n_out);
        for name in names {
            weights.extend(self.floats(&format!("{name}.weight"), &[n_out, n_in])?);
            bias.extend(self.floats(&format!("{name}.bias"), &[n_out])?);
        }
        Ok(PackedMatrix::new(&weights, &bias, n_in))
    }

    /// A layer norm of rows of `n`.
    pub(crate) fn norm(&self, name: &str, n: usize, eps: f32) -> Result<Norm, EmbedError> {
        Ok(Norm {
            weight: self.floats(&format!("{name}.weight"), &[n])?,
            bias: self.floats(&format!("{name}.bias"), &[n])?,
            eps,
        })
    }
}

/// Weights of a layer norm.
pub(crate) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl Norm {
    pub(crate) fn view(&self) -> LayerNorm<'_> {
        LayerNorm { weight: &self.weight, bias: &self.bias, eps: self.eps }
    }
}
