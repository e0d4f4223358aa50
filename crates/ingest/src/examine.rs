//! One file, from its path to passages ready to be embedded. Runs on the worker threads.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use docent_extract::{Document, ExtractError};
use docent_index::{DocId, Fate, FileRecord, FileStat, NewChunk, NewDocument};

use crate::plan::Candidate;
use crate::walk::{reason, stat};
use crate::{ChunkOptions, IngestOptions, chunk, embedding_text, language};

/// Reads a file of at most so many bytes: what the file system says of it, and its content.
pub(crate) type ReadFile<'a> = &'a (dyn Fn(&Path, u64) -> io::Result<(FileStat, Vec<u8>)> + Sync);

/// Turns a file's content into a document.
pub(crate) type Extract<'a> = &'a (dyn Fn(&Path, &[u8]) -> Result<Document, ExtractError> + Sync);

/// What all examinations share.
pub(crate) struct Examiner<'a> {
    pub read_file: ReadFile<'a>,
    pub extract: Extract<'a>,
    pub count_tokens: &'a (dyn Fn(&str) -> usize + Sync),
    pub options: &'a IngestOptions,
    /// Files that are gone, by content: where one of their contents turns up, it has a new name.
    pub vanished: Mutex<HashMap<[u8; 32], Vec<FileRecord>>>,
}

/// What was found out about a file.
pub(crate) struct Finding {
    /// What the file system said just before it was read.
    pub stat: FileStat,
    pub what: What,
}

pub(crate) enum What {
    /// It is not there any more.
    Gone,
    /// Its content is what the ledger says.
    Same,
    /// It is the file of this number under a new name.
    Renamed(DocId),
    /// It gives no document.
    NoDocument { hash: Option<[u8; 32]>, fate: Fate },
    /// It is to be embedded and stored.
    Ready(Box<Ready>),
}

/// A document that lacks only its vectors.
pub(crate) struct Ready {
    pub document: NewDocument,
    /// What to embed for each passage.
    pub inputs: Vec<String>,
}

impl Examiner<'_> {
    pub(crate) fn examine(&self, candidate: &Candidate) -> Finding {
        let path = &candidate.stat.path;
        match (self.read_file)(path, self.options.limits.max_bytes) {
            Ok((stat, bytes)) => Finding { what: self.look_into(candidate, &stat, &bytes), stat },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Finding { stat: candidate.stat.clone(), what: What::Gone }
            }
            Err(error) => {
                let what = What::NoDocument { hash: None, fate: Fate::Failed(reason(&error)) };
                Finding { stat: candidate.stat.clone(), what }
            }
        }
    }

    fn look_into(&self, candidate: &Candidate, stat: &FileStat, bytes: &[u8]) -> What {
        // It may have grown since it was listed.
        if let Err(error) = self.options.limits.check_size(bytes.len() as u64) {
            return What::NoDocument { hash: None, fate: Fate::Skipped(error.reason().to_owned()) };
        }
        let hash = *blake3::hash(bytes).as_bytes();
        if let Some(known) = &candidate.known {
            let again = self.options.retry_failed && known.fate != Fate::Indexed;
            if known.hash == Some(hash) && !again {
                return What::Same;
            }
        }
        if let Some(old) = self.claim(&hash, &stat.path) {
            return What::Renamed(old.id);
        }
        let prepared = catch_unwind(AssertUnwindSafe(|| {
            let document = (self.extract)(&stat.path, bytes)?;
            Ok(prepare(document, stat, hash, &self.options.chunks, &self.count_tokens))
        }));
        let fate = match prepared {
            Ok(Ok(ready)) => return What::Ready(Box::new(ready)),
            Ok(Err(ExtractError::Skipped { reason })) => Fate::Skipped(reason),
            Ok(Err(ExtractError::Failed { reason })) => Fate::Failed(reason),
            Err(_) => Fate::Failed("its content made docent fail: please report it".to_owned()),
        };
        What::NoDocument { hash: Some(hash), fate }
    }

    /// The vanished file with this content, taken so that no other file claims it too. One with another extension may
    /// have to be read in another way and does not count.
    fn claim(&self, hash: &[u8; 32], path: &Path) -> Option<FileRecord> {
        let mut vanished = self.vanished.lock().unwrap_or_else(PoisonError::into_inner);
        let of_content = vanished.get_mut(hash)?;
        let is_candidate = |record: &&FileRecord| record.stat.path.extension() == path.extension();
        // Of several files with this content the one of the same name is meant: a folder was moved.
        let best = of_content
            .iter()
            .filter(is_candidate)
            .min_by_key(|record| record.stat.path.file_name() != path.file_name())?
            .id;
        let at = of_content.iter().position(|record| record.id == best)?;
        Some(of_content.remove(at))
    }
}

/// Cuts a document into passages.
fn prepare(
    document: Document,
    stat: &FileStat,
    hash: [u8; 32],
    options: &ChunkOptions,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Ready {
    let chunks = chunk(&document, options, count_tokens);
    let title = document.title.as_deref();
    let inputs = chunks
        .iter()
        .map(|c| embedding_text(title, &c.heading_path, &document.text[c.span.clone()]))
        .collect();
    let chunks = chunks.into_iter().map(|c| NewChunk {
        span: c.span,
        line_start: c.line_start,
        line_end: c.line_end,
        page: c.page,
        heading_path: c.heading_path,
    });
    let document = NewDocument {
        stat: stat.clone(),
        hash,
        format: document.format.as_str().to_owned(),
        language: language(&document).map(str::to_owned),
        chunks: chunks.collect(),
        title: document.title,
        text: document.text,
        same_as_file: document.same_as_file,
        pages: document.pages,
        vectors: Vec::new(),
    };
    Ready { document, inputs }
}

/// Longest time between two changes of a file that a file system may give the same time of change: a tick of the
/// kernel's clock, 10 ms at most on Linux, doubled.
const TIME_GRAIN: Duration = Duration::from_millis(20);

/// Reads at most `max_bytes + 1` bytes of a file.
///
/// A change that comes right after we looked must not look like what we saw:
///  1) the file is changed; its time is T;
///  2) we note T and read it;
///  3) it is changed again within the same tick of the clock: its time is still T, and its size may be the same.
///
/// So when T is this young, we wait for the tick to pass before 2.
pub(crate) fn read_file(path: &Path, max_bytes: u64) -> io::Result<(FileStat, Vec<u8>)> {
    let mut file = File::open(path)?;
    let mut metadata = file.metadata()?;
    if let Some(wait) = age(&metadata).and_then(|age| TIME_GRAIN.checked_sub(age)) {
        std::thread::sleep(wait);
        metadata = file.metadata()?;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(max_bytes)).unwrap_or(0) + 1);
    file.by_ref().take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((stat(path, &metadata), bytes))
}

/// Time since the file was changed; none if that lies in the future.
fn age(metadata: &Metadata) -> Option<Duration> {
    SystemTime::now().duration_since(metadata.modified().ok()?).ok()
}
