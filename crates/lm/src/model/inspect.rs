//! What a model file holds, for people.

use std::collections::BTreeMap;

use super::Model;
use crate::gguf::TensorType;

/// Tensors of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorTypeSummary {
    /// How the numbers are stored.
    pub tensor_type: TensorType,
    /// How many tensors.
    pub n_tensors: usize,
    /// How many numbers.
    pub n_parameters: u64,
    /// Bytes in the file.
    pub n_bytes: u64,
}

/// Sizes of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSummary {
    /// `general.architecture`.
    pub architecture: &'static str,
    /// `general.name`.
    pub name: Option<String>,
    /// Numbers in all tensors.
    pub n_parameters: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Tensors by type, the largest share first.
    pub types: Vec<TensorTypeSummary>,
    /// Layers that attend.
    pub n_attention_layers: usize,
    /// Layers that convolve.
    pub n_conv_layers: usize,
    /// Tokens the model was made for.
    pub context_length: usize,
    /// Tokens of context, and the bytes a state of that many takes. Lengths beyond the model's are left out.
    pub state_bytes: Vec<(usize, u64)>,
}

/// Context lengths that memory is told for.
const CONTEXTS: [usize; 3] = [8 << 10, 32 << 10, 128 << 10];

impl Model {
    /// Sums up the file and the memory that contexts of 8K, 32K and 128K take with this KV type.
    pub fn summary(&self) -> ModelSummary {
        let mut types: BTreeMap<TensorType, TensorTypeSummary> = BTreeMap::new();
        for (_, tensor) in self.file.tensors() {
            let tensor_type = tensor.tensor_type;
            let empty = TensorTypeSummary { tensor_type, n_tensors: 0, n_parameters: 0, n_bytes: 0 };
            let sum = types.entry(tensor_type).or_insert(empty);
            sum.n_tensors += 1;
            sum.n_parameters += tensor.n_elements() as u64;
            sum.n_bytes += tensor.range.len() as u64;
        }
        let mut types: Vec<TensorTypeSummary> = types.into_values().collect();
        types.sort_by_key(|t| std::cmp::Reverse(t.n_bytes));
        // A model made for 128,000 tokens is told at that length, not left out for missing 131,072.
        let context_length = self.config.context_length;
        let contexts =
            CONTEXTS.into_iter().filter(|&n| n * 9 / 10 <= context_length).map(|n| n.min(context_length));
        ModelSummary {
            architecture: self.config.architecture.name(),
            name: self.config.name.clone(),
            n_parameters: types.iter().map(|t| t.n_parameters).sum(),
            file_bytes: self.file.file().len() as u64,
            types,
            n_attention_layers: self.config.n_attention_layers(),
            n_conv_layers: self.config.n_conv_layers(),
            context_length,
            state_bytes: contexts.map(|n| (n, self.layout.state_bytes(n) as u64)).collect(),
        }
    }
}
