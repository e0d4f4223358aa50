//! Whatever bytes a file has, under the name of every format that has a parser of ours: reading it ends, does not panic, and gives
//! spans that are spans of the text.
//!
//! The first byte of a case chooses among the forms of [`PARSERS`], so that one corpus serves all parsers. With the variable
//! `DOCENT_FUZZ_PARSER` it chooses among those of the parsers it names (`rst`, or `rst,org`).
//!
//! A mutated zip file mostly breaks at a checksum and never reaches the parser behind it. So office files are cases of their
//! parts, put in a sound container here. The parser of PDFs is not ours and runs in a process of its own; ours is what
//! makes lines, columns and headings of where its glyphs stand: a case is where they stand.

#![no_main]

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use docent_extract::{Limits, extract};
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// How the bytes of a case become a file.
#[derive(Clone, Copy)]
enum Form {
    /// They are the file.
    Whole(&'static str),
    /// They are the file, what is not UTF-8 replaced: guessing encodings is what `text` is fuzzed for, and would be most of what other
    /// parsers' cases reach.
    Text(&'static str),
    /// Parted by [`BETWEEN_PARTS`], they are the parts, in UTF-8, of a zip file in this order, behind what the type of the file is, where it says so.
    Parts(&'static str, Option<&'static str>, &'static [&'static str]),
    /// Parted by [`BETWEEN_PARTS`], they are names and contents of a zip file.
    Archive(&'static str),
    /// They are the unpacked content of a gzip file.
    Packed(&'static str),
    /// They say where the glyphs of a PDF stand ([`pdf`]).
    Glyphs(&'static str),
}

/// In no XML, as it is in no UTF-8.
const BETWEEN_PARTS: u8 = 0xff;

const DOCX: &[&str] =
    &["word/document.xml", "word/styles.xml", "word/numbering.xml", "word/footnotes.xml", "word/endnotes.xml", "docProps/core.xml"];
const PPTX: &[&str] = &[
    "ppt/presentation.xml",
    "ppt/_rels/presentation.xml.rels",
    "ppt/slides/slide1.xml",
    "ppt/slides/_rels/slide1.xml.rels",
    "ppt/notesSlides/notesSlide1.xml",
    "ppt/slides/slide2.xml",
    "docProps/core.xml",
];
const XLSX: &[&str] = &[
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
    "xl/worksheets/sheet1.xml",
    "xl/worksheets/sheet2.xml",
    "docProps/core.xml",
];
const ODF: &[&str] = &["content.xml", "meta.xml"];
const EPUB: &[&str] = &["META-INF/container.xml", "OPS/book.opf", "OPS/text/one.xhtml", "OPS/text/two.xhtml"];

/// Every parser of ours with the forms its cases take; `seeds.py` gives each the same first bytes.
const PARSERS: &[(&str, &[Form])] = &[
    ("text", &[Form::Whole("a.txt"), Form::Whole("a")]),
    ("markdown", &[Form::Text("a.md")]),
    ("rst", &[Form::Text("a.rst")]),
    ("asciidoc", &[Form::Text("a.adoc")]),
    ("org", &[Form::Text("a.org")]),
    ("latex", &[Form::Text("a.tex")]),
    ("html", &[Form::Text("a.html")]),
    ("csv", &[Form::Text("a.csv")]),
    ("data", &[Form::Text("a.json"), Form::Text("a.yaml"), Form::Text("a.toml"), Form::Text("a.ini")]),
    ("code", &[Form::Text("a.py"), Form::Text("a.rs")]),
    ("notebook", &[Form::Text("a.ipynb")]),
    ("subtitles", &[Form::Text("a.srt"), Form::Text("a.vtt")]),
    ("mail", &[Form::Whole("a.eml"), Form::Whole("a.mbox")]),
    ("rtf", &[Form::Whole("a.rtf")]),
    ("archive", &[Form::Whole("a.zip"), Form::Whole("a.tar"), Form::Whole("a.txt.gz"), Form::Archive("a.zip"), Form::Packed("a.tar.gz")]),
    ("docx", &[Form::Parts("a.docx", None, DOCX)]),
    ("pptx", &[Form::Parts("a.pptx", None, PPTX)]),
    ("xlsx", &[Form::Parts("a.xlsx", None, XLSX)]),
    (
        "odf",
        &[
            Form::Parts("a.odt", Some("application/vnd.oasis.opendocument.text"), ODF),
            Form::Parts("a.odp", Some("application/vnd.oasis.opendocument.presentation"), ODF),
            Form::Parts("a.ods", Some("application/vnd.oasis.opendocument.spreadsheet"), ODF),
        ],
    ),
    ("epub", &[Form::Parts("a.epub", Some("application/epub+zip"), EPUB)]),
    ("pdf", &[Form::Glyphs("a.pdf")]),
];

/// The forms of the parsers that are fuzzed.
static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let wanted = std::env::var("DOCENT_FUZZ_PARSER").ok();
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.split(',').any(|one| one == name));
    let forms: Vec<Form> = PARSERS.iter().filter(|(name, _)| is_wanted(name)).flat_map(|(_, forms)| *forms).copied().collect();
    assert!(!forms.is_empty(), "DOCENT_FUZZ_PARSER names no parser");
    forms
});

fn zip(entries: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).ok()?;
        zip.write_all(bytes).ok()?;
    }
    Some(zip.finish().ok()?.into_inner())
}

/// A gzip file of blocks that are not compressed (RFC 1951, 3.2.4), which is what a fuzzer can see through.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    let mut out = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    for block in bytes.chunks(0xffff) {
        let n = block.len() as u16;
        out.push(0);
        out.extend([n.to_le_bytes(), (!n).to_le_bytes()].concat());
        out.extend(block);
    }
    // An empty block that is the last one.
    out.extend(b"\x01\0\0\xff\xff");
    out.extend(crc.sum().to_le_bytes());
    out.extend((bytes.len() as u32).to_le_bytes());
    out
}

/// A PDF that shows a letter for every five bytes: its code, where it stands, and how: its size, direction, and whether a page begins.
fn pdf(bytes: &[u8]) -> Vec<u8> {
    let mut pages = vec![String::new()];
    for glyph in bytes.chunks_exact(5) {
        let (code, x, y, size, how) = (glyph[0], f64::from(glyph[1]) * 2.5, f64::from(glyph[2]) * 3.3, f64::from(glyph[3]) / 4.0, glyph[4]);
        if how & 0x80 != 0 && pages.len() < 20 {
            pages.push(String::new());
        }
        let (a, b) = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)][usize::from(how & 3)];
        let page = pages.last_mut().expect("there is one");
        let fine = f64::from(how >> 2 & 7) / 8.0;
        let _ = write!(page, "{} {} {} {} {} {} Tm <{code:02x}> Tj\n", a * size, b * size, -b * size, a * size, x + fine, y + fine);
    }
    let mut objects = vec!["<</Type/Catalog/Pages 2 0 R/Outlines 4 0 R>>".to_owned()];
    let kids: String = (0..pages.len()).map(|i| format!("{} 0 R ", 6 + 2 * i)).collect();
    objects.push(format!("<</Type/Pages/Kids[{kids}]/Count {}>>", pages.len()));
    objects.push("<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_owned());
    objects.push("<</First 5 0 R>>".to_owned());
    // The outline's one title is the text of the first glyphs, so that it may be met again on the page.
    let title: String = bytes.chunks_exact(5).take(8).map(|glyph| format!("{:02x}", glyph[0])).collect();
    objects.push(format!("<</Title<{title}>/Dest[6 0 R/Fit]>>"));
    for (i, page) in pages.iter().enumerate() {
        let content = format!("BT /F 1 Tf\n{page}ET");
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 640 842]/Resources<</Font<</F 3 0 R>>>>/Contents {} 0 R>>",
            7 + 2 * i
        ));
        objects.push(format!("<</Length {}>>stream\n{content}\nendstream", content.len()));
    }
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (i, object) in objects.iter().enumerate() {
        let _ = write!(table, "{:010} 00000 n \n", out.len());
        let _ = write!(out, "{} 0 obj\n{object}\nendobj\n", i + 1);
    }
    let place = out.len();
    let _ = write!(out, "{table}trailer<</Size {}/Root 1 0 R>>\nstartxref\n{place}\n%%EOF", objects.len() + 1);
    out
}

/// Name and bytes of the file that a case stands for.
fn file(form: Form, bytes: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let mut parts = bytes.split(|byte| *byte == BETWEEN_PARTS);
    Some(match form {
        Form::Whole(name) => (name, bytes.to_vec()),
        Form::Text(name) => (name, String::from_utf8_lossy(bytes).into_owned().into_bytes()),
        Form::Parts(name, kind, paths) => {
            let kind = kind.map(|kind| ("mimetype", kind.as_bytes()));
            let parts: Vec<_> = parts.map(String::from_utf8_lossy).collect();
            let parts = paths.iter().copied().zip(parts.iter().map(|part| part.as_bytes()));
            (name, zip(&kind.into_iter().chain(parts).collect::<Vec<_>>())?)
        }
        Form::Archive(name) => {
            let mut entries = Vec::new();
            while let (Some(name), Some(bytes)) = (parts.next(), parts.next()) {
                entries.push((std::str::from_utf8(name).ok()?, bytes));
            }
            (name, zip(&entries)?)
        }
        Form::Packed(name) => (name, gzip(bytes)),
        Form::Glyphs(name) => (name, pdf(bytes)),
    })
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    // Not ours, wherever it is found.
    if bytes.windows(5).any(|window| window == b"%PDF-") {
        return;
    }
    let Some((name, bytes)) = file(FORMS[usize::from(*first) % FORMS.len()], bytes) else { return };
    let limits = Limits { max_unpacked_bytes: 4 << 20, timeout: Duration::from_secs(10), ..Limits::default() };
    if let Ok(document) = extract(Path::new(name), &bytes, &limits) {
        assert_eq!(document.check(), Ok(()), "{name}");
        assert!(!document.same_as_file || document.text.as_bytes() == bytes, "{name}");
        let _ = (document.markdown(), document.heading_paths());
    }
});
