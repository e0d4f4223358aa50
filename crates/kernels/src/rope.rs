//! Rotary positions: frequencies of a model, and the angles of the positions in use.
//!
//! The sines of a batch are computed once in f64 and kept: every layer of a forward pass asks for the same positions.

use std::sync::{Arc, Mutex, PoisonError};

/// Which two values of a head are rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RopePairing {
    /// (i, i + n/2): rotate-half, GPT-NeoX; lfm2, qwen2.
    Neox,
    /// (2i, 2i + 1): llama GGUFs, whose weights are permuted for it.
    Interleaved,
}

/// The angle per position of each pair of a head.
#[derive(Debug)]
pub struct RopeTable {
    frequencies: Vec<f64>,
    latest: Mutex<Option<Arc<Angles>>>,
}

/// Cosines and sines, (n_positions, n_pairs).
#[derive(Debug)]
pub(crate) struct Angles {
    first_pos: usize,
    n_positions: usize,
    n_pairs: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    /// Cosines and sines of `position`.
    pub(crate) fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let start = (position - self.first_pos) * self.n_pairs;
        (&self.cos[start..][..self.n_pairs], &self.sin[start..][..self.n_pairs])
    }
}

impl RopeTable {
    /// Frequencies `theta^(-2i / n_rotated)` for the first `n_rotated` values of a head (RoFormer, equation 15), each
    /// divided by its entry in `factors` if given (GGUF's `rope_freqs.weight`, n_rotated / 2 values).
    ///
    /// # Panics
    /// When `n_rotated` is odd or `factors` has another length.
    pub fn new(n_rotated: usize, theta: f64, factors: Option<&[f32]>) -> RopeTable {
        assert!(n_rotated.is_multiple_of(2), "an odd number of rotated values: {n_rotated}");
        let n_pairs = n_rotated / 2;
        if let Some(factors) = factors {
            assert_eq!(factors.len(), n_pairs, "rope factors");
        }
        let frequency = |pair: usize| {
            let factor = factors.map_or(1.0, |factors| f64::from(factors[pair]));
            theta.powf(-2.0 * pair as f64 / n_rotated as f64) / factor
        };
        RopeTable { frequencies: (0..n_pairs).map(frequency).collect(), latest: Mutex::new(None) }
    }

    /// Values of a head that are rotated; the rest stays.
    pub fn n_rotated(&self) -> usize {
        2 * self.frequencies.len()
    }

    /// The angles of `n_positions` positions from `first_pos` on.
    pub(crate) fn angles(&self, first_pos: usize, n_positions: usize) -> Arc<Angles> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(angles) = latest.as_ref()
            && angles.first_pos <= first_pos
            && first_pos + n_positions <= angles.first_pos + angles.n_positions
        {
            return Arc::clone(angles);
        }
        // Decoding asks for one position more each time: take a few in advance.
        let n_positions = n_positions.next_multiple_of(16);
        let angle = |index: usize| {
            let position = first_pos + index / self.frequencies.len();
            (position as f64 * self.frequencies[index % self.frequencies.len()]).sin_cos()
        };
        let (sin, cos) = (0..n_positions * self.frequencies.len())
            .map(angle)
            .map(|(sin, cos)| (sin as f32, cos as f32))
            .unzip();
        let angles = Arc::new(Angles { first_pos, n_positions, n_pairs: self.frequencies.len(), cos, sin });
        *latest = Some(Arc::clone(&angles));
        angles
    }
}
