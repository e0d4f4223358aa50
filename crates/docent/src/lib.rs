//! Ask questions about folders of documents: the library people embed.

pub mod cite;
