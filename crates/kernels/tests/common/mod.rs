//! Random weights, inputs and KV for the tests, and kernels of every instruction set present.
#![allow(dead_code)] // each test file uses its part

use docent_kernels::{BlockFormat, Isa, Kernels, Numerics, Settings};

pub fn kernels(isa: Isa, n_threads: usize) -> Kernels {
    Kernels::new(Settings { n_threads, isa: Some(isa), numerics: Numerics::Exact, profile: false }).unwrap()
}

pub fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_present())
}

/// xorshift64*: small, the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() >> 33) as usize % n
    }

    /// Uniform in [-1, 1).
    pub fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }

    /// The bytes of `n_rows` rows of `n_cols` values of `format`: random codes, scales of the size real files have.
    pub fn weights(&mut self, format: BlockFormat, n_rows: usize, n_cols: usize) -> Vec<u8> {
        let mut bytes = vec![0u8; format.row_bytes(n_cols).unwrap() * n_rows];
        bytes.iter_mut().for_each(|byte| *byte = self.bits() as u8);
        let scales_at: &[usize] = match format {
            BlockFormat::F32 => {
                bytes.as_chunks_mut::<4>().0.iter_mut().for_each(|value| *value = self.float().to_le_bytes());
                return bytes;
            }
            BlockFormat::BF16 => {
                let upper = |value: f32| ((value.to_bits() >> 16) as u16).to_le_bytes();
                bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|value| *value = upper(self.float()));
                return bytes;
            }
            BlockFormat::F16 | BlockFormat::Q8_0 | BlockFormat::Q4_0 | BlockFormat::Q5_0 => &[0],
            BlockFormat::Q4_1 | BlockFormat::Q5_1 | BlockFormat::Q4K | BlockFormat::Q5K => &[0, 2],
            BlockFormat::Q6K => &[208],
        };
        for block in bytes.chunks_exact_mut(format.block_bytes()) {
            for &at in scales_at {
                let scale = half::f16::from_f32(self.float() * 0.02);
                block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
            }
        }
        bytes
    }
}

/// NaN equals NaN; everything else by bits.
pub fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
}

/// |a - b| / |b| over all values, as Euclidean norms.
pub fn relative_error(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let error: f64 = a.iter().zip(b).map(|(&a, &b)| square(f64::from(a) - b)).sum();
    (error / b.iter().map(|&b| square(b)).sum::<f64>()).sqrt()
}
