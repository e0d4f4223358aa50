//! Writes the tiny index that `indexes/` keeps of each format: `cargo run -p docent-index --example tiny_index -- DIR`.
//!
//! Three documents, seven passages, vectors of four numbers, one skipped and one failed file, one dead vector row.

use std::path::{Path, PathBuf};

use docent_index::{
    EmbeddingSpec, Fate, FileStat, Index, IndexOptions, NewChunk, NewDocument, Result, Writer,
};

fn main() -> Result<()> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from).unwrap_or_else(|| "tiny-index".into());
    let index = Index::open(&dir, &IndexOptions::default())?;
    let mut writer = index.writer(Some(EmbeddingSpec { fingerprint: "four numbers".to_owned(), dim: 4 }))?;
    writer.add_root("/library", true)?;
    writer.add_root("/elsewhere", false)?;
    put(&mut writer, "/library/roof.md", &["The roof was tiled in 1998.\n", "The cellar has a boiler.\n"])?;
    put(&mut writer, "/library/lease.txt", &["To be replaced.\n"])?;
    writer.commit()?;
    put(&mut writer, "/library/lease.txt", &["The rent is 840 euros.\n", "Notice: three months.\n"])?;
    put(&mut writer, "/elsewhere/boat.md", &["The boat is red.\n", "It lies in Hoorn.\n", "It leaks.\n"])?;
    writer.put_fate(stat("/library/large.iso"), None, Fate::Skipped("larger than 64 MB".to_owned()), "")?;
    writer.put_fate(stat("/library/torn.pdf"), Some([7; 32]), Fate::Failed("no pages".to_owned()), "pdf")?;
    writer.commit()?;
    Ok(())
}

fn stat(path: &str) -> FileStat {
    FileStat { path: path.into(), size: 100, mtime_ns: 1_700_000_000_000_000_000, inode: 9 }
}

fn put(writer: &mut Writer, path: &str, lines: &[&str]) -> Result<()> {
    let mut chunks = Vec::new();
    let mut start = 0;
    for (line, text) in lines.iter().enumerate() {
        let number = u32::try_from(line + 1).unwrap_or(u32::MAX);
        chunks.push(NewChunk {
            span: start..start + text.len(),
            line_start: number,
            line_end: number,
            page: None,
            heading_path: vec!["House".to_owned()],
        });
        start += text.len();
    }
    let vector =
        |i: usize| if i.is_multiple_of(2) { vec![0.6, 0.8, 0.0, 0.0] } else { vec![0.0, 0.0, 1.0, 0.0] };
    let text = lines.concat();
    let hash = *blake3::hash(text.as_bytes()).as_bytes();
    let title = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    writer.put_document(NewDocument {
        stat: stat(path),
        hash,
        format: "markdown".to_owned(),
        title,
        language: Some("en".to_owned()),
        text,
        same_as_file: true,
        pages: Vec::new(),
        vectors: (0..chunks.len()).map(vector).collect(),
        chunks,
    })?;
    Ok(())
}
