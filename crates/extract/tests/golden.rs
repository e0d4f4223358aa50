//! What comes out of one file of every format, and out of what is left of it when it is cut or damaged.
//!
//! `golden/README.md` says how the files were made and how to add one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use docent_extract::{Document, Limits, extract};

/// Places each file is cut at.
const CUTS: usize = 50;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("golden")
}

/// Every golden file with what is expected of it.
fn files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder().join("expected")).unwrap() {
        let expected = entry.unwrap().path();
        let name = expected.file_name().unwrap().to_str().unwrap();
        let name = name.strip_suffix(".expected").unwrap();
        files.push((folder().join(name), std::fs::read_to_string(&expected).unwrap()));
    }
    files.sort();
    assert!(files.len() >= 30, "only {} golden files", files.len());
    files
}

fn limits() -> Limits {
    Limits { timeout: Duration::from_secs(60), ..Limits::default() }
}

/// What the file says about itself, a line each, then `---`, then the document as Markdown.
fn told(document: &Document) -> String {
    let about = &document.about;
    let mut out = format!("format: {}\n", document.format);
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            out += &format!("{name}: {value}\n");
        }
    };
    add("title", document.title.as_deref());
    about.authors.iter().for_each(|author| add("author", Some(author)));
    add("created", about.created.as_deref());
    add("modified", about.modified.as_deref());
    add("language", about.language.as_deref());
    about.fields.iter().for_each(|(name, value)| add(name, Some(value)));
    document.warnings.iter().for_each(|warning| add("warning", Some(warning)));
    add("text", Some(if document.same_as_file { "the file" } else { "made" }));
    out + "---\n" + &document.markdown()
}

#[test]
fn every_format_is_read_as_expected() {
    let mut wrong = Vec::new();
    for (path, expected) in files() {
        let bytes = std::fs::read(&path).unwrap();
        let document = extract(&path, &bytes, &limits()).unwrap();
        assert_eq!(document.check(), Ok(()), "{}", path.display());
        let told = told(&document);
        if told != expected {
            wrong.push(format!("{}\n-- expected --\n{expected}\n-- told --\n{told}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn spans_of_a_text_that_is_the_file_are_ranges_of_the_file() {
    let mut n_blocks = 0;
    for (path, expected) in files() {
        let bytes = std::fs::read(&path).unwrap();
        let document = extract(&path, &bytes, &limits()).unwrap();
        assert_eq!(document.same_as_file, expected.contains("\ntext: the file\n"));
        for block in document.blocks.iter().filter(|_| document.same_as_file) {
            n_blocks += 1;
            assert_eq!(&bytes[block.span.clone()], document.text[block.span.clone()].as_bytes());
        }
    }
    assert!(n_blocks > 80, "only {n_blocks} blocks");
}

#[test]
fn every_golden_file_cut_at_fifty_places_is_survived() {
    for (path, _) in files() {
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..CUTS {
            // Evenly spread, and off any block size.
            survives(&path, &bytes[..(bytes.len() * cut / CUTS + cut % 7).min(bytes.len())]);
        }
    }
}

#[test]
fn every_golden_file_damaged_at_fifty_places_is_survived() {
    for (path, _) in files() {
        let bytes = std::fs::read(&path).unwrap();
        for place in 0..CUTS {
            let mut damaged = bytes.clone();
            let at = (damaged.len() * place / CUTS + place % 7).min(damaged.len() - 1);
            let end = (at + 4).min(damaged.len());
            damaged[at..end].iter_mut().for_each(|byte| *byte ^= 0x55);
            survives(&path, &damaged);
        }
    }
}

fn survives(path: &Path, bytes: &[u8]) {
    match extract(path, bytes, &limits()) {
        Ok(document) => assert_eq!(document.check(), Ok(()), "{}", path.display()),
        Err(error) => assert!(error.reason().len() > 5, "{}: {error}", path.display()),
    }
}
