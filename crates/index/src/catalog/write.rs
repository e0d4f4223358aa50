//! Changes to the catalog. All of them run inside the writer's one transaction.

use std::ops::Range;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use super::path_bytes;
use super::read::TEXT_BLOCK;
use crate::types::{ChunkId, DocId, Fate, FileStat, NewChunk, NewDocument, RootSettings};

/// What the ledger is told of a file, apart from where it lies.
pub(crate) struct Entry<'a> {
    pub hash: Option<[u8; 32]>,
    pub fate: &'a Fate,
    pub format: &'a str,
    pub title: Option<&'a str>,
    pub language: Option<&'a str>,
    pub same_as_file: bool,
    pub pages: &'a [Range<usize>],
    pub n_chunks: usize,
    pub n_bytes_text: usize,
}

impl<'a> Entry<'a> {
    pub(crate) fn of_document(document: &'a NewDocument) -> Self {
        Entry {
            hash: Some(document.hash),
            fate: &Fate::Indexed,
            format: &document.format,
            title: document.title.as_deref(),
            language: document.language.as_deref(),
            same_as_file: document.same_as_file,
            pages: &document.pages,
            n_chunks: document.chunks.len(),
            n_bytes_text: document.text.len(),
        }
    }
}

/// Inserts or replaces the ledger's line of `stat.path`; the number of a known path stays.
pub(crate) fn put_file(
    connection: &Connection,
    stat: &FileStat,
    entry: &Entry<'_>,
) -> rusqlite::Result<DocId> {
    let (fate, reason) = match entry.fate {
        Fate::Indexed => (0, ""),
        Fate::Skipped(reason) => (1, reason.as_str()),
        Fate::Failed(reason) => (2, reason.as_str()),
    };
    let flat: Vec<usize> = entry.pages.iter().flat_map(|p| [p.start, p.end]).collect();
    let pages = serde_json::to_string(&flat).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut statement = connection.prepare_cached(
        "INSERT INTO files (path, size, mtime_ns, inode, hash, fate, reason, format, title, language,
                            same_as_file, pages, n_chunks, n_bytes_text, indexed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (path) DO UPDATE SET
            size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode, hash = excluded.hash,
            fate = excluded.fate, reason = excluded.reason, format = excluded.format, title = excluded.title,
            language = excluded.language, same_as_file = excluded.same_as_file, pages = excluded.pages,
            n_chunks = excluded.n_chunks, n_bytes_text = excluded.n_bytes_text, indexed_at = excluded.indexed_at
         RETURNING id",
    )?;
    let values: [&dyn rusqlite::ToSql; 15] = [
        &path_bytes(&stat.path),
        &stat.size,
        &stat.mtime_ns,
        &stat.inode.cast_signed(),
        &entry.hash,
        &fate,
        &reason,
        &entry.format,
        &entry.title,
        &entry.language,
        &entry.same_as_file,
        &pages,
        &entry.n_chunks,
        &entry.n_bytes_text,
        &now,
    ];
    statement.query_row(values.as_slice(), |row| row.get(0)).map(DocId)
}

/// Writes path, size, time and inode of a document whose content is the same.
pub(crate) fn set_stat(connection: &Connection, doc: DocId, stat: &FileStat) -> rusqlite::Result<bool> {
    let n = connection
        .prepare_cached("UPDATE files SET path = ?2, size = ?3, mtime_ns = ?4, inode = ?5 WHERE id = ?1")?
        .execute((doc.0, path_bytes(&stat.path), stat.size, stat.mtime_ns, stat.inode.cast_signed()))?;
    Ok(n > 0)
}

/// Stores a document's text in compressed blocks.
pub(crate) fn put_text(connection: &Connection, doc: DocId, text: &str) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT INTO texts (doc, block, data) VALUES (?1, ?2, ?3)")?;
    for (block, bytes) in text.as_bytes().chunks(TEXT_BLOCK).enumerate() {
        statement.execute((doc.0, block, lz4_flex::block::compress_prepend_size(bytes)))?;
    }
    Ok(())
}

/// Stores one passage; `vector_row` is its row in the vector files.
pub(crate) fn put_chunk(
    connection: &Connection,
    doc: DocId,
    chunk: &NewChunk,
    vector_row: Option<u64>,
) -> rusqlite::Result<ChunkId> {
    let headings = serde_json::to_string(&chunk.heading_path).unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT INTO chunks (doc, start, end, line_start, line_end, page, headings, vector_row)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            doc.0,
            chunk.span.start,
            chunk.span.end,
            chunk.line_start,
            chunk.line_end,
            chunk.page,
            headings,
            vector_row,
        ))?;
    Ok(ChunkId(connection.last_insert_rowid().cast_unsigned()))
}

/// Tells where a passage's vector lies; the row it had before is dead.
pub(crate) fn set_vector_row(connection: &Connection, chunk: ChunkId, row: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO dead_rows SELECT vector_row FROM chunks WHERE id = ?1 AND vector_row IS NOT NULL",
        )?
        .execute([chunk.0])?;
    connection
        .prepare_cached("UPDATE chunks SET vector_row = ?2 WHERE id = ?1")?
        .execute((chunk.0, row))
        .map(drop)
}

/// Removes a document's text and passages; its line in the ledger stays. Its vector rows become dead.
pub(crate) fn clear_content(connection: &Connection, doc: DocId) -> rusqlite::Result<()> {
    for sql in [
        "INSERT INTO dead_rows SELECT vector_row FROM chunks WHERE doc = ?1 AND vector_row IS NOT NULL",
        "DELETE FROM chunks WHERE doc = ?1",
        "DELETE FROM texts WHERE doc = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([doc.0])?;
    }
    Ok(())
}

/// Removes a document altogether.
pub(crate) fn remove_file(connection: &Connection, doc: DocId) -> rusqlite::Result<bool> {
    clear_content(connection, doc)?;
    Ok(connection.prepare_cached("DELETE FROM files WHERE id = ?1")?.execute([doc.0])? > 0)
}

/// Adds a root. One that is remembered stays so when it is only looked into once more.
pub(crate) fn add_root(connection: &Connection, path: &Path, remembered: bool) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO roots (path, remembered) VALUES (?1, ?2)
             ON CONFLICT (path) DO UPDATE SET remembered = max(remembered, excluded.remembered)",
        )?
        .execute((path_bytes(path), remembered))
        .map(drop)
}

/// Says how a root is read.
pub(crate) fn set_root_settings(
    connection: &Connection,
    path: &Path,
    settings: RootSettings,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE roots SET hidden = ?2, no_ignore = ?3 WHERE path = ?1")?
        .execute((path_bytes(path), settings.hidden, settings.no_ignore))
        .map(drop)
}

/// Writes a setting of the collection.
pub(crate) fn set_setting(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)")?
        .execute((name, value))
        .map(drop)
}

/// Removes a setting of the collection, if there is one.
pub(crate) fn remove_setting(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM settings WHERE name = ?1")?.execute([name]).map(drop)
}

/// Removes texts and passages of files that there are not, and writes the dead rows anew: all those below `n_rows` that no
/// passage has.
pub(crate) fn remove_orphans(connection: &Connection, n_rows: u64) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM chunks WHERE doc NOT IN (SELECT id FROM files);
         DELETE FROM texts WHERE doc NOT IN (SELECT id FROM files);
         DELETE FROM dead_rows;",
    )?;
    connection.execute("UPDATE chunks SET vector_row = NULL WHERE vector_row >= ?1", [n_rows])?;
    connection
        .execute(
            "WITH RECURSIVE rows (row) AS (SELECT 0 WHERE ?1 > 0 UNION ALL SELECT row + 1 FROM rows WHERE row + 1 < ?1)
             INSERT INTO dead_rows SELECT row FROM rows
             WHERE row NOT IN (SELECT vector_row FROM chunks WHERE vector_row IS NOT NULL)",
            [n_rows],
        )
        .map(drop)
}

/// Forgets a root; false if there was none.
pub(crate) fn remove_root(connection: &Connection, path: &Path) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached("DELETE FROM roots WHERE path = ?1")?.execute([path_bytes(path)])? > 0)
}

/// Every passage loses its vector: the model has changed.
pub(crate) fn forget_vectors(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("UPDATE chunks SET vector_row = NULL; DELETE FROM dead_rows;")
}

/// The live vector rows in order, for copying to a new file.
pub(crate) fn live_rows(connection: &Connection) -> rusqlite::Result<Vec<(ChunkId, u64)>> {
    connection
        .prepare_cached("SELECT id, vector_row FROM chunks WHERE vector_row IS NOT NULL ORDER BY vector_row")?
        .query_map([], |row| Ok((ChunkId(row.get(0)?), row.get(1)?)))?
        .collect()
}

/// Gives the passages the rows `0..` in the order given, after a copy to a new file; no row is dead then.
pub(crate) fn renumber_rows(connection: &Connection, chunks: &[(ChunkId, u64)]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE chunks SET vector_row = ?2 WHERE id = ?1")?;
    for (row, (chunk, _)) in chunks.iter().enumerate() {
        statement.execute((chunk.0, row))?;
    }
    connection.execute_batch("DELETE FROM dead_rows;")
}
