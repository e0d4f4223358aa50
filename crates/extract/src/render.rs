//! A document shown: as Markdown, and each block with where it stands.

use std::fmt::Write as _;

use crate::document::{Block, BlockKind, Document};

impl Document {
    /// The headings each block stands under, outermost first; for a heading, those it stands under itself. One entry a block.
    pub fn heading_paths(&self) -> Vec<Vec<&str>> {
        let mut open: Vec<(u8, &str)> = Vec::new();
        let paths = self.blocks.iter().map(|block| {
            if let BlockKind::Heading { level } = block.kind {
                open.retain(|(above, _)| *above < level);
            }
            let path = open.iter().map(|(_, words)| *words).collect();
            if let BlockKind::Heading { level } = block.kind {
                open.push((level, &self.text[block.span.clone()]));
            }
            path
        });
        paths.collect()
    }

    /// The page a byte of the text lies on, from 1; `None` if the format has no pages.
    pub fn page_of(&self, at: usize) -> Option<usize> {
        let n_begun = self.pages.partition_point(|page| page.start <= at);
        (!self.pages.is_empty()).then_some(n_begun.max(1))
    }

    /// The document as Markdown: what was understood of its structure, written out. Pages begin with a comment.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let (mut page, mut was_item) = (None, false);
        for block in &self.blocks {
            let is_item = block.kind == BlockKind::ListItem;
            if !out.is_empty() {
                out.push_str(if is_item && was_item { "\n" } else { "\n\n" });
            }
            was_item = is_item;
            let on_page = self.page_of(block.span.start);
            if let Some(n) = on_page.filter(|_| on_page != page) {
                let _ = write!(out, "<!-- page {n} -->\n\n");
                page = on_page;
            }
            self.write_block(block, &mut out);
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }

    fn write_block(&self, block: &Block, out: &mut String) {
        let text = &self.text[block.span.clone()];
        match &block.kind {
            BlockKind::Heading { level } => {
                let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let _ = write!(out, "{} {words}", "#".repeat(usize::from(*level).clamp(1, 6)));
            }
            BlockKind::Paragraph => out.push_str(text),
            BlockKind::ListItem => {
                out.push_str(self.indentation(block));
                // AsciiDoc counts with dots.
                let counted = text.strip_prefix('.').map(|rest| rest.trim_start_matches('.'));
                let is_marked =
                    text.starts_with(['-', '*', '+']) || text.starts_with(|c: char| c.is_ascii_digit());
                let _ = match counted.filter(|rest| rest.starts_with(' ')) {
                    Some(rest) => write!(out, "1.{rest}"),
                    None => write!(out, "{}{text}", if is_marked { "" } else { "- " }),
                };
            }
            BlockKind::Quote => {
                let lines: Vec<String> = text.lines().map(|line| format!("> {line}")).collect();
                out.push_str(&lines.join("\n"));
            }
            BlockKind::Table
                if text
                    .lines()
                    .all(|row| row.trim_start().starts_with('|') && row.trim_end().ends_with('|')) =>
            {
                out.push_str(&with_header_rule(text));
            }
            BlockKind::Table => fenced(text, "", "", out),
            BlockKind::Code { language } => {
                fenced(text, self.indentation(block), language.as_deref().unwrap_or_default(), out);
            }
        }
    }

    /// The blank space between the beginning of a block's first line and the block.
    fn indentation(&self, block: &Block) -> &str {
        let line = self.text[..block.span.start].rfind('\n').map_or(0, |at| at + 1);
        let before = &self.text[line..block.span.start];
        if before.trim().is_empty() { before } else { "" }
    }
}

/// A fence longer than any run of backticks inside.
fn fenced(text: &str, indentation: &str, language: &str, out: &mut String) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = write!(out, "{fence}{language}\n{indentation}{text}\n{fence}");
}

/// Markdown knows no table without a header: one that has none gets a blank one.
fn with_header_rule(rows: &str) -> String {
    let is_rule =
        |row: &str| row.chars().all(|c| matches!(c, '|' | '-' | ':' | '+' | ' ')) && row.contains('-');
    let first = rows.lines().next().unwrap_or_default();
    if rows.lines().nth(1).is_some_and(is_rule) {
        return rows.to_owned();
    }
    let n_cells = first.replace("\\|", "").matches('|').count().saturating_sub(1).max(1);
    format!("|{}\n|{}\n{rows}", "  |".repeat(n_cells), " --- |".repeat(n_cells))
}

#[cfg(test)]
mod tests {
    use crate::document::Writer;
    use crate::{BlockKind, Format};

    #[test]
    fn a_document_is_written_out_as_markdown() {
        let mut writer = Writer::default();
        writer.page(|writer| {
            writer.push("Top", BlockKind::Heading { level: 1 });
            writer.push("Words.", BlockKind::Paragraph);
            writer.push("Part", BlockKind::Heading { level: 2 });
        });
        writer.page(|writer| {
            writer.push("- a", BlockKind::ListItem);
            writer.push_indented(2, "- b", BlockKind::ListItem);
            writer.push("  x\n  ```", BlockKind::Code { language: Some("c".into()) });
            writer.push("| 1 | 2 |\n", BlockKind::Table);
            writer.push("said\nso", BlockKind::Quote);
        });
        let document = writer.finish(Format::Html, None);
        assert_eq!(
            document.markdown(),
            "<!-- page 1 -->\n\n# Top\n\nWords.\n\n## Part\n\n<!-- page 2 -->\n\n- a\n  - b\n\n````c\n  x\n  ```\n````\n\n\
             |  |  |\n| --- | --- |\n| 1 | 2 |\n\n> said\n> so\n"
        );
        assert_eq!(document.heading_paths()[3], ["Top", "Part"]);
        assert_eq!(document.heading_paths()[2], ["Top"]);
        assert_eq!((document.page_of(0), document.page_of(document.text.len())), (Some(1), Some(2)));
    }
}
