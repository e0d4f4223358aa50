//! The integrity check: the three stores against each other.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::Connection;

use crate::catalog::{self, State, read};
use crate::error::{IndexError, Result};
use crate::index::{Index, Snapshot};
use crate::postings::{self, PostingsReader};
use crate::types::{DocId, Filter};
use crate::vectors::{self, VectorFiles};

/// Something in the index that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub store: Store,
    /// What, in one sentence.
    pub what: String,
    /// The document concerned, where it is a matter of one.
    pub doc: Option<DocId>,
}

impl Problem {
    fn new(store: Store, what: String) -> Self {
        Problem { store, what, doc: None }
    }
}

/// A part of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Store {
    /// The catalog's own file: nothing can repair it but a new index.
    CatalogFile,
    /// What the catalog says: single documents are damaged, or belong to nothing.
    Catalog,
    /// Lexical index: [`Writer::rebuild_postings`](crate::Writer::rebuild_postings) makes it anew from the catalog.
    Postings,
    /// Vector files: [`Writer::forget_vectors`](crate::Writer::forget_vectors) drops them, to be embedded again.
    Vectors,
    /// Codes and lists made from the vectors: [`Writer::forget_copies`](crate::Writer::forget_copies) drops them, to be made anew.
    VectorCopies,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let store = match self.store {
            Store::Catalog | Store::CatalogFile => "catalog",
            Store::Postings => "postings",
            Store::Vectors | Store::VectorCopies => "vectors",
        };
        write!(f, "{store}: {}", self.what)
    }
}

/// Compares the stores of the committed state. Reads everything: seconds for a hundred thousand passages.
///
/// # Errors
/// If the catalog itself cannot be read; whatever is wrong with the other stores is in the answer.
pub(crate) fn check(index: &Index) -> Result<Vec<Problem>> {
    let dir = index.dir();
    let path = catalog::path_in(dir);
    let wrap = |e| IndexError::catalog(&path, e);
    let connection = catalog::open(dir, catalog::Access::Read)?;
    connection.execute_batch("BEGIN").map_err(wrap)?;
    let state = catalog::state(&connection).map_err(wrap)?;
    let mut problems = Vec::new();
    check_catalog(&connection, &mut problems).map_err(wrap)?;
    let expected = chunks(&connection).map_err(wrap)?;
    check_postings(dir, &state, &expected, &mut problems);
    let dead = read::dead_rows(&connection).map_err(wrap)?;
    check_vectors(dir, &state, &expected, &dead, &mut problems);
    // Statements that walk the texts go last: they are the slowest, and everything cheaper has been said by then.
    if let Ok(snapshot) = index.snapshot() {
        check_texts(&snapshot, &mut problems)?;
    }
    Ok(problems)
}

/// What the catalog says of a passage.
struct Expected {
    doc: u64,
    vector_row: Option<u64>,
}

fn chunks(connection: &Connection) -> rusqlite::Result<BTreeMap<u64, Expected>> {
    connection
        .prepare("SELECT id, doc, vector_row FROM chunks")?
        .query_map([], |row| Ok((row.get(0)?, Expected { doc: row.get(1)?, vector_row: row.get(2)? })))?
        .collect()
}

fn check_catalog(connection: &Connection, problems: &mut Vec<Problem>) -> rusqlite::Result<()> {
    let lines: Vec<String> = connection
        .prepare("PRAGMA integrity_check(20)")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let damage = lines.into_iter().filter(|line| line != "ok");
    problems.extend(damage.map(|line| Problem::new(Store::CatalogFile, line)));
    for (sql, what) in [
        ("SELECT count(*) FROM chunks WHERE doc NOT IN (SELECT id FROM files)", "passages belong to no file"),
        (
            "SELECT count(*) FROM texts WHERE doc NOT IN (SELECT id FROM files)",
            "blocks of text belong to no file",
        ),
    ] {
        let n: u64 = connection.query_row(sql, [], |row| row.get(0))?;
        if n > 0 {
            problems.push(Problem::new(Store::Catalog, format!("{n} {what}")));
        }
    }
    for (sql, what) in [
        (
            "SELECT id, path FROM files f WHERE n_chunks <> (SELECT count(*) FROM chunks c WHERE c.doc = f.id)",
            "it has another number of passages than its line says",
        ),
        ("SELECT id, path FROM files WHERE fate <> 0 AND n_chunks > 0", "it was left out and has passages"),
    ] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let path = catalog::path_from_bytes(row.get(1)?);
            let what = format!("{}: {what}", path.display());
            problems.push(Problem { store: Store::Catalog, what, doc: Some(DocId(row.get(0)?)) });
        }
    }
    Ok(())
}

fn check_postings(
    dir: &Path,
    state: &State,
    expected: &BTreeMap<u64, Expected>,
    problems: &mut Vec<Problem>,
) {
    let mut report = |what: String| problems.push(Problem::new(Store::Postings, what));
    let found = match &state.postings {
        None => Ok(Vec::new()),
        Some(meta) => PostingsReader::open(&dir.join(postings::FOLDER), meta.clone())
            .and_then(|reader| reader.passages(&dir.join(postings::FOLDER))),
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return report(error.to_string()),
    };
    let mut times: HashMap<u64, u32> = HashMap::new();
    let mut n_wrong = 0;
    for (chunk, doc) in found {
        *times.entry(chunk).or_default() += 1;
        n_wrong += usize::from(expected.get(&chunk).is_none_or(|e| e.doc != doc));
    }
    let n_missing = expected.keys().filter(|chunk| !times.contains_key(chunk)).count();
    let n_double = times.values().filter(|n| **n > 1).count();
    for (n, what) in [
        (n_missing, "passages cannot be found by their words"),
        (n_wrong, "entries belong to no passage of the catalog"),
        (n_double, "passages are entered more than once"),
    ] {
        if n > 0 {
            report(format!("{n} {what}"));
        }
    }
}

fn check_vectors(
    dir: &Path,
    state: &State,
    expected: &BTreeMap<u64, Expected>,
    dead: &[u64],
    problems: &mut Vec<Problem>,
) {
    let mut report = |what: String| problems.push(Problem::new(Store::Vectors, what));
    let Some(spec) = state.embedding.as_ref().filter(|_| state.vector_rows > 0) else {
        let n = expected.values().filter(|e| e.vector_row.is_some()).count();
        if n > 0 {
            report(format!("{n} passages name a row, and there are no rows"));
        }
        return;
    };
    let files = VectorFiles::open(&dir.join(vectors::FOLDER), spec, state.vector_serial, state.vector_rows);
    let files = match files {
        Ok(files) => files,
        Err(error) => return report(error.to_string()),
    };
    let mut uses = vec![0u32; usize::try_from(state.vector_rows).unwrap_or(0)];
    let mut n_wrong = 0;
    for (chunk, Expected { doc, vector_row }) in expected {
        let Some(row) = vector_row else { continue };
        let is_unit =
            files.row(*row).is_some_and(|v| (v.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-2);
        n_wrong += usize::from(files.id(*row) != Some((*chunk, *doc)) || !is_unit);
        if let Some(uses) = usize::try_from(*row).ok().and_then(|row| uses.get_mut(row)) {
            *uses += 1;
        }
    }
    for row in dead {
        if let Some(uses) = usize::try_from(*row).ok().and_then(|row| uses.get_mut(row)) {
            *uses += 1;
        }
    }
    let n_stray = uses.iter().filter(|n| **n != 1).count();
    for (n, what) in [
        (n_wrong, "passages have a row that is another's, or no unit vector"),
        (n_stray, "rows belong to no passage or to several"),
    ] {
        if n > 0 {
            report(format!("{n} {what}"));
        }
    }
    if n_wrong + n_stray == 0 {
        let copies = files.wrong_copies();
        problems.extend(copies.into_iter().map(|what| Problem::new(Store::VectorCopies, what)));
    }
}

fn check_texts(snapshot: &Snapshot<'_>, problems: &mut Vec<Problem>) -> Result<()> {
    for file in snapshot.files(&Filter::default())?.into_iter().filter(|file| file.n_bytes_text > 0) {
        if let Some(what) = text_problem(snapshot, file.id, file.n_bytes_text) {
            problems.push(Problem {
                store: Store::Catalog,
                what: format!("{}: {what}", file.stat.path.display()),
                doc: Some(file.id),
            });
        }
    }
    Ok(())
}

fn text_problem(snapshot: &Snapshot<'_>, doc: DocId, n_bytes: u64) -> Option<String> {
    let text = match snapshot.document(doc) {
        Ok(document) => document.text,
        Err(error) => return Some(error.to_string()),
    };
    if text.len() as u64 != n_bytes {
        return Some(format!("its text has {} bytes instead of {n_bytes}", text.len()));
    }
    let chunks = snapshot.chunks_of(doc).ok()?;
    let n_outside = chunks.into_iter().filter(|(_, span)| text.get(span.clone()).is_none()).count();
    (n_outside > 0).then(|| format!("{n_outside} passages lie outside its text"))
}
