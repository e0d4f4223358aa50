//! The catalog: an SQLite file that is the truth about the index.
//!
//! It holds the ledger of files, the extracted texts, the passages, and in the one row of `state` what the
//! other two stores look like at this generation: the list of postings segments and the number of vector rows.
//! Whatever lies in the other stores and is not named here does not exist. See `indexes/README.md` for the
//! drawing.
//!
//! Write-ahead logging lets readers go on with their snapshot while a writer works; `synchronous = FULL` makes
//! a returned commit durable.

pub(crate) mod read;
pub(crate) mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use crate::error::{IndexError, Result};
use crate::types::EmbeddingSpec;

/// Version of the whole index's layout, kept in SQLite's `user_version`.
pub(crate) const FORMAT: u32 = 3;
/// SQLite's `application_id` of a catalog: "dcnt".
const APPLICATION_ID: i32 = 0x6463_6e74;
/// File name of the catalog in the index's folder.
pub(crate) const FILE_NAME: &str = "catalog.sqlite";
/// How long a statement waits for another process's checkpoint before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
CREATE TABLE state (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    written_by    TEXT NOT NULL,            -- version of docent that wrote last
    generation    INTEGER NOT NULL,         -- number of commits
    postings      BLOB,                     -- tantivy's list of segments at this generation
    vector_serial INTEGER NOT NULL,         -- names the vector files
    vector_rows   INTEGER NOT NULL,         -- rows that count; what lies behind them is a dead writer's
    vector_dim    INTEGER NOT NULL,
    vector_model  TEXT NOT NULL             -- empty before the first vector
);
CREATE TABLE roots (
    path       BLOB PRIMARY KEY,
    remembered INTEGER NOT NULL,
    hidden     INTEGER NOT NULL DEFAULT 0,  -- read hidden files too
    no_ignore  INTEGER NOT NULL DEFAULT 0   -- read what ignore files exclude, too
) WITHOUT ROWID;
CREATE TABLE settings (                     -- of the collection
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE files (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    path         BLOB NOT NULL UNIQUE,
    size         INTEGER NOT NULL,
    mtime_ns     INTEGER NOT NULL,
    inode        INTEGER NOT NULL,
    hash         BLOB,
    fate         INTEGER NOT NULL,          -- 0 indexed, 1 skipped, 2 failed
    reason       TEXT NOT NULL,
    format       TEXT NOT NULL,
    title        TEXT,
    language     TEXT,
    same_as_file INTEGER NOT NULL,
    pages        TEXT NOT NULL,             -- JSON: [start, end, start, end, ...]
    n_chunks     INTEGER NOT NULL,
    n_bytes_text INTEGER NOT NULL,
    indexed_at   INTEGER NOT NULL
);
CREATE INDEX files_by_hash ON files (hash) WHERE hash IS NOT NULL;
CREATE TABLE texts (
    doc   INTEGER NOT NULL,
    block INTEGER NOT NULL,                 -- block b covers bytes b * 65536 .. of the text
    data  BLOB NOT NULL,                    -- LZ4 block, preceded by its length
    UNIQUE (doc, block)
);
CREATE TABLE chunks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    doc        INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    end        INTEGER NOT NULL,
    line_start INTEGER NOT NULL,
    line_end   INTEGER NOT NULL,
    page       INTEGER,
    headings   TEXT NOT NULL,               -- JSON array
    vector_row INTEGER                      -- row in the vector files
);
CREATE INDEX chunks_by_doc ON chunks (doc);
CREATE TABLE dead_rows (row INTEGER PRIMARY KEY);  -- vector rows whose passage is gone
INSERT INTO state VALUES (1, '', 0, NULL, 0, 0, 0, '');
";

/// What brings a catalog of format i + 1 to format i + 2. Each runs in one transaction, whole or not at all.
const MIGRATIONS: [&str; FORMAT as usize - 1] = [
    "
ALTER TABLE roots ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
ALTER TABLE roots ADD COLUMN no_ignore INTEGER NOT NULL DEFAULT 0;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
",
    "INSERT INTO settings VALUES ('stale_terms', '1');",
];

/// Setting that an older catalog is given whose postings hold terms that are cut in another way now: found by what both ways
/// have in common until the next writer makes them anew.
pub(crate) const STALE_TERMS: &str = "stale_terms";

/// The one row that says which state of the three stores is the committed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub generation: u64,
    /// tantivy's `meta.json`; none before the first posting.
    pub postings: Option<Vec<u8>>,
    pub vector_serial: u64,
    pub vector_rows: u64,
    /// None before the first vector.
    pub embedding: Option<EmbeddingSpec>,
}

/// How a connection is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads; creates nothing but SQLite's own side files.
    Read,
    /// Reads and writes; creates the catalog when there is none.
    Write,
}

/// The catalog's path in an index's folder.
pub(crate) fn path_in(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

/// Opens the catalog in `dir` and checks its format.
///
/// # Errors
/// `Missing`, `NotAnIndex`, `NewerFormat`, or what SQLite says.
pub(crate) fn open(dir: &Path, access: Access) -> Result<Connection> {
    let path = path_in(dir);
    let wrap = |e| IndexError::catalog(&path, e);
    match access {
        Access::Write => {
            create_private(&path)?;
            let connection = Connection::open_with_flags(
                &path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )
            .map_err(wrap)?;
            connection.busy_timeout(BUSY_TIMEOUT).map_err(wrap)?;
            // The format is checked before the first write: a newer catalog must stay as it is.
            let format = check_format(dir, &connection, &path)?;
            connection
                .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
                .map_err(wrap)?;
            match format {
                None => initialise(&connection).map_err(wrap)?,
                Some(format) if format < FORMAT => migrate(&connection).map_err(wrap)?,
                Some(_) => {}
            }
            Ok(connection)
        }
        Access::Read => {
            if !path.exists() {
                return Err(IndexError::Missing { dir: dir.to_owned() });
            }
            let connection = open_for_reading(&path).map_err(wrap)?;
            match check_format(dir, &connection, &path)? {
                None => Err(IndexError::Missing { dir: dir.to_owned() }),
                Some(FORMAT) => Ok(connection),
                Some(found) => {
                    // Whoever can write brings it up to date on the way; it takes a moment and loses nothing.
                    drop(connection);
                    match open(dir, Access::Write) {
                        Ok(_) => open_for_reading(&path).map_err(wrap),
                        Err(IndexError::NotWritable { .. }) => {
                            Err(IndexError::OlderFormat { dir: dir.to_owned(), found, supported: FORMAT })
                        }
                        Err(error) => Err(error),
                    }
                }
            }
        }
    }
}

/// A read-only connection that also works in a folder where nothing can be created.
///
/// SQLite reads a write-ahead log through a shared-memory file beside it. Where that file neither exists nor can
/// be made (a read-only medium), an ordinary opening fails at the first read. If there is no log, or an empty one,
/// the main file alone is the whole truth and nobody can be writing: it is then opened as immutable.
fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let probe: rusqlite::Result<i64> = connection.query_row("PRAGMA schema_version", [], |row| row.get(0));
    match probe {
        Ok(_) => Ok(connection),
        Err(error) => {
            use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
            let locked_out = matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly));
            if !locked_out || !log_is_empty(path) {
                return Err(error);
            }
            open_immutable(path)
        }
    }
}

/// Opens the main file alone, as one that nobody changes.
pub(crate) fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
}

/// Whether SQLite's log beside the catalog at `path` holds nothing.
pub(crate) fn log_is_empty(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(true, |m| m.len() == 0)
}

/// Creates the file with owner-only permissions if it is not there; SQLite's side files inherit them.
fn create_private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    crate::private::owner_only(&mut options);
    options.open(path).map(drop).map_err(|e| IndexError::io(path, e))
}

/// The catalog's format, none if it is empty; an error for anything that is not ours or newer.
fn check_format(dir: &Path, connection: &Connection, path: &Path) -> Result<Option<u32>> {
    let wrap = |e| IndexError::catalog(path, e);
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let application = pragma("application_id").map_err(wrap)?;
    let format = pragma("user_version").map_err(wrap)?;
    if application == 0 && format == 0 {
        let n_tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(wrap)?;
        return if n_tables == 0 { Ok(None) } else { Err(IndexError::NotAnIndex { path: path.to_owned() }) };
    }
    if application != i64::from(APPLICATION_ID) {
        return Err(IndexError::NotAnIndex { path: path.to_owned() });
    }
    let found = u32::try_from(format).unwrap_or(u32::MAX);
    if found > FORMAT {
        let written_by = connection
            .query_row("SELECT written_by FROM state", [], |row| row.get(0))
            .optional()
            .ok()
            .flatten()
            .unwrap_or_else(|| "of a later version".to_owned());
        return Err(IndexError::NewerFormat { dir: dir.to_owned(), found, written_by, supported: FORMAT });
    }
    Ok(Some(found))
}

/// Brings an older catalog to the present format, step by step, in one transaction.
fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let steps = || -> rusqlite::Result<()> {
        // Two processes may have found the old format: whoever comes second finds the work done.
        let format: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        for step in &MIGRATIONS[format.saturating_sub(1) as usize..] {
            connection.execute_batch(step)?;
        }
        connection.execute("UPDATE state SET written_by = ?1", [env!("CARGO_PKG_VERSION")])?;
        connection.pragma_update(None, "user_version", FORMAT)
    };
    let done = steps();
    connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}

fn initialise(connection: &Connection) -> rusqlite::Result<()> {
    // Two processes may find the file empty at once: whoever comes second finds the tables made.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let n_tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if n_tables == 0 {
        connection.execute_batch(SCHEMA)?;
        connection.execute("UPDATE state SET written_by = ?1", [env!("CARGO_PKG_VERSION")])?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
    }
    connection.execute_batch("COMMIT")
}

/// Reads the state row.
pub(crate) fn state(connection: &Connection) -> rusqlite::Result<State> {
    connection.query_row(
        "SELECT generation, postings, vector_serial, vector_rows, vector_dim, vector_model FROM state",
        [],
        state_from_row,
    )
}

fn state_from_row(row: &Row<'_>) -> rusqlite::Result<State> {
    let fingerprint: String = row.get(5)?;
    let dim: usize = row.get(4)?;
    Ok(State {
        generation: row.get(0)?,
        postings: row.get(1)?,
        vector_serial: row.get(2)?,
        vector_rows: row.get(3)?,
        embedding: (!fingerprint.is_empty()).then_some(EmbeddingSpec { fingerprint, dim }),
    })
}

/// Writes the state row; takes effect with the transaction's commit.
pub(crate) fn set_state(connection: &Connection, state: &State) -> rusqlite::Result<()> {
    let (dim, model) = match &state.embedding {
        Some(spec) => (spec.dim, spec.fingerprint.as_str()),
        None => (0, ""),
    };
    connection
        .prepare_cached(
            "UPDATE state SET written_by = ?1, generation = ?2, postings = ?3, vector_serial = ?4,
                              vector_rows = ?5, vector_dim = ?6, vector_model = ?7",
        )?
        .execute((
            env!("CARGO_PKG_VERSION"),
            state.generation,
            &state.postings,
            state.vector_serial,
            state.vector_rows,
            dim,
            model,
        ))
        .map(drop)
}

/// A path as the catalog keeps it: the system's own bytes, so that any name survives.
pub(crate) fn path_bytes(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        path.as_os_str().as_bytes().to_vec()
    }
    #[cfg(not(unix))]
    {
        path.to_string_lossy().into_owned().into_bytes()
    }
}

/// The inverse of [`path_bytes`].
pub(crate) fn path_from_bytes(bytes: Vec<u8>) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        PathBuf::from(std::ffi::OsString::from_vec(bytes))
    }
    #[cfg(not(unix))]
    {
        PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The half-open range of stored paths strictly below `path`: `path/` up to the next possible sibling.
pub(crate) fn below(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let separator = std::path::MAIN_SEPARATOR as u8;
    let mut low = path_bytes(path);
    while low.last() == Some(&separator) {
        low.pop();
    }
    low.push(separator);
    let mut high = low.clone();
    if let Some(last) = high.last_mut() {
        *last += 1;
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused_with_both_versions_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(dir.path(), Access::Write).unwrap();
        connection.execute("UPDATE state SET written_by = '9.9.9'", []).unwrap();
        connection.pragma_update(None, "user_version", FORMAT + 1).unwrap();
        drop(connection);
        let before = std::fs::read(path_in(dir.path())).unwrap();
        for access in [Access::Read, Access::Write] {
            let message = open(dir.path(), access).unwrap_err().to_string();
            assert!(
                message.contains("9.9.9") && message.contains(&format!("format {}", FORMAT + 1)),
                "{message}"
            );
        }
        assert_eq!(std::fs::read(path_in(dir.path())).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_no_catalog_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(path_in(dir.path()), "not a database, but long enough to look at: ".repeat(40))
            .unwrap();
        let error = open(dir.path(), Access::Write).unwrap_err();
        assert!(matches!(error, IndexError::NotAnIndex { .. }), "{error}");
    }

    #[test]
    fn an_immutable_opening_reads_a_path_with_odd_characters() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a b?c#d%é");
        std::fs::create_dir(&odd).unwrap();
        drop(open(&odd, Access::Write).unwrap());
        let connection = open_immutable(&path_in(&odd)).unwrap();
        assert_eq!(state(&connection).unwrap().generation, 0);
    }

    #[test]
    fn paths_survive_as_bytes() {
        let path = PathBuf::from("/home/é/x");
        assert_eq!(path_from_bytes(path_bytes(&path)), path);
    }
}
