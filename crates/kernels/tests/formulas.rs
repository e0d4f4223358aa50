//! What attention, norms, rotary positions and the convolution are, against plain f64 arithmetic.

mod common;

use common::{Random, isas, kernels, relative_error};
use docent_kernels::{
    AttentionShape, KV_BLOCK, KvBlockRef, KvType, KvView, RopePairing, RopeTable, store_keys, store_values,
};

#[test]
fn attention_is_softmax_of_scaled_scores_times_values() {
    let (n_heads, n_kv_heads, head_dim, n) = (6, 2, 32, 600);
    let mut random = Random::new(21);
    let width = n_kv_heads * head_dim;
    let (k, v) = (random.floats(n * width), random.floats(n * width));
    let size = KvType::F32.block_bytes(n_kv_heads, head_dim);
    let mut blocks = vec![[vec![0; size], vec![0; size]]; n.div_ceil(KV_BLOCK)];
    for (block, [k_bytes, v_bytes]) in blocks.iter_mut().enumerate() {
        let tokens = block * KV_BLOCK * width..n.min((block + 1) * KV_BLOCK) * width;
        store_keys(KvType::F32, k_bytes, n_kv_heads, head_dim, 0, &k[tokens.clone()]);
        store_values(KvType::F32, v_bytes, n_kv_heads, head_dim, 0, &v[tokens]);
    }
    let refs: Vec<KvBlockRef<'_>> = blocks.iter().map(|[k, v]| KvBlockRef { k, v }).collect();
    let q: Vec<f32> = random.floats(n * n_heads * head_dim).iter().map(|q| q * 6.0).collect();
    let scale = 1.0 / (head_dim as f64).sqrt();
    let mut expected = vec![0.0f64; q.len()];
    for t in 0..n {
        for h in 0..n_heads {
            let q = &q[(t * n_heads + h) * head_dim..][..head_dim];
            let row = |x: &[f32], t: usize, d: usize| {
                f64::from(x[t * width + h * n_kv_heads / n_heads * head_dim + d])
            };
            let score =
                |s: usize| (0..head_dim).map(|d| f64::from(q[d]) * row(&k, s, d)).sum::<f64>() * scale;
            let scores: Vec<f64> = (0..=t).map(score).collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
            for d in 0..head_dim {
                let weighted =
                    scores.iter().enumerate().map(|(s, score)| (score - max).exp() * row(&v, s, d));
                expected[(t * n_heads + h) * head_dim + d] = weighted.sum::<f64>() / sum;
            }
        }
    }
    for isa in isas() {
        let shape = AttentionShape { n_heads, n_kv_heads, head_dim, scale: scale as f32 };
        let mut out = vec![0.0; q.len()];
        let kv = KvView { kv_type: KvType::F32, blocks: &refs, n_tokens: n };
        kernels(isa, 2).attention(&q, &kv, shape, 0, &mut out);
        let error = relative_error(&out, &expected);
        assert!(error < 1e-6, "{isa:?}: {error:e}");
    }
}

#[test]
fn a_norm_divides_by_the_root_mean_square() {
    let mut random = Random::new(22);
    let (x, weight) = (random.floats(3 * 100), random.floats(100));
    let expected: Vec<f64> = x
        .chunks(100)
        .flat_map(|x| {
            let mean = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / 100.0;
            x.iter()
                .zip(&weight)
                .map(move |(&x, &w)| f64::from(x) / (mean + 1e-5).sqrt() * f64::from(w))
                .collect::<Vec<_>>()
        })
        .collect();
    for isa in isas() {
        let mut out = vec![0.0; 300];
        kernels(isa, 1).rms_norm(&x, &weight, 1e-5, &mut out);
        assert!(relative_error(&out, &expected) < 3e-7, "{isa:?}");
    }
}

#[test]
fn rotary_positions_turn_pairs_by_their_frequency() {
    let mut random = Random::new(23);
    let (n_heads, head_dim, first_pos, n, theta) = (2, 12, 1000, 3, 500.0);
    let n_rotated = 8; // the last four values of a head stay
    let x = random.floats(n * n_heads * head_dim);
    let factors = [1.0, 2.0, 0.5, 1.0];
    for pairing in [RopePairing::Neox, RopePairing::Interleaved] {
        let mut expected: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        for (index, head) in expected.chunks_mut(head_dim).enumerate() {
            for (i, &factor) in factors.iter().enumerate() {
                let frequency = f64::powf(theta, -2.0 * i as f64 / n_rotated as f64) / f64::from(factor);
                let (sin, cos) = ((first_pos + index / n_heads) as f64 * frequency).sin_cos();
                let (i, j) = match pairing {
                    RopePairing::Neox => (i, i + n_rotated / 2),
                    RopePairing::Interleaved => (2 * i, 2 * i + 1),
                };
                (head[i], head[j]) = (head[i] * cos - head[j] * sin, head[i] * sin + head[j] * cos);
            }
        }
        for isa in isas() {
            let mut rotated = x.clone();
            let table = RopeTable::new(n_rotated, theta, Some(&factors));
            kernels(isa, 1).rope(&mut rotated, n_heads, head_dim, first_pos, &table, pairing);
            assert!(relative_error(&rotated, &expected) < 3e-7, "{isa:?} {pairing:?}");
        }
    }
}

#[test]
fn a_convolution_gates_and_remembers_two_positions() {
    let (n, d) = (5, 20);
    let mut random = Random::new(24);
    let (bcx, kernel, start) = (random.floats(n * 3 * d), random.floats(d * 3), random.floats(2 * d));
    let mut g: Vec<Vec<f64>> = start.chunks(d).map(|g| g.iter().map(|&g| f64::from(g)).collect()).collect();
    let mut expected = Vec::new();
    for bcx in bcx.chunks(3 * d) {
        g.push((0..d).map(|i| f64::from(bcx[i]) * f64::from(bcx[2 * d + i])).collect());
        let t = g.len() - 1;
        expected.extend((0..d).map(|i| {
            let k = |j: usize| f64::from(kernel[3 * i + j]);
            f64::from(bcx[d + i]) * (k(0) * g[t - 2][i] + k(1) * g[t - 1][i] + k(2) * g[t][i])
        }));
    }
    for isa in isas() {
        let (mut state, mut out) = (start.clone(), vec![0.0; n * d]);
        kernels(isa, 1).short_conv(&bcx, &kernel, &mut state, &mut out);
        assert!(relative_error(&out, &expected) < 3e-7, "{isa:?}");
        assert!(relative_error(&state, &g[n..].concat()) < 3e-7, "{isa:?}");
    }
}
