//! Files made to exhaust whoever reads them cost no more than the limits allow.

mod made;

use std::io::Write;
use std::path::Path;

use docent_extract::{Document, ExtractError, Limits, extract};
use flate2::Compression;
use flate2::write::GzEncoder;

fn read_with(name: &str, bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    let read = extract(Path::new(name), bytes, limits);
    if let Ok(document) = &read {
        assert_eq!(document.check(), Ok(()));
    }
    read
}

fn read(name: &str, bytes: &[u8]) -> Result<Document, ExtractError> {
    read_with(name, bytes, &Limits::default())
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_archive_that_unpacks_to_too_much_is_read_up_to_the_limit() {
    let big = "words of it\n\n".repeat(100_000);
    let bomb = made::zip(&[("a.txt", b"first"), ("b.txt", big.as_bytes()), ("c.txt", b"last")]);
    let limits = Limits { max_unpacked_bytes: 1 << 20, ..Limits::default() };
    let document = read_with("x.zip", &bomb, &limits).unwrap();
    assert_eq!(document.text, "a.txt\n\nfirst");
    assert!(document.warnings[0].contains("unpacks to too much"), "{:?}", document.warnings);
    let error = read_with("x.txt.gz", &gzipped(big.as_bytes()), &limits).unwrap_err();
    assert_eq!(error.reason(), "gzip file that unpacks to more than 1 MB: not read");
}

#[test]
fn archives_in_archives_share_one_allowance() {
    // Each level holds the one below ten times: 10^4 texts from a few kilobytes.
    let mut archive = made::zip(&[("a.txt", "word ".repeat(2000).as_bytes())]);
    for _ in 0..3 {
        let names: Vec<String> = (0..10).map(|i| format!("{i}.zip")).collect();
        let entries: Vec<(&str, &[u8])> =
            names.iter().map(|name| (name.as_str(), archive.as_slice())).collect();
        archive = made::zip(&entries);
    }
    let limits = Limits { max_unpacked_bytes: 1 << 20, ..Limits::default() };
    let document = read_with("x.zip", &archive, &limits).unwrap();
    assert!(document.text.len() < 2 << 20);
    assert!(document.warnings.iter().any(|warning| warning.contains("left out")), "{:?}", document.warnings);
    let limits = Limits { max_entries: 20, ..Limits::default() };
    assert!(read_with("x.zip", &archive, &limits).unwrap().text.matches("a.txt").count() < 20);
}

#[test]
fn archives_nested_too_deep_are_refused() {
    let mut bytes = b"Some text.".to_vec();
    for _ in 0..4 {
        bytes = made::zip(&[("inner.zip", &bytes)]);
    }
    // The innermost is no archive but a text under that name.
    let error = read("x.zip", &made::zip(&[("inner.zip", &bytes)])).unwrap_err();
    assert!(error.reason().contains("nested too deep"), "{error}");
    let mut tarred = b"x".to_vec();
    for _ in 0..200 {
        tarred = gzipped(&tarred);
    }
    assert!(read("x.gz", &tarred).is_err());
}

/// A workbook of one sheet with these shared strings and rows.
fn workbook(strings: &[&str], rows: &str) -> Vec<u8> {
    let strings: String = strings.iter().map(|text| format!("<si><t>{text}</t></si>")).collect();
    made::zip(&[
        ("xl/workbook.xml", br#"<workbook xmlns:r="r"><sheets><sheet name="S" r:id="a"/></sheets></workbook>"#),
        (
            "xl/_rels/workbook.xml.rels",
            br#"<Relationships><Relationship Id="a" Type="t/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
        ),
        ("xl/sharedStrings.xml", format!("<sst>{strings}</sst>").as_bytes()),
        ("xl/worksheets/sheet1.xml", format!("<worksheet><sheetData>{rows}</sheetData></worksheet>").as_bytes()),
    ])
}

#[test]
fn a_long_text_in_a_hundred_thousand_cells_is_not_kept_a_hundred_thousand_times() {
    let long = "word ".repeat(200_000);
    let limits = Limits { max_bytes: 4 << 20, ..Limits::default() };
    let named = workbook(&[&long], &r#"<row><c t="s"><v>0</v></c></row>"#.repeat(100_000));
    let content = format!(
        "<office:document><table:table table:name='S'>{}</table:table></office:document>",
        format!("<table:table-row><table:table-cell table:number-columns-repeated='60'><text:p>{long}</text:p></table:table-cell></table:table-row>")
            .repeat(20)
    );
    let mime = b"application/vnd.oasis.opendocument.spreadsheet";
    let repeated = made::zip(&[("mimetype", mime), ("content.xml", content.as_bytes())]);
    for (name, bytes) in [("x.xlsx", named), ("x.ods", repeated)] {
        let document = read_with(name, &bytes, &limits);
        let text = document.as_ref().map_or("", |document| &document.text);
        assert!(text.len() < 5 << 20, "{name}: {} bytes", text.len());
        let warning = "it holds too many cells or too much text in them: some were left out";
        match &document {
            Ok(document) => assert_eq!(document.warnings, [warning], "{name}"),
            Err(error) => assert!(error.reason().contains(warning), "{name}: {error}"),
        }
    }
}

#[test]
fn a_long_header_is_written_once() {
    let cells = r#"<c t="s"><v>0</v></c>"#.repeat(2);
    let rows = format!("<row>{cells}</row>{}", "<row><c><v>1</v></c></row>".repeat(100_000));
    let document = read("x.xlsx", &workbook(&["word ".repeat(100_000).trim()], &rows)).unwrap();
    assert!(document.text.len() < 3 << 20, "{} bytes", document.text.len());
    assert_eq!(document.text.matches("| 1 |").count(), 100_000);
}

#[test]
fn an_archive_of_too_many_files_is_refused() {
    let names: Vec<String> = (0..3000).map(|i| format!("{i}.txt")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"x".as_slice())).collect();
    let limits = Limits { max_entries: 1000, ..Limits::default() };
    assert!(read_with("x.zip", &made::zip(&entries), &limits).unwrap_err().reason().contains("3000 entries"));
}

#[test]
fn an_archive_with_nothing_to_read_says_why() {
    let error = read("x.zip", &made::zip(&[("a.png", b"\x89PNG\r\n\x1a\n00")])).unwrap_err();
    assert_eq!(error.reason(), "no text in it (a.png: binary file (PNG picture))");
}

#[test]
fn an_archive_of_office_files_is_no_office_file() {
    let inner = made::docx("<w:p><w:r><w:t>in it</w:t></w:r></w:p>");
    let document =
        read("x.zip", &made::zip(&[("letters/a.docx", &inner), ("word/document.txt", b"x")])).unwrap();
    assert!(document.text.starts_with("letters/a.docx\n\nin it"), "{}", document.text);
}

#[test]
fn mails_made_to_be_slow_are_read_or_refused() {
    let quoted = format!(
        "From: a@b\r\nSubject: s\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}",
        "=3D=E2=82=AC=\r\n".repeat(400_000)
    );
    assert!(read("x.eml", quoted.as_bytes()).unwrap().text.contains("=€=€"));
    let cases = [
        format!("From: a@b\r\nSubject: {}\r\n\r\nx", "=?utf-8?q?=41?= ".repeat(200_000)),
        format!("From: a@b\r\nSubject: x{}\r\n\r\nx", "\r\n ".repeat(500_000)),
        format!("From: {}\r\n\r\nx", "<".repeat(1_000_000)),
        format!("From: {}\r\n\r\nx", "a@b, ".repeat(300_000)),
        format!("To: {}\r\n\r\nx", "(".repeat(1_000_000)),
        format!("From: a@b\r\nReferences: {}\r\n\r\nx", "<a@b> ".repeat(300_000)),
        format!(
            "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\n\r\nx\r\n".repeat(300_000)
        ),
        format!(
            "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".repeat(50_000)
        ),
        format!("From: a@b\r\nContent-Type: {}\r\n\r\nx", "text/plain; x*0=y; ".repeat(100_000)),
        format!("From: a@b\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", "=".repeat(2_000_000)),
        "X: y\r\n".repeat(500_000),
    ];
    for case in &cases {
        let _ = read("x.eml", case.as_bytes());
    }
    let mailbox = "From a 1:1\n\n".repeat(200_000);
    let _ = read("x.mbox", mailbox.as_bytes());
}

#[test]
fn a_hundred_thousand_of_anything_nested_in_markup_takes_linear_time() {
    let parts: &[(&str, &[&str])] = &[
        (
            "a.rst",
            &[
                ".. note::\n",
                "==  ==\nx\n\n",
                "+--+\n",
                ":a: b\n",
                "=\n=\n",
                "===\nx\n===\n",
                "x::\n\n  y\n\n",
                ".. a::\n\n   ",
                "- ",
            ],
        ),
        ("a.adoc", &["====\n", "----\n", "|===\n", "[source]\n", ":a: b\n", "x::\n", "* ", "--\n", "////\n"]),
        ("a.org", &[":a:\n", "#+begin_src\n", "* ", "| a\n", ": x\n", "#+begin_x\n"]),
        (
            "a.tex",
            &[
                "\\begin{itemize}",
                "\\item",
                "\\footnote{",
                "{\\bf ",
                "$",
                "$$",
                "\\begin{tabular}{l}",
                "\\title{",
                "\\'{",
                "&",
                "%\n",
            ],
        ),
        ("a.json", &["[", "{\"a\":", "\"a\",", "1,", "\"a\":", "{}", "]"]),
        ("a.yaml", &["- ", "a:\n ", "a: |\n", "- a: b\n", "  - x\n", "\"a\": ", "? "]),
        ("a.toml", &["[a]\n", "[[a.b.c.d.e.f]]\n", "a = [\n"]),
        ("a.srt", &["0:1 --> 0:2\n", "1\n", "<", "{\\"]),
        (
            "a.rtf",
            &[
                "{",
                "}",
                "\\par",
                "{\\footnote ",
                "\\cell",
                "\\row",
                "{\\info{\\title ",
                "\\u1 ",
                "\\'e9",
                "\\*",
            ],
        ),
        ("a.csv", &["\"", ",", "\"\n"]),
    ];
    for (name, parts) in parts {
        for part in *parts {
            let head = if *name == "a.rtf" { "{\\rtf1 " } else { "" };
            let _ = read(name, format!("{head}{}", part.repeat(100_000)).as_bytes());
        }
    }
}
