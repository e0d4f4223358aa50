use super::*;

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn present() -> impl Iterator<Item = Dense> {
    Isa::ALL.into_iter().filter_map(|isa| Dense::on(isa).ok())
}

#[test]
fn a_linear_layer_is_its_formula_for_every_shape() {
    for dense in present() {
        for (n, n_in, n_out) in [(1, 1, 1), (3, 5, 47), (8, 128, 48), (9, 129, 49), (13, 300, 100), (0, 4, 4)]
        {
            let (x, weights, bias) = (numbers(n * n_in, 1), numbers(n_in * n_out, 2), numbers(n_out, 3));
            let layer = PackedMatrix::new(&weights, &bias, n_in);
            let mut out = vec![f32::NAN; n * n_out];
            dense.linear(&x, &layer, Activation::None, &mut out);
            for (row, x) in out.chunks_exact(n_out).zip(x.chunks_exact(n_in)) {
                for (o, out) in row.iter().enumerate() {
                    let w = &weights[o * n_in..][..n_in];
                    let sum: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                    let right = sum + f64::from(bias[o]);
                    assert!((f64::from(*out) - right).abs() < 1e-5 * n_in as f64, "{dense:?} {n} {n_in} {o}");
                }
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_company() {
    for dense in present() {
        let (n, n_in, n_out) = (29, 200, 70);
        let (x, weights) = (numbers(n * n_in, 1), numbers(n_in * n_out, 2));
        let layer = PackedMatrix::new(&weights, &numbers(n_out, 3), n_in);
        let mut all = vec![0.0; n * n_out];
        dense.linear(&x, &layer, Activation::Gelu, &mut all);
        for row in 0..n {
            let mut one = vec![0.0; n_out];
            dense.linear(&x[row * n_in..][..n_in], &layer, Activation::Gelu, &mut one);
            assert_eq!(one, all[row * n_out..][..n_out], "{dense:?} row {row}");
        }
    }
}

#[test]
fn attention_is_its_formula_for_every_length() {
    for dense in present() {
        let mut scratch = AttentionScratch::default();
        for (n, n_heads, head_dim) in [(1, 1, 8), (7, 2, 32), (49, 3, 20), (130, 1, 64)] {
            let hidden = n_heads * head_dim;
            let qkv = numbers(n * 3 * hidden, 5);
            let mut out = vec![f32::NAN; n * hidden];
            dense.attention(&qkv, (n_heads, head_dim), &mut scratch, &mut out);
            let at = |token: usize, part: usize, head: usize| {
                &qkv[(token * 3 + part) * hidden + head * head_dim..][..head_dim]
            };
            for token in 0..n {
                for head in 0..n_heads {
                    let dot = |other: usize| -> f64 {
                        let (q, k) = (at(token, 0, head), at(other, 1, head));
                        q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum()
                    };
                    let weights: Vec<f64> =
                        (0..n).map(|other| (dot(other) / (head_dim as f64).sqrt()).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for i in 0..head_dim {
                        let sum: f64 =
                            (0..n).map(|other| weights[other] * f64::from(at(other, 2, head)[i])).sum();
                        let found = out[token * hidden + head * head_dim + i];
                        assert!(
                            (f64::from(found) - sum / total).abs() < 1e-5,
                            "{dense:?} {n} {token} {head}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn dot_products_of_codes_are_exact() {
    for dense in present() {
        for n in [0, 1, 63, 64, 65, 384, 1000] {
            let codes = |seed| -> Vec<i8> { numbers(n, seed).iter().map(|x| (x * 127.0) as i8).collect() };
            for (a, b) in
                [(codes(1), codes(2)), (vec![-127; n], vec![127; n]), (vec![-127; n], vec![-127; n])]
            {
                let right: i64 = a.iter().zip(&b).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
                assert_eq!(i64::from(dense.dot_i8(&a, &b)), right, "{dense:?} {n}");
            }
            let (a, b) = (numbers(n, 3), numbers(n, 4));
            let right: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dense.dot(&a, &b)) - right).abs() < 1e-4, "{dense:?} {n}");
        }
    }
}
