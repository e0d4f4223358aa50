//! The forward pass of BERT (Devlin et al. 2018, arXiv:1810.04805) over texts laid end to end, and mean pooling.
//!
//! Layout: the hidden states of all texts of a batch are one matrix (n_tokens, hidden), text after text. Linear layers
//! and norms see the matrix; attention sees each text's rows. There is no padding and no mask.

use crate::elementwise::{AddBias, AddNorm, BiasGelu, Norm, Softmax};
use crate::error::EmbedError;
use crate::weights::{Config, ModelFiles, Tensors};
use candle_core::{Device, Tensor};
use docent_mapped::MappedFile;
use std::ops::Range;

pub(crate) struct Bert {
    config: Config,
    weights: MappedFile,
    /// (vocab_size, hidden): where it lies in the file. Half of the model, of which a text needs a few rows.
    word_embeddings: Range<usize>,
    /// (max_tokens, hidden): position and the one token type, added up.
    position_embeddings: Vec<f32>,
    embedding_norm: NormWeights,
    layers: Vec<Layer>,
}

struct NormWeights {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// One encoder layer.
struct Layer {
    qkv: Tensor, // (hidden, 3 * hidden)
    qkv_bias: Vec<f32>,
    attention_output: Tensor, // (hidden, hidden)
    attention_output_bias: Vec<f32>,
    attention_norm: NormWeights,
    intermediate: Tensor, // (hidden, intermediate)
    intermediate_bias: Vec<f32>,
    output: Tensor, // (intermediate, hidden)
    output_bias: Vec<f32>,
    output_norm: NormWeights,
}

impl Bert {
    pub(crate) fn load(files: ModelFiles) -> Result<Bert, EmbedError> {
        let ModelFiles { config, weights, path, .. } = files;
        let tensors = Tensors::open(&path, &weights)?;
        let hidden = config.hidden_size;
        let norm = |prefix: &str| -> Result<NormWeights, EmbedError> {
            Ok(NormWeights {
                weight: tensors.floats(&format!("{prefix}.weight"), &[hidden])?,
                bias: tensors.floats(&format!("{prefix}.bias"), &[hidden])?,
            })
        };
        let word_embeddings =
            tensors.place("embeddings.word_embeddings.weight", &[config.vocab_size, hidden])?;
        let layers = (0..config.n_layers).map(|i| load_layer(&tensors, &config, i));
        let layers = layers.collect::<Result<_, _>>()?;
        let position_embeddings = load_positions(&tensors, &config)?;
        let embedding_norm = norm("embeddings.LayerNorm")?;
        Ok(Bert { config, weights, word_embeddings, position_embeddings, embedding_norm, layers })
    }

    pub(crate) fn dim(&self) -> usize {
        self.config.hidden_size
    }

    /// The unit vector of each text. `texts` are token ids with the first and last in place, none longer than
    /// `max_tokens`, every id below `vocab_size`.
    pub(crate) fn embed(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut spans = Vec::with_capacity(texts.len());
        let mut n_tokens = 0;
        for text in texts {
            spans.push(n_tokens..n_tokens + text.len());
            n_tokens += text.len();
        }
        let hidden = self.config.hidden_size;
        let x = self.embeddings(texts); // n_tokens * hidden
        let x = Tensor::from_vec(x, (n_tokens, hidden), &Device::Cpu)?;
        for layer in &self.layers {
            self.layer(layer, &x, &spans)?;
        }
        let x = x.flatten_all()?.to_vec1::<f32>()?;
        Ok(spans.iter().map(|span| mean_pool(&x[span.start * hidden..span.end * hidden], hidden)).collect())
    }

    /// Word, position and token type embeddings, normalised.
    fn embeddings(&self, texts: &[&[u32]]) -> Vec<f32> {
        let hidden = self.config.hidden_size;
        let n_tokens: usize = texts.iter().map(|text| text.len()).sum();
        let (words, _) = self.weights[self.word_embeddings.clone()].as_chunks::<4>();
        let mut x = Vec::with_capacity(n_tokens * hidden);
        for text in texts {
            for (&id, position) in text.iter().zip(self.position_embeddings.chunks_exact(hidden)) {
                let word = &words[id as usize * hidden..][..hidden];
                x.extend(word.iter().zip(position).map(|(w, p)| f32::from_le_bytes(*w) + p));
            }
        }
        let norm = self.norm(&self.embedding_norm);
        x.chunks_exact_mut(hidden).for_each(|row| norm.apply(row));
        x
    }

    /// One layer: `x` (n_tokens, hidden) is replaced.
    fn layer(&self, layer: &Layer, x: &Tensor, spans: &[Range<usize>]) -> Result<(), EmbedError> {
        let qkv = x.matmul(&layer.qkv)?; // (n_tokens, 3 * hidden)
        qkv.inplace_op1(&AddBias(&layer.qkv_bias))?;
        let attended = spans.iter().map(|span| self.attention(&qkv, span));
        let attended = Tensor::cat(&attended.collect::<Result<Vec<_>, _>>()?, 0)?; // (n_tokens, hidden)
        let y = attended.matmul(&layer.attention_output)?; // (n_tokens, hidden)
        let norm = self.norm(&layer.attention_norm);
        x.inplace_op2(&y, &AddNorm { bias: &layer.attention_output_bias, norm })?;

        let wide = x.matmul(&layer.intermediate)?; // (n_tokens, intermediate)
        wide.inplace_op1(&BiasGelu(&layer.intermediate_bias))?;
        let y = wide.matmul(&layer.output)?; // (n_tokens, hidden)
        let norm = self.norm(&layer.output_norm);
        x.inplace_op2(&y, &AddNorm { bias: &layer.output_bias, norm })?;
        Ok(())
    }

    /// Every token of one text attends to every token of it: (len, hidden).
    fn attention(&self, qkv: &Tensor, span: &Range<usize>) -> candle_core::Result<Tensor> {
        let (len, hidden, n_heads) = (span.len(), self.config.hidden_size, self.config.n_heads);
        let head_dim = hidden / n_heads;
        // Views all the way: the product takes any stride, so nothing is copied.
        let rows = qkv.reshape(((), 3 * n_heads, head_dim))?.narrow(0, span.start, len)?;
        let heads = |at: usize| rows.narrow(1, at * n_heads, n_heads)?.transpose(0, 1); // (n_heads, len, head_dim)
        let scores = heads(0)?.matmul(&heads(1)?.t()?)?; // (n_heads, len, len)
        scores.inplace_op1(&Softmax { len, scale: 1.0 / (head_dim as f32).sqrt() })?;
        scores.matmul(&heads(2)?)?.transpose(0, 1)?.reshape((len, hidden))
    }

    fn norm<'a>(&self, weights: &'a NormWeights) -> Norm<'a> {
        Norm { weight: &weights.weight, bias: &weights.bias, eps: self.config.layer_norm_eps }
    }
}

/// Position embeddings up to the longest text, with the embedding of token type 0 added to each.
fn load_positions(tensors: &Tensors, config: &Config) -> Result<Vec<f32>, EmbedError> {
    let hidden = config.hidden_size;
    let types = tensors.floats("embeddings.token_type_embeddings.weight", &[config.n_types, hidden])?;
    let mut positions =
        tensors.floats("embeddings.position_embeddings.weight", &[config.n_positions, hidden])?;
    positions.truncate(config.max_tokens * hidden);
    for row in positions.chunks_exact_mut(hidden) {
        row.iter_mut().zip(&types[..hidden]).for_each(|(position, of_type)| *position += of_type);
    }
    Ok(positions)
}

fn load_layer(tensors: &Tensors, config: &Config, i: usize) -> Result<Layer, EmbedError> {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let name = |part: &str| format!("encoder.layer.{i}.{part}");
    let linear = |part: &str, n_out, n_in| tensors.linear(&[name(&format!("{part}.weight"))], n_out, n_in);
    let floats = |part: &str, n| tensors.floats(&name(part), &[n]);
    let norm = |part: &str| -> Result<NormWeights, EmbedError> {
        Ok(NormWeights {
            weight: floats(&format!("{part}.weight"), hidden)?,
            bias: floats(&format!("{part}.bias"), hidden)?,
        })
    };
    let qkv = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}.weight")));
    let mut qkv_bias = Vec::with_capacity(3 * hidden);
    for part in ["query", "key", "value"] {
        qkv_bias.extend(floats(&format!("attention.self.{part}.bias"), hidden)?);
    }
    Ok(Layer {
        qkv: tensors.linear(&qkv, hidden, hidden)?,
        qkv_bias,
        attention_output: linear("attention.output.dense", hidden, hidden)?,
        attention_output_bias: floats("attention.output.dense.bias", hidden)?,
        attention_norm: norm("attention.output.LayerNorm")?,
        intermediate: linear("intermediate.dense", wide, hidden)?,
        intermediate_bias: floats("intermediate.dense.bias", wide)?,
        output: linear("output.dense", hidden, wide)?,
        output_bias: floats("output.dense.bias", hidden)?,
        output_norm: norm("output.LayerNorm")?,
    })
}

/// The mean of the rows (n, hidden), divided by its Euclidean length.
fn mean_pool(rows: &[f32], hidden: usize) -> Vec<f32> {
    let mut mean = vec![0f32; hidden];
    for row in rows.chunks_exact(hidden) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    // Dividing by the number of rows would be undone by the next line.
    let length = mean.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt().max(1e-12);
    mean.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    mean
}
