//! The disk, behind a trait so that tests can make it fail at any step.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use docent_mapped::MappedFile;

/// Bytes that somebody keeps, for instance a mapped file.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What is known of a file without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// Its length.
    pub bytes: u64,
    /// Seconds since 1970 of its last change.
    pub modified: u64,
}

/// A file being written.
pub trait Sink {
    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// What the system says; some of the bytes may be there.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when what was written would survive a power cut.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;
}

/// Files in folders one level deep. Paths are `file` or `folder/file`.
///
/// Two implementations: [`DiskStorage`], and the tests' one that fails on command.
#[allow(clippy::missing_errors_doc, reason = "each gives what the system says")]
pub trait Storage: Send + Sync {
    /// Names of the folders. None where nothing was written yet.
    fn folders(&self) -> io::Result<Vec<String>>;
    /// Names of the files in a folder. None where it is missing.
    fn files(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Length and time of a file.
    fn info(&self, path: &str) -> io::Result<FileInfo>;
    /// A file's bytes, read where they lie.
    fn map(&self, path: &str) -> io::Result<Bytes>;
    /// A small file's bytes, copied.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
    /// A new file, its folder made if it is missing; only its owner can read either.
    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>>;
    /// Appends to a file with one write, making it if it is missing.
    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Gives a file another name; a file of that name is replaced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. Whoever has it mapped keeps its bytes.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_folder(&self, folder: &str) -> io::Result<()>;
    /// Makes renames and removals in a folder survive a power cut.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// Bytes that could still be written, where that is known.
    fn free_bytes(&self) -> Option<u64>;
}

/// A folder of the file system. Nothing is created before the first write.
#[derive(Debug, Clone)]
pub struct DiskStorage {
    root: PathBuf,
}

impl DiskStorage {
    /// The storage in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl Storage for DiskStorage {
    fn folders(&self) -> io::Result<Vec<String>> {
        entries(&self.root, true)
    }

    fn files(&self, folder: &str) -> io::Result<Vec<String>> {
        entries(&self.at(folder), false)
    }

    fn info(&self, path: &str) -> io::Result<FileInfo> {
        let metadata = fs::symlink_metadata(self.at(path))?;
        if !metadata.is_file() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(FileInfo { bytes: metadata.len(), modified: modified.map_or(0, |since| since.as_secs()) })
    }

    fn map(&self, path: &str) -> io::Result<Bytes> {
        self.info(path)?; // a pipe or a link of that name is not ours, and would block or lead elsewhere
        Ok(Arc::new(Mapped(MappedFile::open(&self.at(path))?)))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.info(path)?;
        fs::read(self.at(path))
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>> {
        let path = self.at(path);
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        owner_only(&mut options);
        Ok(Box::new(FileSink(options.open(path)?)))
    }

    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.at(path);
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        owner_only(&mut options);
        options.open(path)?.write_all(bytes)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        fs::remove_dir(self.at(folder))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        #[cfg(unix)]
        {
            File::open(self.at(folder))?.sync_all()
        }
        #[cfg(not(unix))]
        {
            let _ = folder;
            Ok(())
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        // The folder may not be there yet; its nearest ancestor is on the same disk as a rule.
        self.root.ancestors().find(|path| path.exists()).and_then(|path| fs4::available_space(path).ok())
    }
}

struct Mapped(MappedFile);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct FileSink(File);

impl Sink for FileSink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Names in a folder: of folders or of everything else. Names that are not UTF-8 are not ours.
fn entries(folder: &Path, want_folders: bool) -> io::Result<Vec<String>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        if is_folder == want_folders
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Creates a folder and its parents, each readable by its owner only (0700).
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Makes `options` create files that only their owner can read (0600).
fn owner_only(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = options;
}
