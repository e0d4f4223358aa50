//! Walk, extract, chunk, embed, index: incremental and resumable.

mod chunk;
mod language;

pub use chunk::{Chunk, ChunkOptions, chunk, embedding_text};
pub use language::language;
