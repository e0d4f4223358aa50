//! One writer at a time: an advisory lock on a file that also says who holds it.
//!
//! The system releases the lock when its holder ends, however it ends, so that nobody has to clean up after a
//! killed process. The name in the file may be a former holder's; it is only read while the lock is held.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{IndexError, Result};

/// The right to write to an index, until dropped.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

/// Takes the lock of the index in `dir`, or says who has it.
///
/// # Errors
/// `Busy` with the holder's name; whatever creating the lock file gives.
pub(crate) fn take(dir: &Path) -> Result<WriterLock> {
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    crate::private::owner_only(&mut options);
    let mut file = options.open(&path).map_err(|e| IndexError::io(&path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder may be writing its name just now: an unreadable name is no reason to fail differently.
            let _ = file.take(4096).read_to_string(&mut holder);
            let holder = holder.trim();
            let holder = if holder.is_empty() { "another process" } else { holder };
            return Err(IndexError::Busy { dir: dir.to_owned(), holder: holder.to_owned() });
        }
        Err(TryLockError::Error(e)) => return Err(IndexError::io(&path, e)),
    }
    // A name that cannot be written (full disk) costs the next process its explanation, not us the lock.
    let _ = file
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(file, "{}", own_name()));
    Ok(WriterLock { _file: file })
}

/// `docent update (process 1234)`: the program and its first plain argument, which for docent is the command.
fn own_name() -> String {
    let mut arguments = std::env::args_os();
    let program = arguments
        .next()
        .and_then(|p| Path::new(&p).file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "a program".to_owned());
    let command = arguments.map(|a| a.to_string_lossy().into_owned()).find(|a| {
        a.len() <= 20 && a.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !a.starts_with('-')
    });
    let process = std::process::id();
    match command {
        Some(command) => format!("`{program} {command}` (process {process})"),
        None => format!("`{program}` (process {process})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path()).unwrap();
        let message = take(dir.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(first);
        take(dir.path()).unwrap();
    }
}
