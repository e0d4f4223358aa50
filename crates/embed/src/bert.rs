//! The forward pass of BERT (Devlin et al. 2018, arXiv:1810.04805) over texts laid end to end.
//!
//! Layout: the hidden states of all texts of a batch are one matrix (n_tokens, hidden), text after text. Linear layers
//! and norms see the matrix; attention sees each text's rows. There is no padding and no mask.

use crate::adapter::Adapter;
use crate::error::EmbedError;
use crate::operations::{AddNorm, Attention, FeedForward, Linear};
use crate::weights::{Config, ModelFiles, Norm, Tensors};
use candle_core::{Device, Tensor};
use docent_kernels::{Dense, PackedMatrix};
use docent_mapped::MappedFile;
use std::ops::Range;
use std::sync::Arc;

/// What the model reads: token ids with the special ones in place. Ids from `second` on are of the second kind (the document
/// of a pair of question and document).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub ids: Vec<u32>,
    pub second: usize,
}

impl Sequence {
    /// A text alone.
    pub(crate) fn one(ids: Vec<u32>) -> Self {
        let second = ids.len();
        Sequence { ids, second }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}

pub(crate) struct Bert {
    config: Config,
    dense: Dense,
    weights: Arc<MappedFile>,
    /// (vocab_size, hidden): where it lies in the file. Half of the model, of which a text needs a few rows.
    word_embeddings: Range<usize>,
    /// For each kind of token (max_tokens, hidden): position and kind, added up.
    position_embeddings: Vec<Vec<f32>>,
    embedding_norm: Norm,
    layers: Vec<Layer>,
}

/// One encoder layer.
struct Layer {
    qkv: PackedMatrix,              // hidden -> 3 * hidden
    attention_output: PackedMatrix, // hidden -> hidden
    attention_norm: Norm,
    intermediate: PackedMatrix, // hidden -> intermediate
    output: PackedMatrix,       // intermediate -> hidden
    output_norm: Norm,
}

impl Bert {
    /// With the weights as an adapter changes them, if there is one.
    pub(crate) fn load(files: ModelFiles, adapter: Option<&Adapter<'_>>) -> Result<Bert, EmbedError> {
        let ModelFiles { config, weights, path, .. } = files;
        let tensors = Tensors::open(&path, &weights)?.adapted(adapter);
        let hidden = config.hidden_size;
        let word_embeddings =
            tensors.place("embeddings.word_embeddings.weight", &[config.vocab_size, hidden])?;
        let layers = (0..config.n_layers).map(|i| load_layer(&tensors, &config, i));
        let layers = layers.collect::<Result<_, _>>()?;
        let position_embeddings = load_positions(&tensors, &config)?;
        let embedding_norm = tensors.norm("embeddings.LayerNorm", hidden, config.layer_norm_eps)?;
        let dense = Dense::default();
        Ok(Bert { config, dense, weights, word_embeddings, position_embeddings, embedding_norm, layers })
    }

    pub(crate) fn dim(&self) -> usize {
        self.config.hidden_size
    }

    /// The configuration it was opened with.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn dense(&self) -> Dense {
        self.dense
    }

    /// The last hidden states (n_tokens, hidden) and each text's rows. No text is longer than `max_tokens`, every id is
    /// below `vocab_size`.
    pub(crate) fn forward(&self, texts: &[&Sequence]) -> Result<(Vec<f32>, Vec<Range<usize>>), EmbedError> {
        let mut spans = Vec::with_capacity(texts.len());
        let mut n_tokens = 0;
        for text in texts {
            spans.push(n_tokens..n_tokens + text.len());
            n_tokens += text.len();
        }
        let x = self.embeddings(texts); // n_tokens * hidden
        let mut x = Tensor::from_vec(x, (n_tokens, self.config.hidden_size), &Device::Cpu)?;
        for layer in &self.layers {
            x = self.layer(layer, &x, &spans)?;
        }
        Ok((x.flatten_all()?.to_vec1::<f32>()?, spans))
    }

    /// Word, position and kind embeddings, normalised.
    fn embeddings(&self, texts: &[&Sequence]) -> Vec<f32> {
        let hidden = self.config.hidden_size;
        let n_tokens: usize = texts.iter().map(|text| text.len()).sum();
        let (words, _) = self.weights[self.word_embeddings.clone()].as_chunks::<4>();
        let mut x = Vec::with_capacity(n_tokens * hidden);
        for text in texts {
            for (at, &id) in text.ids.iter().enumerate() {
                let kind = usize::from(at >= text.second).min(self.position_embeddings.len() - 1);
                let position = &self.position_embeddings[kind][at * hidden..][..hidden];
                let word = &words[id as usize * hidden..][..hidden];
                x.extend(word.iter().zip(position).map(|(w, p)| f32::from_le_bytes(*w) + p));
            }
        }
        self.dense.add_norm(&mut x, &[], &self.embedding_norm.view());
        x
    }

    /// One layer: (n_tokens, hidden) to (n_tokens, hidden).
    fn layer(&self, layer: &Layer, x: &Tensor, spans: &[Range<usize>]) -> Result<Tensor, EmbedError> {
        let dense = self.dense;
        let (hidden, n_heads) = (self.config.hidden_size, self.config.n_heads);
        let qkv = x.apply_op1_no_bwd(&Linear { dense, layer: &layer.qkv })?; // (n_tokens, 3 * hidden)
        let attention = Attention { dense, shape: (n_heads, hidden / n_heads), spans };
        let attended = qkv.apply_op1_no_bwd(&attention)?; // (n_tokens, hidden)
        let y = attended.apply_op1_no_bwd(&Linear { dense, layer: &layer.attention_output })?; // (n_tokens, hidden)
        y.inplace_op2(x, &AddNorm { dense, norm: &layer.attention_norm })?;

        let wide = FeedForward { dense, up: &layer.intermediate, down: &layer.output };
        let z = y.apply_op1_no_bwd(&wide)?; // (n_tokens, hidden)
        z.inplace_op2(&y, &AddNorm { dense, norm: &layer.output_norm })?;
        Ok(z)
    }
}

/// For each kind of token the position embeddings up to the longest text, with the kind's own added to each.
fn load_positions(tensors: &Tensors, config: &Config) -> Result<Vec<Vec<f32>>, EmbedError> {
    let hidden = config.hidden_size;
    let kinds = tensors.floats("embeddings.token_type_embeddings.weight", &[config.n_types, hidden])?;
    let all = tensors.floats("embeddings.position_embeddings.weight", &[config.n_positions, hidden])?;
    let positions = &all[config.first_position * hidden..][..config.max_tokens * hidden];
    let of_kind = |kind: &[f32]| {
        let mut positions = positions.to_vec();
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut().zip(kind).for_each(|(position, of_kind)| *position += of_kind);
        }
        positions
    };
    Ok(kinds.chunks_exact(hidden).take(2).map(of_kind).collect())
}

fn load_layer(tensors: &Tensors, config: &Config, i: usize) -> Result<Layer, EmbedError> {
    let (hidden, wide, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
    let name = |part: &str| format!("encoder.layer.{i}.{part}");
    let qkv = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
    Ok(Layer {
        qkv: tensors.linear(&qkv, hidden, hidden)?,
        attention_output: tensors.linear(&[name("attention.output.dense")], hidden, hidden)?,
        attention_norm: tensors.norm(&name("attention.output.LayerNorm"), hidden, eps)?,
        intermediate: tensors.linear(&[name("intermediate.dense")], wide, hidden)?,
        output: tensors.linear(&[name("output.dense")], hidden, wide)?,
        output_norm: tensors.norm(&name("output.LayerNorm"), hidden, eps)?,
    })
}
