//! What holds for any input whatsoever: spans are spans, texts are the file, and nothing crashes.

use std::path::Path;

use docent_extract::{BlockKind, Document, Limits, extract};
use proptest::prelude::*;

/// A name for each reader of text.
const NAMES: &[&str] = &[
    "a.txt", "a.md", "a.html", "a.rs", "a.py", "a.json", "a.csv", "a", "a.ipynb", "a.xhtml", "a.rst",
    "a.adoc", "a.org", "a.tex", "a.yaml", "a.toml", "a.srt", "a.vtt", "a.eml", "a.mbox",
];

fn read_all(bytes: &[u8]) {
    for name in NAMES {
        let Ok(document) = extract(Path::new(name), bytes, &Limits::default()) else { continue };
        assert_eq!(document.check(), Ok(()), "{name}");
        if document.same_as_file {
            assert_eq!(document.text.as_bytes(), bytes, "{name}");
        }
    }
}

fn read(name: &str, text: &str) -> Document {
    let document = extract(Path::new(name), text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(document.check(), Ok(()));
    document
}

/// What rich text is made of.
const RICH_TEXT: &[&str] = &[
    "{",
    "}",
    "\\par ",
    "\\pard ",
    "\\cell ",
    "\\row ",
    "\\intbl ",
    "\\footnote ",
    "\\listtext ",
    "\\*",
    "\\info",
    "\\title ",
    "\\u55357 ",
    "\\u56832?",
    "\\uc3 ",
    "\\'e9",
    "\\'",
    "\\bin5 ",
    "\\f1 ",
    "\\fonttbl",
    "\\fcharset128 ",
    "\\stylesheet",
    "\\s1 ",
    "heading 1;",
    "\\v ",
    "\\line ",
    "word ",
    "é",
    "\\",
    "\\outlinelevel2 ",
    "\\pict ",
    "\n",
    "\\~",
    "\\emdash ",
    "\\ansicpg932 ",
];

/// Strings made of what the readers look for, so that their corners are met.
fn markup() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "# ",
        "## ",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "- ",
        "1. ",
        "  ",
        "    ",
        "\t",
        "> ",
        "```",
        "```rust\n",
        "| a | b |\n",
        "|---|---|\n",
        "---\n",
        "===\n",
        "<div>",
        "</div>",
        "<p>",
        "<p",
        "<table>",
        "<tr>",
        "<td>",
        "</table>",
        "<ul><li>",
        "</ul>",
        "<pre>",
        "</pre>",
        "<h1>",
        "</h1>",
        "<script>",
        "</script>",
        "<nav>",
        "<title>",
        "</title>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "&amp;",
        "&#",
        "&",
        "<",
        ">",
        "\"",
        "'",
        "=",
        "word",
        "é",
        "日本語",
        "\u{feff}",
        "\u{a0}",
        "\u{c}",
        "[a](b)",
        "[^1]",
        "[^1]: ",
        "***",
        "_",
        "`",
        "fn x() {\n",
        "}\n",
        "class A:\n",
        "{",
        "[",
        ",",
        "\"cells\":",
        "a\u{301}",
        "🦀",
        "\\",
        "+++\n",
        "<br>",
        "<blockquote>",
        "<a class=headerlink>",
        "<main>",
        "\u{2028}",
        "\u{85}",
        "====\n",
        "----\n",
        "::\n",
        ".. code-block:: c\n",
        ".. note:: ",
        ".. ",
        ":a: b\n",
        "==  ==\n",
        "+---+\n",
        "* ",
        "|===\n",
        "[source,c]\n",
        "#+begin_src c\n",
        "#+end_src\n",
        ":END:\n",
        "\\section{",
        "\\begin{itemize}",
        "\\item ",
        "\\end{itemize}",
        "\\begin{tabular}{l}",
        "\\'",
        "\\verb|",
        "}",
        "$",
        "&",
        "%",
        "]",
        "a: |\n",
        "\"a\": ",
        "[a.b]\n",
        "00:00:01,000 --> 00:00:02,000\n",
        "WEBVTT\n",
        "From: a@b\n",
        "Subject: =?utf-8?q?=C3?=\n",
        "From a 1:1\n",
        "Content-Type: multipart/mixed; boundary=b\n",
        "--b\n",
        "Content-Transfer-Encoding: quoted-printable\n",
        "=C3",
    ]);
    prop::collection::vec(parts, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spans_are_spans_in_any_text(text in "\\PC{0,400}") {
        read_all(text.as_bytes());
    }

    #[test]
    fn spans_are_spans_in_any_markup(text in markup()) {
        read_all(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }

    #[test]
    fn spans_are_spans_in_any_rich_text(words in prop::collection::vec(prop::sample::select(RICH_TEXT.to_vec()), 0..60)) {
        let text = format!("{{\\rtf1{}", words.concat());
        read_all(text.as_bytes());
    }

    #[test]
    fn any_bytes_behind_a_known_beginning_are_read_or_refused(
        magic in prop::sample::select(vec![&b"PK\x03\x04"[..], b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"{\"cells\":[", b"<!DOCTYPE html>", b"\x1b$B", b"{\\rtf1", b"{\\rtf1{\\fonttbl{\\f0\\fcharset128 x;}}\\f0 ", b"\x1f\x8b\x08", b"From: a@b\nDate: x\nMessage-ID: <x>\n"]),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let all = [magic, &bytes[..]].concat();
        read_all(&all);
        for name in ["a.docx", "a.xlsx", "a.pptx", "a.odt", "a.epub", "a.zip", "a.tar", "a.tgz", "a.rtf"] {
            let _ = extract(Path::new(name), &all, &Limits::default());
        }
    }
}

#[test]
fn every_word_of_a_text_lies_in_a_block() {
    let text = "one two\n\n  three\r\n\r\nfour\n====\nfive\n\tsix\n";
    for name in ["a.txt", "a.md", "a.rs"] {
        let document = read(name, text);
        let covered: String =
            document.blocks.iter().map(|b| document.text[b.span.clone()].to_owned() + " ").collect();
        for word in ["one", "two", "three", "four", "five", "six"] {
            assert!(covered.contains(word), "{word} of {name}");
        }
    }
}

#[test]
fn hundred_thousand_of_anything_nested_overflow_no_stack() {
    for (name, open) in [
        ("a.html", "<div>"),
        ("a.html", "<table><tr><td>"),
        ("a.md", "> "),
        ("a.md", "- "),
        ("a.md", "[["),
        ("a.ipynb", "["),
        ("a.json", "{\"a\":"),
    ] {
        let _ = extract(Path::new(name), open.repeat(100_000).as_bytes(), &Limits::default());
    }
}

#[test]
fn a_manual_that_writes_about_latex_is_not_taken_for_a_preamble() {
    let manual = "\\section{One}\nText.\n\nwrite(\"\\documentclass{article}\\begin{document}\");\nwrite(\"\\end{document}\");\n\nMore.";
    let document = read("a.tex", manual);
    assert!(
        document.text.starts_with("One\n\nText.") && document.text.ends_with("More."),
        "{}",
        document.text
    );
    let document = read("a.tex", "\\input{class}\n\\begin{document}Text.\n\\end{document}\nNot.");
    assert_eq!(document.text, "Text.");
}

#[test]
fn refusals_are_sentences() {
    let reason = |name: &str, bytes: &[u8]| {
        extract(Path::new(name), bytes, &Limits::default()).unwrap_err().reason().to_owned()
    };
    assert_eq!(reason("a.txt", b""), "empty file");
    assert_eq!(reason("a.txt", b" \n\t"), "no text in it");
    assert_eq!(reason("a.dat", b"ab\0\x01\x02"), "binary file");
    assert_eq!(reason("a.md", b"\x7fELF\x02\x01\x01"), "binary file (program)");
    let limits = Limits { max_bytes: 3 << 20, ..Limits::default() };
    let error = extract(Path::new("a.txt"), &vec![b'a'; 4 << 20], &limits).unwrap_err();
    assert_eq!(error.reason(), "larger than 3 MB (4 MB): raise the limit with --max-size");
}

#[test]
fn a_file_is_read_the_same_in_every_encoding() {
    let text = "Grüße aus Köln.\n\nÄpfel und Öl sind schön, natürlich auch Füße und Bücher.\n";
    let (latin, ..) = encoding_rs::WINDOWS_1252.encode(text);
    let utf16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [text.as_bytes(), &latin[..], &utf16[..]] {
        let document = extract(Path::new("a.txt"), bytes, &Limits::default()).unwrap();
        assert_eq!(document.text, text);
        assert_eq!(document.same_as_file, bytes == text.as_bytes());
        assert_eq!(document.blocks.len(), 2);
        assert!(document.blocks.iter().all(|b| b.kind == BlockKind::Paragraph));
    }
}
