//! Is the index right? Its three stores against each other, and against the files on disk; and mending what is not.

use std::path::PathBuf;

use docent_index::{Fate, Filter, Problem, Store, Writer};
use docent_ingest::{Progress, Summary};

use crate::{Error, Library};

/// Something about an index that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: `catalog`, `postings`, `vectors`, or `files`.
    pub store: &'static str,
    /// What, in one sentence.
    pub what: String,
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexCheck {
    /// What was found.
    pub faults: Vec<Fault>,
    /// What is still so after mending; all that was found, where nothing was to be mended.
    pub left: Vec<Fault>,
    /// Files whose content was read and compared.
    pub n_files: usize,
    /// What was read again in order to mend; none if nothing was.
    pub update: Option<Summary>,
    /// The caller asked to stop: this is not all.
    pub interrupted: bool,
}

/// Found in a file's content alone: its size and times are those of the ledger.
struct Altered {
    doc: docent_index::DocId,
    path: PathBuf,
}

impl Library {
    /// Checks the index, reading all of it and every file that was added; mends what is wrong if `repair`. Nobody else can write
    /// meanwhile, unless the index cannot be written at all: then it is only looked at.
    ///
    /// # Errors
    /// [`Error::Empty`] without an index; a catalog that cannot be read; to mend vectors, a missing embedding model.
    pub fn check_index(
        &self,
        repair: bool,
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<IndexCheck, Error> {
        self.open_index()?;
        let mut check = IndexCheck::default();
        let mut writer = match self.wait_for_writer(None, cancel, progress) {
            Ok(None) => return Ok(IndexCheck { interrupted: true, ..check }),
            Err(error) if error.home_is_read_only() => None,
            writer => writer?,
        };
        let problems = self.open_index()?.check()?;
        check.faults.extend(problems.iter().map(of_store));
        if let Some(writer) = writer.as_mut().filter(|_| repair && !problems.is_empty()) {
            writer.repair(&problems)?;
            writer.commit()?;
        }
        let is_readable = problems.is_empty() || (repair && writer.is_some());
        if is_readable {
            let altered = self.check_files(&mut check, cancel, progress)?;
            if let Some(writer) = writer.as_mut().filter(|_| repair && !altered.is_empty()) {
                for Altered { doc, .. } in altered {
                    writer.remove(doc)?;
                }
                writer.commit()?;
            }
        }
        if check.interrupted || check.faults.is_empty() || !repair || writer.is_none() {
            check.left = check.faults.clone();
            return Ok(check);
        }
        self.mend(writer, &mut check, cancel, progress)?;
        Ok(check)
    }

    /// Reads again what was removed or changed, embeds what has no vectors, and looks once more.
    fn mend(
        &self,
        writer: Option<Writer>,
        check: &mut IndexCheck,
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        drop(writer); // the next one brings a model
        let roots = self.remembered_roots()?;
        let summary = self.update_roots(&roots, cancel, progress)?;
        check.interrupted = summary.interrupted;
        check.update = Some(summary);
        let problems = self.open_index()?.check()?;
        let mut again = IndexCheck::default();
        self.check_files(&mut again, cancel, progress)?;
        check.left = problems.iter().map(of_store).chain(again.faults).collect();
        Ok(())
    }

    /// Holds the ledger against the files below what was added; gives those that only their content betrays.
    fn check_files(
        &self,
        check: &mut IndexCheck,
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Altered>, Error> {
        let index = self.open_index()?;
        let snapshot = index.snapshot()?;
        let roots = self.remembered_roots()?;
        let (difference, _) = docent_ingest::difference(&snapshot, &roots, &self.ingest_options(), cancel)?;
        let mut fault = |path: &PathBuf, what: &str| {
            check.faults.push(Fault { store: "files", what: format!("{}: {what}", path.display()) });
        };
        difference.new.iter().for_each(|path| fault(path, "not indexed yet"));
        difference.changed.iter().for_each(|path| fault(path, "changed since it was indexed"));
        difference.gone.iter().for_each(|path| fault(path, "gone, and still indexed"));
        difference.lost_roots.iter().for_each(|path| fault(path, "was added and is not there"));
        let filter = Filter { remembered_only: true, ..Filter::default() };
        let files: Vec<_> = snapshot
            .files(&filter)?
            .into_iter()
            .filter(|file| file.fate == Fate::Indexed)
            .filter(|file| !difference.changed.contains(&file.stat.path) && file.stat.path.exists())
            .collect();
        let bytes_total: u64 = files.iter().map(|file| file.stat.size).sum();
        let mut bytes_done = 0;
        let mut altered = Vec::new();
        for (files_done, file) in files.iter().enumerate() {
            if cancel() {
                check.interrupted = true;
                break;
            }
            let path = file.stat.path.clone();
            progress(Progress::Working {
                files_done,
                files_total: files.len(),
                bytes_done,
                bytes_total,
                path: path.clone(),
            });
            let content = std::fs::read(&path);
            if content.is_ok_and(|content| file.hash != Some(*blake3::hash(&content).as_bytes())) {
                let what = format!("{}: its content changed, and its time did not", path.display());
                check.faults.push(Fault { store: "files", what });
                altered.push(Altered { doc: file.id, path });
            }
            bytes_done += file.stat.size;
            check.n_files += 1;
        }
        altered.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(altered)
    }
}

fn of_store(problem: &Problem) -> Fault {
    let store = match problem.store {
        Store::Catalog | Store::CatalogFile => "catalog",
        Store::Postings => "postings",
        Store::Vectors | Store::VectorCopies => "vectors",
    };
    Fault { store, what: problem.what.clone() }
}
