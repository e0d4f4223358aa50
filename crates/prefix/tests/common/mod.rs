//! A payload that is easy to recognise, and a storage that fails on command.
#![allow(dead_code, reason = "every test program uses a part of it")]

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use docent_prefix::{
    Bytes, DiskStorage, FileInfo, Found, Header, Key, Namespace, NewBlock, Options, Owner, Sink, Storage,
    Store,
};

/// Tokens of a block.
pub const BLOCK: usize = 8;

pub fn namespace() -> Namespace {
    Namespace::of(&[("test", b"1".to_vec())])
}

pub fn options() -> Options {
    Options { block_tokens: BLOCK, max_bytes: Some(1 << 30), memory_bytes: 1 << 20 }
}

pub fn store(dir: &Path) -> Store {
    Store::open(Arc::new(DiskStorage::new(dir)), options())
}

/// Some sequence of tokens.
pub fn sequence(seed: u32, n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| i.wrapping_mul(2_654_435_761).rotate_left(9) ^ seed).collect()
}

/// What "computing" the tokens up to `end` gives: two sections that depend on all of them.
pub fn computed(tokens: &[u32], end: usize) -> [Vec<u8>; 2] {
    let bytes: Vec<u8> = tokens[..end].iter().flat_map(|token| token.to_le_bytes()).collect();
    let section = |name: &str, len: usize| {
        let mut section = vec![0; len];
        blake3_of(name, &bytes, &mut section);
        section
    };
    [section("values", 700), section("state", 130)]
}

/// Bytes that follow from a name and others; no hash worth the name, but each differs.
fn blake3_of(name: &str, bytes: &[u8], out: &mut [u8]) {
    let mut x = name
        .bytes()
        .chain(bytes.iter().copied())
        .fold(0xcbf2_9ce4_8422_2325_u64, |x, byte| (x ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    for byte in out {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (x >> 56) as u8;
    }
}

/// The blocks of `tokens`, the last one shorter if need be.
pub fn blocks(tokens: &[u32], owners: &[Owner]) -> Vec<NewBlock> {
    let namespace = namespace();
    let (mut parent, mut blocks) = (Key::root(&namespace), Vec::new());
    for (idx, own) in tokens.chunks(BLOCK).enumerate() {
        let key = parent.child(own);
        let header = Header {
            namespace,
            parent,
            key,
            first_pos: (idx * BLOCK) as u64,
            seconds: 1.0,
            pinned: false,
            tokens: own.to_vec(),
            owners: owners.to_vec(),
        };
        let sections =
            computed(tokens, idx * BLOCK + own.len()).map(|section| Arc::new(section) as Bytes).to_vec();
        blocks.push(NewBlock { header, sections });
        parent = key;
    }
    blocks
}

/// Keeps all blocks of `tokens`.
pub fn keep(store: &Store, tokens: &[u32], owners: &[Owner]) {
    blocks(tokens, owners).into_iter().for_each(|block| store.keep(block));
}

/// Panics unless everything that was found is what computing it gives.
#[track_caller]
pub fn check(found: &Found, tokens: &[u32]) {
    let mut end = 0;
    for (idx, kept) in found.blocks.iter().enumerate() {
        let n_own = kept.header.tokens.len();
        end = idx * BLOCK + n_own;
        let is_whole = tokens.get(idx * BLOCK..end) == Some(&kept.header.tokens[..]);
        assert!(is_whole || idx + 1 == found.blocks.len(), "only the last block may fit in part");
        if is_whole {
            for (section, expected) in kept.sections().iter().zip(computed(tokens, end)) {
                assert!(section.as_ref() == expected, "block {idx} has other content");
            }
            assert_eq!(kept.sections().len(), 2);
        }
    }
    assert!(found.n_tokens <= end.min(tokens.len()));
}

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The step fails; later ones work.
    Once,
    /// The step and all later ones fail: a full disk, or one that went away.
    FromNowOn,
    /// As `FromNowOn`, but what is half written stays and nothing is cleaned up: the process was killed.
    Killed,
    /// A write does half of its work and says it did all: what a power cut makes of unsynced data.
    Half,
    /// A write does its work with one bit wrong.
    Flip,
}

pub const FAULTS: [Fault; 5] = [Fault::Once, Fault::FromNowOn, Fault::Killed, Fault::Half, Fault::Flip];

/// A disk on which the n-th writing step goes wrong.
pub struct FailingStorage {
    disk: DiskStorage,
    shared: Arc<Plan>,
}

struct Plan {
    fault: Fault,
    at: usize,
    n_steps: AtomicUsize,
    log: Mutex<Vec<&'static str>>,
}

impl Plan {
    /// What becomes of the next step.
    fn next(&self, what: &'static str) -> Result<Option<Fault>, io::Error> {
        let step = self.n_steps.fetch_add(1, Ordering::SeqCst);
        self.log.lock().unwrap().push(what);
        let broken = || io::Error::new(io::ErrorKind::StorageFull, "no space left, says the test");
        match self.fault {
            Fault::Once if step == self.at => Err(broken()),
            Fault::FromNowOn | Fault::Killed if step >= self.at => Err(broken()),
            Fault::Half | Fault::Flip if step == self.at => Ok(Some(self.fault)),
            _ => Ok(None),
        }
    }
}

impl FailingStorage {
    pub fn new(dir: &Path, fault: Fault, at: usize) -> Self {
        let shared = Plan { fault, at, n_steps: AtomicUsize::new(0), log: Mutex::default() };
        Self { disk: DiskStorage::new(dir), shared: Arc::new(shared) }
    }

    /// What was done so far, and can go wrong.
    pub fn steps(&self) -> Vec<&'static str> {
        self.shared.log.lock().unwrap().clone()
    }
}

impl Storage for FailingStorage {
    fn folders(&self) -> io::Result<Vec<String>> {
        self.disk.folders()
    }
    fn files(&self, folder: &str) -> io::Result<Vec<String>> {
        self.disk.files(folder)
    }
    fn info(&self, path: &str) -> io::Result<FileInfo> {
        self.disk.info(path)
    }
    fn map(&self, path: &str) -> io::Result<Bytes> {
        self.disk.map(path)
    }
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }
    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>> {
        self.shared.next("create")?;
        Ok(Box::new(FailingSink { sink: self.disk.create(path)?, plan: self.shared.clone() }))
    }
    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        match self.shared.next("append")? {
            None => self.disk.append(path, bytes),
            Some(_) => self.disk.append(path, &bytes[..bytes.len() / 2]),
        }
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.shared.next("rename")?;
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        // Cleaning up after a failure works, unless nobody is left to do it.
        match self.shared.fault {
            Fault::Killed => self.shared.next("remove").and_then(|_| self.disk.remove(path)),
            _ => self.disk.remove(path),
        }
    }
    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.remove_folder(folder)
    }
    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.shared.next("sync folder")?;
        self.disk.sync_folder(folder)
    }
    fn free_bytes(&self) -> Option<u64> {
        self.disk.free_bytes()
    }
}

struct FailingSink {
    sink: Box<dyn Sink>,
    plan: Arc<Plan>,
}

impl Sink for FailingSink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.plan.next("write") {
            Err(error) => {
                let _ = self.sink.write_all(&bytes[..bytes.len() / 2]);
                Err(error)
            }
            Ok(None) => self.sink.write_all(bytes),
            Ok(Some(Fault::Half)) => self.sink.write_all(&bytes[..bytes.len() / 2]),
            Ok(Some(_)) => {
                let mut wrong = bytes.to_vec();
                let middle = wrong.len() / 2;
                wrong[middle] ^= 0x10;
                self.sink.write_all(&wrong)
            }
        }
    }
    fn sync(&mut self) -> io::Result<()> {
        self.plan.next("sync")?;
        self.sink.sync()
    }
}
