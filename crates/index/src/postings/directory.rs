//! Tantivy's files, with one difference: its list of segments is kept in the catalog, not in a file.
//!
//! Tantivy publishes a commit by replacing `meta.json`, and then deletes the segments that the new list does not
//! name. Here that replacement stays in memory and the deletions wait, until the catalog has taken the new list
//! in its own commit:
//!
//!  1. tantivy writes new segment files and syncs them; nobody reads them yet;
//!  2. tantivy "replaces" `meta.json`: [`Listing`] holds the new text;
//!  3. the writer puts that text into the catalog's state row, and the catalog commits;
//!  4. files that the committed list does not name are deleted.
//!
//! Killed before 3, the old list is in force and its files are all there; the new files are swept away by the next
//! writer. Killed after 3, only step 4 is missing, and the next writer does it. So there is one commit point for
//! all stores, and no log to replay.
//!
//! Readers open the segments named in the state row of their own snapshot. A writer may delete them between the
//! reading of the row and the opening of the files; the reader then begins again with a new snapshot.

use std::collections::HashSet;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};
use tantivy::{Directory, IndexMeta};

use crate::fault::Faults;

const META: &str = "meta.json";

/// The files tantivy replaces as a whole (`meta.json`, `.managed.json`), in memory.
#[derive(Debug, Default)]
struct Listing {
    meta: Option<Vec<u8>>,
    managed: Option<Vec<u8>>,
}

/// A folder of segment files whose list of segments is held in memory.
#[derive(Clone)]
pub(super) struct PostingsDirectory {
    files: MmapDirectory,
    path: PathBuf,
    listing: Arc<Mutex<Listing>>,
    faults: Faults,
}

impl fmt::Debug for PostingsDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostingsDirectory({})", self.path.display())
    }
}

impl PostingsDirectory {
    /// The folder at `path` at the state that `meta` (tantivy's `meta.json`) describes; none for an empty index.
    pub(super) fn open(
        path: &Path,
        meta: Option<Vec<u8>>,
        faults: Faults,
    ) -> Result<Self, OpenDirectoryError> {
        Ok(PostingsDirectory {
            files: MmapDirectory::open(path)?,
            path: path.to_owned(),
            listing: Arc::new(Mutex::new(Listing { meta, managed: None })),
            faults,
        })
    }

    /// The list of segments as tantivy last wrote it.
    pub(super) fn meta(&self) -> Option<Vec<u8>> {
        self.with_listing(|listing| listing.meta.clone())
    }

    fn with_listing<T>(&self, f: impl FnOnce(&mut Listing) -> T) -> T {
        // The listing is whole after every statement, so a panic elsewhere cannot have left it half-changed.
        f(&mut self.listing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Deletes the files in `dir` that `meta` does not name. Failures are left to the next sweep.
pub(super) fn sweep(dir: &Path, meta: Option<&IndexMeta>) {
    let living: HashSet<PathBuf> = meta.map(IndexMeta::list_segment_files).unwrap_or_default();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if !living.contains(Path::new(&entry.file_name())) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Directory for PostingsDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.get_file_handle(path)
    }

    /// Nothing is deleted before the catalog's commit; see the module's comment.
    fn delete(&self, _path: &Path) -> Result<(), DeleteError> {
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        if path == Path::new(META) {
            Ok(self.with_listing(|listing| listing.meta.is_some()))
        } else {
            self.files.exists(path)
        }
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let wrap = |e| OpenWriteError::wrap_io_error(e, path.to_path_buf());
        self.faults.before("create a postings file").map_err(wrap)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        crate::private::owner_only(&mut options);
        let file = options.open(self.path.join(path)).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_path_buf()),
            _ => wrap(e),
        })?;
        Ok(BufWriter::new(Box::new(SegmentFile { file, faults: self.faults.clone() })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let held = self.with_listing(|listing| {
            if path == Path::new(META) { listing.meta.clone() } else { listing.managed.clone() }
        });
        held.ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_path_buf()))
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.faults.before("publish the postings")?;
        self.with_listing(|listing| {
            let slot = if path == Path::new(META) { &mut listing.meta } else { &mut listing.managed };
            *slot = Some(data.to_vec());
        });
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.faults.before("sync the postings folder")?;
        crate::private::sync_dir(&self.path)
    }

    /// The index has one writer lock of its own, and nothing is deleted under a reader's feet without its notice.
    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

/// A segment file being written; ending it makes it durable.
struct SegmentFile {
    file: File,
    faults: Faults,
}

impl Write for SegmentFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.faults.write(&mut self.file, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl TerminatingWrite for SegmentFile {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.faults.before("sync a postings file")?;
        self.file.sync_data()
    }
}
