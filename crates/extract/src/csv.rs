//! Tables as text (CSV, TSV): the file itself, cut into blocks of whole rows.
//!
//! The text stays the file byte for byte, so that a row can be cited where it stands; a row ends at a line end outside quotes.

use crate::Format;
use crate::decode::Decoded;
use crate::document::{BlockKind, Document, Row, Spans, trimmed};

/// Rows to a block.
const ROWS_PER_BLOCK: usize = 20;

/// A quoted cell with more lines than this was never closed; its line ends count again.
const MAX_QUOTED_LINES: usize = 200;

pub(crate) fn extract(decoded: Decoded) -> Document {
    let text = &decoded.text;
    let mut spans = Spans::new(text);
    let separator = separator(text);
    let (mut rows, mut number, mut row_start) = (Vec::new(), 1, 0);
    let (mut start, mut n_rows, mut n_quoted, mut in_quotes) = (0, 0, 0, false);
    for line in crate::plain::lines(text) {
        // A doubled quote turns twice, which is as it should be.
        in_quotes ^= text[line.clone()].bytes().filter(|b| *b == b'"').count() % 2 == 1;
        n_quoted = if in_quotes { n_quoted + 1 } else { 0 };
        if in_quotes && n_quoted <= MAX_QUOTED_LINES {
            continue;
        }
        in_quotes = false;
        rows.extend(row(text, row_start..line.end, number, separator));
        (row_start, number) = (line.end, number.saturating_add(1));
        n_rows += 1;
        if n_rows == ROWS_PER_BLOCK {
            spans.push(start..line.end, BlockKind::Table);
            (start, n_rows) = (line.end, 0);
        }
    }
    spans.push(start..text.len(), BlockKind::Table);
    rows.extend(row(text, row_start..text.len(), number, separator));
    let blocks = spans.into_blocks();
    Document { rows, ..Document::in_place(decoded, Format::Csv, None, blocks) }
}

/// What parts the cells: of those in use, the one that the first line has most of.
fn separator(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let n_of = |separator: &u8| n_columns(first, *separator);
    // Of several equally good ones the last is taken.
    [b'|', b';', b'\t', b','].into_iter().max_by_key(n_of).unwrap_or(b',')
}

/// Cells of a row; a separator in quotes is none.
fn n_columns(row: &str, separator: u8) -> u32 {
    let (mut n, mut in_quotes) = (1u32, false);
    for byte in row.bytes() {
        in_quotes ^= byte == b'"';
        n += u32::from(byte == separator && !in_quotes);
    }
    n
}

fn row(text: &str, span: std::ops::Range<usize>, number: u32, separator: u8) -> Option<Row> {
    let columns = 0..n_columns(&text[span.clone()], separator);
    trimmed(text, span).map(|span| Row { span, number, columns })
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
        assert_eq!(document.cells_of(&document.blocks[0].span).as_deref(), Some("A1:B20"));
        assert_eq!(document.cells_of(&document.blocks[1].span).as_deref(), Some("A21:B31"));
        let semicolons = "a;b, c;\"d;e\"\n\n1;2\n".to_owned();
        let document = extract(Decoded { text: semicolons, same_as_file: true });
        assert_eq!(document.cells_of(&(0..5)).as_deref(), Some("A1:C1"));
        let at = document.text.find("1;2").unwrap();
        assert_eq!(document.cells_of(&(at..at + 3)).as_deref(), Some("A3:B3"), "a blank line is a row");
        let unclosed = format!("a,\"b\n{}", "c\n".repeat(1000));
        assert!(extract(Decoded { text: unclosed, same_as_file: true }).blocks.len() > 10);
    }
}
