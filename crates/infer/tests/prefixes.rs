//! What the prefix store promises a model: a state taken from it has the bits of a computed one.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_infer::{Engine, EngineOptions, Prefixes, Prompt, Session, SyncEvent, Synced};
use docent_kernels::{Isa, KvType, Settings};
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
    Prefixes::new(Arc::new(store), engine.model(), &mut |_, _| ())
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

/// The files of the store's blocks, by the position of their first token.
fn files(dir: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(dir).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten());
    let mut files: Vec<(Vec<u8>, PathBuf)> = files
        .filter_map(|file| Some((std::fs::read(file.path()).ok()?, file.path())))
        .filter(|(bytes, _)| bytes.starts_with(b"docentKV"))
        .map(|(bytes, path)| (bytes[112..120].to_vec(), path))
        .collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

#[test]
fn damage_anywhere_in_any_block_is_a_miss_and_the_logits_are_those_of_a_cold_start() {
    let engine = engine("nano-f32.gguf", KvType::F16);
    let dir = tempfile::tempdir().unwrap();
    let prompt = tokens(&engine, 600, 1);
    let expected = cold(&engine, &prompt);
    let writer = prefixes(&engine, dir.path());
    sync(&engine, &Prompt::lasting(&prompt), Some(&writer));
    writer.store().flush();
    let mut n_cases = 0;
    for (block, path) in files(dir.path()).into_iter().enumerate() {
        let good = std::fs::read(&path).unwrap();
        let u32_at = |at: usize| u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize;
        let u64_at = |at: usize| u64::from_le_bytes(good[at..at + 8].try_into().unwrap()) as usize;
        let mut ranges = vec![0..16, 16..48, 48..80, 80..112, 112..144, 144..240, 240..u32_at(12)];
        ranges.extend([144, 192].map(|at| u64_at(at)..u64_at(at) + u64_at(at + 8)));
        for range in ranges {
            for damage in 0..8 {
                let mut bad = good.clone();
                let at = range.start + (range.len() - 1) * damage / 7;
                match damage {
                    0 => bad[range.clone()].fill(0),
                    1 => bad.truncate(at),
                    2 => drop(bad.splice(at..at, [1, 2, 3])),
                    _ => bad[at] ^= 1 << damage,
                }
                std::fs::write(&path, &bad).unwrap();
                let warm = sync(&engine, &Prompt::passing(&prompt), Some(&prefixes(&engine, dir.path())));
                let what = format!("block {block}, bytes {range:?}, damage {damage}");
                assert_eq!(bits(&warm.logits), expected, "{what}");
                assert_eq!(warm.n_cached, block * 256, "{what}");
                n_cases += 1;
            }
        }
        std::fs::write(&path, &good).unwrap();
    }
    assert!(n_cases > 200, "{n_cases} cases");
}

#[test]
fn zeros_for_a_convolution_state_are_a_miss_even_with_the_right_checksum() {
    let engine = engine("nano-f32.gguf", KvType::F16);
    let dir = tempfile::tempdir().unwrap();
    let prompt = tokens(&engine, 600, 1);
    let writer = prefixes(&engine, dir.path());
    engine
        .session()
        .sync_kept(engine.model(), &Prompt::lasting(&prompt), Some(&writer), &mut |event| {
            if let SyncEvent::Filled(mut block) = event {
                if block.header.first_pos == 256 {
                    let n_bytes = (*block.sections[1]).as_ref().len();
                    block.sections[1] = Arc::new(vec![0_u8; n_bytes]);
                }
                writer.store().keep(block);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    writer.store().flush();
    drop(writer);
    let reader = prefixes(&engine, dir.path());
    let warm = sync(&engine, &Prompt::passing(&prompt), Some(&reader));
    assert_eq!((warm.n_cached, bits(&warm.logits)), (256, cold(&engine, &prompt)));
    assert_eq!(reader.store().verify().noted.len(), 1);
}

#[test]
fn another_model_kv_type_or_instruction_set_finds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let nano = engine("nano-f32.gguf", KvType::F16);
    let prompt = tokens(&nano, 300, 1);
    sync(&nano, &Prompt::lasting(&prompt), Some(&prefixes(&nano, dir.path())));
    let cached = |engine: &Engine| {
        sync(engine, &Prompt::passing(&prompt), Some(&prefixes(engine, dir.path()))).n_cached
    };
    assert_eq!(cached(&nano), 299);
    assert_eq!(cached(&engine("nano-f32.gguf", KvType::F32)), 0);
    let kernels = Settings { n_threads: 1, isa: Some(Isa::Scalar), ..Settings::default() };
    let options = EngineOptions { kv_type: KvType::F16, kernels };
    assert_eq!(cached(&Engine::open(&data("nano-f32.gguf"), &options).unwrap()), 0);
    // A byte of the metadata is another: the weights are the same, the file is not.
    let mut bytes = std::fs::read(data("nano-f32.gguf")).unwrap();
    let name = bytes.windows(12).position(|window| window == b"general.name").unwrap();
    bytes[name + 12 + 4 + 8] ^= 1;
    let path = dir.path().join("other.gguf");
    std::fs::write(&path, bytes).unwrap();
    let kernels = Settings { n_threads: 1, ..Settings::default() };
    let other = Engine::open(&path, &EngineOptions { kv_type: KvType::F16, kernels }).unwrap();
    assert_eq!(cached(&other), 0);
}
