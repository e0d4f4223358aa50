//! Catalog (SQLite), postings (tantivy) and vectors behind one commit and one snapshot.
//!
//! What it keeps of a folder of documents: a ledger of every file seen, the extracted texts, passages with their
//! places, and two ways to find passages, by words ([`Index::lexical`]) and by vectors ([`Index::vector`]).
//!
//! - One commit for all stores ([`Writer::commit`]): a process killed at any instant leaves the last committed
//!   state. How: `postings/directory.rs` and `vectors/mod.rs` tell it as numbered stories.
//! - Readers see one generation ([`Snapshot`]) while a writer works; they take no lock, and a folder that cannot be
//!   written can still be read.
//! - One writer at a time; a second one is told who the first is.
//!
//! It does not know which model makes the vectors (it takes `&[f32]` and a fingerprint), reads no document, and
//! never looks at the documents' files. Layout on disk: `indexes/README.md`.

mod analysis;
mod catalog;
mod check;
#[cfg(test)]
extern crate self as docent_index; // what tests share names the crate as those outside it do
#[cfg(test)]
mod crash_tests;
mod docset;
mod error;
mod fault;
mod index;
mod lock;
mod postings;
mod private;
mod repair;
mod top;
mod types;
mod vectors;
mod writer;

pub use check::{Problem, Store};
pub use error::{IndexError, Result};
pub use index::{Index, IndexOptions, Snapshot};
pub use repair::Repaired;
pub use types::{
    Chunk, ChunkId, DocId, DocumentText, EmbeddingSpec, Fate, FileRecord, FileStat, Filter, NewChunk,
    NewDocument, PathGlob, Root, RootSettings, Stats,
};
#[doc(hidden)]
pub use vectors::alone;
pub use writer::{Tell, Writer};
