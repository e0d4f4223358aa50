//! What training added to a model's weights, small enough to be part of the program: low-rank matrices (Hu et al. 2021, arXiv:2106.09685).

use half::f16;
use safetensors::{Dtype, SafeTensors};

/// Changes to the weights of one model. Tensors are f16. Of a weight `w` (n_out, n_in) there are either `w` itself, which stands instead, or
/// `w.up` (n_out, rank) and `w.down` (rank, n_in), whose product is added; what is not named stays.
pub(crate) struct Adapter<'a> {
    tensors: SafeTensors<'a>,
}

impl<'a> Adapter<'a> {
    /// Reads one that was made for the model with this hash; `None` where it was made for another.
    pub(crate) fn of_model(bytes: &'a [u8], hash: &str) -> Option<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
        let base = metadata.metadata().as_ref()?.get("base")?;
        let tensors = SafeTensors::deserialize(bytes).ok()?;
        (base == hash).then_some(Self { tensors })
    }

    /// The tensor that stands instead of the model's.
    pub(crate) fn instead(&self, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let view = self.tensors.tensor(name).ok()?;
        if view.dtype() != Dtype::F16 || view.shape() != shape {
            return None;
        }
        let (halves, _) = view.data().as_chunks::<2>();
        Some(halves.iter().map(|half| f16::from_le_bytes(*half).to_f32()).collect())
    }

    /// Adds what belongs to the model's tensor.
    pub(crate) fn add_to(&self, name: &str, shape: &[usize], weight: &mut [f32]) {
        let &[n_out, n_in] = shape else { return };
        let (up, down) = (format!("{name}.up"), format!("{name}.down"));
        let Ok(rank) = self.tensors.tensor(&down).map(|view| view.shape()[0]) else { return };
        let Some((up, down)) = self.instead(&up, &[n_out, rank]).zip(self.instead(&down, &[rank, n_in]))
        else {
            return;
        };
        for (row, ups) in weight.chunks_exact_mut(n_in).zip(up.chunks_exact(rank)) {
            for (up, down) in ups.iter().zip(down.chunks_exact(n_in)) {
                row.iter_mut().zip(down).for_each(|(w, d)| *w += up * d);
            }
        }
    }
}
