//! From byte spans to what people look up: lines and pages; and whether the file still holds what the index says.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use docent_index::{Chunk, DocId, DocumentText, Index};

use crate::Error;
use crate::answer::{Check, Place};

/// Places in documents of an index; each document is read once.
pub(crate) struct Locator<'a> {
    index: &'a Index,
    documents: HashMap<u64, DocumentText>,
    files: HashMap<u64, FileNow>,
}

/// A document's file as it is now.
enum FileNow {
    /// What was indexed.
    Same,
    /// Something else.
    Other(Vec<u8>),
    Gone,
}

impl FileNow {
    fn read(document: &DocumentText) -> Self {
        let Ok(bytes) = std::fs::read(&document.record.stat.path) else { return FileNow::Gone };
        match document.record.hash {
            Some(hash) if *blake3::hash(&bytes).as_bytes() == hash => FileNow::Same,
            _ => FileNow::Other(bytes),
        }
    }
}

impl<'a> Locator<'a> {
    pub(crate) fn new(index: &'a Index) -> Self {
        Self { index, documents: HashMap::new(), files: HashMap::new() }
    }

    /// Describes `span` of a document's text.
    pub(crate) fn place(
        &mut self,
        document: DocId,
        span: Range<usize>,
        heading_path: Vec<String>,
    ) -> Result<Place, Error> {
        Ok(place(self.document(document)?, span, heading_path))
    }

    /// Whether the document's file still holds `span` of its text. Each file is read once.
    pub(crate) fn check(&mut self, document: DocId, span: &Range<usize>) -> Result<Check, Error> {
        let number = document.0;
        if !self.files.contains_key(&number) {
            let now = FileNow::read(self.document(document)?);
            self.files.insert(number, now);
        }
        let (document, now) = (&self.documents[&number], &self.files[&number]);
        Ok(match now {
            FileNow::Gone => Check::SourceGone,
            FileNow::Same => Check::Verified,
            // Text of another format has no bytes of its own in the file.
            FileNow::Other(bytes) if document.same_as_file => {
                let is_there = bytes.get(span.clone()) == Some(&document.text.as_bytes()[span.clone()]);
                if is_there { Check::Verified } else { Check::SourceChanged }
            }
            FileNow::Other(_) => Check::SourceChanged,
        })
    }

    fn document(&mut self, document: DocId) -> Result<&DocumentText, Error> {
        Ok(match self.documents.entry(document.0) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.index.document(document)?),
        })
    }
}

fn place(document: &DocumentText, span: Range<usize>, heading_path: Vec<String>) -> Place {
    let (line_start, line_end) = lines(&document.text, &span);
    Place {
        path: document.record.stat.path.clone(),
        byte_start: span.start,
        byte_end: span.end,
        line_start,
        line_end,
        page: page(&document.pages, span.start),
        heading_path,
        quote: document.text[span].to_owned(),
    }
}

/// Describes a whole passage.
pub(crate) fn chunk_place(chunk: &Chunk) -> Place {
    Place {
        path: chunk.path.clone(),
        byte_start: chunk.span.start,
        byte_end: chunk.span.end,
        line_start: chunk.lines.0 as usize,
        line_end: chunk.lines.1 as usize,
        page: chunk.page,
        heading_path: chunk.heading_path.clone(),
        quote: chunk.text.clone(),
    }
}

/// First and last line of `span`, from 1. A line break at the end of the span belongs to its line.
fn lines(text: &str, span: &Range<usize>) -> (usize, usize) {
    let breaks = |range: Range<usize>| text.as_bytes()[range].iter().filter(|&&b| b == b'\n').count();
    let first = 1 + breaks(0..span.start);
    let inside = text[span.clone()].trim_end_matches('\n').len();
    (first, first + breaks(span.start..span.start + inside))
}

/// The page that byte `at` stands on, from 1; the nearest one before it where it stands between two.
fn page(pages: &[Range<usize>], at: usize) -> Option<u32> {
    let after = pages.partition_point(|page| page.start <= at);
    (!pages.is_empty()).then(|| after.max(1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one_and_include_both_ends() {
        let text = "a\nbb\nccc\n";
        assert_eq!(lines(text, &(0..1)), (1, 1));
        assert_eq!(lines(text, &(2..8)), (2, 3));
        assert_eq!(lines(text, &(5..9)), (3, 3));
    }

    #[test]
    fn a_byte_between_two_pages_belongs_to_the_one_before() {
        let pages = [0..10, 12..20];
        assert_eq!(page(&pages, 0), Some(1));
        assert_eq!(page(&pages, 11), Some(1));
        assert_eq!(page(&pages, 12), Some(2));
        assert_eq!(page(&[], 3), None);
    }
}
