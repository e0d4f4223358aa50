//! Web pages: the main content as blocks, without scripts, navigation and page furniture.
//!
//! One streaming pass over the tokens, no tree, so depth of nesting costs nothing:
//!
//! 1. An element that is furniture (script, nav, a sidebar by its role or class) is skipped up to its end tag, counting
//!    elements of the same name on the way.
//! 2. Text collects until a block element begins or ends; then it becomes a block of the kind that is open
//!    (heading, list item, quote, table cell, preformatted).
//! 3. Each block remembers whether it lay in `<main>`, `<article>` or `role="main"`. If those hold a good
//!    part of the page, the others are dropped.
//! 4. If skipping left next to nothing, the page is read again, skipping only what is never text: an unclosed `<nav>`
//!    must not cost the page.
//!
//! Tables become Markdown rows. A table that holds headings, other tables or long cells is page layout; its cells are read as text.

mod sink;

use crate::Format;
use crate::document::{About, BlockKind, Document, Writer};
use crate::html_tokens::{Dialect, Token, append_text, tokens};
use sink::Sink;

/// What comes out of a page besides its blocks, which go to a [`Writer`].
pub(crate) struct Page {
    pub(crate) title: Option<String>,
    pub(crate) about: About,
    first_heading: Option<String>,
    blocks: Vec<Piece>,
}

/// One block on its way out.
struct Piece {
    text: String,
    kind: BlockKind,
    /// Spaces before a nested list item.
    indent: usize,
    in_main: bool,
}

pub(crate) fn extract(html: &str) -> Document {
    let mut writer = Writer::default();
    let page = read(html);
    page.write(&mut writer);
    Document { about: page.about, ..writer.finish(Format::Html, page.title.or(page.first_heading)) }
}

/// Reads a page; also for the chapters of an EPUB.
pub(crate) fn read(html: &str) -> Page {
    let page = read_skipping(html, true);
    // "Next to nothing": under 1 % of the page's bytes and less than a short paragraph.
    let n_read = page.n_bytes();
    if n_read < 200 && n_read * 100 < html.len() {
        let all = read_skipping(html, false);
        if all.n_bytes() > n_read * 2 {
            return all;
        }
    }
    page
}

fn read_skipping(html: &str, skip_furniture: bool) -> Page {
    let mut head = html.get(..html.len().min(1024)).unwrap_or("").to_ascii_lowercase();
    if head.is_empty() {
        head = html.chars().take(256).collect();
    }
    let is_xhtml = head.contains("<?xml") || head.contains("//www.w3.org/1999/xhtml");
    let dialect = if is_xhtml { Dialect::Xhtml } else { Dialect::Html };
    let mut sink = Sink::new(skip_furniture);
    for token in tokens(html, dialect) {
        match token {
            Token::Start(tag) => {
                sink.start(&tag);
                if tag.self_closing && is_xhtml {
                    sink.end(&tag.name);
                }
            }
            Token::End(name) => sink.end(&name),
            Token::Text { text, is_raw } => sink.text(|out| append_text(text, is_raw, out)),
        }
    }
    sink.finish()
}

impl Page {
    fn n_bytes(&self) -> usize {
        self.blocks.iter().map(|b| b.text.len()).sum()
    }

    /// Writes the blocks worth keeping: those of the main part if it holds at least a third of the text.
    pub(crate) fn write(&self, writer: &mut Writer) {
        let n_main: usize = self.blocks.iter().filter(|b| b.in_main).map(|b| b.text.len()).sum();
        let only_main = n_main * 3 >= self.n_bytes();
        for block in self.blocks.iter().filter(|b| b.in_main || !only_main) {
            writer.push_indented(block.indent, &block.text, block.kind.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(html: &str) -> Vec<(String, BlockKind)> {
        let document = extract(html);
        assert_eq!(document.check(), Ok(()));
        document.blocks.iter().map(|b| (document.text[b.span.clone()].to_owned(), b.kind.clone())).collect()
    }

    fn text(html: &str) -> String {
        extract(html).text
    }

    #[test]
    fn structure_is_kept() {
        let html = "<html><head><title>A &amp; B\n page</title><style>p{}</style></head><body><h1>Top</h1>\
            <p>One <b>two</b>\n  three<br>four</p><ul><li>a<ul><li>b</li></ul><li><p>c</p></ul><ol><li>x<li>y</ol>\
            <pre><code class=\"language-rust\">fn x() {\n\n    y\n}\n</code></pre><blockquote><p>q</p></blockquote>tail";
        let document = extract(html);
        assert_eq!(document.title.as_deref(), Some("A & B page"));
        assert_eq!(
            document.text,
            "Top\n\nOne two three\nfour\n\n- a\n  - b\n- c\n1. x\n2. y\n\nfn x() {\n\n    y\n}\n\nq\n\ntail"
        );
        let kinds: Vec<_> = document.blocks.into_iter().map(|b| b.kind).collect();
        assert_eq!(kinds[0], BlockKind::Heading { level: 1 });
        assert_eq!(kinds[7], BlockKind::Code { language: Some("rust".into()) });
        assert_eq!(kinds[8], BlockKind::Quote);
    }

    #[test]
    fn tables_become_markdown_rows() {
        let html = "<table><caption>Sizes</caption><tr><th>Name<th>Size</tr><tr><td>a|b<td><p>1</p><p>2</p></table>after";
        assert_eq!(
            parts(html),
            [
                ("Sizes".to_owned(), BlockKind::Paragraph),
                ("| Name | Size |\n| --- | --- |\n| a\\|b | 1 2 |".to_owned(), BlockKind::Table),
                ("after".to_owned(), BlockKind::Paragraph),
            ]
        );
    }

    #[test]
    fn layout_tables_are_read_as_text() {
        let html =
            "<table><tr><td><h2>Part</h2><p>Text one.</p><p>Text two.</p></td><td>side</td></tr></table>";
        assert_eq!(text(html), "Part\n\nText one.\n\nText two.\n\nside");
        assert_eq!(text("<table><tr><td><p>one</p><p>two</p></table>"), "one\n\ntwo");
        assert_eq!(text("<table><tr><td><table><tr><td>1<td>2</tr></table><td>x</table>"), "| 1 | 2 |\n\nx");
    }

    #[test]
    fn navigation_and_scripts_are_left_out() {
        let html = "<nav><a>Home</a></nav><div class='sidebar x'><div>in</div>side</div><script>var a='<p>';</script>\
            <div role=navigation>n</div><p hidden>h</p><p>Body<a class=headerlink>¶</a></p><footer>f</footer>";
        assert_eq!(text(html), "Body");
    }

    #[test]
    fn the_main_part_wins_over_the_rest() {
        let html = "<div>menu entries here</div><main><h1>T</h1><p>The long text of this page.</p></main><div>bottom</div>";
        assert_eq!(text(html), "T\n\nThe long text of this page.");
        let tiny = format!("<main>x</main><p>{}</p>", "words of the page ".repeat(20));
        assert!(text(&tiny).contains("words of the page"));
    }

    #[test]
    fn an_unclosed_nav_does_not_cost_the_page() {
        let html = format!("<nav><p>{}", "All of it is in here. ".repeat(40));
        assert!(text(&html).contains("All of it"));
    }

    #[test]
    fn xhtml_closes_its_own_tags() {
        let html = "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/><script src='x'/></head><body><p>here</p></body></html>";
        assert_eq!(text(html), "here");
    }

    #[test]
    fn hundred_thousand_nested_elements_are_read() {
        for name in ["div", "table", "ul", "blockquote", "b", "pre", "li", "td", "h1", "nav", "main"] {
            let html = format!(
                "{}deep{}",
                format!("<{name}>").repeat(100_000),
                format!("</{name}>").repeat(100_000)
            );
            assert!(text(&html).contains("deep"), "{name}");
        }
    }
}
