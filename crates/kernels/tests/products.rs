//! What products, experts and lookups are, against plain f64 arithmetic and gguf-py's dequantisation.

mod common;

use common::{Random, isas, kernels, relative_error};
use docent_kernels::{BlockFormat, ExpertMatrix, Isa, Matrix};

#[test]
fn dequantised_rows_equal_gguf_pys_bit_for_bit() {
    let golden = include_bytes!("golden/blocks.bin");
    let mut rest = &golden[..];
    let kernels = kernels(Isa::Scalar, 1);
    // The file's order is `BlockFormat::ALL` without F32.
    for format in BlockFormat::ALL.into_iter().skip(1) {
        let (blocks, after) = rest.split_at(format.row_bytes(512).unwrap());
        let (floats, after) = after.split_at(512 * 4);
        rest = after;
        let matrix = Matrix::new(format, 2, 256, blocks).unwrap();
        let mut out = vec![0.0; 512];
        kernels.dequantise_rows(matrix, &[1, 0], &mut out);
        let expected: Vec<f32> =
            floats.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!(&out[256..], &expected[..256], "{format:?}");
        assert_eq!(&out[..256], &expected[256..], "{format:?}");
    }
    assert!(rest.is_empty());
}

/// x Wᵀ in f64 on dequantised weights.
fn exact_product(matrix: Matrix<'_>, x: &[f32]) -> Vec<f64> {
    let (n_rows, n_cols) = (matrix.n_rows(), matrix.n_cols());
    let mut weights = vec![0.0; n_rows * n_cols];
    kernels(Isa::Scalar, 1).dequantise_rows(matrix, &(0..n_rows as u32).collect::<Vec<_>>(), &mut weights);
    let dot = |x: &[f32], row: &[f32]| x.iter().zip(row).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
    x.chunks(n_cols).flat_map(|x| weights.chunks(n_cols).map(move |row| dot(x, row))).collect()
}

#[test]
fn products_are_right_to_the_rounding_of_the_input() {
    let mut random = Random::new(1);
    for isa in isas() {
        for format in BlockFormat::ALL {
            for (n_rows, n_cols) in [(33, 256), (7, 768), (48, 512)] {
                let bytes = random.weights(format, n_rows, n_cols);
                let matrix = Matrix::new(format, n_rows, n_cols, &bytes).unwrap();
                let x = random.floats(3 * n_cols);
                let mut out = vec![f32::NAN; 3 * n_rows];
                kernels(isa, 2).matmul(matrix, &x, &mut out);
                let error = relative_error(&out, &exact_product(matrix, &x));
                let bound = match format {
                    BlockFormat::Q8_0 => 1e-4,
                    _ if format.block_len() == 1 => 1e-6,
                    _ => 0.012,
                };
                assert!(error < bound, "{isa:?} {format:?} {n_rows}x{n_cols}: {error:e}");
            }
        }
    }
}

#[test]
fn an_expert_layer_is_its_formula() {
    let (n, d, d_hidden, n_experts, n_used) = (9, 64, 96, 5, 2);
    let mut random = Random::new(2);
    let format = BlockFormat::F32;
    let bytes: Vec<Vec<u8>> = [(d_hidden, d), (d_hidden, d), (d, d_hidden)]
        .map(|(n_rows, n_cols)| random.weights(format, n_experts * n_rows, n_cols))
        .into();
    let gate = ExpertMatrix::new(format, n_experts, d_hidden, d, &bytes[0]).unwrap();
    let up = ExpertMatrix::new(format, n_experts, d_hidden, d, &bytes[1]).unwrap();
    let down = ExpertMatrix::new(format, n_experts, d, d_hidden, &bytes[2]).unwrap();
    let x = random.floats(n * d);
    let chosen: Vec<u32> =
        (0..n).flat_map(|t| [(t % n_experts) as u32, ((t * 3 + 1) % n_experts) as u32]).collect();
    let weights = random.floats(n * n_used);
    let mut expected = vec![0.0f64; n * d];
    for t in 0..n {
        for slot in t * n_used..(t + 1) * n_used {
            let expert = chosen[slot] as usize;
            let x = &x[t * d..][..d];
            let (g, u) = (exact_product(gate.expert(expert), x), exact_product(up.expert(expert), x));
            let hidden: Vec<f32> =
                g.iter().zip(&u).map(|(g, u)| (g / (1.0 + (-g).exp()) * u) as f32).collect();
            for (out, y) in expected[t * d..][..d].iter_mut().zip(exact_product(down.expert(expert), &hidden))
            {
                *out += f64::from(weights[slot]) * y;
            }
        }
    }
    for isa in isas() {
        let mut out = vec![f32::NAN; n * d];
        kernels(isa, 2).expert_ffn(gate, up, down, &x, &chosen, &weights, &mut out);
        let error = relative_error(&out, &expected);
        assert!(error < 2e-6, "{isa:?}: {error:e}");
    }
}

#[test]
fn a_value_that_is_no_number_makes_its_own_row_nan_and_no_other() {
    let mut random = Random::new(3);
    for isa in isas() {
        for format in BlockFormat::ALL {
            let bytes = random.weights(format, 40, 256);
            let matrix = Matrix::new(format, 40, 256, &bytes).unwrap();
            let mut x = random.floats(3 * 256);
            x[256 + 100] = f32::NAN;
            let mut out = vec![0.0; 120];
            kernels(isa, 1).matmul(matrix, &x, &mut out);
            assert!(out[40..80].iter().all(|value| value.is_nan()), "{isa:?} {format:?}");
            assert!(out[..40].iter().chain(&out[80..]).all(|value| value.is_finite()), "{isa:?} {format:?}");
        }
    }
}
