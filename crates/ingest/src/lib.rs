//! Walk, extract, chunk, embed, index: incremental and resumable.
