//! What is kept of the model's work on documents, and whose it is.
//!
//! A block in the store carries a mark for every passage in it: hashes of the library, the file's path and its content, and the passage's
//! span. So a block goes when its document goes, or changes, whoever notices first, and no name of a file stands in the store; and
//! whoever has the index can tell which passages a kept beginning holds.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use docent_index::{Fate, FileRecord, Snapshot};
use docent_infer::Prefixes;
use docent_lm::KV_BLOCK;
use docent_pack::{Kept, Packed, PackedPassage, Passage};
use docent_prefix::{DiskStorage, Options, Owner, Status, Store, Verified, Written};

use crate::library::absolute;
use crate::{Error, Library, Settings, write};

/// Bytes of blocks that a disk refuses and that stay in memory: some 10,000 tokens of LFM2.5-8B-A1B.
const MEMORY_BYTES: usize = 128 << 20;

/// The store that settings ask for. Touches nothing.
pub(crate) fn store(settings: &Settings) -> Store {
    let options =
        Options { block_tokens: KV_BLOCK, max_bytes: settings.prefix_bytes, memory_bytes: MEMORY_BYTES };
    Store::open(Arc::new(DiskStorage::new(settings.prefix_dir())), options)
}

/// Bytes of a mark: the library's part, the path's, the content's, and the passage's span in the document's text, two little-endian u32.
const LIBRARY: Range<usize> = 0..8;
const PATH: Range<usize> = 8..16;
const CONTENT: Range<usize> = 16..24;
const SPAN: Range<usize> = 24..32;

/// The mark of a file's content in a library, or of a part of it.
fn owner(settings: &Settings, path: &Path, content: Option<&[u8; 32]>, span: &Range<usize>) -> Owner {
    let mut owner = [0; 32];
    let library = blake3::hash(absolute(&settings.index_dir()).as_os_str().as_encoded_bytes());
    let path = blake3::hash(path.as_os_str().as_encoded_bytes());
    owner[LIBRARY].copy_from_slice(&library.as_bytes()[..LIBRARY.len()]);
    owner[PATH].copy_from_slice(&path.as_bytes()[..PATH.len()]);
    if let Some(content) = content {
        owner[CONTENT].copy_from_slice(&content[..CONTENT.len()]);
    }
    // A span beyond 4 GiB is one that nobody finds again.
    let bounds = [span.start, span.end].map(|at| u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes());
    owner[SPAN].copy_from_slice(bounds.as_flattened());
    owner
}

/// The part of a mark that all passages of a file have.
fn mark(settings: &Settings, file: &FileRecord) -> Vec<u8> {
    owner(settings, &file.stat.path, file.hash.as_ref(), &(0..0))[..SPAN.start].to_vec()
}

/// Whose content stands where in a packed prompt: a passage with the label before it.
pub(crate) fn owners(
    settings: &Settings,
    packed: &Packed,
    files: &[FileRecord],
) -> Vec<(Range<usize>, Owner)> {
    let files: HashMap<u64, &FileRecord> = files.iter().map(|file| (file.id.0, file)).collect();
    let mut start = packed.documents_start;
    let mut owners = Vec::with_capacity(packed.passages.len());
    for (idx, PackedPassage { passage, tokens, .. }) in packed.passages.iter().enumerate() {
        let is_last = idx + 1 == packed.passages.len();
        let end = if is_last { packed.documents_end } else { tokens.end };
        if let Some(file) = files.get(&passage.document) {
            let owner = owner(settings, &file.stat.path, file.hash.as_ref(), &passage.span);
            owners.push((start..end, owner));
        }
        start = tokens.end;
    }
    owners
}

/// What was read before of some files, with the passages in it.
pub(crate) fn kept(
    settings: &Settings,
    prefixes: &Prefixes,
    snapshot: &Snapshot<'_>,
    files: &[FileRecord],
) -> Result<Vec<Kept>, Error> {
    let files: HashMap<Vec<u8>, &FileRecord> =
        files.iter().map(|file| (mark(settings, file), file)).collect();
    let mut parts = Parts { snapshot, files, texts: HashMap::new(), passages: HashMap::new() };
    let sequences = prefixes.sequences(&|owner| parts.files.contains_key(&owner[..SPAN.start]));
    let mut kept = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        let mut passages = Vec::with_capacity(sequence.owners.len());
        for owner in &sequence.owners {
            match parts.passage(owner)? {
                Some(passage) => passages.push(passage),
                None => break,
            }
        }
        kept.push(Kept { tokens: sequence.tokens, passages });
    }
    Ok(kept)
}

/// Finds the passages that marks name.
struct Parts<'a> {
    snapshot: &'a Snapshot<'a>,
    /// By the document's part of a mark.
    files: HashMap<Vec<u8>, &'a FileRecord>,
    texts: HashMap<u64, String>,
    passages: HashMap<Owner, Option<Passage>>,
}

impl Parts<'_> {
    /// The passage of a mark; `None` where the documents have none.
    fn passage(&mut self, owner: &Owner) -> Result<Option<Passage>, Error> {
        if let Some(known) = self.passages.get(owner) {
            return Ok(known.clone());
        }
        let passage = match self.files.get(&owner[..SPAN.start]) {
            Some(file) => self.read(file, owner)?,
            None => None,
        };
        self.passages.insert(*owner, passage.clone());
        Ok(passage)
    }

    fn read(&mut self, file: &FileRecord, owner: &Owner) -> Result<Option<Passage>, Error> {
        let bounds = owner[SPAN].as_chunks::<4>().0;
        let span = u32::from_le_bytes(bounds[0]) as usize..u32::from_le_bytes(bounds[1]) as usize;
        let chunks = self.snapshot.chunks_of(file.id)?;
        let Some((first, _)) = chunks.iter().find(|(_, chunk)| chunk.start == span.start) else {
            return Ok(None);
        };
        let chunk = self.snapshot.chunk(*first)?;
        if let std::collections::hash_map::Entry::Vacant(text) = self.texts.entry(file.id.0) {
            text.insert(self.snapshot.document(file.id)?.text);
        }
        let text = self.texts[&file.id.0].get(span.clone()).map(str::to_owned);
        Ok(text.map(|text| Passage {
            document: file.id.0,
            name: write::name(&chunk.path),
            heading_path: chunk.heading_path,
            span,
            text,
            rank: 0,
        }))
    }
}

impl Library {
    /// Waits until what was computed lately is on disk, and tells what became of it.
    pub fn flush_prefixes(&self) -> Written {
        self.prefix_store.flush()
    }

    /// What the prefix store holds.
    pub fn prefix_status(&self) -> Status {
        self.prefix_store.status(&|owner| {
            let mut document = *owner;
            document[SPAN].fill(0);
            document
        })
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
            .map(|path| owner(&self.settings, path, None, &(0..0))[LIBRARY.start..PATH.end].to_vec())
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
        let living: HashSet<Vec<u8>> =
            inventory.files.iter().filter(is_living).map(|file| mark(&self.settings, file)).collect();
        let ours = owner(&self.settings, Path::new(""), None, &(0..0));
        let is_gone =
            |owner: &Owner| owner[LIBRARY] == ours[LIBRARY] && !living.contains(&owner[..SPAN.start]);
        let _ = self.prefix_store.remove_owned(&is_gone);
    }
}
