//! Read-only memory-mapped files behind a safe interface.
//!
//! Models, vectors and KV blocks are read where they lie on disk: nothing is copied at start, and two
//! processes share the pages. `unsafe` outside `kernels` lives in this one file.
//!
//! When not to use it: for files that another program may truncate while they are mapped. The operating
//! system answers a read past the new end with a signal, not with an error, so everything that docent maps
//! is written to a temporary name and renamed into place, never changed where it lies.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

/// A file mapped into memory, read-only, for as long as the value lives. Dereferences to its bytes.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    path: PathBuf,
}

impl MappedFile {
    /// Maps the whole of `path`.
    ///
    /// # Errors
    /// Whatever opening or mapping the file gives; an empty file maps to no bytes.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the map is read-only, and the module's first comment states the contract that keeps it
        // sound: docent replaces such files by rename and never truncates them in place.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { map, path: path.to_owned() })
    }

    /// The file's path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_the_files_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        std::fs::write(&path, b"some bytes").unwrap();
        let mapped = MappedFile::open(&path).unwrap();
        assert_eq!(&mapped[..], b"some bytes");
        assert_eq!(mapped.path(), path);
    }

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty");
        std::fs::write(&path, b"").unwrap();
        assert!(MappedFile::open(&path).unwrap().is_empty());
    }
}
