//! What is asked of the catalog. Every function here reads; all within whatever transaction the caller holds.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::{below, path_bytes, path_from_bytes};
use crate::docset::DocSet;
use crate::types::{
    Chunk, ChunkId, DocId, DocumentText, Fate, FileRecord, FileStat, Filter, Root, RootSettings,
};

/// Bytes of text in one compressed block: small enough that a passage costs one or two, large enough to compress.
pub(super) const TEXT_BLOCK: usize = 64 * 1024;

const FILE_COLUMNS: &str = "id, path, size, mtime_ns, inode, hash, fate, reason, format, title, language,
     n_chunks, n_bytes_text, indexed_at";

fn file_from_row(row: &Row<'_>) -> rusqlite::Result<FileRecord> {
    let reason: String = row.get(7)?;
    Ok(FileRecord {
        id: DocId(row.get(0)?),
        stat: FileStat {
            path: path_from_bytes(row.get(1)?),
            size: row.get(2)?,
            mtime_ns: row.get(3)?,
            inode: row.get::<_, i64>(4)?.cast_unsigned(),
        },
        hash: row.get(5)?,
        fate: match row.get::<_, i64>(6)? {
            0 => Fate::Indexed,
            1 => Fate::Skipped(reason),
            _ => Fate::Failed(reason),
        },
        format: row.get(8)?,
        title: row.get(9)?,
        language: row.get(10)?,
        n_chunks: row.get(11)?,
        n_bytes_text: row.get(12)?,
        indexed_at: row.get(13)?,
    })
}

/// Paths up to which a filter is put into SQL, which limits the depth of an expression. More are looked up in a
/// set for every file.
const MAX_PATHS_IN_SQL: usize = 100;

/// A condition on `files`.
struct Condition<'f> {
    /// True of every file that passes, and perhaps of others.
    sql: String,
    values: Vec<Value>,
    /// A file passes if it or one of its folders is in each of these sets.
    sets: Vec<HashSet<PathBuf>>,
    /// Patterns and types are looked at file by file.
    filter: &'f Filter,
}

impl<'f> Condition<'f> {
    /// The filter as one condition.
    fn of(connection: &Connection, filter: &'f Filter) -> rusqlite::Result<Self> {
        let mut condition = Condition { sql: "1".to_owned(), values: Vec::new(), sets: Vec::new(), filter };
        if !filter.under.is_empty() {
            condition.and_at_or_below(filter.under.clone());
        }
        if filter.remembered_only {
            let remembered = roots(connection)?.into_iter().filter(|root| root.remembered);
            condition.and_at_or_below(remembered.map(|root| root.path).collect());
        }
        for (bound, sql) in
            [(filter.changed_from_ns, "mtime_ns >= ?"), (filter.changed_before_ns, "mtime_ns < ?")]
        {
            if let Some(bound) = bound {
                condition.sql = format!("{} AND {sql}", condition.sql);
                condition.values.push(Value::Integer(bound));
            }
        }
        Ok(condition)
    }

    /// Adds: at or below one of the paths. Nothing is below no path.
    fn and_at_or_below(&mut self, paths: Vec<PathBuf>) {
        if paths.len() > MAX_PATHS_IN_SQL {
            self.sets.push(paths.into_iter().collect());
            return;
        }
        let mut terms = vec!["0"];
        for path in paths {
            let (low, high) = below(&path);
            terms.push("path = ? OR (path >= ? AND path < ?)");
            self.values.extend([path_bytes(&path), low, high].map(Value::Blob));
        }
        self.sql = format!("{} AND ({})", self.sql, terms.join(" OR "));
    }

    /// What the SQL does not say.
    fn covers(&self, path: &Path, format: &str) -> bool {
        self.sets.iter().all(|set| path.ancestors().any(|ancestor| set.contains(ancestor)))
            && self.filter.covers(path, format)
    }

    fn is_more_than_sql(&self) -> bool {
        !self.sets.is_empty() || !self.filter.paths.is_empty() || !self.filter.types.is_empty()
    }
}

/// All roots, by path.
pub(crate) fn roots(connection: &Connection) -> rusqlite::Result<Vec<Root>> {
    connection
        .prepare_cached("SELECT path, remembered, hidden, no_ignore FROM roots ORDER BY path")?
        .query_map([], |row| {
            let settings = RootSettings { hidden: row.get(2)?, no_ignore: row.get(3)? };
            Ok(Root { path: path_from_bytes(row.get(0)?), remembered: row.get(1)?, settings })
        })?
        .collect()
}

/// The files that pass the filter, by path.
pub(crate) fn files(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<FileRecord>> {
    let condition = Condition::of(connection, filter)?;
    let mut statement = connection
        .prepare(&format!("SELECT {FILE_COLUMNS} FROM files WHERE {} ORDER BY path", condition.sql))?;
    let records = statement.query_map(params_from_iter(&condition.values), file_from_row)?;
    records
        .filter(|record| record.as_ref().map_or(true, |r| condition.covers(&r.stat.path, &r.format)))
        .collect()
}

/// The ledger's line of one path.
pub(crate) fn file(connection: &Connection, path: &Path) -> rusqlite::Result<Option<FileRecord>> {
    connection
        .prepare_cached(&format!("SELECT {FILE_COLUMNS} FROM files WHERE path = ?1"))?
        .query_row([path_bytes(path)], file_from_row)
        .optional()
}

/// The ledger's line of one document.
pub(crate) fn file_by_id(connection: &Connection, doc: DocId) -> rusqlite::Result<Option<FileRecord>> {
    connection
        .prepare_cached(&format!("SELECT {FILE_COLUMNS} FROM files WHERE id = ?1"))?
        .query_row([doc.0], file_from_row)
        .optional()
}

/// Files with this content, by path.
pub(crate) fn files_by_hash(connection: &Connection, hash: &[u8; 32]) -> rusqlite::Result<Vec<FileRecord>> {
    connection
        .prepare_cached(&format!("SELECT {FILE_COLUMNS} FROM files WHERE hash = ?1 ORDER BY path"))?
        .query_map([hash], file_from_row)?
        .collect()
}

/// The documents with passages that pass the filter; none when all do.
pub(crate) fn allowed(connection: &Connection, filter: &Filter) -> rusqlite::Result<Option<DocSet>> {
    if *filter == Filter::default() {
        return Ok(None);
    }
    let condition = Condition::of(connection, filter)?;
    let mut allowed = DocSet::default();
    let mut statement = connection
        .prepare(&format!("SELECT id, path, format FROM files WHERE n_chunks > 0 AND {}", condition.sql))?;
    let mut rows = statement.query(params_from_iter(&condition.values))?;
    while let Some(row) = rows.next()? {
        let covered = !condition.is_more_than_sql()
            || condition.covers(&path_from_bytes(row.get(1)?), row.get_ref(2)?.as_str()?);
        if covered {
            allowed.insert(row.get(0)?);
        }
    }
    Ok(Some(allowed))
}

/// Languages of the documents with passages, the most frequent first, with the number of documents.
pub(crate) fn languages(connection: &Connection) -> rusqlite::Result<Vec<(Option<String>, usize)>> {
    connection
        .prepare_cached(
            "SELECT language, count(*) AS n FROM files WHERE n_chunks > 0 GROUP BY language ORDER BY n DESC, language",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Bytes `range` of a document's text.
pub(crate) fn text(connection: &Connection, doc: DocId, range: Range<usize>) -> rusqlite::Result<Vec<u8>> {
    let first = range.start / TEXT_BLOCK;
    let mut bytes = Vec::with_capacity(range.len());
    let mut statement = connection.prepare_cached(
        "SELECT block, data FROM texts WHERE doc = ?1 AND block >= ?2 AND block <= ?3 ORDER BY block",
    )?;
    let mut rows = statement.query((doc.0, first, range.end.saturating_sub(1) / TEXT_BLOCK))?;
    while let Some(row) = rows.next()? {
        let data: Vec<u8> = row.get(1)?;
        let block = lz4_flex::block::decompress_size_prepended(&data).map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Blob, Box::new(e))
        })?;
        let offset = row.get::<_, usize>(0)? * TEXT_BLOCK;
        let from = range.start.saturating_sub(offset).min(block.len());
        let to = range.end.saturating_sub(offset).min(block.len());
        bytes.extend_from_slice(&block[from..to]);
    }
    Ok(bytes)
}

/// A document's whole text with its pages; none if there is no such document.
pub(crate) fn document(connection: &Connection, doc: DocId) -> rusqlite::Result<Option<DocumentText>> {
    let Some(record) = file_by_id(connection, doc)? else { return Ok(None) };
    let (same_as_file, pages): (bool, String) = connection
        .prepare_cached("SELECT same_as_file, pages FROM files WHERE id = ?1")?
        .query_row([doc.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let bytes = text(connection, doc, 0..usize::try_from(record.n_bytes_text).unwrap_or(usize::MAX))?;
    let flat: Vec<usize> = from_json(&pages, 1)?;
    Ok(Some(DocumentText {
        record,
        text: into_text(bytes)?,
        pages: flat.chunks_exact(2).map(|p| p[0]..p[1]).collect(),
        same_as_file,
    }))
}

/// A passage with its text; none if there is no such passage.
pub(crate) fn chunk(connection: &Connection, id: ChunkId) -> rusqlite::Result<Option<Chunk>> {
    let found = connection
        .prepare_cached(
            "SELECT c.id, c.doc, c.start, c.end, c.line_start, c.line_end, c.page, c.headings,
                    f.path, f.format, f.title, f.language, f.same_as_file, f.hash,
                    f.size, f.mtime_ns
             FROM chunks c JOIN files f ON f.id = c.doc WHERE c.id = ?1",
        )?
        .query_row([id.0], chunk_without_text)
        .optional()?;
    let Some(mut chunk) = found else { return Ok(None) };
    chunk.text = into_text(text(connection, chunk.doc, chunk.span.clone())?)?;
    Ok(Some(chunk))
}

fn chunk_without_text(row: &Row<'_>) -> rusqlite::Result<Chunk> {
    let headings: String = row.get(7)?;
    Ok(Chunk {
        id: ChunkId(row.get(0)?),
        doc: DocId(row.get(1)?),
        path: path_from_bytes(row.get(8)?),
        file_size: row.get(14)?,
        file_mtime_ns: row.get(15)?,
        span: row.get(2)?..row.get(3)?,
        lines: (row.get(4)?, row.get(5)?),
        page: row.get(6)?,
        heading_path: from_json(&headings, 7)?,
        text: String::new(),
        format: row.get(9)?,
        title: row.get(10)?,
        language: row.get(11)?,
        same_as_file: row.get(12)?,
        hash: row.get(13)?,
    })
}

/// The passages of a document in order: number and byte span.
pub(crate) fn chunks_of(
    connection: &Connection,
    doc: DocId,
) -> rusqlite::Result<Vec<(ChunkId, Range<usize>)>> {
    connection
        .prepare_cached("SELECT id, start, end FROM chunks WHERE doc = ?1 ORDER BY id")?
        .query_map([doc.0], |row| Ok((ChunkId(row.get(0)?), row.get(1)?..row.get(2)?)))?
        .collect()
}

/// Up to `limit` passages without a vector, after `after`, in order of their numbers.
pub(crate) fn chunks_without_vectors(
    connection: &Connection,
    after: ChunkId,
    limit: usize,
) -> rusqlite::Result<Vec<ChunkId>> {
    connection
        .prepare_cached("SELECT id FROM chunks WHERE vector_row IS NULL AND id > ?1 ORDER BY id LIMIT ?2")?
        .query_map((after.0, limit), |row| Ok(ChunkId(row.get(0)?)))?
        .collect()
}

/// Number of a document's passages that have a vector.
pub(crate) fn n_vectors_of(connection: &Connection, doc: DocId) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("SELECT count(*) FROM chunks WHERE doc = ?1 AND vector_row IS NOT NULL")?
        .query_row([doc.0], |row| row.get(0))
}

/// Vector rows whose passage is gone.
pub(crate) fn dead_rows(connection: &Connection) -> rusqlite::Result<Vec<u64>> {
    connection
        .prepare_cached("SELECT row FROM dead_rows ORDER BY row")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Number of files by fate (indexed, skipped, failed), passages, bytes of text.
pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<([usize; 3], usize, u64)> {
    let mut by_fate = [0; 3];
    let (mut n_chunks, mut n_bytes) = (0, 0);
    let mut statement = connection.prepare_cached(
        "SELECT fate, count(*), coalesce(sum(n_chunks), 0), coalesce(sum(n_bytes_text), 0) FROM files GROUP BY fate",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        by_fate[row.get::<_, usize>(0)?.min(2)] = row.get(1)?;
        n_chunks += row.get::<_, usize>(2)?;
        n_bytes += row.get::<_, u64>(3)?;
    }
    Ok((by_fate, n_chunks, n_bytes))
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(json).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}

fn into_text(bytes: Vec<u8>) -> rusqlite::Result<String> {
    String::from_utf8(bytes)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(e)))
}

/// A setting of the collection.
pub(crate) fn setting(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}
