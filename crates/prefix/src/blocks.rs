//! Blocks as they are in memory: mapped from disk, or waiting to be written.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::format::{self, Damage, Header};
use crate::key::Name;
use crate::storage::{Bytes, Storage};

/// A section's bytes, where they lie. Cheap to clone; keeps them alive.
#[derive(Clone)]
pub struct Section {
    bytes: Bytes,
    range: Range<usize>,
}

impl AsRef<[u8]> for Section {
    fn as_ref(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.range.clone()]
    }
}

/// A block that can be used: its header is proved, and its sections before they are handed out.
pub struct Kept {
    /// What it says of itself.
    pub header: Header,
    sections: Vec<Section>,
    /// What the sections must hash to; none for those that never were on disk.
    hashes: Vec<[u8; 32]>,
    is_proved: AtomicBool,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("key", &self.header.key).finish_non_exhaustive()
    }
}

impl Kept {
    /// A block in memory.
    pub(crate) fn in_memory(header: Header, sections: &[Bytes]) -> Self {
        let whole = |bytes: &Bytes| Section { bytes: Arc::clone(bytes), range: 0..(**bytes).as_ref().len() };
        let sections = sections.iter().map(whole).collect();
        Self { header, sections, hashes: Vec::new(), is_proved: AtomicBool::new(true) }
    }

    /// Maps a block's file and proves all but its sections.
    pub(crate) fn open(storage: &dyn Storage, folder: &str, name: &Name) -> Result<Self, Damage> {
        let bytes = storage.map(&path(folder, name)).map_err(|_| Damage::Unreadable)?;
        let (header, entries) = format::decode((*bytes).as_ref())?;
        format::check_place(&header, folder, name)?;
        let section = |entry: &format::SectionEntry| Section {
            bytes: Arc::clone(&bytes),
            range: entry.start..entry.start + entry.len,
        };
        Ok(Self {
            header,
            sections: entries.iter().map(section).collect(),
            hashes: entries.iter().map(|entry| entry.hash).collect(),
            is_proved: AtomicBool::new(false),
        })
    }

    /// Its sections, in the order they were given.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Compares the sections with their checksums, once.
    pub(crate) fn prove(&self) -> Result<(), Damage> {
        if self.is_proved.load(Ordering::Relaxed) {
            return Ok(());
        }
        for (idx, (section, hash)) in self.sections.iter().zip(&self.hashes).enumerate() {
            if blake3::hash(section.as_ref()).as_bytes() != hash {
                return Err(Damage::Section(idx));
            }
        }
        self.is_proved.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn is_in_memory(&self) -> bool {
        self.hashes.is_empty() && !self.sections.is_empty()
    }

    fn n_bytes(&self) -> usize {
        self.sections.iter().map(|section| section.range.len()).sum()
    }
}

/// Where a block's file lies.
pub(crate) fn path(folder: &str, name: &Name) -> String {
    format!("{folder}/{}", name.file())
}

/// A block of some namespace.
pub(crate) type Id = (String, Name);

/// What is known of a block.
#[derive(Clone)]
pub(crate) enum Known {
    Good(Arc<Kept>),
    Bad,
}

/// What this process knows of blocks.
#[derive(Default)]
pub(crate) struct Blocks {
    known: HashMap<Id, Known>,
    /// Blocks that live in memory alone because writing them failed, oldest first.
    unwritten: VecDeque<Id>,
    unwritten_bytes: usize,
}

impl Blocks {
    pub(crate) fn get(&self, id: &Id) -> Option<&Known> {
        self.known.get(id)
    }

    pub(crate) fn put(&mut self, id: Id, known: Known) {
        self.known.insert(id, known);
    }

    /// Forgets a block; those who hold it keep it.
    pub(crate) fn forget(&mut self, id: &Id) {
        self.known.remove(id);
    }

    pub(crate) fn forget_all(&mut self) {
        *self = Self::default();
    }

    /// Keeps a block that could not be written, at the cost of older ones beyond `capacity` bytes.
    pub(crate) fn stays_in_memory(&mut self, id: &Id, capacity: usize) {
        let Some(Known::Good(kept)) = self.known.get(id) else { return };
        self.unwritten_bytes += kept.n_bytes();
        self.unwritten.push_back(id.clone());
        while self.unwritten_bytes > capacity {
            let Some(oldest) = self.unwritten.pop_front() else { return };
            if let Some(Known::Good(kept)) = self.known.remove(&oldest) {
                self.unwritten_bytes = self.unwritten_bytes.saturating_sub(kept.n_bytes());
            }
        }
    }

    /// Names of a folder's blocks that are in memory.
    pub(crate) fn in_memory(&self, folder: &str) -> Vec<Name> {
        let here = self.known.iter().filter(|((of, _), known)| {
            of == folder && matches!(known, Known::Good(kept) if kept.is_in_memory())
        });
        here.map(|((_, name), _)| *name).collect()
    }

    /// Forgets mapped blocks of `folder` whose file is no longer there: another process removed it.
    pub(crate) fn keep_only(&mut self, folder: &str, is_there: &dyn Fn(&Name) -> bool) {
        self.known.retain(|(of, name), known| {
            of != folder || is_there(name) || matches!(known, Known::Good(kept) if kept.is_in_memory())
        });
    }
}
