//! Any text is a question: it gets hits or none, never an error, whatever it is made of.

mod nasty;

use docent_index::{EmbeddingSpec, FileStat, Index, IndexOptions, NewChunk, NewDocument};
use docent_retrieve::{Mode, SearchOptions, search};

const TEXTS: [&str; 4] = [
    "The engine of the aircraft must be inspected every 100 hours.",
    "def parse_http_header(line): return line.split(': ')",
    "梅雨は、北海道を除く日本でみられる。",
    "L'été à Paris; naïve café 🍎 pie.",
];

fn index(dir: &std::path::Path) -> Index {
    let index = Index::open(dir, &IndexOptions { read_only: false }).unwrap();
    let mut writer = index.writer(Some(EmbeddingSpec { fingerprint: "angle".into(), dim: 2 })).unwrap();
    for (i, text) in TEXTS.iter().enumerate() {
        let chunk = NewChunk {
            span: 0..text.len(),
            line_start: 1,
            line_end: 1,
            page: None,
            heading_path: vec!["Head \"line\"".to_owned()],
        };
        let path = format!("/folder/{i}.txt").into();
        writer
            .put_document(NewDocument {
                stat: FileStat { path, size: 1, mtime_ns: 1, inode: i as u64 },
                hash: *blake3::hash(text.as_bytes()).as_bytes(),
                format: "text".to_owned(),
                title: None,
                language: ["eng", "eng", "jpn", "fra"].get(i).map(|code| (*code).to_owned()),
                text: (*text).to_owned(),
                same_as_file: true,
                pages: Vec::new(),
                chunks: vec![chunk],
                vectors: vec![vec![(i as f32).sin(), (i as f32).cos()]],
            })
            .unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    index
}

fn answers(index: &Index, query: &str) {
    for mode in [Mode::Lexical, Mode::Hybrid] {
        let options = SearchOptions { k: 3, mode, ..SearchOptions::default() };
        let hits = search(index, query, Some(&[1.0, 0.0]), &options);
        let shown: String = query.chars().take(60).collect();
        let hits = hits.unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        assert!(hits.len() <= 3, "{shown:?}");
        assert!(hits.iter().all(|hit| hit.score.is_finite()), "{shown:?}: {:?}", hits[0].score);
    }
}

#[test]
fn nasty_strings_get_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(dir.path());
    for query in nasty::strings() {
        answers(&index, &query);
    }
}

#[test]
fn random_text_gets_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(dir.path());
    for query in nasty::random(400) {
        answers(&index, &query);
    }
}
