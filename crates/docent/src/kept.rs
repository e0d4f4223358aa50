//! What is kept of the model's work on documents, and whose it is.
//!
//! A block in the store carries a mark for every document in it: hashes of the library, the file's path and its content. So a block
//! goes when its document goes, or changes, whoever notices first, and no name of a file stands in the store.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use docent_index::{Fate, FileRecord};
use docent_lm::KV_BLOCK;
use docent_pack::Packed;
use docent_prefix::{DiskStorage, Options, Owner, Status, Store, Verified, Written};
use docent_retrieve::Hit;

use crate::library::absolute;
use crate::{Error, Library, Settings};

/// Bytes of blocks that a disk refuses and that stay in memory: some 10,000 tokens of LFM2.5-8B-A1B.
const MEMORY_BYTES: usize = 128 << 20;

/// The store that settings ask for. Touches nothing.
pub(crate) fn store(settings: &Settings) -> Store {
    let options =
        Options { block_tokens: KV_BLOCK, max_bytes: settings.prefix_bytes, memory_bytes: MEMORY_BYTES };
    Store::open(Arc::new(DiskStorage::new(settings.prefix_dir())), options)
}

/// Bytes of a mark: the library's part, the path's, the content's.
const LIBRARY: Range<usize> = 0..8;
const PATH: Range<usize> = 8..20;
const CONTENT: Range<usize> = 20..32;

/// The mark of a file's content in a library.
fn owner(settings: &Settings, path: &Path, content: Option<&[u8; 32]>) -> Owner {
    let mut owner = [0; 32];
    let library = blake3::hash(absolute(&settings.index_dir()).as_os_str().as_encoded_bytes());
    let path = blake3::hash(path.as_os_str().as_encoded_bytes());
    owner[LIBRARY].copy_from_slice(&library.as_bytes()[..LIBRARY.len()]);
    owner[PATH].copy_from_slice(&path.as_bytes()[..PATH.len()]);
    if let Some(content) = content {
        owner[CONTENT].copy_from_slice(&content[..CONTENT.len()]);
    }
    owner
}

/// Whose content stands where in a packed prompt: a passage with the label before it.
pub(crate) fn owners(settings: &Settings, packed: &Packed, hits: &[Hit]) -> Vec<(Range<usize>, Owner)> {
    let mut start = packed.documents_start;
    let mut owners = Vec::with_capacity(packed.passages.len());
    for (idx, passage) in packed.passages.iter().enumerate() {
        let is_last = idx + 1 == packed.passages.len();
        let end = if is_last { packed.documents_end } else { passage.tokens.end };
        if let Some(hit) = hits.iter().find(|hit| hit.chunk.doc.0 == passage.passage.document) {
            owners.push((start..end, owner(settings, &hit.chunk.path, hit.chunk.hash.as_ref())));
        }
        start = passage.tokens.end;
    }
    owners
}

impl Library {
    /// Waits until what was computed lately is on disk, and tells what became of it.
    pub fn flush_prefixes(&self) -> Written {
        self.prefix_store.flush()
    }

    /// What the prefix store holds.
    pub fn prefix_status(&self) -> Status {
        self.prefix_store.status()
    }

    /// Reads every byte of the prefix store. What cannot be believed is told and removed.
    pub fn verify_prefixes(&self) -> Verified {
        self.prefix_store.verify()
    }

    /// Removes everything from the prefix store, and gives the number of blocks.
    ///
    /// # Errors
    /// What the system says where something cannot be removed.
    pub fn purge_prefixes(&self) -> io::Result<usize> {
        self.prefix_store.purge()
    }

    /// Removes from the prefix store what holds a document, or documents below a folder, and gives the number of blocks. What nobody
    /// can read goes too.
    ///
    /// # Errors
    /// An index that cannot be read; what the system says where something cannot be removed.
    pub fn purge_prefixes_of(&self, path: &Path) -> Result<usize, Error> {
        let path = absolute(path);
        let files = self.inventory()?.files;
        let below = files.iter().map(|file| file.stat.path.as_path()).filter(|file| file.starts_with(&path));
        // A document that is not in the index (any more) is known by its path alone.
        let marks: HashSet<Vec<u8>> = below
            .chain(std::iter::once(path.as_path()))
            .map(|path| owner(&self.settings, path, None)[LIBRARY.start..PATH.end].to_vec())
            .collect();
        let removed =
            self.prefix_store.remove_owned(&|owner| marks.contains(&owner[LIBRARY.start..PATH.end]));
        removed.map_err(|source| Error::Prefixes { dir: self.settings.prefix_dir(), source })
    }

    /// Removes from the prefix store what holds documents that are no longer in the index as they were. That it fails is no reason to
    /// fail for whoever changed the index; the next change tries again.
    pub(crate) fn drop_gone_prefixes(&self) {
        let Ok(inventory) = self.inventory() else { return };
        let is_living = |file: &&FileRecord| file.fate == Fate::Indexed;
        let living: HashSet<Owner> = inventory
            .files
            .iter()
            .filter(is_living)
            .map(|file| owner(&self.settings, &file.stat.path, file.hash.as_ref()))
            .collect();
        let ours = owner(&self.settings, Path::new(""), None);
        let is_gone = |owner: &Owner| owner[LIBRARY] == ours[LIBRARY] && !living.contains(owner);
        let _ = self.prefix_store.remove_owned(&is_gone);
    }
}
