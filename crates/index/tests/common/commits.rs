//! Two commits that do everything a commit can do: what tests cut short.

use std::path::PathBuf;

use docent_index::{EmbeddingSpec, Fate, FileStat, Filter, NewChunk, NewDocument, Result, Writer};

pub fn spec() -> EmbeddingSpec {
    EmbeddingSpec { fingerprint: "model".to_owned(), dim: 2 }
}

pub fn stat(path: &str) -> FileStat {
    FileStat { path: PathBuf::from(path), size: 1, mtime_ns: 1, inode: 1 }
}

pub fn document(path: &str, n_chunks: usize, word: &str) -> NewDocument {
    let line = format!("common {word}\n");
    let chunk = |i: usize| NewChunk {
        span: i * line.len()..(i + 1) * line.len(),
        line_start: 1 + i as u32,
        line_end: 1 + i as u32,
        page: None,
        heading_path: Vec::new(),
    };
    let angle = |i: usize| (word.len() as f32 * 0.01 + i as f32 * 0.001).sin_cos();
    NewDocument {
        stat: stat(path),
        hash: *blake3::hash(word.as_bytes()).as_bytes(),
        format: "text".to_owned(),
        title: None,
        language: Some("en".to_owned()),
        text: line.repeat(n_chunks),
        same_as_file: true,
        pages: Vec::new(),
        chunks: (0..n_chunks).map(chunk).collect(),
        vectors: (0..n_chunks).map(|i| vec![angle(i).0, angle(i).1]).collect(),
    }
}

/// The first commit: enough rows that the second one copies the living ones to new files.
pub fn first(writer: &mut Writer) -> Result<u64> {
    writer.add_root("/d", true)?;
    writer.put_document(document("/d/large", 200, "large"))?;
    writer.put_document(document("/d/edited", 90, "before"))?;
    writer.put_document(document("/d/moved", 20, "moved"))?;
    writer.put_document(document("/d/gone", 20, "gone"))?;
    writer.commit()
}

/// The second: an addition, a change, a rename, a removal, a failure.
pub fn second(writer: &mut Writer) -> Result<u64> {
    writer.put_document(document("/d/new", 30, "added"))?;
    writer.put_document(document("/d/edited", 10, "afterwards"))?;
    for record in writer.files(&Filter::default())? {
        match record.stat.path.to_str() {
            Some("/d/moved") => writer.rename(record.id, stat("/d/elsewhere"))?,
            Some("/d/gone") => writer.remove(record.id)?,
            _ => {}
        }
    }
    writer.put_fate(stat("/d/broken"), None, Fate::Failed("broken".to_owned()), "pdf")?;
    writer.commit()
}
