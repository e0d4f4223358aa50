//! Files from the Hugging Face hub, through `hf-hub`.
//!
//! `hf-hub` 0.5 resumes a `.part` file and speaks blocking HTTP over ureq, which is what a pull needs, and leaves four
//! things to its caller. They are done here:
//!
//! 1) It has no time-outs. The download runs on a thread of its own and this one watches the byte count; a hub that
//!    does not answer, or goes silent, is given up on and its thread is left to die with its socket.
//! 2) It cannot be stopped. Its progress callback unwinds (without a message: `resume_unwind` skips the panic hook)
//!    once a stop is asked for, which closes the file and the connection on the way out; the `.part` stays.
//! 3) A retry inside it can write at the wrong place of a resumed file, so its retries are off and a broken connection
//!    is resumed by calling again.
//! 4) It checks no sums. [`Pull::accept`] does.

use crate::catalogue::{ModelEntry, ModelFile};
use crate::error::PullError;
use crate::pull::{Pull, PullProgress};
use crate::store::size_of;
use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How often a connection that broke in the middle is taken up again.
const RESUMES: usize = 5;
/// Between looks at a download; also how fresh the progress is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// "Hugging Face, owner/name".
pub(crate) fn in_words(entry: &ModelEntry) -> String {
    format!("Hugging Face, {}", entry.hub.repository)
}

/// Brings `files` to the staging folder.
pub(crate) fn fetch(
    pull: &Pull,
    files: &[&ModelFile],
    progress: &mut dyn FnMut(PullProgress),
) -> Result<(), PullError> {
    let total = pull.entry.bytes();
    let mut before = total - files.iter().map(|file| file.bytes).sum::<u64>();
    for file in files {
        let mut report = |done| progress(PullProgress::Bytes { done: before + done, total });
        let cache = pull.staging.join("hub").join(&file.sha256[..16]);
        let arrived = fetch_file(pull, file, &cache, &mut report)?;
        let accepted = pull.accept(file, &arrived, progress);
        if matches!(accepted, Ok(()) | Err(PullError::Corrupt { .. })) {
            // hf-hub's link to the file points nowhere now, and hf-hub trips over such a link.
            let _ = fs::remove_dir_all(&cache);
        }
        accepted?;
        before += file.bytes;
    }
    Ok(())
}

/// Downloads one file into a cache folder of its own, resuming what lies there, and returns where it is.
fn fetch_file(
    pull: &Pull,
    file: &ModelFile,
    cache: &Path,
    report: &mut dyn FnMut(u64),
) -> Result<PathBuf, PullError> {
    fs::create_dir_all(cache).map_err(PullError::io("create", cache))?;
    for attempt in 0.. {
        if let Some(whole) = take_finished_part(cache, file)? {
            return Ok(whole);
        }
        let before = size_of(cache);
        match download(pull, file, cache, report) {
            // It broke, but it moved: go on from there.
            Err(PullError::HubUnreachable { .. }) if attempt < RESUMES && size_of(cache) > before => {
                std::thread::sleep(Duration::from_secs(1).min(pull.options.answer_within));
            }
            Ok(pointer) => return fs::canonicalize(&pointer).map_err(PullError::io("find", &pointer)),
            Err(other) => return Err(other),
        }
    }
    unreachable!("the loop returns")
}

/// A `.part` file that has its full length already (the earlier process died before it could rename it) must not be
/// resumed: the hub answers a range that begins at the end with an error.
fn take_finished_part(cache: &Path, file: &ModelFile) -> Result<Option<PathBuf>, PullError> {
    for part in parts(cache) {
        let len = fs::metadata(&part).map(|meta| meta.len()).unwrap_or(0);
        if len == file.bytes {
            let whole = cache.join("whole");
            fs::rename(&part, &whole).map_err(PullError::io("write", &whole))?;
            return Ok(Some(whole));
        }
        if len > file.bytes {
            fs::remove_file(&part).map_err(PullError::io("delete", &part))?;
        }
    }
    Ok(None)
}

/// The `.part` files under `hf-hub`'s cache folder.
fn parts(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(parts(&path)),
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|e| e == "part") => found.push(path),
            _ => {}
        }
    }
    found
}

/// What the download's thread and its watcher share.
#[derive(Default)]
struct Shared {
    bytes: AtomicU64,
    stop: AtomicBool,
}

/// Counts bytes for the watcher and ends the download when it is told to.
struct Meter(Arc<Shared>);

/// The payload of the unwinding that ends a download.
struct Stopped;

impl Progress for Meter {
    fn init(&mut self, _size: usize, _filename: &str) {
        self.0.bytes.store(0, Ordering::Relaxed);
    }
    fn update(&mut self, size: usize) {
        if self.0.stop.load(Ordering::Relaxed) {
            resume_unwind(Box::new(Stopped));
        }
        self.0.bytes.fetch_add(size as u64, Ordering::Relaxed);
    }
    fn finish(&mut self) {}
}

/// One attempt at one file. Returns the link in the cache folder that points to it.
fn download(
    pull: &Pull,
    file: &ModelFile,
    cache: &Path,
    report: &mut dyn FnMut(u64),
) -> Result<PathBuf, PullError> {
    let options = pull.options;
    let shared = Arc::new(Shared::default());
    let (sender, receiver) = mpsc::channel();
    let job = {
        let (meter, cache) = (Meter(Arc::clone(&shared)), cache.to_owned());
        let (endpoint, token) = (options.hub_endpoint.clone(), options.hub_token.clone());
        let (hub, name) = (pull.entry.hub, file.name);
        move || -> Result<PathBuf, ApiError> {
            let repository =
                Repo::with_revision(hub.repository.to_owned(), RepoType::Model, hub.revision.to_owned());
            ApiBuilder::from_cache(Cache::new(cache))
                .with_endpoint(endpoint)
                .with_token(token)
                .with_retries(0)
                .with_progress(false)
                .with_user_agent("docent", env!("CARGO_PKG_VERSION"))
                .build()?
                .repo(repository)
                .download_with_progress(name, meter)
        }
    };
    let spawned = std::thread::Builder::new().name("docent-hub".to_owned()).spawn(move || {
        // The receiver is gone if the watcher gave up; then nobody wants to know.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(job)));
    });
    spawned.map_err(PullError::io("start a thread for", cache))?;

    let (mut seen, mut moved_at) = (0, Instant::now());
    let unreachable =
        |detail: String| PullError::HubUnreachable { endpoint: options.hub_endpoint.clone(), detail };
    loop {
        match receiver.recv_timeout(LOOK_EVERY) {
            Ok(Ok(result)) => return result.map_err(|e| explain(pull, file, cache, e)),
            Ok(Err(payload)) if payload.is::<Stopped>() => return Err(pull.cancelled()),
            Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(refused(pull, file, "the download ended unexpectedly".to_owned()));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if (pull.cancel)() {
            shared.stop.store(true, Ordering::Relaxed);
            let _ = receiver.recv_timeout(Duration::from_secs(1)); // let it close its files
            return Err(pull.cancelled());
        }
        let bytes = shared.bytes.load(Ordering::Relaxed);
        if bytes != seen {
            (seen, moved_at) = (bytes, Instant::now());
            report(bytes.min(file.bytes));
        }
        let patience = if seen == 0 { options.answer_within } else { options.stall_after };
        if moved_at.elapsed() > patience {
            shared.stop.store(true, Ordering::Relaxed);
            return Err(unreachable(format!("nothing arrived for {} s", patience.as_secs())));
        }
    }
}

/// Sorts `hf-hub`'s errors into: this machine's disk, the network, the hub's answer.
fn explain(pull: &Pull, file: &ModelFile, cache: &Path, error: ApiError) -> PullError {
    use io::ErrorKind as Kind;
    let endpoint = pull.options.hub_endpoint.clone();
    match error {
        ApiError::LockAcquisition(_) => PullError::Busy { name: pull.entry.name.to_owned() },
        ApiError::IoError(source) => match source.kind() {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::ReadOnlyFilesystem | Kind::PermissionDenied => {
                PullError::Io { action: "write", path: cache.to_owned(), source }
            }
            _ => PullError::HubUnreachable { endpoint, detail: source.to_string() },
        },
        // ureq is not among our own dependencies, so its variants cannot be named here; this is how it words a status.
        ApiError::RequestError(e) => match e.to_string() {
            text if text.starts_with("http status") => refused(pull, file, format!("it answered {text}")),
            detail => PullError::HubUnreachable { endpoint, detail },
        },
        other => refused(pull, file, other.to_string()),
    }
}

fn refused(pull: &Pull, file: &ModelFile, detail: String) -> PullError {
    PullError::Hub {
        endpoint: pull.options.hub_endpoint.clone(),
        repository: pull.entry.hub.repository.to_owned(),
        file: file.name.to_owned(),
        detail,
    }
}
