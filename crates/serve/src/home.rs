//! One server for a home: the second is told who holds it.
//!
//! `server.lock` in the data folder is locked for as long as the server runs (the system lets go of it when the process ends, however) and
//! says in one line which process that is and where it listens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct HomeLock {
    file: File,
    path: PathBuf,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    #[error(
        "a server for this home is running already: {0}; use that one, stop it, or name another home with --home DIR"
    )]
    Held(String),
    #[error("{}: {source}; name a home that can be written with --home DIR", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl HomeLock {
    /// Takes the lock of the home whose data are in `dir`.
    pub fn take(dir: &Path) -> Result<Self, HomeError> {
        let path = dir.join("server.lock");
        let io = |source| HomeError::Io { path: path.clone(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path }),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                Err(HomeError::Held(holder.trim().to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// Writes down where the server listens, for whoever finds the lock taken.
    pub fn tell(&mut self, address: SocketAddr) -> Result<(), HomeError> {
        let line = format!("process {} at http://{address}\n", std::process::id());
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(line.as_bytes())
        };
        write(&mut self.file).map_err(|source| HomeError::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_server_is_told_who_holds_the_home_and_the_next_one_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = HomeLock::take(dir.path()).unwrap();
        first.tell("127.0.0.1:7437".parse().unwrap()).unwrap();
        let told = HomeLock::take(dir.path()).unwrap_err().to_string();
        assert!(told.contains("at http://127.0.0.1:7437"), "{told}");
        assert!(told.contains(&std::process::id().to_string()), "{told}");
        drop(first);
        HomeLock::take(dir.path()).unwrap();
    }
}
