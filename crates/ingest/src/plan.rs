//! What has to be done: the files on disk held against the ledger.
//!
//! Costs the walk and one query; no file is opened. A file whose size, time of change and inode are those of the ledger is not read
//! again. One whose content was never read (too large, unreadable) is looked at again, because limits and permissions may
//! have changed without the file's own time changing.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use docent_index::{Fate, FileRecord, FileStat, Filter, Result as IndexResult, Root, Snapshot, Writer};

use crate::walk::{WalkOptions, Walked, walk};
use crate::{IngestError, IngestOptions, Summary};

/// A file to be read.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub stat: FileStat,
    /// What the ledger says of its path.
    pub known: Option<FileRecord>,
}

/// What a plan is made from: an index as its writer sees it, or as a reader does who only wants to know.
pub(crate) trait Ledger {
    fn roots(&self) -> IndexResult<Vec<Root>>;
    fn files(&self, filter: &Filter) -> IndexResult<Vec<FileRecord>>;
}

impl Ledger for Writer {
    fn roots(&self) -> IndexResult<Vec<Root>> {
        Writer::roots(self)
    }

    fn files(&self, filter: &Filter) -> IndexResult<Vec<FileRecord>> {
        Writer::files(self, filter)
    }
}

impl Ledger for Snapshot<'_> {
    fn roots(&self) -> IndexResult<Vec<Root>> {
        Snapshot::roots(self)
    }

    fn files(&self, filter: &Filter) -> IndexResult<Vec<FileRecord>> {
        Snapshot::files(self, filter)
    }
}

/// The work of one ingestion.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Files to read, by path.
    pub candidates: Vec<Candidate>,
    /// Files to note without reading them, with the reason.
    pub fates: Vec<(FileStat, Fate)>,
    /// Ledger lines of files that are not there any more.
    pub vanished: Vec<FileRecord>,
    /// Ledger lines of files below roots that are gone as a whole. They stay in the index, because a disk may be unmounted; but
    /// where the content of one turns up, the root was moved.
    pub elsewhere: Vec<FileRecord>,
    /// The roots that are gone as a whole.
    pub missing_roots: Vec<PathBuf>,
    /// The first root that is gone or cannot be read; the others are in the plan.
    pub lost_root: Option<IngestError>,
    /// The caller asked to stop while the files were listed: nothing is known of those not listed.
    pub interrupted: bool,
}

/// Lists what is at or below `roots` and compares it with the ledger. Counts what need not be read in `summary`.
pub(crate) fn plan(
    index: &dyn Ledger,
    roots: &[PathBuf],
    options: &IngestOptions,
    summary: &mut Summary,
    go_on: &mut dyn FnMut(usize) -> bool,
) -> Result<Plan, IngestError> {
    let mut plan = Plan::default();
    let known_roots = index.roots()?;
    let (walked_roots, walked) = walk_all(roots, &known_roots, options, &mut plan, go_on);
    if plan.interrupted || walked_roots.is_empty() {
        return Ok(plan);
    }
    let under = walked_roots.clone();
    let records = index.files(&Filter { under, remembered_only: false, ..Filter::default() })?;
    let mut ledger: HashMap<PathBuf, FileRecord> =
        records.into_iter().map(|r| (r.stat.path.clone(), r)).collect();
    for stat in walked.files {
        let known = ledger.remove(&stat.path);
        sort_file(stat, known, options, &mut plan, summary);
    }
    for (path, reason) in &walked.unreadable {
        let known = ledger.remove(path);
        note(
            FileStat { path: path.clone(), size: 0, mtime_ns: 0, inode: 0 },
            known,
            Fate::Failed(reason.clone()),
            &mut plan,
        );
        summary.failed += 1;
    }

    plan.missing_roots =
        known_roots.iter().map(|root| root.path.clone()).filter(|path| is_missing(path)).collect();
    if !plan.missing_roots.is_empty() {
        let under = plan.missing_roots.clone();
        plan.elsewhere = index.files(&Filter { under, ..Filter::default() })?;
        // A root that is there below one that is gone cannot be; one that is gone below one that is there can.
        plan.elsewhere.retain(|record| !ledger.contains_key(&record.stat.path));
    }
    let mut all_roots: Vec<PathBuf> = known_roots.into_iter().map(|root| root.path).collect();
    all_roots.extend(walked_roots.iter().cloned());
    let blocked: Vec<&Path> = walked.unreadable.iter().map(|(path, _)| path.as_path()).collect();
    for record in ledger.into_values() {
        let path = &record.stat.path;
        let own_root = all_roots
            .iter()
            .filter(|root| path.starts_with(root))
            .max_by_key(|root| root.components().count());
        let was_listed = own_root.is_some_and(|root| walked_roots.contains(root));
        if was_listed && !blocked.iter().any(|blocked| path.starts_with(blocked)) {
            plan.vanished.push(record);
        }
    }
    plan.vanished.sort_by(|a, b| a.stat.path.cmp(&b.stat.path));
    Ok(plan)
}

/// Whether there is nothing at all at `path`. What cannot be looked at may be there.
fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Lists every root. Gives the roots that could be listed, and all files once.
fn walk_all(
    roots: &[PathBuf],
    known_roots: &[Root],
    options: &IngestOptions,
    plan: &mut Plan,
    go_on: &mut dyn FnMut(usize) -> bool,
) -> (Vec<PathBuf>, Walked) {
    let mut walked_roots = Vec::new();
    let mut all = Walked::default();
    for root in roots {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.clone());
        let n_before = all.files.len();
        // A folder within a root is read as the root is: else looking into it would make files vanish.
        let covering = || known_roots.iter().filter(|known| root.starts_with(&known.path));
        let walk_options = WalkOptions {
            hidden: options.hidden || covering().any(|known| known.settings.hidden),
            no_ignore: options.no_ignore || covering().any(|known| known.settings.no_ignore),
            ignore: options.ignore.clone(),
            exclude: options.exclude.clone(),
        };
        match walk(&root, &walk_options, &mut |found| go_on(n_before + found)) {
            Ok(walked) => {
                all.files.extend(walked.files);
                all.unreadable.extend(walked.unreadable);
                plan.interrupted |= walked.interrupted;
                walked_roots.push(root);
            }
            Err(error) => plan.lost_root = plan.lost_root.take().or(Some(error)),
        }
    }
    all.files.sort_by(|a, b| a.path.cmp(&b.path));
    all.files.dedup_by(|a, b| a.path == b.path);
    let mut seen = HashSet::new();
    all.unreadable.retain(|(path, _)| seen.insert(path.clone()));
    (walked_roots, all)
}

/// Decides whether a file is read.
fn sort_file(
    stat: FileStat,
    known: Option<FileRecord>,
    options: &IngestOptions,
    plan: &mut Plan,
    summary: &mut Summary,
) {
    if let Err(error) = options.limits.check_size(stat.size) {
        note(stat, known, Fate::Skipped(error.reason().to_owned()), plan);
        summary.skipped += 1;
        return;
    }
    let retry = |record: &FileRecord| options.retry_failed && record.fate != Fate::Indexed;
    match known {
        Some(record) if record.stat == stat && record.hash.is_some() && !retry(&record) => {
            count(&record.fate, summary)
        }
        known => plan.candidates.push(Candidate { stat, known }),
    }
}

/// Plans to write a fate into the ledger, unless it says so already.
fn note(stat: FileStat, known: Option<FileRecord>, fate: Fate, plan: &mut Plan) {
    if !known.is_some_and(|record| record.stat == stat && record.fate == fate) {
        plan.fates.push((stat, fate));
    }
}

/// Counts a file that is as it was before.
pub(crate) fn count(fate: &Fate, summary: &mut Summary) {
    match fate {
        Fate::Indexed => summary.unchanged += 1,
        Fate::Skipped(_) => summary.skipped += 1,
        Fate::Failed(_) => summary.failed += 1,
    }
}
