//! The vector files: writing rows, mapping rows.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use docent_mapped::MappedFile;

use super::codes;
use super::lists::{self, Lists};
use crate::error::{IndexError, Result};
use crate::fault::Faults;
use crate::types::EmbeddingSpec;

const MAGIC: [u8; 8] = *b"DOCENTVC";
/// Version of the files' layout.
const VERSION: u32 = 1;
/// Bytes before the first row.
pub(super) const HEADER: usize = 64;
/// Bytes of a row of the numbers' file: passage and document.
const IDS_ROW: usize = 16;

/// Which of the files; written into its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Vectors = 0,
    Ids = 1,
    /// Made from the vectors, and made anew from them if it is missing.
    Codes = 2,
    /// Likewise; laid out in `lists/file.rs`.
    Lists = 3,
}

impl Kind {
    pub(super) fn path(self, folder: &Path, serial: u64) -> PathBuf {
        folder.join(match self {
            Kind::Vectors => format!("{serial}.f32"),
            Kind::Ids => format!("{serial}.ids"),
            Kind::Codes => format!("{serial}.i8"),
            Kind::Lists => format!("{serial}.lists"),
        })
    }

    fn row_bytes(self, dim: usize) -> usize {
        match self {
            Kind::Vectors => dim * 4,
            Kind::Ids => IDS_ROW,
            Kind::Codes | Kind::Lists => codes::row_bytes(dim),
        }
    }
}

/// The 64 bytes at the start of each file; all numbers little-endian.
pub(super) fn header(kind: Kind, serial: u64, spec: &EmbeddingSpec) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&(kind as u32).to_le_bytes());
    header[16..24].copy_from_slice(&serial.to_le_bytes());
    header[24..32].copy_from_slice(&(spec.dim as u64).to_le_bytes());
    header[32..64].copy_from_slice(blake3::hash(spec.fingerprint.as_bytes()).as_bytes());
    header
}

/// Appends rows to one set of files.
#[derive(Debug)]
pub(crate) struct VectorWriter {
    folder: PathBuf,
    spec: EmbeddingSpec,
    serial: u64,
    files: [BufWriter<FaultyFile>; 3],
    n_rows: u64,
}

impl VectorWriter {
    /// Opens the files of `serial` to append behind the first `n_rows`; creates them if `n_rows` is 0.
    pub(crate) fn open(
        folder: &Path,
        spec: &EmbeddingSpec,
        serial: u64,
        n_rows: u64,
        faults: &Faults,
    ) -> Result<Self> {
        crate::private::create_dir(folder).map_err(|e| IndexError::io(folder, e))?;
        if n_rows > 0 {
            make_codes(folder, spec, serial, n_rows, faults)?;
        }
        let open = |kind: Kind| -> Result<BufWriter<FaultyFile>> {
            let path = kind.path(folder, serial);
            let wrap = |e| IndexError::io(&path, e);
            faults.before("open a vector file").map_err(wrap)?;
            let mut options = OpenOptions::new();
            options.write(true).create(n_rows == 0).truncate(false);
            crate::private::owner_only(&mut options);
            let mut file = options.open(&path).map_err(wrap)?;
            let end = HEADER as u64 + n_rows * kind.row_bytes(spec.dim) as u64;
            if n_rows > 0 && file.metadata().map_err(wrap)?.len() < end {
                return Err(IndexError::Corrupt {
                    path,
                    what: "the file is shorter than the catalog says".into(),
                });
            }
            if n_rows == 0 {
                faults.write_all(&mut file, &header(kind, serial, spec)).map_err(wrap)?;
            }
            file.seek(SeekFrom::Start(end)).map_err(wrap)?;
            Ok(BufWriter::with_capacity(1 << 18, FaultyFile { file, faults: faults.clone() }))
        };
        Ok(VectorWriter {
            folder: folder.to_owned(),
            spec: spec.clone(),
            serial,
            files: [open(Kind::Vectors)?, open(Kind::Ids)?, open(Kind::Codes)?],
            n_rows,
        })
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// Rows written so far, those of earlier commits included.
    pub(crate) fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Number of the row that the next [`push`](Self::push) writes.
    pub(crate) fn next_row(&self) -> u64 {
        self.n_rows
    }

    /// Appends a vector of a passage.
    pub(crate) fn push(&mut self, vector: &[f32], chunk: u64, doc: u64) -> Result<()> {
        debug_assert_eq!(vector.len(), self.spec.dim);
        let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut ids = [0; IDS_ROW];
        ids[..8].copy_from_slice(&chunk.to_le_bytes());
        ids[8..].copy_from_slice(&doc.to_le_bytes());
        let [vectors, numbers, coded] = &mut self.files;
        vectors.write_all(&bytes).map_err(|e| self_error(&self.folder, Kind::Vectors, self.serial, e))?;
        numbers.write_all(&ids).map_err(|e| self_error(&self.folder, Kind::Ids, self.serial, e))?;
        let row = codes::row(vector);
        coded.write_all(&row).map_err(|e| self_error(&self.folder, Kind::Codes, self.serial, e))?;
        self.n_rows += 1;
        Ok(())
    }

    /// Makes all rows durable.
    pub(crate) fn sync(&mut self) -> Result<()> {
        for (kind, file) in [Kind::Vectors, Kind::Ids, Kind::Codes].into_iter().zip(&mut self.files) {
            let wrap = |e| self_error(&self.folder, kind, self.serial, e);
            file.flush().map_err(wrap)?;
            let inner = file.get_ref();
            inner.faults.before("sync a vector file").map_err(wrap)?;
            inner.file.sync_data().map_err(wrap)?;
        }
        crate::private::sync_dir(&self.folder).map_err(|e| IndexError::io(&self.folder, e))
    }

    /// Gives up without writing what is still buffered.
    pub(crate) fn abandon(self) {
        for file in self.files {
            drop(file.into_parts());
        }
    }
}

/// Writes the codes of the first `n_rows` rows anew if the file does not have them: it was written by a version without
/// codes, or damaged.
fn make_codes(folder: &Path, spec: &EmbeddingSpec, serial: u64, n_rows: u64, faults: &Faults) -> Result<()> {
    let files = VectorFiles::open(folder, spec, serial, n_rows)?;
    if files.codes.is_some() {
        return Ok(());
    }
    let path = Kind::Codes.path(folder, serial);
    let wrap = |e| IndexError::io(&path, e);
    faults.before("open a vector file").map_err(wrap)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    crate::private::owner_only(&mut options);
    let file = FaultyFile { file: options.open(&path).map_err(wrap)?, faults: faults.clone() };
    let mut file = BufWriter::with_capacity(1 << 18, file);
    file.write_all(&header(Kind::Codes, serial, spec)).map_err(wrap)?;
    for row in files.rows().chunks_exact(spec.dim) {
        file.write_all(&codes::row(row)).map_err(wrap)?;
    }
    file.flush().map_err(wrap)
}

fn self_error(folder: &Path, kind: Kind, serial: u64, error: std::io::Error) -> IndexError {
    IndexError::io(&kind.path(folder, serial), error)
}

/// A file whose writes can be made to fail.
#[derive(Debug)]
pub(super) struct FaultyFile {
    pub(super) file: File,
    pub(super) faults: Faults,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.faults.write(&mut self.file, bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// The committed rows of one set of files, mapped.
#[derive(Debug)]
pub(crate) struct VectorFiles {
    vectors: MappedFile,
    ids: MappedFile,
    /// None in an index of a version without them.
    codes: Option<MappedFile>,
    /// None if there are too few rows, or those that there are do not fit.
    pub(super) lists: Option<Lists>,
    pub(super) dim: usize,
    pub(super) n_rows: usize,
}

impl VectorFiles {
    /// Maps the first `n_rows` rows of the files of `serial`.
    ///
    /// # Errors
    /// `Corrupt` if the files are not what the catalog says; `Io` if one is missing.
    pub(crate) fn open(folder: &Path, spec: &EmbeddingSpec, serial: u64, n_rows: u64) -> Result<Self> {
        let map = |kind: Kind| -> Result<MappedFile> {
            let path = kind.path(folder, serial);
            let mapped = MappedFile::open(&path).map_err(|e| IndexError::io(&path, e))?;
            let corrupt = |what: &str| IndexError::Corrupt { path: path.clone(), what: what.to_owned() };
            if mapped.get(..8) != Some(&MAGIC[..]) {
                return Err(corrupt("not a docent vector file"));
            }
            if mapped.get(..HEADER) != Some(&header(kind, serial, spec)[..]) {
                return Err(corrupt("its header does not agree with the catalog"));
            }
            let needed = HEADER as u64 + n_rows * kind.row_bytes(spec.dim) as u64;
            if (mapped.len() as u64) < needed {
                return Err(corrupt("shorter than the catalog says"));
            }
            Ok(mapped)
        };
        Ok(VectorFiles {
            vectors: map(Kind::Vectors)?,
            ids: map(Kind::Ids)?,
            codes: map(Kind::Codes).ok(),
            lists: lists::open(folder, spec, serial, n_rows),
            dim: spec.dim,
            n_rows: usize::try_from(n_rows).unwrap_or(usize::MAX),
        })
    }

    /// All vectors, (n_rows, dim).
    pub(super) fn rows(&self) -> &[f32] {
        let end = HEADER + self.n_rows * self.dim * 4;
        // The map begins on a page and the header is a multiple of 4: the cast cannot fail on a little-endian
        // machine. On a big-endian one the numbers would be wrong; `scan` is the only reader and says so.
        bytemuck::try_cast_slice(&self.vectors[HEADER..end]).unwrap_or(&[])
    }

    /// Passage and document of every row, (n_rows, 2).
    pub(super) fn ids(&self) -> &[u64] {
        let end = HEADER + self.n_rows * IDS_ROW;
        bytemuck::try_cast_slice(&self.ids[HEADER..end]).unwrap_or(&[])
    }

    /// Whether every row has codes.
    pub(super) fn has_codes(&self) -> bool {
        self.codes.is_some()
    }

    /// Codes of one row, with their scale; see `codes`. None if the file has none.
    pub(super) fn code_row(&self, row: usize) -> Option<&[u8]> {
        let size = codes::row_bytes(self.dim);
        self.codes.as_ref()?.get(HEADER + row * size..)?.get(..size)
    }

    /// What is wrong with the codes and the lists, which are made from the vectors. Reads everything.
    pub(crate) fn wrong_copies(&self) -> Vec<String> {
        let code_of = |row: u32| codes::row(self.row(u64::from(row)).unwrap_or_default());
        let n_rows = u32::try_from(self.n_rows).unwrap_or(u32::MAX);
        let is_wrong = |row: &u32| self.code_row(*row as usize).is_some_and(|code| code != code_of(*row));
        let n_codes = if self.has_codes() { (0..n_rows).filter(is_wrong).count() } else { 0 };
        let n_listed = self.lists.as_ref().map_or(0, |lists| lists.n_wrong(code_of));
        [
            (n_codes, "rows have codes that are not theirs"),
            (n_listed, "rows are not in their list, or with other codes"),
        ]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect()
    }

    /// Vector of one row.
    pub(crate) fn row(&self, row: u64) -> Option<&[f32]> {
        let start = usize::try_from(row).ok()?.checked_mul(self.dim)?;
        self.rows().get(start..start + self.dim)
    }

    /// Passage and document of one row.
    pub(crate) fn id(&self, row: u64) -> Option<(u64, u64)> {
        let at = usize::try_from(row).ok()?.checked_mul(2)?;
        self.ids().get(at..at + 2).map(|pair| (pair[0], pair[1]))
    }
}

/// Deletes the vector files of other serials than `serial`. To be called by the writer alone.
pub(crate) fn sweep(folder: &Path, serial: u64) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let belongs = Path::new(&name).file_stem().is_some_and(|stem| stem == serial.to_string().as_str());
        if !belongs {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Deletes what is made from the vectors of `serial`; the next writer makes the codes anew, and lists when it is asked to.
pub(crate) fn remove_copies(folder: &Path, serial: u64) -> Result<()> {
    for kind in [Kind::Codes, Kind::Lists] {
        let path = kind.path(folder, serial);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(IndexError::io(&path, error));
            }
            _ => {}
        }
    }
    Ok(())
}
