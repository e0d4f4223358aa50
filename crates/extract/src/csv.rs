//! Tables as text (CSV, TSV): the file itself, cut into blocks of whole rows.
//!
//! The text stays the file byte for byte, so that a row can be cited where it stands; a row ends at a line end outside quotes.

use crate::Format;
use crate::decode::Decoded;
use crate::document::{BlockKind, Document, Spans};

/// Rows to a block.
const ROWS_PER_BLOCK: usize = 20;

/// A quoted cell with more lines than this was never closed; its line ends count again.
const MAX_QUOTED_LINES: usize = 200;

pub(crate) fn extract(decoded: Decoded) -> Document {
    let text = &decoded.text;
    let mut spans = Spans::new(text);
    let (mut start, mut n_rows, mut n_quoted, mut in_quotes) = (0, 0, 0, false);
    for line in crate::plain::lines(text) {
        // A doubled quote turns twice, which is as it should be.
        in_quotes ^= text[line.clone()].bytes().filter(|b| *b == b'"').count() % 2 == 1;
        n_quoted = if in_quotes { n_quoted + 1 } else { 0 };
        if in_quotes && n_quoted <= MAX_QUOTED_LINES {
            continue;
        }
        in_quotes = false;
        n_rows += 1;
        if n_rows == ROWS_PER_BLOCK {
            spans.push(start..line.end, BlockKind::Table);
            (start, n_rows) = (line.end, 0);
        }
    }
    spans.push(start..text.len(), BlockKind::Table);
    let blocks = spans.into_blocks();
    Document::in_place(decoded, Format::Csv, None, blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_rows_of_the_file() {
        let mut text = String::from("name,note\r\n");
        for i in 0..30 {
            text += &format!("n{i},\"two\r\nlines \"\"{i}\"\"\"\r\n");
        }
        let document = extract(Decoded { text: text.clone(), same_as_file: true });
        assert_eq!(document.check(), Ok(()));
        assert_eq!(document.blocks.len(), 2);
        assert_eq!(document.text, text);
        assert!(document.text[document.blocks[1].span.clone()].starts_with("n19,"));
        let unclosed = format!("a,\"b\n{}", "c\n".repeat(1000));
        assert!(extract(Decoded { text: unclosed, same_as_file: true }).blocks.len() > 10);
    }
}
