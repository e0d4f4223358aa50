//! Hits and a token budget to a prompt with provenance: a pure function.
//!
//! ```text
//! [before: BOS, instructions] [1][passage] [2][passage] … [after: question, and everything that changes per query]
//! ```
//!
//! What goes in is chosen by relevance, and behind the best by what was read before ([`Order::Sticky`]). Where it stands is
//! another matter: two questions about the same documents are to share as long a prefix as they can, so the relevance
//! ranking is told after the documents (see `docs/architecture.md`, "Packing").
//!
//! pack touches no file and no clock: same input, same tokens. Every passage is tokenised on its own through
//! [`Tokenize`], which never recognises special tokens, so the text of a document cannot act as the template.
//!
//! Cost: each passage's text is tokenised once, then once more per merged neighbour.

mod merge;
mod prompt;
mod sticky;

pub use merge::merge_neighbours;
pub use prompt::{
    Budget, Frame, Kept, LeftOut, Order, PackError, Packed, PackedPassage, Reason, pack, repack,
};

use std::ops::Range;

/// Plain text to token ids. Special tokens in the text must come out as ordinary ones.
pub trait Tokenize {
    /// The ids of `text`, nothing added before or after.
    fn tokens(&self, text: &str) -> Vec<u32>;
}

impl<F: Fn(&str) -> Vec<u32>> Tokenize for F {
    fn tokens(&self, text: &str) -> Vec<u32> {
        self(text)
    }
}

/// A contiguous piece of one document, with all that a citation needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Identifies the document; passages merge only within one.
    pub document: u64,
    /// What the model is shown as the document's name.
    pub name: String,
    /// Headings above the passage, outermost first.
    pub heading_path: Vec<String>,
    /// Bytes of the document's extracted text.
    pub span: Range<usize>,
    /// The text at `span`.
    pub text: String,
    /// Position in the relevance ranking, 0 the best. Unique among the passages given to [`pack`].
    pub rank: usize,
}
