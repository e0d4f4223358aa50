//! What comes out of presentations, spreadsheets, OpenDocument files and books.

mod made;

use std::path::Path;

use docent_extract::{BlockKind, Document, Format, Limits, extract};

fn read(name: &str, entries: &[(&str, &str)]) -> Document {
    let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let document = extract(Path::new(name), &made::zip(&entries), &Limits::default()).unwrap();
    assert_eq!(document.check(), Ok(()));
    document
}

fn pages(document: &Document) -> Vec<&str> {
    document.pages.iter().map(|p| &document.text[p.clone()]).collect()
}

#[test]
fn slides_come_in_the_order_they_are_shown() {
    let shape = |kind: &str, text: &str| {
        format!(
            "<p:sp><p:nvPr><p:ph type='{kind}'/></p:nvPr><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
        )
    };
    let one = [shape("title", "Second"), shape("body", "point"), shape("sldNum", "2")].concat();
    let two = format!(
        "{}<a:tbl><a:tr><a:tc><a:p><a:t>a</a:t></a:p></a:tc><a:tc><a:p><a:t>b</a:t></a:p></a:tc></a:tr><a:tr><a:tc/><a:tc><a:p><a:t>c</a:t></a:p></a:tc></a:tr></a:tbl>",
        shape("ctrTitle", "First")
    );
    let document = read(
        "x.pptx",
        &[
            (
                "ppt/presentation.xml",
                "<p:sldIdLst><p:sldId id='256' r:id='rId9'/><p:sldId id='257' r:id='rId3'/></p:sldIdLst>",
            ),
            (
                "ppt/_rels/presentation.xml.rels",
                "<Relationship Id='rId3' Type='http://x/slide' Target='slides/slide1.xml'/><Relationship Id='rId9' Type='http://x/slide' Target='/ppt/slides/slide2.xml'/>",
            ),
            ("ppt/slides/slide1.xml", &one),
            ("ppt/slides/slide2.xml", &two),
            (
                "ppt/slides/_rels/slide1.xml.rels",
                "<Relationship Id='r1' Type='http://x/notesSlide' Target='../notesSlides/n.xml'/>",
            ),
            ("ppt/notesSlides/n.xml", &shape("body", "say this")),
        ],
    );
    assert_eq!(pages(&document), ["First\n\n| a | b |\n|  | c |", "Second\n\n- point\n\nsay this"]);
    assert_eq!(document.title.as_deref(), Some("First"));
    assert_eq!(document.blocks.last().unwrap().kind, BlockKind::Quote);
}

#[test]
fn sheets_become_rows_with_their_header_and_dates() {
    let sheet = "<row><c r='A1' t='s'><v>0</v></c><c r='B1' t='s'><v>1</v></c></row>\
        <row><c r='A2' s='1'><v>45352</v></c><c r='B2'><v>3.5</v></c></row><row><c r='B3' t='inlineStr'><is><t>a|b</t></is></c></row>";
    let document = read(
        "x.xlsx",
        &[
            ("xl/workbook.xml", "<sheets><sheet name='Costs' sheetId='1' r:id='r1'/></sheets>"),
            (
                "xl/_rels/workbook.xml.rels",
                "<Relationship Id='r1' Type='http://x/worksheet' Target='worksheets/s.xml'/>",
            ),
            (
                "xl/sharedStrings.xml",
                "<sst><si><t>Da</t><r><t>te</t></r><rPh><t>no</t></rPh></si><si><t>Sum</t></si></sst>",
            ),
            ("xl/styles.xml", "<cellXfs><xf numFmtId='0'/><xf numFmtId='14'/></cellXfs>"),
            ("xl/worksheets/s.xml", sheet),
        ],
    );
    assert_eq!(document.text, "Costs\n\n| Date | Sum |\n| --- | --- |\n| 2024-03-01 | 3.5 |\n|  | a\\|b |");
    assert_eq!(document.pages.len(), 1);
    let cells = |words: &str| {
        let at = document.text.find(words).unwrap();
        document.cells_of(&(at..at + words.len()))
    };
    assert_eq!(cells("Sum").as_deref(), Some("A1:B1"));
    assert_eq!(cells("2024-03-01 | 3.5 |\n|  | a").as_deref(), Some("A2:B3"));
    assert_eq!(cells("a\\|b").as_deref(), Some("B3"));
    assert_eq!(cells("Costs"), None);
}

#[test]
fn open_document_texts_keep_their_structure() {
    let content = "<office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:h text:outline-level='2'>Head</text:h>\
        <text:p>one<text:s text:c='2'/>two<text:line-break/>three<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>noted</text:p></text:note-body></text:note></text:p>\
        <text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>b</text:p></text:list-item></text:list></text:list-item></text:list>\
        <table:table><table:table-row><table:table-cell><text:p>1</text:p></table:table-cell><table:table-cell><text:p>2</text:p></table:table-cell></table:table-row>\
        <table:table-row><table:table-cell><text:p>3</text:p></table:table-cell><table:table-cell/></table:table-row></table:table></office:text>";
    let mime = ("mimetype", "application/vnd.oasis.opendocument.text");
    let document = read("x.odt", &[mime, ("content.xml", content), ("meta.xml", "<dc:title>T</dc:title>")]);
    assert_eq!(
        document.text,
        "Head\n\none  two\nthree[^1]\n\n[^1] noted\n\n- a\n  - b\n\n| 1 | 2 |\n| 3 |  |"
    );
    assert_eq!((document.format, document.title.as_deref()), (Format::Odt, Some("T")));
}

#[test]
fn open_document_slides_and_sheets_are_pages() {
    let slides = "<draw:page><draw:frame presentation:class='title'><text:p>One</text:p></draw:frame><text:p>x</text:p></draw:page><draw:page><text:p>y</text:p></draw:page>";
    assert_eq!(pages(&read("x.odp", &[("content.xml", slides)])), ["One\n\nx", "y"]);
    let sheet = "<table:table table:name='S'><table:table-row><table:table-cell table:number-columns-repeated='2'><text:p>7</text:p></table:table-cell>\
        <table:table-cell table:number-columns-repeated='16000'/></table:table-row></table:table>";
    assert_eq!(pages(&read("x.ods", &[("content.xml", sheet)])), ["S\n\n| 7 | 7 |"]);
    let sheet = "<table:table table:name='S'><table:table-row table:number-rows-repeated='4'><table:table-cell/></table:table-row>\
        <table:table-row><table:table-cell table:number-columns-repeated='80'/><table:table-cell><text:p>7</text:p></table:table-cell></table:table-row></table:table>";
    let document = read("x.ods", &[("content.xml", sheet)]);
    assert_eq!(
        document.cells_of(&(0..document.text.len())).as_deref(),
        Some("CC5"),
        "blank rows and columns count"
    );
}

#[test]
fn books_are_read_chapter_by_chapter() {
    let package = "<metadata><dc:title>The Book</dc:title></metadata><manifest><item id='n' href='nav.xhtml' properties='nav'/>\
        <item id='b' href='text/b%20.xhtml'/><item id='a' href='text/a.xhtml'/></manifest><spine><itemref idref='n'/><itemref idref='a'/><itemref idref='b'/></spine>";
    let chapter = |title: &str| {
        format!(
            "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/></head><body><h1>{title}</h1><p>Text.</p></body></html>"
        )
    };
    let document = read(
        "x.epub",
        &[
            ("mimetype", "application/epub+zip"),
            ("META-INF/container.xml", "<rootfile full-path='OPS/p.opf'/>"),
            ("OPS/p.opf", package),
            ("OPS/nav.xhtml", "<p>contents</p>"),
            ("OPS/text/a.xhtml", &chapter("A")),
            ("OPS/text/b .xhtml", &chapter("B")),
        ],
    );
    assert_eq!(document.text, "A\n\nText.\n\nB\n\nText.");
    assert_eq!(document.title.as_deref(), Some("The Book"));
}

#[test]
fn every_truncation_is_a_failure_and_never_a_crash() {
    for (name, entry) in [
        ("x.pptx", "ppt/presentation.xml"),
        ("x.xlsx", "xl/workbook.xml"),
        ("x.odt", "content.xml"),
        ("x.epub", "META-INF/container.xml"),
    ] {
        let whole = made::zip(&[(entry, b"<x/>")]);
        for n in (8..whole.len()).step_by(3) {
            assert!(extract(Path::new(name), &whole[..n], &Limits::default()).is_err(), "{name} cut to {n}");
        }
    }
}

#[test]
fn programs_and_office_files_we_cannot_read_are_skipped_by_name() {
    let reason = |name: &str, entry: &str| {
        extract(Path::new(name), &made::zip(&[(entry, b"x")]), &Limits::default())
            .unwrap_err()
            .reason()
            .to_owned()
    };
    assert_eq!(reason("x.jar", "a.txt"), "binary file (program package)");
    assert!(reason("x.pages", "Index/Document.iwa").contains("export it as PDF"));
    assert!(reason("x.xlsb", "xl/workbook.bin").contains("save it as XLSX"));
}
