//! What an answer is made of. Serialised as it stands: these names are the keys of `ask --json` and stay stable.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cite::Kind;
use crate::found::Held;
use crate::over::Coverage;

/// Whether the documents held the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// What the answer says is supported by the documents.
    Answered,
    /// Some of what the answer says was found in the documents, some was not.
    Partly,
    /// Nothing in the documents answers the question.
    NotFound,
}

/// A checked answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Answer {
    /// Its name in the history, for [`Library::replay`](crate::Library::replay); none where no history is kept.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether the documents held it.
    pub status: Status,
    /// How likely they hold it, and what that was taken from; none where that was not looked at.
    #[serde(default)]
    pub held: Option<Held>,
    /// The model's text, without its reasoning.
    pub answer: String,
    /// Where each supported sentence comes from.
    pub citations: Vec<Citation>,
    /// Sentences of the answer that nothing in the documents supports.
    pub unsupported: Vec<String>,
    /// Quotations of the answer that stand in no document, nor anything near to them.
    #[serde(default)]
    pub failed_quotes: Vec<String>,
    /// The best passages, when the status is `not_found`: where to look instead.
    pub nearest: Vec<Place>,
    /// What was read, where all documents were to be.
    #[serde(default)]
    pub coverage: Option<Coverage>,
    /// The model that answered.
    pub model: String,
    /// Token counts.
    pub usage: Usage,
    /// Durations.
    pub timing: Timing,
}

/// A place in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Place {
    /// The file, absolute.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub path: PathBuf,
    /// First byte, in the extracted text; in the file itself for text formats.
    pub byte_start: usize,
    /// One past the last byte.
    pub byte_end: usize,
    /// First line, from 1, in the extracted text.
    pub line_start: usize,
    /// Last line, inclusive.
    pub line_end: usize,
    /// Page, from 1, for formats that have pages.
    pub page: Option<u32>,
    /// Headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// Exactly the bytes at the span.
    pub quote: String,
}

/// A sentence of the answer tied to its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Citation {
    /// The number of the passage in the prompt, as the model cites it; that of the quote in a quoted answer.
    pub n: usize,
    /// The supporting sentence and where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Quoted, cited or attributed.
    pub kind: Kind,
    /// What the file itself says, read when the answer was checked.
    pub check: Check,
    /// Share of the answer sentence's weighted words found in the quote, 0 to 1.
    pub support: f32,
}

/// What a citation's file holds at the moment of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It holds the quote, at its place.
    Verified,
    /// It does; the answer's quotation was not word for word, and this is the nearest place.
    Repaired,
    /// It has changed since it was indexed, and does not hold the quote there any more.
    SourceChanged,
    /// It is gone, or cannot be read.
    SourceGone,
}

/// Token counts of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Tokens of the whole prompt.
    pub prompt_tokens: usize,
    /// Those of them whose state was not computed again.
    pub cached_tokens: usize,
    /// Tokens generated, reasoning included.
    pub completion_tokens: usize,
    /// Those of them that were reasoning.
    pub thinking_tokens: usize,
}

/// Durations of one answer, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Timing {
    /// Finding and packing passages.
    pub retrieve_s: f64,
    /// Opening the model.
    pub load_s: f64,
    /// Reading the prompt, restoring what was computed before included.
    pub prefill_s: f64,
    /// Restoring what was computed before.
    pub restore_s: f64,
    /// From the start of the question to the first token of the answer.
    pub first_token_s: f64,
    /// Generating.
    pub decode_s: f64,
    /// All of it.
    pub total_s: f64,
}
