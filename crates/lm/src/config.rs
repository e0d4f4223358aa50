//! The metadata that shapes the forward pass, read once and checked for sense.
//!
//! Keys: ggml `docs/gguf.md`; per architecture llama.cpp `src/llama-model.cpp` (`load_hparams`).

use docent_kernels::RopePairing;

use crate::LmError;
use crate::gguf::{Gguf, Metadata};

/// Positions a short convolution looks at: the token's own and two before it.
pub const CONV_KERNEL: usize = 3;
/// Bounds that no known model comes near; they keep arithmetic on hostile values far from overflow.
const MAX_LAYERS: usize = 4096;
const MAX_WIDTH: usize = 1 << 24;

/// The architectures docent runs, as `general.architecture` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `lfm2moe`: short convolutions and attention, routed experts (LFM2.5-8B-A1B).
    Lfm2Moe,
    /// `lfm2`: the same without experts.
    Lfm2,
    /// `llama`: attention and a dense feed-forward (SmolLM2, Llama 3).
    Llama,
    /// `qwen2`: as llama, with biases on query, key and value.
    Qwen2,
    /// `qwen3`: as llama, with norms on query and key.
    Qwen3,
}

impl Architecture {
    /// Every architecture, for listings.
    pub const ALL: [Architecture; 5] = [Self::Lfm2Moe, Self::Lfm2, Self::Llama, Self::Qwen2, Self::Qwen3];

    /// The name in `general.architecture`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lfm2Moe => "lfm2moe",
            Self::Lfm2 => "lfm2",
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// Which coordinates RoPE rotates together. Llama's query and key rows are permuted when a GGUF is made
    /// (llama.cpp `convert_hf_to_gguf.py`, `LlamaModel.permute`), so neighbours are paired there.
    pub fn rope_pairing(self) -> RopePairing {
        match self {
            Self::Llama => RopePairing::Interleaved,
            _ => RopePairing::Neox,
        }
    }
}

/// The routed experts of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertConfig {
    /// Experts in each routed layer.
    pub n_experts: usize,
    /// Experts chosen for a token.
    pub n_used: usize,
    /// Width of one expert.
    pub n_ff: usize,
    /// Layers at the front that have a dense feed-forward.
    pub n_dense_layers: usize,
}

/// What the metadata says about a model's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which layers are stacked.
    pub architecture: Architecture,
    /// `general.name`.
    pub name: Option<String>,
    /// Number of layers.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Rows of the embedding matrix, and logits a position gives.
    pub n_vocab: usize,
    /// Tokens the model was made for.
    pub context_length: usize,
    /// Query heads of an attention layer.
    pub n_heads: usize,
    /// Key and value heads of each layer; 0 marks a short convolution.
    pub n_kv_heads: Vec<usize>,
    /// Width of a head.
    pub head_dim: usize,
    /// Width of a dense feed-forward.
    pub n_ff: usize,
    /// Added to the mean square in every norm.
    pub norm_eps: f32,
    /// RoPE's base.
    pub rope_theta: f32,
    /// RoPE's angles are divided by this (linear scaling).
    pub rope_factor: f32,
    /// Routed experts, where the architecture has them.
    pub experts: Option<ExpertConfig>,
}

impl Config {
    /// Reads and checks the keys.
    ///
    /// # Errors
    /// [`LmError::Unsupported`] for an architecture or a feature docent does not have, by name; otherwise an error that
    /// names the key that is missing or makes no sense.
    pub fn read(file: &Gguf) -> Result<Self, LmError> {
        let metadata = file.metadata();
        let architecture = architecture(metadata)?;
        let keys = Keys { metadata, prefix: architecture.name() };
        refuse_unsupported(&keys)?;

        let n_layers = keys.size("block_count", MAX_LAYERS)?;
        let n_embd = keys.size("embedding_length", MAX_WIDTH)?;
        let n_heads = keys.one_for_all_layers("attention.head_count", n_layers)?;
        let n_kv_heads = keys.per_layer("attention.head_count_kv", n_layers, n_heads)?;
        let context_length = keys.size("context_length", u32::MAX as usize)?;
        let config = Self {
            architecture,
            name: metadata.string("general.name")?.map(str::to_owned),
            n_layers,
            n_embd,
            n_vocab: n_vocab(file)?,
            context_length,
            n_heads,
            n_kv_heads,
            head_dim: keys.head_dim(n_embd, n_heads)?,
            n_ff: keys.one_for_all_layers("feed_forward_length", n_layers)?,
            norm_eps: metadata.require_f32(&keys.name("attention.layer_norm_rms_epsilon"))?,
            rope_theta: metadata.f32(&keys.name("rope.freq_base"))?.unwrap_or(10_000.0),
            rope_factor: keys.rope_factor()?,
            experts: match architecture {
                Architecture::Lfm2Moe => Some(keys.experts(n_layers)?),
                _ => None,
            },
        };
        config.check(&keys)?;
        Ok(config)
    }

    /// Relations between values that the layers rely on.
    fn check(&self, keys: &Keys<'_>) -> Result<(), LmError> {
        let conv_allowed = matches!(self.architecture, Architecture::Lfm2 | Architecture::Lfm2Moe);
        for (layer_idx, &n_kv) in self.n_kv_heads.iter().enumerate() {
            if n_kv == 0 && !conv_allowed {
                return Err(keys.inconsistent(format!("layer {layer_idx} has no key and value heads")));
            }
            if n_kv > 0 && !self.n_heads.is_multiple_of(n_kv) {
                let n_heads = self.n_heads;
                return Err(keys.inconsistent(format!(
                    "layer {layer_idx} has {n_heads} query heads for {n_kv} key heads"
                )));
            }
        }
        let positive = |value: f32| value.is_finite() && value > 0.0;
        for (name, value) in [("rope.freq_base", self.rope_theta), ("rope.scaling.factor", self.rope_factor)]
        {
            if !positive(value) {
                return Err(keys.inconsistent(format!("`{}` is {value}", keys.name(name))));
            }
        }
        if !(self.norm_eps.is_finite() && self.norm_eps >= 0.0) {
            return Err(keys.inconsistent(format!("the norm's epsilon is {}", self.norm_eps)));
        }
        Ok(())
    }

    /// Layers that attend.
    pub fn n_attention_layers(&self) -> usize {
        self.n_kv_heads.iter().filter(|&&n| n > 0).count()
    }

    /// Layers that convolve.
    pub fn n_conv_layers(&self) -> usize {
        self.n_layers - self.n_attention_layers()
    }
}

fn architecture(metadata: &Metadata) -> Result<Architecture, LmError> {
    let name = metadata.require_string("general.architecture")?;
    Architecture::ALL.into_iter().find(|a| a.name() == name).ok_or_else(|| {
        let known: Vec<&str> = Architecture::ALL.iter().map(|a| a.name()).collect();
        LmError::Unsupported {
            path: metadata.path().to_owned(),
            what: format!("architecture `{name}` is not supported; docent runs {}", known.join(", ")),
        }
    })
}

fn n_vocab(file: &Gguf) -> Result<usize, LmError> {
    let tensor = "token_embd.weight";
    let missing = || LmError::MissingTensor { path: file.path().to_owned(), tensor: tensor.to_owned() };
    let info = file.tensor(tensor).ok_or_else(missing)?;
    // Token ids are 32 bits wide.
    Ok(info.dims.get(1).copied().unwrap_or(1).min(u32::MAX as usize))
}

fn refuse_unsupported(keys: &Keys<'_>) -> Result<(), LmError> {
    let metadata = keys.metadata;
    if metadata.u32("split.count")?.unwrap_or(1) > 1 {
        return Err(keys.unsupported(
            "the model is split over several files; join them with `llama-gguf-split --merge`".to_owned(),
        ));
    }
    let moe = matches!(keys.prefix, "lfm2moe");
    if !moe && metadata.u32(&keys.name("expert_count"))?.unwrap_or(0) > 0 {
        return Err(keys.unsupported(format!("experts are not supported in architecture `{}`", keys.prefix)));
    }
    let window = metadata.u32(&keys.name("attention.sliding_window"))?.unwrap_or(0);
    if window > 0 && window < metadata.u32(&keys.name("context_length"))?.unwrap_or(0) {
        return Err(keys.unsupported(format!(
            "sliding window attention (`{}`) is not supported",
            keys.name("attention.sliding_window")
        )));
    }
    // Sigmoid is number 2 in llama.cpp's `llama_expert_gating_func_type`; softmax routing would give fluent text from the wrong experts.
    let gating = metadata.u32(&keys.name("expert_gating_func"))?;
    if moe && gating.is_some_and(|g| g != 2) {
        return Err(keys.unsupported(format!(
            "`{}` is not 2 (sigmoid), other routing is not supported",
            keys.name("expert_gating_func")
        )));
    }
    let kernel = metadata.u32(&keys.name("shortconv.l_cache"))?;
    if let Some(kernel) = kernel.filter(|&k| k as usize != CONV_KERNEL) {
        return Err(keys.unsupported(format!(
            "a convolution over {kernel} positions is not supported, only over {CONV_KERNEL}"
        )));
    }
    Ok(())
}

/// Keys under an architecture's prefix.
struct Keys<'a> {
    metadata: &'a Metadata,
    prefix: &'static str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn unsupported(&self, what: String) -> LmError {
        LmError::Unsupported { path: self.metadata.path().to_owned(), what }
    }

    fn inconsistent(&self, what: String) -> LmError {
        LmError::Inconsistent { path: self.metadata.path().to_owned(), what }
    }

    /// A count that must be from 1 to `max`.
    fn size(&self, key: &str, max: usize) -> Result<usize, LmError> {
        let key = self.name(key);
        let value = self.metadata.require_u32(&key)? as usize;
        if value == 0 || value > max {
            return Err(self.inconsistent(format!("`{key}` is {value}, expected 1 to {max}")));
        }
        Ok(value)
    }

    /// A count for each layer, from an array or from one number for all; `default` where the key is absent.
    fn per_layer(&self, key: &str, n_layers: usize, default: usize) -> Result<Vec<usize>, LmError> {
        let key = self.name(key);
        let Some(len) = self.metadata.array_len(&key) else {
            let value = self.metadata.u32(&key)?.map_or(default, |v| v as usize);
            return Ok(vec![value.min(MAX_WIDTH); n_layers]);
        };
        if len < n_layers {
            return Err(self.inconsistent(format!("`{key}` has {len} values for {n_layers} layers")));
        }
        let values = self.metadata.integers(&key)?.unwrap_or_default();
        let valid = |&v: &i64| usize::try_from(v).ok().filter(|&v| v <= MAX_WIDTH);
        let values: Option<Vec<usize>> = values.iter().take(n_layers).map(valid).collect();
        values.ok_or_else(|| self.inconsistent(format!("`{key}` has a value out of range")))
    }

    /// A positive count that may be written once or, the same, for each layer.
    fn one_for_all_layers(&self, key: &str, n_layers: usize) -> Result<usize, LmError> {
        if self.metadata.array_len(&self.name(key)).is_none() {
            return self.size(key, MAX_WIDTH);
        }
        let values = self.per_layer(key, n_layers, 0)?;
        match values.iter().find(|&&v| v > 0) {
            Some(&first) if values.iter().all(|&v| v == first || v == 0) => Ok(first),
            _ => Err(self
                .unsupported(format!("`{}` differs between layers, which is not supported", self.name(key)))),
        }
    }

    fn head_dim(&self, n_embd: usize, n_heads: usize) -> Result<usize, LmError> {
        let optional = |key: &str| self.metadata.u32(&self.name(key)).map(|v| v.map(|v| v as usize));
        let head_dim = match optional("attention.key_length")? {
            Some(head_dim) => head_dim,
            None if n_embd.is_multiple_of(n_heads) => n_embd / n_heads,
            None => {
                return Err(self.inconsistent(format!("{n_heads} heads do not divide a width of {n_embd}")));
            }
        };
        if head_dim == 0 || head_dim > MAX_WIDTH || !head_dim.is_multiple_of(2) {
            return Err(
                self.inconsistent(format!("a head has {head_dim} dimensions, expected an even number"))
            );
        }
        for key in ["attention.value_length", "rope.dimension_count"] {
            if let Some(other) = optional(key)?.filter(|&v| v != head_dim) {
                let what = format!(
                    "`{}` is {other} where a head has {head_dim} dimensions, which is not supported",
                    self.name(key)
                );
                return Err(self.unsupported(what));
            }
        }
        Ok(head_dim)
    }

    fn rope_factor(&self) -> Result<f32, LmError> {
        let key = self.name("rope.scaling.type");
        match self.metadata.string(&key)? {
            None | Some("none") => Ok(1.0),
            Some("linear") => self.metadata.require_f32(&self.name("rope.scaling.factor")),
            Some(other) => {
                Err(self.unsupported(format!("RoPE scaling `{other}` (`{key}`) is not supported")))
            }
        }
    }

    fn experts(&self, n_layers: usize) -> Result<ExpertConfig, LmError> {
        let n_experts = self.size("expert_count", MAX_WIDTH)?;
        let n_dense = self.metadata.u32(&self.name("leading_dense_block_count"))?.unwrap_or(0) as usize;
        Ok(ExpertConfig {
            n_experts,
            n_used: self.size("expert_used_count", n_experts)?,
            n_ff: self.size("expert_feed_forward_length", MAX_WIDTH)?,
            n_dense_layers: n_dense.min(n_layers),
        })
    }
}
