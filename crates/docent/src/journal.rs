//! A file of what was asked, one JSON object a line.
//!
//! It is readable by its owner alone: questions and answers are private. A line that cannot be read (a process was killed while it wrote)
//! is passed over. Whoever adds a line also removes those that are too old, by writing the file anew beside the old one and renaming it;
//! a lock on `NAME.lock` keeps two of them apart.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Hexadecimal digits of a name.
const ID_DIGITS: usize = 10;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A line that knows when it was written.
pub(crate) trait Entry: Serialize + DeserializeOwned {
    /// Seconds since 1970.
    fn asked_at(&self) -> u64;
}

/// Time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A new name for what is asked now.
pub(crate) fn new_id(question: &str, now: Duration) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(question.as_bytes());
    hasher.update(&now.as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.finalize().to_hex()[..ID_DIGITS].to_owned()
}

/// The entries of a file, oldest first; none if it is not there.
pub(crate) fn read<T: Entry>(path: &Path) -> io::Result<Vec<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let lines = BufReader::new(file).split(b'\n').collect::<io::Result<Vec<_>>>()?;
    Ok(lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// Removes the file, and gives the number of entries that were in it.
pub(crate) fn clear<T: Entry>(path: &Path) -> io::Result<usize> {
    let n_entries = read::<T>(path)?.len();
    if path.exists() {
        let _lock = lock(path)?;
        std::fs::remove_file(path)?;
    }
    Ok(n_entries)
}

/// Adds an entry, and forgets those of more than `days` days ago.
pub(crate) fn append<T: Entry>(path: &Path, entry: &T, days: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let _lock = lock(path)?;
    let oldest = Duration::from_secs(entry.asked_at()).saturating_sub(DAY * days).as_secs();
    let line = serde_json::to_string(entry)? + "\n";
    if first::<T>(path)?.is_some_and(|first| first.asked_at() < oldest) {
        return rewrite::<T>(path, oldest, &line);
    }
    let mut file = private(OpenOptions::new().read(true).append(true).create(true)).open(path)?;
    // A line that was cut off must not swallow this one.
    let is_cut = file.seek(SeekFrom::End(-1)).is_ok() && {
        let mut last = [0];
        file.read_exact(&mut last).is_ok() && last != *b"\n"
    };
    let line = if is_cut { format!("\n{line}") } else { line };
    file.write_all(line.as_bytes())
}

/// The oldest entry that can be read.
fn first<T: Entry>(path: &Path) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file).split(b'\n') {
        if let Ok(entry) = serde_json::from_slice(&line?) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Leaves out what is older than `oldest` and adds `line`.
fn rewrite<T: Entry>(path: &Path, oldest: u64, line: &str) -> io::Result<()> {
    let new = path.with_extension("jsonl.new");
    let mut text = String::new();
    for entry in read::<T>(path)?.iter().filter(|entry| entry.asked_at() >= oldest) {
        text += &serde_json::to_string(entry)?;
        text.push('\n');
    }
    text += line;
    let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

fn lock(path: &Path) -> io::Result<File> {
    let file = private(OpenOptions::new().write(true).create(true)).open(path.with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

/// Files that only their owner can read.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}
