//! Which files lie under a root.
//!
//! Rules: `.gitignore`, `.ignore` and `.docentignore` are honoured (in a git work tree as git does, the files of parent
//! folders included; elsewhere from the root down), hidden files are left out, both unless asked for otherwise. Folders of version control
//! are never entered. Special files (pipes, sockets, devices) are never listed, so they are never opened.
//! A link to a folder is not followed: what it leads to within the root is listed there, and what lies outside was
//! not asked for. A link to a file within the root that is not listed itself (because it is hidden, as in git-annex) is
//! listed under the link's name.
//!
//! Cost: one `stat` a file and no reading but of ignore files. The result is sorted by path, so that two runs over the same tree
//! do the same in the same order.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use docent_index::FileStat;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, WalkBuilder};

use crate::IngestError;

/// The name of docent's own ignore file, in gitignore syntax.
pub const IGNORE_FILE: &str = ".docentignore";

/// What is left out of a walk.
#[derive(Debug, Clone, Default)]
pub struct WalkOptions {
    /// List hidden files and enter hidden folders.
    pub hidden: bool,
    /// Do not honour ignore files.
    pub no_ignore: bool,
    /// Patterns of files and folders that are not listed, in gitignore syntax and seen from the root, whatever ignore files say;
    /// those that [`check_pattern`] refuses name nothing.
    pub ignore: Vec<String>,
    /// Files and folders that are never listed: docent's own.
    pub exclude: Vec<PathBuf>,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// Regular files, sorted by path.
    pub files: Vec<FileStat>,
    /// What could not be looked at, and why, sorted by path: nothing is known of what lies at or under these.
    pub unreadable: Vec<(PathBuf, String)>,
    /// The caller asked to stop.
    pub interrupted: bool,
}

/// Lists the files at or under `root`, which may be a file itself. `go_on` is told how many were found so far and
/// stops the walk by returning false.
///
/// # Errors
/// [`IngestError::RootMissing`] if there is nothing at `root`, [`IngestError::RootUnreadable`] if it cannot be looked at.
pub fn walk(
    root: &Path,
    options: &WalkOptions,
    go_on: &mut dyn FnMut(usize) -> bool,
) -> Result<Walked, IngestError> {
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let metadata = root.metadata().map_err(|error| root_error(&root, &error))?;
    if metadata.is_file() {
        return Ok(Walked { files: vec![stat(&root, &metadata)], ..Walked::default() });
    }
    if !metadata.is_dir() {
        return Err(IngestError::RootUnreadable {
            path: root,
            reason: "neither a file nor a folder".to_owned(),
        });
    }
    std::fs::read_dir(&root).map_err(|error| root_error(&root, &error))?;

    let mut walked = Walked::default();
    let mut links = Vec::new();
    for entry in builder(&root, options).build() {
        match entry {
            Ok(entry) => see(entry, &mut walked, &mut links),
            Err(error) => walked.unreadable.push(unreadable(&error, &root)),
        }
        if !go_on(walked.files.len()) {
            walked.interrupted = true;
            break;
        }
    }
    add_linked_files(&root, links, &mut walked);
    walked.files.sort_by(|a, b| a.path.cmp(&b.path));
    walked.unreadable.sort();
    Ok(walked)
}

fn builder(root: &Path, options: &WalkOptions) -> WalkBuilder {
    let excluded = excluded_below(root, &options.exclude);
    let ignored = ignored(root, &options.ignore);
    let in_git = root.ancestors().any(|folder| folder.join(".git").exists());
    let mut builder = WalkBuilder::new(root);
    builder
        .follow_links(false)
        .hidden(!options.hidden)
        .git_global(false) // a setting of the user's git, not of the folder
        .require_git(in_git)
        .parents(in_git && !options.no_ignore)
        .filter_entry(move |entry| {
            let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
            let is_out = is_version_control(entry)
                || excluded.contains(entry.path())
                || ignored.matched(entry.path(), is_dir).is_ignore();
            entry.depth() == 0 || !is_out
        });
    if options.no_ignore {
        builder.ignore(false).git_ignore(false).git_exclude(false);
    } else {
        builder.add_custom_ignore_filename(IGNORE_FILE);
    }
    builder
}

/// Whether a pattern can be used in [`WalkOptions::ignore`].
///
/// # Errors
/// What is wrong with it.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    let added = GitignoreBuilder::new("/").add_line(None, pattern).map(drop);
    added.map_err(|error| error.to_string())
}

fn ignored(root: &Path, patterns: &[String]) -> Gitignore {
    let mut builder = GitignoreBuilder::new(root);
    for pattern in patterns {
        let _ = builder.add_line(None, pattern);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// The excluded paths as the walk will name them, if the root's own name leads through a link.
fn excluded_below(root: &Path, exclude: &[PathBuf]) -> HashSet<PathBuf> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let real_root = real(root);
    exclude
        .iter()
        .filter_map(|path| real(path).strip_prefix(&real_root).map(|inner| root.join(inner)).ok())
        .collect()
}

fn is_version_control(entry: &DirEntry) -> bool {
    let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
    is_dir && [".git", ".hg", ".svn", ".jj", ".bzr"].iter().any(|name| entry.file_name() == OsStr::new(name))
}

fn see(entry: DirEntry, walked: &mut Walked, links: &mut Vec<PathBuf>) {
    let Some(kind) = entry.file_type() else { return };
    if kind.is_symlink() {
        links.push(entry.into_path());
    } else if kind.is_file() {
        match entry.metadata() {
            Ok(metadata) => walked.files.push(stat(entry.path(), &metadata)),
            Err(error) => walked.unreadable.push(unreadable(&error, entry.path())),
        }
    }
}

/// Lists files that are reached by a link alone and lie under the root.
fn add_linked_files(root: &Path, mut links: Vec<PathBuf>, walked: &mut Walked) {
    if links.is_empty() {
        return;
    }
    let Ok(real_root) = root.canonicalize() else { return };
    let mut listed: HashSet<PathBuf> = walked
        .files
        .iter()
        .filter_map(|f| f.path.strip_prefix(root).map(|inner| real_root.join(inner)).ok())
        .collect();
    links.sort();
    for link in links {
        // A link that leads nowhere, in a circle or out of the root is none of our business.
        let Ok(target) = link.canonicalize() else { continue };
        if !target.starts_with(&real_root) || listed.contains(&target) {
            continue;
        }
        if let Some(metadata) = target.metadata().ok().filter(Metadata::is_file) {
            walked.files.push(stat(&link, &metadata));
            listed.insert(target);
        }
    }
}

/// What the ledger keeps of a file.
pub(crate) fn stat(path: &Path, metadata: &Metadata) -> FileStat {
    let (mtime_ns, inode) = time_and_inode(metadata);
    FileStat { path: path.to_owned(), size: metadata.len(), mtime_ns, inode }
}

#[cfg(unix)]
fn time_and_inode(metadata: &Metadata) -> (i64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()), metadata.ino())
}

#[cfg(not(unix))]
fn time_and_inode(metadata: &Metadata) -> (i64, u64) {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    (since.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)), 0)
}

fn root_error(root: &Path, error: &io::Error) -> IngestError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            IngestError::RootMissing { path: root.to_owned() }
        }
        _ => IngestError::RootUnreadable { path: root.to_owned(), reason: reason(error) },
    }
}

/// The path an error is about (`otherwise`, if it does not say) and a reason for the ledger.
fn unreadable(error: &ignore::Error, otherwise: &Path) -> (PathBuf, String) {
    match error {
        ignore::Error::WithPath { path, err } => unreadable(err, path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            unreadable(err, otherwise)
        }
        ignore::Error::Io(error) => (otherwise.to_owned(), reason(error)),
        other => (otherwise.to_owned(), other.to_string()),
    }
}

/// An input error in words for the ledger.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "you may not read it: change its permissions".to_owned(),
        io::ErrorKind::NotFound => "it was removed while it was read".to_owned(),
        _ => format!("it cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn names(root: &Path, options: &WalkOptions) -> Vec<String> {
        let walked = walk(root, options, &mut |_| true).unwrap();
        assert!(walked.unreadable.is_empty());
        let name = |f: &FileStat| f.path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        walked.files.iter().map(name).collect()
    }

    fn default_names(root: &Path) -> Vec<String> {
        names(root, &WalkOptions::default())
    }

    #[test]
    fn ignore_files_are_honoured_outside_of_git_too() {
        let dir = tree(&[
            (".gitignore", "*.log\n"),
            (".ignore", "cache/\n"),
            (".docentignore", "private/**\n!keep.log\n"),
            ("a.txt", ""),
            ("b.log", ""),
            ("keep.log", ""),
            ("cache/c.txt", ""),
            ("private/d.txt", ""),
            ("sub/.gitignore", "e.txt"),
            ("sub/e.txt", ""),
            ("sub/f.txt", ""),
        ]);
        assert_eq!(default_names(dir.path()), ["a.txt", "keep.log", "sub/f.txt"]);
        let all = names(dir.path(), &WalkOptions { no_ignore: true, ..WalkOptions::default() });
        assert_eq!(
            all,
            ["a.txt", "b.log", "cache/c.txt", "keep.log", "private/d.txt", "sub/e.txt", "sub/f.txt"]
        );
    }

    #[test]
    fn a_folder_in_a_git_work_tree_obeys_its_parents_and_others_do_not() {
        let dir = tree(&[("r/.gitignore", "*.log\n"), ("r/docs/a.txt", ""), ("r/docs/b.log", "")]);
        let docs = dir.path().join("r/docs");
        assert_eq!(default_names(&docs), ["a.txt", "b.log"]);
        fs::create_dir(dir.path().join("r/.git")).unwrap();
        assert_eq!(default_names(&docs), ["a.txt"]);
    }

    #[test]
    fn hidden_files_are_left_out_unless_asked_for_and_version_control_always() {
        let dir = tree(&[
            ("a.txt", ""),
            (".b.txt", ""),
            (".d/c.txt", ""),
            (".git/config", ""),
            ("x/.hg/store", ""),
        ]);
        assert_eq!(default_names(dir.path()), ["a.txt"]);
        let hidden = WalkOptions { hidden: true, ..WalkOptions::default() };
        assert_eq!(names(dir.path(), &hidden), [".b.txt", ".d/c.txt", "a.txt"]);
        assert_eq!(default_names(&dir.path().join(".d")), ["c.txt"], "a hidden root was asked for by name");
    }

    #[test]
    fn excluded_folders_are_never_listed() {
        let dir = tree(&[("a.txt", ""), ("home/index/b.txt", ""), ("homely/c.txt", "")]);
        let exclude = vec![dir.path().join("home")];
        let options = WalkOptions { exclude, hidden: true, no_ignore: true, ..WalkOptions::default() };
        assert_eq!(names(dir.path(), &options), ["a.txt", "homely/c.txt"]);
    }

    #[test]
    fn patterns_of_the_user_hold_in_every_folder_whatever_ignore_files_say() {
        let dir = tree(&[
            ("a.txt", ""),
            ("a.log", ""),
            ("keep.log", ""),
            ("sub/b.log", ""),
            ("sub/old/c.txt", ""),
            ("top/d.txt", ""),
            ("sub/top/e.txt", ""),
            (".docentignore", "!a.log\n"),
        ]);
        let ignore = ["*.log", "!keep.log", "old/", "/top"].map(str::to_owned).to_vec();
        for no_ignore in [false, true] {
            let options = WalkOptions { ignore: ignore.clone(), no_ignore, ..WalkOptions::default() };
            assert_eq!(names(dir.path(), &options), ["a.txt", "keep.log", "sub/top/e.txt"]);
        }
        assert!(check_pattern("{a,b").is_err() && check_pattern("*.{a,b}").is_ok());
    }

    #[test]
    fn a_single_file_is_a_root() {
        let dir = tree(&[(".hidden.md", "x"), (".gitignore", "*")]);
        let walked = walk(&dir.path().join(".hidden.md"), &WalkOptions::default(), &mut |_| true).unwrap();
        assert_eq!(walked.files.len(), 1);
        assert_eq!(walked.files[0].size, 1);
    }

    #[test]
    fn a_missing_root_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = walk(&dir.path().join("gone"), &WalkOptions::default(), &mut |_| true).unwrap_err();
        assert!(matches!(&error, IngestError::RootMissing { path } if path.ends_with("gone")));
    }

    #[test]
    fn a_walk_stops_when_told() {
        let dir = tree(&[("a", ""), ("b", ""), ("c", "")]);
        let walked = walk(dir.path(), &WalkOptions::default(), &mut |found| found < 2).unwrap();
        assert!(walked.interrupted && walked.files.len() == 2);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_path() {
        let io = ignore::Error::Io(io::ErrorKind::PermissionDenied.into());
        let error = ignore::Error::WithPath { path: "/x/locked".into(), err: Box::new(io) };
        let error = ignore::Error::WithDepth { depth: 1, err: Box::new(error) };
        let (path, reason) = unreadable(&error, Path::new("/x"));
        assert_eq!((path.as_path(), reason.contains("permissions")), (Path::new("/x/locked"), true));
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_neither_out_of_the_root_nor_in_circles() {
        use std::os::unix::fs::symlink;
        let outside = tree(&[("secret.txt", "")]);
        let dir = tree(&[("a.txt", ""), ("sub/b.txt", ""), (".annex/object", "x")]);
        let root = dir.path();
        symlink(outside.path(), root.join("out")).unwrap();
        symlink(outside.path().join("secret.txt"), root.join("out.txt")).unwrap();
        symlink(root, root.join("sub/up")).unwrap();
        symlink(root.join("loop"), root.join("loop")).unwrap();
        symlink(root.join("nowhere"), root.join("dangling.txt")).unwrap();
        symlink("a.txt", root.join("same.txt")).unwrap();
        symlink(".annex/object", root.join("annexed.txt")).unwrap();
        symlink(".annex/object", root.join("annexed-again.txt")).unwrap();
        assert_eq!(default_names(root), ["a.txt", "annexed-again.txt", "sub/b.txt"]);
        let by_link = outside.path().join("link");
        symlink(root, &by_link).unwrap();
        assert_eq!(
            default_names(&by_link),
            ["a.txt", "annexed-again.txt", "sub/b.txt"],
            "a root may be a link"
        );
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_and_pipes_do_not_stop_a_walk() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tree(&[("a.txt", "")]);
        let name = OsStr::from_bytes(b"caf\xe9.txt");
        if fs::write(dir.path().join(name), "x").is_err() {
            return; // a file system that takes UTF-8 names only
        }
        std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        let walked = walk(dir.path(), &WalkOptions::default(), &mut |_| true).unwrap();
        let found: Vec<_> = walked.files.iter().map(|f| f.path.file_name().unwrap()).collect();
        assert_eq!(found, [OsStr::new("a.txt"), name]);
    }
}
