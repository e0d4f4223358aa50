//! What comes out of Word documents, whole and broken.

mod made;

use std::path::Path;

use docent_extract::{BlockKind, Document, ExtractError, Limits, extract};

fn read(bytes: &[u8]) -> Result<Document, ExtractError> {
    extract(Path::new("x.docx"), bytes, &Limits::default())
}

fn body(body: &str) -> Document {
    let document = read(&made::docx(body)).unwrap();
    assert_eq!(document.check(), Ok(()));
    document
}

fn p(style: &str, text: &str) -> String {
    format!(r#"<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"#)
}

#[test]
fn headings_are_known_by_style_in_any_language() {
    let document = body(
        &[
            p("Titel", "Der Titel"),
            p("berschrift1", "Eins"),
            p("Mein", "Zwei"),
            p("x", "Text &amp; mehr"),
            p("Zitat", "q"),
        ]
        .concat(),
    );
    assert_eq!(document.text, "Der Titel\n\nEins\n\nZwei\n\nText & mehr\n\nq");
    assert_eq!(document.title.as_deref(), Some("Der Titel"));
    let kinds: Vec<_> = document.blocks.into_iter().map(|b| b.kind).collect();
    assert_eq!(kinds[..3], vec![BlockKind::Heading { level: 1 }; 3]);
    assert_eq!(kinds[3..], [BlockKind::Paragraph, BlockKind::Quote]);
}

#[test]
fn lists_have_bullets_and_numbers() {
    let item = |list: u8, level: u8, text: &str| {
        format!(
            r#"<w:p><w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list}"/></w:numPr></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"#
        )
    };
    let document = body(
        &[
            item(1, 0, "a"),
            item(1, 1, "b"),
            item(1, 1, "c"),
            item(1, 0, "d"),
            item(1, 1, "e"),
            p("Liste", "f"),
            p("Liste", "g"),
        ]
        .concat(),
    );
    assert_eq!(document.text, "- a\n  1. b\n  2. c\n- d\n  1. e\n1. f\n2. g");
    assert!(document.blocks.iter().all(|b| b.kind == BlockKind::ListItem));
}

#[test]
fn tables_become_markdown_rows() {
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", p("x", text));
    let row = |a: &str, b: &str| format!("<w:tr>{}{}</w:tr>", cell(a), cell(b));
    let nested = format!("<w:tbl><w:tr>{}</w:tr></w:tbl>", cell("in"));
    let rows = [
        r"<w:tr><w:trPr><w:tblHeader/></w:trPr>".to_owned(),
        cell("Name"),
        cell("Size"),
        "</w:tr>".to_owned(),
        row("a|b", "1"),
    ]
    .concat();
    let document = body(&format!(
        "<w:tbl>{rows}<w:tr><w:tc>{nested}</w:tc>{}</w:tr></w:tbl>{}",
        cell("2"),
        p("x", "after")
    ));
    assert_eq!(document.text, "| Name | Size |\n| --- | --- |\n| a\\|b | 1 |\n| in | 2 |\n\nafter");
    assert_eq!(document.blocks[0].kind, BlockKind::Table);
}

#[test]
fn what_is_deleted_or_there_twice_is_left_out() {
    let document = body(concat!(
        "<w:p><w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr><w:r><w:t>one</w:t><w:tab/><w:t>two</w:t><w:br/><w:t>three</w:t></w:r>",
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t> four</w:t></w:r></w:ins></w:p>",
        "<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>five</w:t></w:r></w:p>",
        "<w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></mc:Choice>",
        "<mc:Fallback><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent><w:t>around</w:t></w:r></w:p>",
        "<w:p><w:pPr><w:pStyle w:val='V1'/></w:pPr><w:r><w:t>contents 1</w:t></w:r></w:p>",
    ));
    assert_eq!(document.text, "one\ttwo\nthree four\n\nfive\n\nbox\n\naround");
}

#[test]
fn code_paragraphs_in_a_row_are_one_block() {
    let document = body(
        &[p("Quelltext", "fn x() {"), p("Quelltext", "    y();"), p("Quelltext", "}"), p("x", "t")].concat(),
    );
    assert_eq!(document.text, "fn x() {\n    y();\n}\n\nt");
    assert_eq!(document.blocks[0].kind, BlockKind::Code { language: None });
}

#[test]
fn notes_stand_at_the_end_and_the_core_title_wins() {
    let bytes = made::zip(&[
        ("word/document.xml", b"<w:p><w:r><w:t>text</w:t><w:footnoteReference w:id='2'/></w:r></w:p>"),
        ("word/footnotes.xml", b"<w:footnotes><w:footnote w:id='2'><w:p><w:r><w:t>the note</w:t></w:r></w:p></w:footnote></w:footnotes>"),
        ("docProps/core.xml", b"<cp:coreProperties><dc:title>The\n Core </dc:title></cp:coreProperties>"),
    ]);
    let document = read(&bytes).unwrap();
    assert_eq!(document.text, "text[^2]\n\n[^2] the note");
    assert_eq!(document.title.as_deref(), Some("The Core"));
}

#[test]
fn every_truncation_is_a_failure_and_never_a_crash() {
    let whole = made::docx(&p("x", &"some words ".repeat(50)));
    for n in 30..whole.len() {
        let error = read(&whole[..n]).unwrap_err();
        assert!(error.reason().contains("broken DOCX"), "{n}: {error}");
    }
}

#[test]
fn a_damaged_entry_is_a_failure() {
    let mut bytes = made::docx(&p("x", &"some words ".repeat(500)));
    let middle = bytes.windows(17).position(|w| w == b"word/document.xml").unwrap() + 40;
    bytes[middle..middle + 20].fill(0xff);
    assert!(matches!(read(&bytes), Err(ExtractError::Failed { .. })));
}

#[test]
fn a_zip_bomb_costs_no_more_than_the_limit() {
    let bomb = made::docx(&p("x", &"a".repeat(40 << 20)));
    assert!(bomb.len() < 200_000);
    let limits = Limits { max_unpacked_bytes: 1 << 20, ..Limits::default() };
    let error = extract(Path::new("x.docx"), &bomb, &limits).unwrap_err();
    assert_eq!(error.reason(), "DOCX that unpacks to more than 1 MB: not read");
}

#[test]
fn too_many_entries_are_refused() {
    let names: Vec<String> = (0..50).map(|i| format!("word/{i}")).collect();
    let mut entries: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), b"x".as_slice())).collect();
    entries.push(("word/document.xml", b""));
    let limits = Limits { max_entries: 20, ..Limits::default() };
    assert!(
        extract(Path::new("x.docx"), &made::zip(&entries), &limits)
            .unwrap_err()
            .reason()
            .contains("51 entries")
    );
}

#[test]
fn hundred_thousand_nested_elements_are_read() {
    for name in ["w:p", "w:tbl", "w:tc", "w:r", "w:del", "mc:Fallback", "w:pPr"] {
        let nested = format!(
            "{}{}{}",
            format!("<{name}>").repeat(100_000),
            p("x", "deep"),
            format!("</{name}>").repeat(100_000)
        );
        let document = body(&format!("{nested}{}", p("x", "after")));
        assert!(document.text.ends_with("after"), "{name}");
    }
}

#[test]
fn encrypted_and_old_files_are_named_as_such() {
    let mut old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    old.resize(2000, 0);
    assert_eq!(
        read(&old).unwrap_err().reason(),
        "binary file (old Office format: save it as DOCX, XLSX or PPTX)"
    );
    old.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(
        read(&old),
        Err(ExtractError::Failed { reason: "encrypted: remove the password and run `docent update`".into() })
    );
}
