//! What the prefix store promises a model: a state taken from it has the bits of a computed one.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_infer::{Engine, EngineOptions, Prefixes, Prompt, Session, SyncEvent, Synced};
use docent_kernels::{KvType, Settings};
use docent_prefix::{DiskStorage, Options, Store};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/data").join(name)
}

fn engine(name: &str, kv_type: KvType) -> Engine {
    let kernels = Settings { n_threads: 2, ..Settings::default() };
    Engine::open(&data(name), &EngineOptions { kv_type, kernels }).unwrap()
}

/// The store in `dir`, as a new process would open it.
fn prefixes(engine: &Engine, dir: &Path) -> Prefixes {
    let options =
        Options { block_tokens: docent_lm::KV_BLOCK, max_bytes: Some(1 << 30), memory_bytes: 1 << 20 };
    let store = Store::open(Arc::new(DiskStorage::new(dir)), options);
    Prefixes::new(Arc::new(store), engine.model())
}

/// Tokens that all models have, without a pattern that a model could mistake for another position.
fn tokens(engine: &Engine, n: usize, seed: u32) -> Vec<u32> {
    let n_vocab = engine.model().config().n_vocab as u32;
    (0..n as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(97)) >> 7) % n_vocab)
        .collect()
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

/// Brings a new session to `prompt`, keeping what may be kept.
fn sync(engine: &Engine, prompt: &Prompt<'_>, prefixes: Option<&Prefixes>) -> Synced {
    engine
        .session()
        .sync_kept(engine.model(), prompt, prefixes, &mut |event| {
            if let (SyncEvent::Filled(block), Some(prefixes)) = (event, prefixes) {
                prefixes.store().keep(block);
            }
            ControlFlow::Continue(())
        })
        .unwrap()
}

/// Cold logits after each of `prompt`'s positions from `first` on.
fn cold(engine: &Engine, prompt: &[u32]) -> Vec<u32> {
    let mut session = Session::new(engine.model());
    let synced = session.sync(engine.model(), prompt, &mut |_, _| ControlFlow::Continue(())).unwrap();
    bits(&synced.logits)
}

/// Resumes a kept text of 600 tokens at every offset, followed by others, and compares with a cold start.
fn resume_everywhere(name: &str, kv_type: KvType, step: usize) {
    let engine = engine(name, kv_type);
    let dir = tempfile::tempdir().unwrap();
    let kept = tokens(&engine, 600, 1);
    let writer = prefixes(&engine, dir.path());
    let first = sync(&engine, &Prompt::lasting(&kept), Some(&writer));
    assert_eq!(bits(&first.logits), cold(&engine, &kept), "{name}");
    assert_eq!(writer.store().flush().failure, None);
    drop(writer);

    let reader = prefixes(&engine, dir.path());
    let other = tokens(&engine, 20, 2);
    let mut n_cached = 0;
    for offset in (1..=600).step_by(step) {
        let mut prompt = kept[..offset].to_vec();
        prompt.extend(other.iter().filter(|&&token| Some(&token) != kept.get(offset)).take(7));
        let warm = sync(&engine, &Prompt::passing(&prompt), Some(&reader));
        assert_eq!(bits(&warm.logits), cold(&engine, &prompt), "{name} at {offset}");
        assert_eq!(warm.n_cached + warm.n_prefilled, prompt.len());
        let replay = engine.model().layout().replay_len();
        let least = (offset / 256 * 256).max(offset.saturating_sub(replay));
        assert!(warm.n_cached >= least.min(offset) && warm.n_cached <= offset, "{name} {offset}: {warm:?}");
        n_cached += warm.n_cached;
    }
    assert!(n_cached > 0);
}

#[test]
fn a_kept_text_is_resumed_at_every_offset_with_the_bits_of_a_cold_start_nano() {
    resume_everywhere("nano-f32.gguf", KvType::F16, 1);
}

#[test]
fn a_kept_text_is_resumed_at_every_offset_with_the_bits_of_a_cold_start_tiny() {
    resume_everywhere("tiny-q4_k_m.gguf", KvType::F16, 1);
}

#[test]
fn every_kv_type_resumes_with_the_bits_of_a_cold_start() {
    for kv_type in [KvType::F32, KvType::Q8_0] {
        resume_everywhere("nano-f32.gguf", kv_type, 9);
    }
}

#[test]
fn models_with_and_without_convolution_resume_with_the_bits_of_a_cold_start() {
    for name in ["small-lfm2.gguf", "small-llama.gguf", "small-qwen2.gguf", "small-qwen3.gguf"] {
        resume_everywhere(name, KvType::F16, 7);
    }
}
