//! The forward pass against golden logits, and the promise that a row's bits depend on its tokens alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_kernels::{Kernels, KvType, Settings};
use docent_lm::npy::read_npy_f32;
use docent_lm::{LmError, Logits, Model, ModelOptions, State};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn open(name: &str, kv_type: KvType, n_threads: usize) -> Model {
    let kernels = Kernels::new(Settings { n_threads, ..Settings::default() }).unwrap();
    Model::open(&data(name), &ModelOptions { kv_type, kernels: Arc::new(kernels) }).unwrap()
}

fn tokens(name: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(data(name)).unwrap();
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|t| !t.is_empty())
        .map(|t| t.parse().unwrap())
        .collect()
}

fn reference(name: &str) -> (usize, Vec<f32>) {
    let (_, n_vocab, logits) = read_npy_f32(&std::fs::read(data(name)).unwrap()).unwrap();
    (n_vocab, logits)
}

/// Logits of all positions, prefilled in pieces of the given lengths, which repeat.
fn logits_in_pieces(model: &Model, tokens: &[u32], lengths: &[usize]) -> Vec<f32> {
    let mut state = model.new_state();
    extend_in_pieces(model, &mut state, tokens, lengths)
}

fn extend_in_pieces(model: &Model, state: &mut State, tokens: &[u32], lengths: &[usize]) -> Vec<f32> {
    let mut logits = Vec::new();
    let mut rest = tokens;
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            return logits;
        }
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        logits.extend(model.forward(state, piece, Logits::All).unwrap());
        rest = behind;
    }
    logits
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Of equal length and bits; compares floats as integers, so that NaN equals itself and 0 differs from -0.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[test]
fn f32_logits_agree_with_the_reference_to_rounding() {
    let model = open("nano-f32.gguf", KvType::F32, 2);
    let logits = logits_in_pieces(&model, &tokens("nano-f32.tokens.txt"), &[600]);
    let difference = largest_difference(&logits, &reference("nano-f32.logits.npy").1);
    assert!(difference < 1e-4, "largest difference {difference}");
}

#[test]
fn every_architecture_agrees_with_its_reference() {
    let tokens: Vec<u32> = (0..40).map(|i| (1 + 7 * i) % 96).collect();
    for name in ["llama", "qwen2", "qwen3", "lfm2"] {
        let model = open(&format!("small-{name}.gguf"), KvType::F32, 1);
        let logits = logits_in_pieces(&model, &tokens, &[40]);
        let difference = largest_difference(&logits, &reference(&format!("small-{name}.logits.npy")).1);
        assert!(difference < 1e-4, "{name}: largest difference {difference}");
        assert!(same_bits(&logits_in_pieces(&model, &tokens, &[7]), &logits), "{name}");
    }
}

#[test]
fn half_precision_keys_and_values_cost_little() {
    let model = open("nano-f32.gguf", KvType::F16, 2);
    let logits = logits_in_pieces(&model, &tokens("nano-f32.tokens.txt"), &[600]);
    let difference = largest_difference(&logits, &reference("nano-f32.logits.npy").1);
    assert!(difference < 3e-3, "largest difference {difference}");
}

#[test]
fn keys_and_values_in_eight_bits_cost_a_little_more() {
    let model = open("nano-f32.gguf", KvType::Q8_0, 2);
    let logits = logits_in_pieces(&model, &tokens("nano-f32.tokens.txt"), &[600]);
    let difference = largest_difference(&logits, &reference("nano-f32.logits.npy").1);
    assert!(difference < 2.4e-2, "largest difference {difference}");
}

#[test]
fn quantised_logits_are_no_further_from_the_reference_than_llama_cpp() {
    let model = open("tiny-q4_k_m.gguf", KvType::F32, 2);
    let logits = logits_in_pieces(&model, &tokens("tiny.tokens.txt"), &[64]);
    let (n_vocab, reference) = reference("tiny-q4_k_m.logits.npy");
    let square =
        |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x) * f64::from(x)).sum::<f64>();
    let difference = square(&mut logits.iter().zip(&reference).map(|(a, b)| a - b));
    let distance = (difference / square(&mut reference.iter().copied())).sqrt();
    let top = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let rows = logits.chunks(n_vocab).zip(reference.chunks(n_vocab));
    let n_agreeing = rows.filter(|(a, b)| top(a) == top(b)).count();
    let agreement = n_agreeing as f64 / (reference.len() / n_vocab) as f64;
    // 1.1 times llama.cpp's distance and its disagreement, see data/README.md.
    assert!(distance <= 0.131, "distance {distance}, agreement {agreement}");
    assert!(agreement >= 0.73, "distance {distance}, agreement {agreement}");
}

#[test]
fn every_cut_of_a_prefill_and_every_number_of_threads_gives_the_same_bits() {
    // Past the end of a block.
    let tokens = &tokens("nano-f32.tokens.txt")[..280];
    for kv_type in [KvType::F32, KvType::F16, KvType::Q8_0] {
        let whole = logits_in_pieces(&open("nano-f32.gguf", kv_type, 1), tokens, &[280]);
        let model = open("nano-f32.gguf", kv_type, 2);
        for length in 1..=64 {
            let pieces = logits_in_pieces(&model, tokens, &[length]);
            assert!(same_bits(&pieces, &whole), "{kv_type:?}, pieces of {length}");
        }
    }
}

#[test]
fn every_cut_of_a_quantised_prefill_gives_the_same_bits() {
    let model = open("tiny-q4_k_m.gguf", KvType::F16, 2);
    let tokens = tokens("tiny.tokens.txt");
    let whole = logits_in_pieces(&model, &tokens, &[64]);
    for length in [1, 2, 3, 5, 8, 13, 31, 33] {
        assert!(same_bits(&logits_in_pieces(&model, &tokens, &[length]), &whole), "pieces of {length}");
    }
}

#[test]
fn cuts_around_a_block_and_the_convolution_give_the_same_bits() {
    let model = open("nano-f32.gguf", KvType::F16, 2);
    let tokens = tokens("nano-f32.tokens.txt");
    let whole = logits_in_pieces(&model, &tokens, &[600]);
    for n in [1, 2, 3, 254, 255, 256, 257, 258, 510, 511, 512, 513] {
        for m in [1, 2, 3] {
            let pieces = logits_in_pieces(&model, &tokens, &[n, m, 600]);
            assert!(same_bits(&pieces, &whole), "{n}, then {m}, then the rest");
        }
    }
}

#[test]
fn the_last_logits_alone_are_those_of_the_last_position() {
    let model = open("nano-f32.gguf", KvType::F16, 2);
    let tokens = tokens("nano-f32.tokens.txt");
    let all = logits_in_pieces(&model, &tokens, &[600]);
    let mut state = model.new_state();
    let last = model.forward(&mut state, &tokens, Logits::Last).unwrap();
    assert!(same_bits(&last, &all[all.len() - model.config().n_vocab..]));
    assert!(model.forward(&mut state, &[], Logits::Last).unwrap().is_empty());
    assert_eq!(state.n_tokens(), 600);
}

#[test]
fn a_cut_state_continues_with_the_bits_of_a_fresh_one() {
    let model = open("nano-f32.gguf", KvType::F16, 2);
    let tokens = tokens("nano-f32.tokens.txt");
    let whole = logits_in_pieces(&model, &tokens, &[600]);
    let mut full = model.new_state();
    model.forward(&mut full, &tokens, Logits::None).unwrap();
    // Blocks' ends, their neighbours, inside blocks, and so near the start that fewer tokens than a replay takes are there.
    for n in [0, 1, 2, 5, 7, 8, 9, 100, 255, 256, 257, 300, 511, 512, 599, 600] {
        let mut state = full.clone();
        model.cut(&mut state, n, &tokens[..n]).unwrap();
        assert_eq!(state.n_tokens(), n);
        let rest = extend_in_pieces(&model, &mut state, &tokens[n..], &[17]);
        assert!(same_bits(&rest, &whole[n * model.config().n_vocab..]), "cut at {n}");
    }
    // The clones wrote nothing into what they shared.
    full.truncate(512).unwrap();
    let rest = extend_in_pieces(&model, &mut full, &tokens[512..], &[88]);
    assert!(same_bits(&rest, &whole[512 * model.config().n_vocab..]));
}

#[test]
fn a_state_can_be_cut_alone_only_where_a_block_ends() {
    let model = open("nano-f32.gguf", KvType::F16, 1);
    let mut state = model.new_state();
    model.forward(&mut state, &tokens("nano-f32.tokens.txt")[..300], Logits::None).unwrap();
    assert!(matches!(state.truncate(299), Err(LmError::State(_))));
    assert!(matches!(state.truncate(301), Err(LmError::State(_))));
    assert!(matches!(model.cut(&mut state, 299, &[1, 2, 3]), Err(LmError::State(_))));
    assert_eq!(state.n_tokens(), 300);
    state.truncate(256).unwrap();
    assert_eq!((state.n_tokens(), state.full_blocks().len()), (256, 1));
}

#[test]
fn a_state_rebuilt_from_exported_blocks_continues_with_the_same_bits() {
    let model = open("nano-f32.gguf", KvType::F16, 2);
    let tokens = tokens("nano-f32.tokens.txt");
    let whole = logits_in_pieces(&model, &tokens, &[600]);
    let mut cold = model.new_state();
    model.forward(&mut cold, &tokens, Logits::None).unwrap();
    let mut warm = model.new_state();
    for block in cold.full_blocks() {
        let bytes: Arc<Vec<u8>> = Arc::new(block.bytes().to_vec());
        let block = docent_lm::Block::from_parts(model.layout(), bytes, block.conv().to_vec()).unwrap();
        warm.push_block(Arc::new(block)).unwrap();
    }
    assert_eq!(warm.n_tokens(), 512);
    // Cut inside a block that is kept elsewhere: it is copied before it is written to.
    model.cut(&mut warm, 400, &tokens[..400]).unwrap();
    let rest = extend_in_pieces(&model, &mut warm, &tokens[400..], &[200]);
    assert!(same_bits(&rest, &whole[400 * model.config().n_vocab..]));
    assert!(docent_lm::Block::from_parts(model.layout(), Arc::new(vec![0u8; 3]), Vec::new()).is_err());
}

#[test]
fn a_cancelled_prefill_leaves_the_state_at_a_whole_slice() {
    let model = open("nano-f32.gguf", KvType::F16, 1);
    let tokens = tokens("nano-f32.tokens.txt");
    let mut state = model.new_state();
    let mut last = 0;
    let result = model.forward_with(&mut state, &tokens, Logits::Last, &mut |progress| {
        assert!(progress.n_total == 600 && progress.n_done >= last);
        last = progress.n_done;
        if last > 520 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(LmError::Cancelled)));
    assert_eq!(state.n_tokens(), 512);
    let whole = logits_in_pieces(&model, &tokens, &[600]);
    let rest = extend_in_pieces(&model, &mut state, &tokens[512..], &[88]);
    assert!(same_bits(&rest, &whole[512 * model.config().n_vocab..]));
}

#[test]
fn tokens_and_states_that_do_not_belong_to_the_model_are_refused() {
    let model = open("nano-f32.gguf", KvType::F16, 1);
    let mut state = model.new_state();
    let error = model.forward(&mut state, &[1, 320], Logits::Last).unwrap_err();
    assert!(matches!(error, LmError::Token { token: 320, n_vocab: 320 }));
    let mut other = open("nano-f32.gguf", KvType::F32, 1).new_state();
    assert!(matches!(model.forward(&mut other, &[1], Logits::Last), Err(LmError::State(_))));
    let too_many = vec![1; model.config().context_length + 1];
    assert!(matches!(model.forward(&mut state, &too_many, Logits::None), Err(LmError::ContextFull { .. })));
    assert_eq!(state.n_tokens(), 0);
}
