//! Whatever bytes a file has, under the name of every format that has a parser of ours: reading it ends, does not panic, and gives
//! spans that are spans of the text.
//!
//! The first byte chooses the name, so that one corpus serves all parsers. PDFs are left out: their parser is not ours
//! and runs in a process of its own.

#![no_main]

use std::path::Path;
use std::time::Duration;

use docent_extract::{Limits, extract};
use libfuzzer_sys::fuzz_target;

const NAMES: &[&str] = &[
    "a.txt", "a.md", "a.rst", "a.adoc", "a.org", "a.tex", "a.html", "a.xhtml", "a.csv", "a.json", "a.yaml", "a.toml", "a.py", "a.ipynb", "a.srt",
    "a.vtt", "a.eml", "a.mbox", "a.rtf", "a.zip", "a.tar", "a.txt.gz", "a.docx", "a.pptx", "a.xlsx", "a.odt", "a.odp", "a.ods", "a.epub", "a",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    if bytes.windows(5).any(|window| window == b"%PDF-") {
        return;
    }
    let limits = Limits { max_unpacked_bytes: 4 << 20, timeout: Duration::from_secs(10), ..Limits::default() };
    if let Ok(document) = extract(Path::new(name), bytes, &limits) {
        assert_eq!(document.check(), Ok(()), "{name}");
        assert!(!document.same_as_file || document.text.as_bytes() == bytes, "{name}");
        let _ = (document.markdown(), document.heading_paths());
    }
});
