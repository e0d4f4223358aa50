//! Finding, keeping, flushing.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::blocks::{Blocks, Id, Kept, Known, path};
use crate::format::{Damage, Header, Owner};
use crate::key::{Key, Name, Namespace};
use crate::storage::{Bytes, Storage};
use crate::{facts, upkeep, uses, write};

/// Bytes of the store where nobody says otherwise: this, or a share of the free disk if that is less.
const DEFAULT_BYTES: u64 = 20 << 30;
const SHARE_OF_FREE_DISK: u64 = 10;
/// When the store is full it is emptied to this share of its size, so that not every block evicts one.
const LOW_WATER: f64 = 0.9;
/// Blocks that are looked at at most when somebody plans: some hundred milliseconds.
const MOST_EXPLORED: usize = 4096;
/// The most threads that compare checksums; more than a few only wait for memory.
const PROVERS: usize = 4;

/// How a store behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Tokens of a full block.
    pub block_tokens: usize,
    /// The most bytes on disk; by default the smaller of 20 GiB and a tenth of the free disk, what is used included.
    pub max_bytes: Option<u64>,
    /// The most bytes of blocks that could not be written and are kept in memory instead.
    pub memory_bytes: usize,
}

/// A block to be kept.
pub struct NewBlock {
    /// All that is known of it.
    pub header: Header,
    /// What it carries.
    pub sections: Vec<Bytes>,
}

impl std::fmt::Debug for NewBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewBlock").field("key", &self.header.key).finish_non_exhaustive()
    }
}

/// The longest beginning that is there.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Blocks in order, proved. Only the last may have fewer tokens than a block, or be of use in part.
    pub blocks: Vec<Arc<Kept>>,
    /// Tokens of the sequence that they cover.
    pub n_tokens: usize,
}

/// A sequence that is there, for planning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sequence {
    /// All tokens from the first one on.
    pub tokens: Vec<u32>,
    /// Whose content is in them, in the order the blocks name them.
    pub owners: Vec<Owner>,
}

impl Sequence {
    /// The sequence with one more block.
    fn and(&self, block: &Header) -> Self {
        let mut owners = self.owners.clone();
        for owner in &block.owners {
            if owners.last() != Some(owner) {
                owners.push(*owner);
            }
        }
        Self { tokens: [&self.tokens[..], &block.tokens].concat(), owners }
    }
}

/// What became of blocks that were to be kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Written {
    /// Blocks written.
    pub n_blocks: usize,
    /// Their bytes on disk.
    pub n_bytes: u64,
    /// Seconds it took, in the background.
    pub seconds: f64,
    /// Tokens whose blocks were removed to make room.
    pub n_evicted_tokens: usize,
    /// Seconds that took.
    pub evict_seconds: f64,
    /// Why blocks could not be written; the first reason.
    pub failure: Option<String>,
}

/// Blocks on a storage. Threads share it; processes share the storage.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    writer: Mutex<Option<Writer>>,
}

pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) options: Options,
    blocks: Mutex<Blocks>,
}

/// The blocks of a namespace by their parents: what can follow what.
pub(crate) struct Tree {
    folder: String,
    children: HashMap<[u8; 16], Vec<Name>>,
}

impl Shared {
    pub(crate) fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block that did not get to the disk is for this process alone.
    fn stays_in_memory(&self, header: &Header) {
        let id = (header.namespace.folder(), Name::new(&header.parent, &header.key));
        self.blocks().stays_in_memory(&id, self.options.memory_bytes);
    }

    /// What is there now, on disk and in memory.
    fn tree(&self, namespace: &Namespace) -> Tree {
        let folder = namespace.folder();
        let mut names: Vec<Name> = match self.storage.files(&folder) {
            Ok(files) => files.iter().filter_map(|file| Name::parse(file)).collect(),
            Err(_) => Vec::new(), // a folder that cannot be listed holds nothing
        };
        names.sort_unstable();
        let mut blocks = self.blocks();
        blocks.keep_only(&folder, &|name| names.binary_search(name).is_ok());
        let in_memory = blocks.in_memory(&folder);
        drop(blocks);
        names.extend(in_memory);
        names.sort_unstable();
        names.dedup();
        let mut children: HashMap<[u8; 16], Vec<Name>> = HashMap::new();
        for name in names {
            children.entry(name.parent).or_default().push(name);
        }
        Tree { folder, children }
    }

    /// The block of that name, if it can be believed as far as its header goes.
    fn load(&self, folder: &str, name: &Name) -> Option<Arc<Kept>> {
        let id: Id = (folder.to_owned(), *name);
        match self.blocks().get(&id) {
            Some(Known::Good(kept)) => return Some(Arc::clone(kept)),
            Some(Known::Bad) => return None,
            None => {}
        }
        match Kept::open(&*self.storage, folder, name) {
            Ok(kept) => {
                let kept = Arc::new(kept);
                self.blocks().put(id, Known::Good(Arc::clone(&kept)));
                Some(kept)
            }
            Err(damage) => {
                self.is_damaged(id, damage);
                None
            }
        }
    }

    /// Notes that a block cannot be believed: it is a miss until it is written again.
    fn is_damaged(&self, id: Id, damage: Damage) {
        let file = path(&id.0, &id.1);
        // A file that went away meanwhile was evicted: that is no damage.
        if self.storage.info(&file).is_ok() {
            upkeep::note(&*self.storage, &file, damage);
            self.blocks().put(id, Known::Bad);
        }
    }

    /// Goes down the tree along `tokens`; nothing is proved yet but the headers.
    fn walk(&self, tree: &Tree, namespace: &Namespace, tokens: &[u32], cut_cost: usize) -> Found {
        let block_tokens = self.options.block_tokens;
        let mut found = Found::default();
        let mut key = Key::root(namespace);
        loop {
            let rest = &tokens[found.n_tokens..];
            let Some(next) = rest.get(..block_tokens) else { break };
            let child = key.child(next);
            let name = Name::new(&key, &child);
            let is_there = tree.children.get(&name.parent).is_some_and(|names| names.contains(&name));
            let kept = is_there.then(|| self.load(&tree.folder, &name)).flatten();
            let Some(kept) = kept.filter(|kept| self.fits(kept, &key, found.n_tokens)) else { break };
            // After a hash hit the tokens themselves are compared.
            if kept.header.tokens != next {
                break;
            }
            found.blocks.push(kept);
            found.n_tokens += block_tokens;
            key = child;
        }
        if let Some((kept, n_tokens)) = self.best_part(tree, &key, found.n_tokens, tokens, cut_cost) {
            found.blocks.push(kept);
            found.n_tokens += n_tokens;
        }
        found
    }

    /// Of the blocks that follow `key`, the one that saves most: tokens in common, less what cutting costs.
    fn best_part(
        &self,
        tree: &Tree,
        key: &Key,
        at: usize,
        tokens: &[u32],
        cut_cost: usize,
    ) -> Option<(Arc<Kept>, usize)> {
        let rest = &tokens[at..];
        let mut best: Option<(usize, Arc<Kept>, usize)> = None;
        for name in tree.children.get(&key.short()).into_iter().flatten() {
            let Some(kept) = self.load(&tree.folder, name).filter(|kept| self.fits(kept, key, at)) else {
                continue;
            };
            let n_common = kept.header.tokens.iter().zip(rest).take_while(|(a, b)| a == b).count();
            let cost = if n_common == kept.header.tokens.len() { 0 } else { cut_cost };
            let saved = n_common.saturating_sub(cost);
            if saved > 0 && best.as_ref().is_none_or(|(most, ..)| saved > *most) {
                best = Some((saved, kept, n_common));
            }
        }
        best.map(|(_, kept, n_common)| (kept, n_common))
    }

    fn fits(&self, kept: &Kept, parent: &Key, at: usize) -> bool {
        let header = &kept.header;
        header.parent == *parent
            && header.first_pos == at as u64
            && header.tokens.len() <= self.options.block_tokens
    }

    /// Proves the blocks' sections, several at once; the first that fails, if any.
    fn prove(&self, blocks: &[Arc<Kept>]) -> Option<(usize, Damage)> {
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(PROVERS);
        let share = blocks.len().div_ceil(n_threads).max(1);
        let first_bad = |(start, blocks): (usize, &[Arc<Kept>])| {
            blocks.iter().enumerate().find_map(|(idx, kept)| Some((start + idx, kept.prove().err()?)))
        };
        std::thread::scope(|scope| {
            let parts: Vec<_> = blocks
                .chunks(share)
                .enumerate()
                .map(|(part, blocks)| scope.spawn(move || first_bad((part * share, blocks))))
                .collect();
            // A prover that panicked proved nothing.
            let part_of = |(part, joined): (usize, std::thread::ScopedJoinHandle<'_, _>)| {
                joined.join().unwrap_or(Some((part * share, Damage::Unreadable)))
            };
            parts.into_iter().enumerate().filter_map(part_of).min_by_key(|(idx, _)| *idx)
        })
    }
}

impl Store {
    /// A store on `storage`. Touches nothing yet, and never fails.
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Self {
        let shared = Shared { storage, options, blocks: Mutex::default() };
        Self { shared: Arc::new(shared), writer: Mutex::new(None) }
    }

    /// The longest beginning of `tokens` that is there, whole blocks first, then as much as possible of a next one.
    /// Using a part of a block has a price, in tokens: only where it saves more is it taken.
    ///
    /// Cannot fail: what cannot be read is not there.
    pub fn find(&self, namespace: &Namespace, tokens: &[u32], cut_cost: usize) -> Found {
        let tree = self.shared.tree(namespace);
        loop {
            let found = self.shared.walk(&tree, namespace, tokens, cut_cost);
            match self.shared.prove(&found.blocks) {
                None => {
                    if let Some(last) = found.blocks.last() {
                        uses::log(&*self.shared.storage, last.header.key.short(), now());
                    }
                    return found;
                }
                // It will not be found again: the next walk is a shorter one.
                Some((idx, damage)) => {
                    let header = &found.blocks[idx].header;
                    let name = Name::new(&header.parent, &header.key);
                    self.shared.blocks().put((tree.folder.clone(), name), Known::Bad);
                    self.shared.is_damaged((tree.folder.clone(), name), damage);
                }
            }
        }
    }

    /// The sequences that are there: from the first token to a block that nothing follows, or that holds content of an owner that is not
    /// wanted. Proves and notes nothing: for planning.
    pub fn sequences(&self, namespace: &Namespace, is_wanted: &dyn Fn(&Owner) -> bool) -> Vec<Sequence> {
        let tree = self.shared.tree(namespace);
        let mut open: Vec<(Key, Sequence)> = vec![(Key::root(namespace), Sequence::default())];
        let mut sequences = Vec::new();
        let mut n_seen = 0;
        while let Some((key, path)) = open.pop() {
            let mut goes_on = false;
            for name in tree.children.get(&key.short()).into_iter().flatten() {
                let Some(kept) = self.shared.load(&tree.folder, name) else { continue };
                if n_seen == MOST_EXPLORED || !self.shared.fits(&kept, &key, path.tokens.len()) {
                    continue;
                }
                n_seen += 1;
                goes_on = true;
                let longer = path.and(&kept.header);
                if kept.header.owners.iter().all(is_wanted) {
                    open.push((kept.header.key, longer));
                } else {
                    sequences.push(longer);
                }
            }
            if !goes_on && !path.tokens.is_empty() {
                sequences.push(path);
            }
        }
        sequences
    }

    /// Whether a block is there, as far as its file's name says.
    pub fn contains(&self, namespace: &Namespace, parent: &Key, key: &Key) -> bool {
        let id: Id = (namespace.folder(), Name::new(parent, key));
        let blocks = self.shared.blocks();
        match blocks.get(&id) {
            Some(Known::Good(_)) => true,
            Some(Known::Bad) => false,
            None => self.shared.storage.info(&path(&id.0, &id.1)).is_ok(),
        }
    }

    /// Marks a block as damaged whose content made no sense to the caller.
    pub fn reject(&self, kept: &Kept) {
        let header = &kept.header;
        let id = (header.namespace.folder(), Name::new(&header.parent, &header.key));
        self.shared.is_damaged(id, Damage::Content);
    }

    /// Keeps a block: at once for this process, on disk in the background. Blocks are to be given parents first.
    pub fn keep(&self, block: NewBlock) {
        let header = &block.header;
        if self.contains(&header.namespace, &header.parent, &header.key) {
            return;
        }
        let id: Id = (header.namespace.folder(), Name::new(&header.parent, &header.key));
        let kept = Arc::new(Kept::in_memory(header.clone(), &block.sections));
        self.shared.blocks().put(id, Known::Good(kept));
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = writer.get_or_insert_with(|| Writer::start(Arc::clone(&self.shared)));
        writer.send(Job::Write(Box::new(block)));
    }

    /// Waits until everything is written that was to be kept, and tells what became of it since the last flush.
    pub fn flush(&self) -> Written {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_mut().map_or_else(Written::default, Writer::flush)
    }

    /// A fact that was remembered.
    pub fn recall(&self, key: &[u8; 32]) -> Option<[u8; 32]> {
        facts::recall(&*self.shared.storage, key)
    }

    /// Remembers a fact that is dear to find out.
    pub fn remember(&self, key: &[u8; 32], value: &[u8; 32]) {
        facts::remember(&*self.shared.storage, key, value);
    }

    /// (position, tokens, seconds) of up to `n` blocks of a namespace: what computing cost here before.
    pub fn costs(&self, namespace: &Namespace, n: usize) -> Vec<(u64, usize, f64)> {
        let tree = self.shared.tree(namespace);
        let names: Vec<&Name> = tree.children.values().flatten().collect();
        let step = names.len().div_ceil(n.max(1)).max(1);
        let sampled = names.into_iter().step_by(step);
        let blocks = sampled.filter_map(|name| self.shared.load(&tree.folder, name));
        blocks
            .map(|kept| (kept.header.first_pos, kept.header.tokens.len(), kept.header.seconds))
            .filter(|(_, _, seconds)| *seconds > 0.0)
            .collect()
    }
}

enum Job {
    Write(Box<NewBlock>),
    Flush(Sender<Written>),
}

/// The thread that writes. Dropping it waits for what is queued.
struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(shared: Arc<Shared>) -> Self {
        let (jobs, queue) = mpsc::channel();
        let name = "prefix-writer".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(move || run(&shared, &queue));
        Self { jobs: Some(jobs), thread: thread.ok() }
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job); // without a thread nothing is written, which is a miss later
        }
    }

    fn flush(&mut self) -> Written {
        let (reply, told) = mpsc::channel();
        self.send(Job::Flush(reply));
        let failure = || Written { failure: Some("the writer is gone".to_owned()), ..Written::default() };
        told.recv().unwrap_or_else(|_| failure())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The writer's life.
fn run(shared: &Shared, queue: &Receiver<Job>) {
    let mut written = Written::default();
    let mut room = upkeep::Room::default();
    let mut unsynced: Option<String> = None;
    // Blocks that did not get to the disk: nothing would lead to those behind them.
    let mut lost: HashSet<(String, [u8; 16])> = HashSet::new();
    while let Ok(job) = queue.recv() {
        match job {
            Job::Write(block) => {
                let folder = block.header.namespace.folder();
                if unsynced.as_ref().is_some_and(|other| *other != folder) {
                    sync(shared, &mut unsynced);
                }
                let follows_lost = lost.contains(&(folder.clone(), block.header.parent.short()));
                let id = (folder.clone(), block.header.key.short());
                match !follows_lost && write_one(shared, &block, &mut room, &mut written) {
                    true => drop(lost.remove(&id)),
                    false => drop(lost.insert(id)),
                }
                if follows_lost {
                    shared.stays_in_memory(&block.header);
                }
                unsynced = Some(folder);
            }
            Job::Flush(reply) => {
                sync(shared, &mut unsynced);
                let _ = reply.send(std::mem::take(&mut written));
            }
        }
    }
    sync(shared, &mut unsynced);
}

fn sync(shared: &Shared, folder: &mut Option<String>) {
    if let Some(folder) = folder.take() {
        let _ = shared.storage.sync_folder(&folder);
    }
}

/// Whether the block is on disk now.
fn write_one(shared: &Shared, block: &NewBlock, room: &mut upkeep::Room, written: &mut Written) -> bool {
    let header = &block.header;
    let (folder, name) = (header.namespace.folder(), Name::new(&header.parent, &header.key));
    let n_bytes: usize = block.sections.iter().map(|section| (**section).as_ref().len()).sum();
    let started = Instant::now();
    let evicted = room.make(shared, n_bytes as u64, &(folder.clone(), header.parent.short()));
    written.evict_seconds += started.elapsed().as_secs_f64();
    let done = evicted.and_then(|n_evicted| {
        written.n_evicted_tokens += n_evicted;
        let started = Instant::now();
        let n_bytes = write::block(&*shared.storage, &path(&folder, &name), header, &block.sections)?;
        written.seconds += started.elapsed().as_secs_f64();
        Ok(n_bytes)
    });
    let id = (folder, name);
    match done {
        Ok(n_bytes) => {
            room.took(n_bytes);
            written.n_blocks += 1;
            written.n_bytes += n_bytes;
            // From now on it is read from disk, like everybody's.
            shared.blocks().forget(&id);
            upkeep::remove_covered(shared, &id.0, header);
            true
        }
        Err(error) => {
            written.failure.get_or_insert_with(|| error.to_string());
            shared.stays_in_memory(header);
            false
        }
    }
}

impl Options {
    /// The most bytes on disk, where `used` are the store's already.
    pub(crate) fn high_water(&self, storage: &dyn Storage, used: u64) -> u64 {
        let share = || storage.free_bytes().map_or(DEFAULT_BYTES, |free| (free + used) / SHARE_OF_FREE_DISK);
        self.max_bytes.unwrap_or_else(|| DEFAULT_BYTES.min(share()))
    }

    pub(crate) fn low_water(high: u64) -> u64 {
        (high as f64 * LOW_WATER) as u64
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
