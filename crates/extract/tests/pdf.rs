//! What comes out of PDF files, whole and broken.

mod made;

use std::path::Path;

use docent_extract::{Document, ExtractError, Format, Limits, extract};

fn read(bytes: &[u8]) -> Result<Document, ExtractError> {
    extract(Path::new("x.pdf"), bytes, &Limits::default())
}

#[test]
fn text_comes_out_page_by_page() {
    let document = read(&made::pdf_with(
        &["Hello first page", "", "The second (really)"],
        "/Info << /Title (A Title) >>",
    ))
    .unwrap();
    assert_eq!(document.check(), Ok(()));
    assert_eq!(document.format, Format::Pdf);
    assert_eq!(document.title.as_deref(), Some("A Title"));
    let pages: Vec<&str> = document.pages.iter().map(|p| &document.text[p.clone()]).collect();
    assert_eq!(pages, ["Hello first page", "", "The second (really)"]);
}

#[test]
fn no_text_is_told_with_the_page_count() {
    let error = read(&made::pdf(&["", "", ""])).unwrap_err();
    assert_eq!(
        error.reason(),
        "no text: 3 pages of images only or empty; text recognition (OCR) would be needed, see `--ocr`"
    );
    assert!(matches!(error, ExtractError::Skipped { .. }));
}

#[test]
fn an_encrypted_file_is_a_failure_and_not_an_empty_one() {
    let encrypt = "/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] /Encrypt << /Filter /Standard /V 1 /R 2 \
        /O <0102030405060708090a0b0c0d0e0f100102030405060708090a0b0c0d0e0f10> \
        /U <1112030405060708090a0b0c0d0e0f100102030405060708090a0b0c0d0e0f10> /P -4 >>";
    let error = read(&made::pdf_with(&["secret"], encrypt)).unwrap_err();
    assert_eq!(
        error,
        ExtractError::Failed { reason: "encrypted: remove the password and run `docent update`".into() }
    );
}

#[test]
fn every_truncation_and_much_damage_is_survived() {
    let whole = made::pdf(&["Hello first page", "The second"]);
    for n in (9..whole.len()).step_by(37) {
        if let Ok(document) = read(&whole[..n]) {
            assert_eq!(document.check(), Ok(()));
        }
    }
    for i in (0..whole.len()).step_by(41) {
        let mut damaged = whole.clone();
        damaged[i] = damaged[i].wrapping_add(1);
        if let Ok(document) = read(&damaged) {
            assert_eq!(document.check(), Ok(()));
        }
    }
}

#[test]
fn a_text_about_pdf_stays_a_text() {
    let document = extract(
        Path::new("notes.txt"),
        b"Each file begins with %PDF-1.4 as its first line.",
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(document.format, Format::Text);
    assert!(read(b"%PDF-1.7 and nothing else").is_err());
}
