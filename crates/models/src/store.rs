//! The folder of pulled models: what is there, where, and removing it.

use crate::catalogue::{ModelEntry, ModelKind, catalogue, find};
use crate::error::StoreError;
use crate::pull::{self, Lock};
use crate::verify::{self, Sum};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the record in a model's folder.
pub(crate) const RECORD: &str = "model.json";
/// Where unfinished pulls live, under the store's root.
pub(crate) const PULLING: &str = ".pulling";

/// A folder of pulled models. Creating one touches nothing; the folder appears with the first pull.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A model that is completely here: every file of the catalogue, in its size. ([`Store::verify`] compares the sums.)
#[derive(Debug, Clone, PartialEq)]
pub struct Installed {
    /// What it is.
    pub entry: &'static ModelEntry,
    /// Its folder.
    pub dir: PathBuf,
    /// Its files, in the order of the catalogue.
    pub files: Vec<PathBuf>,
    /// How it came here; `None` where somebody put the files there by hand.
    pub record: Option<Record>,
}

impl Installed {
    /// The file to open: the GGUF, or `model.safetensors`.
    pub fn weights(&self) -> &Path {
        &self.files[0]
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.entry.bytes()
    }
}

/// What `model.json` in a model's folder says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The name in the catalogue.
    pub name: String,
    /// Where it was pulled from, in words.
    pub source: String,
    /// When, as RFC 3339 in UTC.
    pub pulled_at: String,
    /// The licence's name.
    pub licence: String,
    /// Where the licence's text is.
    pub licence_url: String,
    /// What was shown about the licence when it was pulled.
    pub licence_notice: String,
    /// Its files.
    pub files: Vec<RecordedFile>,
}

/// One file in a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFile {
    /// Where it lies under the model's folder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its sha256, checked when it was pulled.
    pub sha256: String,
}

/// A model the user pointed at, by name or by path.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// Its entry, if it was named; `None` for a file of the user's own.
    pub entry: Option<&'static ModelEntry>,
    /// The GGUF file of a generation model; the folder of an embedding model.
    pub path: PathBuf,
}

impl Store {
    /// The store in this folder, for instance `<cache>/models`. A relative path is taken from the working directory as
    /// it is now.
    pub fn new(root: impl Into<PathBuf>) -> Store {
        let root = root.into();
        Store { root: std::path::absolute(&root).unwrap_or(root) }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder a model lies in, whether it is there or not.
    pub fn dir(&self, entry: &ModelEntry) -> PathBuf {
        self.root.join(entry.name)
    }

    /// The model of this name if it is completely here. An unknown name is not here.
    pub fn installed(&self, name: &str) -> Option<Installed> {
        self.installed_entry(find(name).ok()?)
    }

    pub(crate) fn installed_entry(&self, entry: &'static ModelEntry) -> Option<Installed> {
        let dir = self.dir(entry);
        let files: Vec<PathBuf> = entry.files.iter().map(|file| dir.join(file.name)).collect();
        let complete = entry.files.iter().zip(&files).all(|(file, path)| {
            fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == file.bytes)
        });
        if !complete {
            return None;
        }
        let record = fs::read(dir.join(RECORD)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Some(Installed { entry, dir, files, record })
    }

    /// Every model of the catalogue, with what is here of it.
    pub fn list(&self) -> Vec<(&'static ModelEntry, Option<Installed>)> {
        catalogue().iter().map(|entry| (entry, self.installed_entry(entry))).collect()
    }

    /// The best model of a kind that is here, by the order of the catalogue.
    pub fn best_installed(&self, kind: ModelKind) -> Option<Installed> {
        catalogue().iter().filter(|entry| entry.kind == kind).find_map(|entry| self.installed_entry(entry))
    }

    /// Finds what the user means: a name of the catalogue, or the path of a GGUF file (or of an embedding model's
    /// folder).
    ///
    /// # Errors
    /// [`StoreError::NotPulled`], [`StoreError::NoSuchFile`] or [`StoreError::UnknownModel`].
    pub fn locate(&self, name_or_path: &str) -> Result<Located, StoreError> {
        let unknown = match find(name_or_path) {
            Ok(entry) => {
                let installed = self
                    .installed_entry(entry)
                    .ok_or_else(|| StoreError::NotPulled { name: entry.name.to_owned() })?;
                let path = match entry.kind {
                    ModelKind::Generation => installed.weights().to_owned(),
                    ModelKind::Embedding | ModelKind::Reranking => installed.dir,
                };
                return Ok(Located { entry: Some(entry), path });
            }
            Err(unknown) => unknown,
        };
        let path = PathBuf::from(name_or_path);
        if path.exists() {
            Ok(Located { entry: None, path })
        } else if name_or_path.contains(['/', '\\']) || name_or_path.ends_with(".gguf") {
            Err(StoreError::NoSuchFile(path))
        } else {
            Err(unknown)
        }
    }

    /// Compares every file of a pulled model with its sha256. Takes about a second per GB; `stop` is asked once a MiB
    /// (then the answer is `Ok(false)`), `on_bytes` is told how many bytes were read.
    ///
    /// # Errors
    /// [`StoreError::NotPulled`], [`StoreError::Corrupt`], or [`StoreError::Io`].
    pub fn verify(
        &self,
        entry: &'static ModelEntry,
        stop: &dyn Fn() -> bool,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<bool, StoreError> {
        let name = entry.name.to_owned();
        let installed = self.installed_entry(entry).ok_or(StoreError::NotPulled { name })?;
        let mut before = 0;
        for (file, path) in entry.files.iter().zip(&installed.files) {
            let sum = verify::check(path, file, stop, &mut |n| on_bytes(before + n));
            match sum.map_err(StoreError::io("read", path))? {
                Sum::Right => before += file.bytes,
                Sum::Stopped => return Ok(false),
                Sum::Wrong(found) => {
                    let (name, path) = (entry.name.to_owned(), path.clone());
                    let detail = format!("sha256 {found}, expected {}", file.sha256);
                    return Err(StoreError::Corrupt { name, path, detail });
                }
            }
        }
        Ok(true)
    }

    /// Removes a model and whatever an interrupted pull of it left. Returns the bytes that became free: 0 if there was
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process pulls it, [`StoreError::Io`].
    pub fn remove(&self, entry: &ModelEntry) -> Result<u64, StoreError> {
        let (dir, staging) = (self.dir(entry), pull::staging_dir(self, entry));
        let bytes = size_of(&dir) + size_of(&staging);
        if !dir.exists() && !staging.exists() {
            return Ok(0);
        }
        let _lock = match Lock::take(self, entry) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Err(StoreError::Busy { name: entry.name.to_owned() }),
            Err((path, source)) => return Err(StoreError::Io { action: "lock", path, source }),
        };
        if dir.exists() {
            // Out of sight first, so that nobody finds half a model while the files go.
            let doomed = self.root.join(PULLING).join(format!("{}.removed", entry.name));
            remove_all(&doomed)?;
            fs::rename(&dir, &doomed).map_err(StoreError::io("remove", &dir))?;
            remove_all(&doomed)?;
        }
        remove_all(&staging)?;
        Ok(bytes)
    }

    /// Bytes of everything in the store, unfinished pulls included.
    pub fn bytes(&self) -> u64 {
        size_of(&self.root)
    }

    /// Bytes that an interrupted pull of this model left, for the next one to go on from.
    pub fn partial_bytes(&self, entry: &ModelEntry) -> u64 {
        size_of(&pull::staging_dir(self, entry))
    }
}

fn remove_all(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Bytes of all files under a path; what cannot be read counts as nothing.
pub(crate) fn size_of(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    if !meta.is_dir() {
        return if meta.is_file() { meta.len() } else { 0 };
    }
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries.flatten().map(|entry| size_of(&entry.path())).sum()
}

/// Memory that programs can have now without swapping, in bytes, where the system says so (Linux).
pub fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, name: &str, short_by: u64) {
        let entry = find(name).unwrap();
        for file in entry.files {
            let path = store.dir(entry).join(file.name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap().set_len(file.bytes - short_by).unwrap();
        }
    }

    #[test]
    fn a_model_with_a_short_file_is_not_installed() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path());
        put(&store, "smollm2-135m-instruct", 1);
        assert!(store.installed("smollm2-135m-instruct").is_none());
        put(&store, "smollm2-135m-instruct", 0);
        let installed = store.installed("smollm2-135m-instruct").unwrap();
        assert!(installed.weights().ends_with("SmolLM2-135M-Instruct.Q4_1.gguf"));
        assert!(installed.record.is_none(), "files put there by hand have no record");
    }

    #[test]
    fn the_best_pulled_model_is_the_first_of_the_catalogue_that_is_here() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path());
        assert!(store.best_installed(ModelKind::Generation).is_none());
        put(&store, "smollm2-135m-instruct", 0);
        put(&store, "all-minilm-l6-v2", 0);
        let best = |kind| store.best_installed(kind).unwrap().entry.name;
        assert_eq!(best(ModelKind::Generation), "smollm2-135m-instruct");
        assert_eq!(best(ModelKind::Embedding), "all-minilm-l6-v2");
        put(&store, "lfm2.5-8b-a1b", 0); // a sparse file: it takes no room
        assert_eq!(best(ModelKind::Generation), "lfm2.5-8b-a1b");
    }

    #[test]
    fn a_damaged_file_of_the_right_size_is_found_by_verify_and_named() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path());
        put(&store, "all-minilm-l6-v2", 0);
        let entry = find("all-minilm-l6-v2").unwrap();
        let error = store.verify(entry, &|| false, &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains("model.safetensors"), "{error}");
        assert!(error.contains("docent models pull all-minilm-l6-v2"), "{error}");
    }

    #[test]
    fn removing_frees_the_files_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path());
        let entry = find("all-minilm-l6-v2").unwrap();
        assert_eq!(store.remove(entry).unwrap(), 0);
        put(&store, "all-minilm-l6-v2", 0);
        assert_eq!(store.remove(entry).unwrap(), entry.bytes());
        assert!(!store.dir(entry).exists());
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn a_model_is_found_by_name_or_by_path_and_a_miss_says_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path());
        let missing = |name: &str| store.locate(name).unwrap_err().to_string();
        assert!(missing("smollm2-135m-instruct").contains("docent models pull smollm2-135m-instruct"));
        assert!(missing("nonsense").contains("known are"));
        assert!(missing("no/such.gguf").contains("check the path"));
        put(&store, "smollm2-135m-instruct", 0);
        put(&store, "all-minilm-l6-v2", 0);
        assert!(store.locate("smollm2-135m-instruct").unwrap().path.is_file());
        assert!(store.locate("all-minilm-l6-v2").unwrap().path.is_dir());
        let own = home.path().join("own.gguf");
        fs::write(&own, b"GGUF").unwrap();
        let located = store.locate(own.to_str().unwrap()).unwrap();
        assert_eq!(located, Located { entry: None, path: own });
    }
}
