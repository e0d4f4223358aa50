//! The states of beginnings that were computed before, in a [`docent_prefix::Store`]: what joins the store, which knows no
//! tensor, with the model, which knows no disk.
//!
//! ```text
//! section 0   keys and values    a full block: Layout's bytes    a tail: State::tail
//! section 1   the convolution state at the end, f32
//! ```
//! A state taken from here has the bits of a computed one: keys and values are stored as attention reads them, and inside a
//! block the convolution state is computed again from the last tokens ([`Model::cut`]).

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::UNIX_EPOCH;

use docent_kernels::NUMERICS_VERSION;
use docent_lm::{Block, KV_BLOCK, LmError, Model, State};
use docent_prefix::{Bytes, Found, Header, Kept, Key, Namespace, NewBlock, Owner, Sequence, Store};

use crate::prompt::Prompt;

/// Raised when the sections of a block, or what is computed for a token outside the kernels, change.
const STATE_VERSION: &[u8] = b"1";
/// Bytes of a model file that one thread hashes at a time.
const HASHED_PIECE: usize = 16 << 20;
/// Blocks that an estimate looks at.
const SAMPLED_BLOCKS: usize = 48;

/// A store, for one model.
#[derive(Clone)]
pub struct Prefixes {
    store: Arc<Store>,
    namespace: Namespace,
    weights: [u8; 32],
}

impl std::fmt::Debug for Prefixes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefixes").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// A state that was put together from what was kept.
pub(crate) struct Restored {
    pub(crate) state: State,
    /// Tokens computed again for their convolution state.
    pub(crate) n_replayed: usize,
}

impl Prefixes {
    /// The part of `store` that belongs to `model`. Hashes the whole model file, unless its hash is remembered for a file of
    /// this path, number, length and time of change. `on_progress(n_done, n_total)` counts its bytes.
    pub fn new(store: Arc<Store>, model: &Model, on_progress: &mut dyn FnMut(u64, u64)) -> Self {
        let weights = weights_hash(&store, model, on_progress);
        let (config, layout, kernels) = (model.config(), model.layout(), model.kernels());
        let facts = [
            // Tokenizer, chat template, layer map and RoPE are in the file too; those that shape a state are named once more.
            ("model file", weights.to_vec()),
            ("config", format!("{config:?}").into_bytes()),
            ("layout", format!("{layout:?}").into_bytes()),
            ("block", KV_BLOCK.to_le_bytes().to_vec()),
            ("numerics", format!("{:?} {NUMERICS_VERSION}", kernels.settings().numerics).into_bytes()),
            ("instruction set", format!("{} {:?}", std::env::consts::ARCH, kernels.isa()).into_bytes()),
            ("state", STATE_VERSION.to_vec()),
        ];
        let namespace = Namespace::of(&facts);
        let prefixes = Self { store, namespace, weights };
        prefixes.describe(model);
        prefixes
    }

    fn describe(&self, model: &Model) {
        let file = model.file().path().file_name().unwrap_or_default().to_string_lossy();
        let about = format!("{file}, {:?}, {:?}", model.layout().kv_type(), model.kernels().isa());
        self.store.describe(&self.namespace, &about);
    }

    /// What tells the model's file from every other: a hash of its content.
    pub fn weights(&self) -> &[u8; 32] {
        &self.weights
    }

    /// How many of the first of `tokens` are there: what a session would take from the store. Proves them, and notes that they are of use.
    pub fn n_cached(&self, model: &Model, tokens: &[u32]) -> usize {
        self.find(model, tokens).n_tokens.min(tokens.len())
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The sequences that are there, for planning: see [`Store::sequences`].
    pub fn sequences(&self, is_wanted: &dyn Fn(&Owner) -> bool) -> Vec<Sequence> {
        self.store.sequences(&self.namespace, is_wanted)
    }

    /// Seconds that computing `n_tokens` behind `first_pos` others will take, if enough was computed here before: what a
    /// token cost, and what its depth added, by least squares.
    pub fn estimate(&self, first_pos: usize, n_tokens: usize) -> Option<f64> {
        let costs = self.store.costs(&self.namespace, SAMPLED_BLOCKS);
        let points = costs
            .iter()
            .filter(|(_, n, _)| *n >= KV_BLOCK / 2)
            .map(|&(pos, n, seconds)| (pos as f64 + n as f64 / 2.0, seconds / n as f64));
        let (a, b) = line(&points.collect::<Vec<_>>())?;
        Some(n_tokens as f64 * (a + b * (first_pos as f64 + n_tokens as f64 / 2.0)))
    }

    /// What of `tokens` is there.
    pub(crate) fn find(&self, model: &Model, tokens: &[u32]) -> Found {
        self.store.find(&self.namespace, tokens, model.layout().replay_len())
    }

    /// The state after the tokens that were found; fewer where a block turns out not to fit.
    pub(crate) fn restore(&self, model: &Model, found: &Found, tokens: &[u32]) -> Restored {
        let mut state = model.new_state();
        for kept in &found.blocks {
            if push(&mut state, kept).is_err() {
                self.store.reject(kept);
                return Restored { state, n_replayed: 0 };
            }
        }
        let n_tokens = found.n_tokens.min(state.n_tokens());
        let is_whole = n_tokens == state.n_tokens();
        if model.cut(&mut state, n_tokens, &tokens[..n_tokens]).is_err() {
            return Restored { state: model.new_state(), n_replayed: 0 };
        }
        let n_replayed = if is_whole { 0 } else { model.layout().replay_len().min(n_tokens) };
        Restored { state, n_replayed }
    }

    /// Who takes down the blocks of `prompt` as they are computed. `held` is a state of its first tokens, some of which may be
    /// in the store.
    pub(crate) fn recorder<'a>(&'a self, prompt: &'a Prompt<'a>) -> Recorder<'a> {
        let mut keys = vec![Key::root(&self.namespace)];
        for block in prompt.tokens[..prompt.n_kept].chunks_exact(KV_BLOCK) {
            keys.push(keys[keys.len() - 1].child(block));
        }
        Recorder { prefixes: self, prompt, keys, n_taken: 0, rate: 0.0 }
    }
}

/// Takes blocks out of a growing state.
pub(crate) struct Recorder<'a> {
    prefixes: &'a Prefixes,
    prompt: &'a Prompt<'a>,
    /// Before each block, and after the last.
    keys: Vec<Key>,
    /// Blocks that were looked at.
    n_taken: usize,
    /// Seconds a token took lately.
    rate: f64,
}

impl Recorder<'_> {
    /// Where a prefill from `at` on should stop so that what is there can be taken: the end of the instructions, and of what
    /// may be kept.
    pub(crate) fn next_stop(&self, at: usize) -> usize {
        let Prompt { n_frozen, n_kept, tokens, .. } = *self.prompt;
        let wants = |stop: usize| stop > at && !stop.is_multiple_of(KV_BLOCK) && !self.has_tail(stop);
        [n_frozen, n_kept].into_iter().filter(|&stop| wants(stop)).min().unwrap_or(tokens.len())
    }

    /// What `state`, which grew to a new length within `seconds` for each token, has that is not in the store.
    pub(crate) fn take(&mut self, state: &State, seconds: f64, give: &mut dyn FnMut(NewBlock)) {
        if seconds > 0.0 {
            self.rate = seconds;
        }
        for (idx, block) in state.full_blocks().iter().enumerate().skip(self.n_taken) {
            let Some(&key) = self.keys.get(idx + 1) else { break };
            self.n_taken = idx + 1;
            let (start, end) = (idx * KV_BLOCK, (idx + 1) * KV_BLOCK);
            if !self.prefixes.store.contains(&self.prefixes.namespace, &self.keys[idx], &key) {
                let sections: Vec<Bytes> = vec![Arc::new(Values(Arc::clone(block))), floats(&block.conv())];
                give(self.block(start..end, key, sections));
            }
        }
        let at = state.n_tokens();
        let is_stop = at == self.prompt.n_frozen || at == self.prompt.n_kept;
        if is_stop && !at.is_multiple_of(KV_BLOCK) && !self.has_tail(at) {
            let start = at / KV_BLOCK * KV_BLOCK;
            let key = self.keys[at / KV_BLOCK].child(&self.prompt.tokens[start..at]);
            give(self.block(start..at, key, vec![Arc::new(state.tail()), floats(state.conv())]));
        }
    }

    fn has_tail(&self, at: usize) -> bool {
        let start = at / KV_BLOCK * KV_BLOCK;
        let Some(parent) = self.keys.get(at / KV_BLOCK) else { return true };
        let key = parent.child(&self.prompt.tokens[start..at]);
        self.prefixes.store.contains(&self.prefixes.namespace, parent, &key)
    }

    fn block(&self, range: std::ops::Range<usize>, key: Key, sections: Vec<Bytes>) -> NewBlock {
        let tokens = self.prompt.tokens[range.clone()].to_vec();
        let header = Header {
            namespace: self.prefixes.namespace,
            parent: self.keys[range.start / KV_BLOCK],
            key,
            first_pos: range.start as u64,
            seconds: self.rate * tokens.len() as f64,
            pinned: range.end <= self.prompt.n_frozen,
            owners: self.prompt.owners_in(&range),
            tokens,
        };
        NewBlock { header, sections }
    }
}

/// A block's keys and values, as whoever writes them wants them.
struct Values(Arc<Block>);

impl AsRef<[u8]> for Values {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

fn floats(numbers: &[f32]) -> Bytes {
    Arc::new(numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

/// Appends what a kept block holds.
fn push(state: &mut State, kept: &Kept) -> Result<(), LmError> {
    let [values, conv] = kept.sections() else {
        return Err(LmError::State(format!("a block has {} sections, not 2", kept.sections().len())));
    };
    let n_tokens = kept.header.tokens.len();
    let zeros_for_state = !conv.as_ref().is_empty() && conv.as_ref().iter().all(|&byte| byte == 0);
    if zeros_for_state {
        return Err(LmError::State("a block has zeros for its convolution state".to_owned()));
    }
    if n_tokens == KV_BLOCK {
        let block = Block::from_shared(state.layout(), Arc::new(values.clone()), Arc::new(conv.clone()))?;
        return state.push_block(Arc::new(block));
    }
    let conv: Vec<f32> = conv.as_ref().as_chunks::<4>().0.iter().map(|n| f32::from_le_bytes(*n)).collect();
    state.push_tail(values.as_ref(), n_tokens, &conv)
}

/// BLAKE3 over the BLAKE3s of the model file's pieces, remembered in the store for this very file.
fn weights_hash(store: &Store, model: &Model, on_progress: &mut dyn FnMut(u64, u64)) -> [u8; 32] {
    let identity = identity(model.file().path());
    if let Some(known) = identity.and_then(|identity| store.recall(&identity)) {
        return known;
    }
    let hash = hash_in_pieces(model.file().file(), model.kernels().settings().n_threads, on_progress);
    if let Some(identity) = identity {
        store.remember(&identity, &hash);
    }
    hash
}

/// What tells one file from another without reading it; `None` for models that are not files.
fn identity(path: &Path) -> Option<[u8; 32]> {
    let path = path.canonicalize().ok()?;
    let metadata = path.metadata().ok()?;
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let mut hasher = blake3::Hasher::new_derive_key("docent model file 2026");
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        for number in [metadata.dev(), metadata.ino()] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(&metadata.ctime().to_le_bytes());
        hasher.update(&metadata.ctime_nsec().to_le_bytes());
    }
    hasher.update(&metadata.len().to_le_bytes());
    hasher.update(&changed.as_nanos().to_le_bytes());
    hasher.update(path.as_os_str().as_encoded_bytes());
    Some(*hasher.finalize().as_bytes())
}

/// The same for any number of threads.
fn hash_in_pieces(bytes: &[u8], n_threads: usize, on_progress: &mut dyn FnMut(u64, u64)) -> [u8; 32] {
    let pieces: Vec<&[u8]> = bytes.chunks(HASHED_PIECE).collect();
    let mut hashes = vec![blake3::Hash::from_bytes([0; 32]); pieces.len()];
    let share = pieces.len().div_ceil(n_threads.max(1)).max(1);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for (pieces, hashes) in pieces.chunks(share).zip(hashes.chunks_mut(share)) {
            let tell = tell.clone();
            scope.spawn(move || {
                for (piece, hash) in pieces.iter().zip(hashes) {
                    *hash = blake3::hash(piece);
                    let _ = tell.send(piece.len() as u64);
                }
            });
        }
        drop(tell);
        let mut n_done = 0;
        for n_bytes in told {
            n_done += n_bytes;
            on_progress(n_done, bytes.len() as u64);
        }
    });
    let mut hasher = blake3::Hasher::new();
    for hash in &hashes {
        hasher.update(hash.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Least squares y = a + b x with b >= 0; `None` without points.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let mean = |value: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / n;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let (xx, xy) = (mean(&|p| (p.0 - x).powi(2)), mean(&|p| (p.0 - x) * (p.1 - y)));
    let b = if xx > 0.0 { (xy / xx).max(0.0) } else { 0.0 };
    (!points.is_empty()).then_some(((y - b * x).max(0.0), b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_tokens_grows_with_their_depth_and_never_shrinks() {
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[(5.0, 2.0)]), Some((2.0, 0.0)));
        let (a, b) = line(&[(0.0, 1.0), (10.0, 2.0), (20.0, 3.0)]).unwrap();
        assert!((a - 1.0).abs() < 1e-9 && (b - 0.1).abs() < 1e-9);
        assert_eq!(line(&[(0.0, 3.0), (10.0, 1.0)]), Some((2.0, 0.0)));
    }

    #[test]
    fn a_files_hash_does_not_depend_on_the_number_of_threads() {
        let bytes: Vec<u8> = (0..3 * HASHED_PIECE + 5).map(|i| (i * i / 7) as u8).collect();
        let mut progress = Vec::new();
        let one = hash_in_pieces(&bytes, 1, &mut |n_done, n_total| progress.push((n_done, n_total)));
        let n_bytes = bytes.len() as u64;
        assert!(progress.is_sorted() && progress.last() == Some(&(n_bytes, n_bytes)), "{progress:?}");
        assert_eq!(hash_in_pieces(&bytes, 3, &mut |_, _| ()), one);
        assert_eq!(hash_in_pieces(&bytes, 64, &mut |_, _| ()), one);
        assert_ne!(hash_in_pieces(&bytes[1..], 1, &mut |_, _| ()), one);
    }
}
