//! Keeps what was computed for the beginnings of token sequences, so that nobody computes it twice: the next question, the
//! next process, after the next reboot.
//!
//! ```text
//! tokens   [ block 0 ][ block 1 ][ block 2 ][ tail ]        blocks of a fixed number of tokens; a tail has fewer
//! keys      k0 = H(root, tokens)  k1 = H(k0, tokens)  ...   root = the namespace: all that could change a bit
//! disk      one file a block, named by its parent's key and its own: the tree can be read off the names
//! ```
//!
//! What a block carries is the caller's: some sections of bytes, which come back as they were or not at all. Nothing here
//! knows a tensor. A block that is damaged, foreign or missing is a miss; no failure of the disk is ever an error to whoever
//! asks ([`Store::find`] cannot fail). See `docs/prefix-store.md` for the format and the promises.
//!
//! ```text
//! key      namespaces and chained keys      format   a block's file, byte by byte
//! storage  the disk behind a trait          blocks   what is in memory, what is damaged
//! store    find, keep, flush                write    one block, atomically
//! evict    which blocks go first            uses     when blocks were used
//! upkeep   status, verify, purge            facts    small things remembered
//! ```
//!
//! When not to use it: for bytes that may not lie on a disk in the clear.

mod blocks;
mod evict;
mod facts;
mod format;
mod key;
mod storage;
mod store;
mod upkeep;
mod uses;
mod write;

pub use blocks::{Kept, Section};
pub use format::{Damage, FORMAT_VERSION, Header, OWNER_BYTES, Owner};
pub use key::{Key, Namespace};
pub use storage::{Bytes, DiskStorage, FileInfo, Sink, Storage};
pub use store::{Found, NewBlock, Options, Sequence, Store, Written};
pub use upkeep::{NamespaceStatus, Status, Verified};
