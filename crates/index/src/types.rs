//! The nouns of the index: what goes in, what comes out.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// A file's number in the catalog. Stays the same when the file changes or is renamed; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(pub u64);

/// A passage's number. A changed document gets new passages with new numbers; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub u64);

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What the file system said of a file when it was last looked at. Equal values mean: need not be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Absolute path.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Time of last change, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Inode number; 0 where the system has none.
    pub inode: u64,
}

/// What became of a file that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its text can be searched.
    Indexed,
    /// Left out for a cause that is no fault of the file, e.g. binary or too large. The reason.
    Skipped(String),
    /// Should have been readable and was not. The reason.
    Failed(String),
}

/// One line of the ledger: a file that was seen and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRecord {
    /// The file's number.
    pub id: DocId,
    /// Path, size, time and inode when it was last looked at.
    pub stat: FileStat,
    /// BLAKE3 of the content; none for files whose content was not read.
    pub hash: Option<[u8; 32]>,
    /// Indexed, skipped or failed.
    pub fate: Fate,
    /// Name of the format, e.g. `markdown`; empty when unknown.
    pub format: String,
    /// The document's own title.
    pub title: Option<String>,
    /// Language code of the text (ISO 639).
    pub language: Option<String>,
    /// Number of passages.
    pub n_chunks: usize,
    /// Bytes of extracted text.
    pub n_bytes_text: u64,
    /// When it was last read, seconds since 1970.
    pub indexed_at: i64,
}

/// A document to be stored: everything extraction, chunking and embedding found out.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// The file it came from.
    pub stat: FileStat,
    /// BLAKE3 of the file's content.
    pub hash: [u8; 32],
    /// Name of the format, e.g. `pdf`.
    pub format: String,
    /// The document's own title.
    pub title: Option<String>,
    /// Language code of the text (ISO 639-1 or -3); decides stemming and stop words.
    pub language: Option<String>,
    /// The extracted text, whole.
    pub text: String,
    /// The text is byte for byte the file: spans are file offsets.
    pub same_as_file: bool,
    /// Byte range in `text` of page i + 1; empty when the format has no pages.
    pub pages: Vec<Range<usize>>,
    /// The passages, in order.
    pub chunks: Vec<NewChunk>,
    /// One unit vector a passage, or none at all.
    pub vectors: Vec<Vec<f32>>,
}

/// A passage to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChunk {
    /// Byte range in the document's text; both ends on character boundaries.
    pub span: Range<usize>,
    /// First line, counted from 1.
    pub line_start: u32,
    /// Last line, inclusive.
    pub line_end: u32,
    /// Page, counted from 1, where the format has pages.
    pub page: Option<u32>,
    /// The headings above the passage, outermost first.
    pub heading_path: Vec<String>,
}

/// A passage with everything needed to show and to cite it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The passage's number.
    pub id: ChunkId,
    /// The document's number.
    pub doc: DocId,
    /// The document's file, absolute.
    pub path: PathBuf,
    /// Bytes of the file when it was last looked at.
    pub file_size: u64,
    /// Time of the file's last change when it was last looked at, nanoseconds since 1970.
    pub file_mtime_ns: i64,
    /// Byte range in the document's text.
    pub span: Range<usize>,
    /// First and last line, counted from 1, both inclusive.
    pub lines: (u32, u32),
    /// Page, counted from 1, where the format has pages.
    pub page: Option<u32>,
    /// The headings above the passage, outermost first.
    pub heading_path: Vec<String>,
    /// The passage's text: exactly the document's text at `span`.
    pub text: String,
    /// Name of the document's format.
    pub format: String,
    /// The document's own title.
    pub title: Option<String>,
    /// The document's language code.
    pub language: Option<String>,
    /// The span counts bytes of the file itself, not only of the extracted text.
    pub same_as_file: bool,
    /// BLAKE3 of the file's content when it was indexed.
    pub hash: Option<[u8; 32]>,
}

/// A document's whole text with its pages.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentText {
    /// The ledger's line.
    pub record: FileRecord,
    /// The extracted text.
    pub text: String,
    /// Byte range in `text` of page i + 1.
    pub pages: Vec<Range<usize>>,
    /// The text is byte for byte the file.
    pub same_as_file: bool,
}

/// A folder or file that was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Absolute path.
    pub path: PathBuf,
    /// Added to stay (`add`), not only looked into once (`--in`).
    pub remembered: bool,
    /// How it is read.
    pub settings: RootSettings,
}

/// How a root is read, each time it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RootSettings {
    /// Hidden files too.
    pub hidden: bool,
    /// What ignore files exclude, too.
    pub no_ignore: bool,
}

/// Which documents a search may answer from; applied before ranking. The default lets everything through, and each
/// part narrows what the others let through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only files at or below one of these absolute paths; empty means no such limit.
    pub under: Vec<PathBuf>,
    /// Only files at or below a remembered root.
    pub remembered_only: bool,
    /// Only files that one of these matches; empty means no such limit.
    pub paths: Vec<PathGlob>,
    /// Only files of one of these formats (`markdown`) or with one of these endings (`md`), in lower case; empty means
    /// no such limit.
    pub types: Vec<String>,
    /// Only files changed at this time or later, nanoseconds since 1970.
    pub changed_from_ns: Option<i64>,
    /// Only files changed before this time, nanoseconds since 1970.
    pub changed_before_ns: Option<i64>,
}

impl Filter {
    /// Whether a file passes by its path and format, where it lies and when it changed apart.
    pub fn covers(&self, path: &std::path::Path, format: &str) -> bool {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let is_of_type = |wanted: &String| wanted == format || Some(wanted) == ending.as_ref();
        (self.paths.is_empty() || self.paths.iter().any(|glob| glob.matches(path)))
            && (self.types.is_empty() || self.types.iter().any(is_of_type))
    }
}

/// A pattern for paths: `notes/**/*.md`, `lease.*`, `/srv/manuals`.
///
/// `*` (anything) and `?` (one byte) stay within one name, `**` crosses folders, `{a,b}` is either. A pattern that does not begin with `/` may match
/// anywhere in a path, from the beginning of a name on; one that matches a folder matches everything in it.
#[derive(Clone)]
pub struct PathGlob {
    pattern: String,
    set: globset::GlobSet,
}

impl PathGlob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`IndexError::Pattern`](crate::IndexError::Pattern) for one that is none.
    pub fn new(pattern: &str) -> crate::Result<Self> {
        let failed = |error: globset::Error| crate::IndexError::Pattern {
            pattern: pattern.to_owned(),
            what: error.kind().to_string(),
        };
        let trimmed = pattern.trim_end_matches('/').trim_start_matches("./");
        let anywhere = if trimmed.starts_with('/') || trimmed.is_empty() { "" } else { "**/" };
        let mut set = globset::GlobSetBuilder::new();
        for inside in ["", "/**"] {
            let glob = format!("{anywhere}{trimmed}{inside}");
            set.add(globset::GlobBuilder::new(&glob).literal_separator(true).build().map_err(failed)?);
        }
        Ok(PathGlob { pattern: pattern.to_owned(), set: set.build().map_err(failed)? })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether it matches an absolute path.
    pub fn matches(&self, path: &std::path::Path) -> bool {
        self.set.is_match(path)
    }
}

impl PartialEq for PathGlob {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for PathGlob {}

impl fmt::Debug for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathGlob({})", self.pattern)
    }
}

/// Which model made the vectors. Vectors of different models are never mixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingSpec {
    /// Identifies model, pooling and version.
    pub fingerprint: String,
    /// Numbers in a vector.
    pub dim: usize,
}

/// Counts and sizes of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Number of the last commit.
    pub generation: u64,
    /// Files whose text can be searched.
    pub n_indexed: usize,
    /// Files left out for cause.
    pub n_skipped: usize,
    /// Files that could not be read.
    pub n_failed: usize,
    /// Passages.
    pub n_chunks: usize,
    /// Passages that have a vector of the present model.
    pub n_vectors: usize,
    /// Rows of the vector file that no passage uses any more.
    pub n_dead_vectors: usize,
    /// Bytes of extracted text.
    pub n_bytes_text: u64,
    /// Bytes on disk of the catalog.
    pub n_bytes_catalog: u64,
    /// Bytes on disk of the postings.
    pub n_bytes_postings: u64,
    /// Bytes on disk of the vectors.
    pub n_bytes_vectors: u64,
    /// The model of the vectors; none before the first one is stored.
    pub embedding: Option<EmbeddingSpec>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_names_folders_and_whole_paths() {
        let matches =
            |pattern: &str, path: &str| PathGlob::new(pattern).unwrap().matches(std::path::Path::new(path));
        for (pattern, path) in [
            ("*.md", "/a/b/c.md"),
            ("notes", "/home/notes/2024/roof.md"),
            ("notes/", "/home/notes/roof.md"),
            ("./notes/*.md", "/home/notes/roof.md"),
            ("/home/**/*.{md,txt}", "/home/x/y/z.txt"),
            ("/home/notes", "/home/notes/deep/er/a"),
            ("caf?", "/a/cafe/x"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("*.md", "/a/b.md.txt"),
            ("notes/*.md", "/home/notes/deep/roof.md"),
            ("notes", "/home/my-notes/roof.md"),
            ("/notes", "/home/notes/roof.md"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
        assert!(PathGlob::new("a[").unwrap_err().to_string().contains("a["));
    }
}
