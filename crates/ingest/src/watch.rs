//! Waiting for something to change below some roots.
//!
//! The system tells of changes ([`notify`]: inotify, FSEvents, ReadDirectoryChangesW), as far as it can: queues overflow, network
//! drives tell nothing, and a system may watch only so many folders. So what it tells decides only *when* a root is
//! looked at, never what is found there: that is what the ordinary ingestion finds, which looks at sizes and times. And whoever
//! waits here is woken now and then even if nothing was told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How often a caller who waits is asked whether to go on waiting.
const TICK: Duration = Duration::from_millis(100);
/// A change is waited out, but no longer than so many times the quiet that is wanted: a log that is written without pause must not
/// put everything off for ever.
const MOST_WAITS: u32 = 20;

/// Watches roots. Dropping it ends that.
pub struct Watcher {
    _system: Option<RecommendedWatcher>,
    events: Receiver<notify::Result<notify::Event>>,
    roots: Vec<PathBuf>,
    exclude: Vec<PathBuf>,
    unwatched: Vec<(PathBuf, String)>,
}

/// Why a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Woken {
    /// Something changed below these roots, and has been quiet since.
    Changed(Vec<PathBuf>),
    /// Nothing was told for so long that it is time to look anyway.
    Time,
    /// The caller asked to stop.
    Cancelled,
}

impl Watcher {
    /// Watches `roots`, except what lies in `exclude`. A root that cannot be watched is listed in
    /// [`unwatched`](Self::unwatched).
    pub fn new(roots: &[PathBuf], exclude: &[PathBuf]) -> Self {
        let (sender, events) = channel();
        let mut unwatched = Vec::new();
        let mut system = match notify::recommended_watcher(sender) {
            Ok(system) => Some(system),
            Err(error) => {
                unwatched.extend(roots.iter().map(|root| (root.clone(), words(&error))));
                None
            }
        };
        if let Some(system) = &mut system {
            for root in roots {
                if let Err(error) = system.watch(root, RecursiveMode::Recursive) {
                    unwatched.push((root.clone(), words(&error)));
                }
            }
        }
        Self { _system: system, events, roots: roots.to_vec(), exclude: exclude.to_vec(), unwatched }
    }

    /// The roots that the system does not watch, and why.
    pub fn unwatched(&self) -> &[(PathBuf, String)] {
        &self.unwatched
    }

    /// Waits until something has changed and then been quiet for `quiet`, or `at_most` has passed, or `cancel` says true.
    pub fn wait(&self, quiet: Duration, at_most: Duration, cancel: &dyn Fn() -> bool) -> Woken {
        let started = Instant::now();
        let mut changed = BTreeSet::new();
        let mut first_change: Option<Instant> = None;
        let mut last_change = started;
        loop {
            if cancel() {
                return Woken::Cancelled;
            }
            match self.events.recv_timeout(TICK) {
                Ok(event) => {
                    let roots = self.concerned(event);
                    if !roots.is_empty() {
                        last_change = Instant::now();
                        first_change.get_or_insert(last_change);
                        changed.extend(roots);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The system's thread is gone: what is left is the time.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
            }
            if let Some(first) = first_change
                && (last_change.elapsed() >= quiet || first.elapsed() >= quiet * MOST_WAITS)
            {
                return Woken::Changed(changed.into_iter().collect());
            }
            if first_change.is_none() && started.elapsed() >= at_most {
                return Woken::Time;
            }
        }
    }

    /// The roots that an event says something about.
    fn concerned(&self, event: notify::Result<notify::Event>) -> Vec<PathBuf> {
        match event {
            // A reader changes nothing, and ingestion reads.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) && !event.need_rescan() => Vec::new(),
            Ok(event) if !event.need_rescan() && !event.paths.is_empty() => {
                let is_ours = |path: &Path| self.exclude.iter().any(|folder| path.starts_with(folder));
                let paths: Vec<_> = event.paths.iter().filter(|path| !is_ours(path)).collect();
                let holds = |root: &&PathBuf| paths.iter().any(|path| path.starts_with(root));
                self.roots.iter().filter(holds).cloned().collect()
            }
            // Something was missed: it may have been anywhere.
            Ok(_) | Err(_) => self.roots.clone(),
        }
    }
}

fn words(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "the system watches no more folders for this user (on Linux see fs.inotify.max_user_watches)"
                .to_owned()
        }
        notify::ErrorKind::Generic(what) => what.clone(),
        notify::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_change_wakes_for_its_root_alone() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let roots = [a.path().canonicalize().unwrap(), b.path().canonicalize().unwrap()];
        std::fs::create_dir(roots[0].join("deep")).unwrap();
        let watcher = Watcher::new(&roots, &[]);
        assert_eq!(watcher.unwatched(), []);
        std::fs::write(roots[0].join("deep/x.txt"), "x").unwrap();
        assert_eq!(watcher.wait(QUIET, LONG, &|| false), Woken::Changed(vec![roots[0].clone()]));
        std::fs::read(roots[0].join("deep/x.txt")).unwrap();
        assert_eq!(
            watcher.wait(QUIET, Duration::from_millis(600), &|| false),
            Woken::Time,
            "reading is no change"
        );
    }

    #[test]
    fn what_is_excluded_wakes_nobody_and_a_caller_can_leave() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("index")).unwrap();
        let watcher = Watcher::new(std::slice::from_ref(&root), &[root.join("index")]);
        std::fs::write(root.join("index/x"), "x").unwrap();
        assert_eq!(watcher.wait(QUIET, Duration::from_millis(600), &|| false), Woken::Time);
        assert_eq!(watcher.wait(QUIET, LONG, &|| true), Woken::Cancelled);
    }

    #[test]
    fn a_root_that_is_not_there_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let watcher = Watcher::new(std::slice::from_ref(&gone), &[]);
        assert_eq!(watcher.unwatched()[0].0, gone);
    }
}
