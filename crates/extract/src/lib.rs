//! Bytes to a structured document; each third-party parser behind its own wall.
//!
//! [`extract`] decides what a file is by its content first and its name second, and gives back one
//! [`Document`]: a text, the blocks in it (headings, paragraphs, list items, tables, code) as byte spans
//! into that text, and the pages where the format has pages. A file that holds nothing to read, or
//! that cannot be read, comes back as an [`ExtractError`] whose message is a sentence for the user.
//!
//! What never happens here: a panic, a hang or unbounded memory because of what a file contains;
//! output on stdout or stderr; a look at the environment. Parsers that cannot promise the first of these
//! themselves (PDF) run in a [`Worker`] process, or on a thread of their own when there is none.
//!
//! Cost: text formats are one pass over the bytes and one copy. HTML is a streaming pass without a tree.

mod archive;
mod asciidoc;
mod code;
mod container;
mod csv;
mod data;
mod decode;
mod detect;
mod document;
mod docx;
mod entities;
mod epub;
mod error;
mod html;
mod html_tokens;
mod latex;
mod limits;
mod mail;
mod mailbox;
mod markdown;
mod markup;
mod notebook;
mod ocr;
mod odf;
mod org;
mod pdf;
mod plain;
mod pptx;
mod render;
mod rst;
mod rtf;
mod subtitles;
mod table;
mod tar;
mod worker;
mod xlsx;
mod xml;

use std::path::Path;

pub use detect::{Format, detect};
pub use document::{About, Block, BlockKind, Document, Row};
pub use error::ExtractError;
use limits::Allowance;
pub use limits::Limits;
pub use ocr::Ocr;
pub use worker::{Worker, run_worker};

/// Turns the content of one file into a [`Document`].
///
/// `path` is used for its extension alone; nothing is read from it. `bytes` is the whole file.
///
/// # Errors
/// [`ExtractError::Skipped`] when there is nothing to read for cause (binary, too large, empty, unsupported,
/// images only); [`ExtractError::Failed`] when the file is broken, encrypted or its parser gave up.
pub fn extract(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    limits.check_size(bytes.len() as u64)?;
    read_member(path, bytes, &mut Allowance::of(limits))
}

/// As [`extract`], for a file inside another one.
fn read_member(path: &Path, bytes: &[u8], allowance: &mut Allowance) -> Result<Document, ExtractError> {
    let limits = &allowance.limits;
    if let Some(ocr) = &limits.ocr
        && detect::is_picture(bytes)
    {
        return ocr::picture(bytes, ocr);
    }
    let document = match detect(path, bytes)? {
        Format::Pdf => match (pdf::extract(path, bytes, limits), &limits.ocr) {
            // A PDF that is skipped is one without text.
            (Err(ExtractError::Skipped { .. }), Some(ocr)) => ocr::pdf(bytes, ocr)?,
            (read, _) => read?,
        },
        format => read_as(format, path, bytes, allowance)?,
    };
    with_text(document)
}

/// As [`extract`], with no wall around any parser: for the worker, which is one.
fn extract_here(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    limits.check_size(bytes.len() as u64)?;
    with_text(read_as(detect(path, bytes)?, path, bytes, &mut Allowance::of(limits))?)
}

fn read_as(
    format: Format,
    path: &Path,
    bytes: &[u8],
    allowance: &mut Allowance,
) -> Result<Document, ExtractError> {
    let limits = &allowance.limits;
    match format {
        Format::Text => Ok(plain::extract(decode::decode(bytes)?)),
        Format::Markdown => Ok(markdown::extract(decode::decode(bytes)?)),
        Format::Rst => Ok(rst::extract(decode::decode(bytes)?)),
        Format::Asciidoc => Ok(asciidoc::extract(decode::decode(bytes)?)),
        Format::Org => Ok(org::extract(decode::decode(bytes)?)),
        Format::Latex => Ok(latex::extract(&decode::decode(bytes)?.text)),
        Format::Html => Ok(html::extract(&decode::decode_html(bytes)?)),
        Format::Pdf => pdf::extract_here(bytes),
        Format::Docx => docx::extract(bytes, limits),
        Format::Pptx => pptx::extract(bytes, limits),
        Format::Xlsx => xlsx::extract(bytes, limits),
        Format::Odt | Format::Odp | Format::Ods => odf::extract(bytes, format, limits),
        Format::Epub => epub::extract(bytes, limits),
        Format::Rtf => Ok(rtf::extract(bytes)),
        Format::Csv => Ok(csv::extract(decode::decode(bytes)?)),
        Format::Notebook => notebook::extract(&decode::decode(bytes)?),
        Format::Data => Ok(data::extract(decode::decode(bytes)?, detect::code_language(path))),
        Format::Code => Ok(code::extract(decode::decode(bytes)?, detect::code_language(path))),
        Format::Subtitles => Ok(subtitles::extract(&decode::decode(bytes)?.text)),
        Format::Mail => allowance.inside(|allowance| mail::extract(bytes, allowance)),
        Format::Mailbox => allowance.inside(|allowance| mailbox::extract(bytes, allowance)),
        Format::Zip => allowance.inside(|allowance| archive::zip(bytes, allowance)),
        Format::Tar => allowance.inside(|allowance| archive::tar(bytes, allowance)),
        Format::Image => Err(ExtractError::skipped("picture")),
        Format::Gzip => allowance.inside(|allowance| archive::gzip(path, bytes, allowance)),
    }
}

fn with_text(document: Document) -> Result<Document, ExtractError> {
    debug_assert_eq!(document.check(), Ok(()));
    if document.blocks.is_empty() { Err(no_text(&document)) } else { Ok(document) }
}

fn no_text(document: &Document) -> ExtractError {
    match document.warnings.as_slice() {
        [] => ExtractError::skipped("no text in it"),
        [first, ..] => ExtractError::skipped(format!("no text in it ({first})")),
    }
}
