//! The hard promise: a row's bits depend on the row alone. Every path is held against the plain one on a single
//! thread, one row at a time.

mod common;

use common::{Random, isas, kernels, same_bits};
use docent_kernels::{
    AttentionShape, BlockFormat, ExpertMatrix, Isa, KV_BLOCK, KvBlockRef, KvType, KvView, Matrix,
    RopePairing, RopeTable, store_keys, store_values,
};

/// Inputs with everything a caller could get wrong in one of the rows.
fn adversarial_rows(random: &mut Random, n: usize, width: usize) -> Vec<f32> {
    let mut x = random.floats(n * width);
    for (row, x) in x.chunks_mut(width).enumerate() {
        match row % 9 {
            1 => x.iter_mut().for_each(|x| *x *= 1e20),
            2 => x.iter_mut().for_each(|x| *x *= 1e-25),
            3 => x.fill(0.0),
            4 => x[width / 2] = 1e30,
            5 => x[width - 1] = f32::NAN,
            6 => x.iter_mut().for_each(|x| *x *= 1e-40),
            7 => x[0] = f32::NEG_INFINITY,
            _ => {}
        }
    }
    x
}

#[test]
fn products_have_the_same_bits_on_every_path_batch_and_thread_count() {
    let mut random = Random::new(11);
    let shapes = [(1, 256), (31, 512), (100, 256), (64, 768)];
    let ragged = [(17, 32), (32, 576), (48, 288)];
    for format in BlockFormat::ALL {
        let odd: &[(usize, usize)] = match format.block_len() {
            1 => &[(5, 1), (19, 37), (33, 130), (64, 63)],
            32 => &ragged,
            _ => &[],
        };
        for &(n_rows, n_cols) in shapes.iter().chain(odd) {
            let bytes = random.weights(format, n_rows, n_cols);
            let matrix = Matrix::new(format, n_rows, n_cols, &bytes).unwrap();
            let n = 20;
            let x = adversarial_rows(&mut random, n, n_cols);
            let oracle = kernels(Isa::Scalar, 1);
            let mut expected = vec![0.0; n * n_rows];
            for (x, out) in x.chunks(n_cols).zip(expected.chunks_mut(n_rows)) {
                oracle.matmul(matrix, x, out);
            }
            for isa in isas() {
                for n_threads in [1, 3] {
                    let kernels = kernels(isa, n_threads);
                    for batch in [1, 2, 3, 4, 5, 6, 8, 13, 16, 20] {
                        let mut out = vec![0.0; n * n_rows];
                        for (x, out) in x.chunks(batch * n_cols).zip(out.chunks_mut(batch * n_rows)) {
                            kernels.matmul(matrix, x, out);
                        }
                        assert!(
                            same_bits(&out, &expected),
                            "{format:?} {n_rows}x{n_cols} {isa:?}, {n_threads} threads, batches of {batch}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn products_made_together_equal_products_made_alone() {
    let mut random = Random::new(12);
    let formats = [BlockFormat::Q4K, BlockFormat::Q6K, BlockFormat::F16];
    let bytes: Vec<Vec<u8>> = formats.iter().map(|&format| random.weights(format, 70, 512)).collect();
    let matrices: Vec<Matrix<'_>> = formats
        .iter()
        .zip(&bytes)
        .map(|(&format, bytes)| Matrix::new(format, 70, 512, bytes).unwrap())
        .collect();
    let x = random.floats(600 * 512);
    let kernels = kernels(Isa::best(), 2);
    let mut outs = vec![vec![0.0; 600 * 70]; 3];
    kernels.matmul_many(&matrices, &x, &mut outs.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>());
    for (matrix, out) in matrices.iter().zip(&outs) {
        let mut alone = vec![0.0; 600 * 70];
        kernels.matmul(*matrix, &x, &mut alone);
        assert!(same_bits(out, &alone), "{:?}", matrix.format());
    }
}

#[test]
fn an_expert_layer_has_the_same_bits_on_every_path_batch_and_thread_count() {
    let (n, d, d_hidden, n_experts, n_used) = (23, 256, 512, 6, 3);
    let mut random = Random::new(13);
    let bytes = [
        random.weights(BlockFormat::Q4K, n_experts * d_hidden, d),
        random.weights(BlockFormat::Q4K, n_experts * d_hidden, d),
        random.weights(BlockFormat::Q6K, n_experts * d, d_hidden),
    ];
    let gate = ExpertMatrix::new(BlockFormat::Q4K, n_experts, d_hidden, d, &bytes[0]).unwrap();
    let up = ExpertMatrix::new(BlockFormat::Q4K, n_experts, d_hidden, d, &bytes[1]).unwrap();
    let down = ExpertMatrix::new(BlockFormat::Q6K, n_experts, d, d_hidden, &bytes[2]).unwrap();
    let x = random.floats(n * d);
    let chosen: Vec<u32> = (0..n * n_used).map(|_| random.below(n_experts) as u32).collect();
    let weights = random.floats(n * n_used);
    let run = |isa, n_threads, batch: usize| {
        let kernels = kernels(isa, n_threads);
        let mut out = vec![0.0; n * d];
        for (i, out) in out.chunks_mut(batch * d).enumerate() {
            let rows = i * batch..n.min((i + 1) * batch);
            let slots = rows.start * n_used..rows.end * n_used;
            let x = &x[rows.start * d..rows.end * d];
            kernels.expert_ffn(gate, up, down, x, &chosen[slots.clone()], &weights[slots], out);
        }
        out
    };
    let expected = run(Isa::Scalar, 1, 1);
    for isa in isas() {
        for (n_threads, batch) in [(1, n), (2, n), (3, 7), (2, 1)] {
            assert!(
                same_bits(&run(isa, n_threads, batch), &expected),
                "{isa:?} {n_threads} threads, batches of {batch}"
            );
        }
    }
}

/// Keys and values of `n` tokens in blocks.
fn kv_blocks(
    random: &mut Random,
    kv_type: KvType,
    n_kv_heads: usize,
    head_dim: usize,
    n: usize,
) -> Vec<[Vec<u8>; 2]> {
    (0..n.div_ceil(KV_BLOCK))
        .map(|block| {
            [store_keys, store_values].map(|store| {
                // What lies behind the last token must not matter.
                let mut bytes = vec![0xff; kv_type.block_bytes(n_kv_heads, head_dim)];
                let rows = random.floats((n - block * KV_BLOCK).min(KV_BLOCK) * n_kv_heads * head_dim);
                store(kv_type, &mut bytes, n_kv_heads, head_dim, 0, &rows);
                bytes
            })
        })
        .collect()
}

#[test]
fn attention_has_the_same_bits_on_every_path_cut_and_thread_count() {
    let mut random = Random::new(14);
    for (n_heads, n_kv_heads, head_dim, kv_type, n) in [
        (6, 3, 64, KvType::F16, 560),
        (4, 4, 32, KvType::F32, 300),
        (7, 1, 128, KvType::F16, 280),
        (2, 2, 40, KvType::F16, 270),
        (2, 1, 16, KvType::F32, 33),
        (3, 1, 256, KvType::F16, 260),
        (6, 2, 64, KvType::Q8_0, 530),
        (2, 2, 40, KvType::Q8_0, 270),
        (3, 1, 80, KvType::Q8_0, 300),
    ] {
        let blocks = kv_blocks(&mut random, kv_type, n_kv_heads, head_dim, n);
        let refs: Vec<KvBlockRef<'_>> = blocks.iter().map(|[k, v]| KvBlockRef { k, v }).collect();
        let shape = AttentionShape { n_heads, n_kv_heads, head_dim, scale: 0.3 };
        let width = n_heads * head_dim;
        let q: Vec<f32> = random.floats(n * width).iter().map(|q| q * 5.0).collect();
        let run = |isa, n_threads, cut: usize| {
            let kernels = kernels(isa, n_threads);
            let mut out = vec![0.0; n * width];
            for (i, (q, out)) in q.chunks(cut * width).zip(out.chunks_mut(cut * width)).enumerate() {
                let n_tokens = i * cut + q.len() / width;
                let kv = KvView { kv_type, blocks: &refs, n_tokens };
                kernels.attention(q, &kv, shape, i * cut, out);
            }
            out
        };
        let expected = run(Isa::Scalar, 1, n);
        assert!(expected.iter().all(|value| value.is_finite()));
        for isa in isas() {
            for (n_threads, cut) in [(1, n), (2, n), (3, 100), (2, 7), (4, 256), (1, 1), (3, 1)] {
                if isa == Isa::Scalar && (cut < 100 || n_threads == 1) {
                    continue; // slow without vector instructions
                }
                assert!(
                    same_bits(&run(isa, n_threads, cut), &expected),
                    "{shape:?} {kv_type:?} {isa:?}, {n_threads} threads, cuts of {cut}"
                );
            }
        }
    }
}

/// Scores that overflow, weights that vanish, infinite and missing numbers in queries, keys and values.
#[test]
fn attention_to_adversarial_numbers_has_the_same_bits_on_every_path_and_cut() {
    let mut random = Random::new(17);
    let (n_heads, n_kv_heads, head_dim, n) = (4, 2, 32, 300);
    for kv_type in [KvType::F16, KvType::F32, KvType::Q8_0] {
        let width = n_kv_heads * head_dim;
        let rows = [0, 1].map(|_| adversarial_rows(&mut random, n, width));
        let blocks: Vec<[Vec<u8>; 2]> = (0..n.div_ceil(KV_BLOCK))
            .map(|block| {
                [(0, store_keys as fn(_, &mut [u8], _, _, _, &[f32])), (1, store_values)].map(
                    |(side, store)| {
                        let mut bytes = vec![0; kv_type.block_bytes(n_kv_heads, head_dim)];
                        let tokens = block * KV_BLOCK..n.min((block + 1) * KV_BLOCK);
                        let rows: &Vec<f32> = &rows[side];
                        let rows = &rows[tokens.start * width..tokens.end * width];
                        store(kv_type, &mut bytes, n_kv_heads, head_dim, 0, rows);
                        bytes
                    },
                )
            })
            .collect();
        let refs: Vec<KvBlockRef<'_>> = blocks.iter().map(|[k, v]| KvBlockRef { k, v }).collect();
        let shape = AttentionShape { n_heads, n_kv_heads, head_dim, scale: 1.0 };
        let width = n_heads * head_dim;
        let q = adversarial_rows(&mut random, n, width);
        let run = |isa, n_threads, cut: usize| {
            let kernels = kernels(isa, n_threads);
            let mut out = vec![0.0; n * width];
            for (i, (q, out)) in q.chunks(cut * width).zip(out.chunks_mut(cut * width)).enumerate() {
                let n_tokens = i * cut + q.len() / width;
                kernels.attention(q, &KvView { kv_type, blocks: &refs, n_tokens }, shape, i * cut, out);
            }
            out
        };
        let expected = run(Isa::Scalar, 1, 1);
        assert!(
            expected.iter().any(|value| value.is_finite()) && expected.iter().any(|value| value.is_nan())
        );
        for isa in isas() {
            for (n_threads, cut) in [(1, n), (2, n), (3, 7), (2, 1)] {
                assert!(
                    same_bits(&run(isa, n_threads, cut), &expected),
                    "{kv_type:?} {isa:?}, {n_threads} threads, cuts of {cut}"
                );
            }
        }
    }
}

#[test]
fn row_by_row_operations_have_the_same_bits_on_every_path_and_thread_count() {
    let mut random = Random::new(15);
    for width in [16usize, 57, 64, 576, 2048] {
        let n = 70;
        let x: Vec<f32> = random.floats(n * width).iter().map(|x| x * 20.0).collect();
        let y = random.floats(n * width);
        let weight = random.floats(width);
        let run = |isa, n_threads| {
            let kernels = kernels(isa, n_threads);
            let mut normed = vec![0.0; x.len()];
            kernels.rms_norm(&x, &weight, 1e-5, &mut normed);
            let mut gate = x.clone();
            kernels.swiglu(&mut gate, &y);
            let mut sigmoids = x.clone();
            kernels.sigmoid(&mut sigmoids);
            let mut rotated = x.clone();
            let table = RopeTable::new(width / 2 * 2, 10_000.0, None);
            kernels.rope(&mut rotated, 1, width, 1000, &table, RopePairing::Neox);
            kernels.rope(&mut rotated, 1, width, 3, &table, RopePairing::Interleaved);
            [normed, gate, sigmoids, rotated].concat()
        };
        let expected = run(Isa::Scalar, 1);
        for isa in isas() {
            for n_threads in [1, 3] {
                assert!(
                    same_bits(&run(isa, n_threads), &expected),
                    "{isa:?} width {width}, {n_threads} threads"
                );
            }
        }
    }
}

#[test]
fn a_convolution_has_the_same_bits_and_state_for_any_cut() {
    let (n, d) = (29, 80);
    let mut random = Random::new(16);
    let (bcx, kernel, start) = (random.floats(n * 3 * d), random.floats(d * 3), random.floats(2 * d));
    let run = |isa, cut: usize| {
        let kernels = kernels(isa, 1);
        let (mut state, mut out) = (start.clone(), vec![0.0; n * d]);
        for (bcx, out) in bcx.chunks(cut * 3 * d).zip(out.chunks_mut(cut * d)) {
            kernels.short_conv(bcx, &kernel, &mut state, out);
        }
        (out, state)
    };
    let (expected, expected_state) = run(Isa::Scalar, n);
    for isa in isas() {
        for cut in 1..=n {
            let (out, state) = run(isa, cut);
            assert!(
                same_bits(&out, &expected) && same_bits(&state, &expected_state),
                "{isa:?} cuts of {cut}"
            );
        }
    }
}
