//! The GGUF file: header, metadata and tensor table, read where they lie.
//!
//! ```text
//! "GGUF" | version u32 (2 or 3) | n_tensors u64 | n_keys u64
//! n_keys    x  key string | value type u32 | value
//! n_tensors x  name string | n_dims u32 | dims u64 x n_dims (fastest first) | type u32 | offset u64
//! padding to general.alignment (32)
//! tensor data, each at its offset from here
//! ```
//! All numbers are little-endian; a string is a u64 length and its bytes. Source: ggml `docs/gguf.md`.
//!
//! The file is mapped, never copied whole: a value or a tensor is a range of it. Everything is validated
//! when the file is opened, so that a tensor's bytes can be asked for later without a check. Work and memory
//! are bounded by the file's own length, never by a count written in it.

mod cursor;
mod metadata;
mod tensor_type;

use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_mapped::MappedFile;

pub use metadata::Metadata;
pub use tensor_type::TensorType;

use crate::LmError;
use cursor::Cursor;

/// Most dimensions a tensor may have.
const MAX_DIMS: u32 = 4;
/// Longest tensor name accepted, bytes. ggml itself stops at 63.
const MAX_NAME_BYTES: usize = 1024;
/// Alignment where the file does not say.
const DEFAULT_ALIGNMENT: u64 = 32;

/// The bytes behind a GGUF file: mapped, or held in memory (tests, fuzzing).
enum Source {
    Mapped(MappedFile),
    Memory(Vec<u8>),
}

/// A GGUF file's bytes with the name that errors give them.
pub(crate) struct Bytes {
    path: PathBuf,
    source: Source,
}

impl Bytes {
    /// The file that errors name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.source {
            Source::Mapped(file) => file,
            Source::Memory(bytes) => bytes,
        }
    }
}

/// One tensor of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Dimensions as the file has them, fastest first: a matrix is `[n_cols, n_rows]`.
    pub dims: Vec<usize>,
    /// How its numbers are stored.
    pub tensor_type: TensorType,
    /// Its bytes in the file. Where the type's layout is unknown to docent, all bytes up to the file's end.
    pub range: Range<usize>,
}

impl TensorInfo {
    /// How many numbers the tensor holds. Checked not to overflow when the file was opened.
    pub fn n_elements(&self) -> usize {
        self.dims.iter().product()
    }
}

/// An open GGUF file: validated metadata and tensor table over mapped bytes.
pub struct Gguf {
    bytes: Arc<Bytes>,
    metadata: Metadata,
    tensors: BTreeMap<String, TensorInfo>,
    version: u32,
}

impl std::fmt::Debug for Gguf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gguf")
            .field("path", &self.bytes.path)
            .field("n_tensors", &self.tensors.len())
            .finish()
    }
}

impl Gguf {
    /// Maps `path` and reads its metadata and tensor table.
    ///
    /// # Errors
    /// [`LmError::Open`] where the file cannot be mapped, [`LmError::Malformed`] where it is truncated, corrupted or
    /// no GGUF file.
    pub fn open(path: &Path) -> Result<Self, LmError> {
        if path.is_dir() {
            let source = std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a folder");
            return Err(LmError::Open { path: path.to_owned(), source });
        }
        let mapped =
            MappedFile::open(path).map_err(|source| LmError::Open { path: path.to_owned(), source })?;
        Self::read(Bytes { path: path.to_owned(), source: Source::Mapped(mapped) })
    }

    /// The same over bytes in memory; `name` stands for the path in errors.
    ///
    /// # Errors
    /// [`LmError::Malformed`] where the bytes are no GGUF file.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, LmError> {
        Self::read(Bytes { path: PathBuf::from(name), source: Source::Memory(bytes) })
    }

    fn read(bytes: Bytes) -> Result<Self, LmError> {
        let bytes = Arc::new(bytes);
        let malformed = |what| LmError::Malformed { path: bytes.path.clone(), what };
        let (parsed, tensors, version) = parse(&bytes).map_err(malformed)?;
        let metadata = Metadata::new(Arc::clone(&bytes), parsed);
        Ok(Self { bytes, metadata, tensors, version })
    }

    /// The file's path as it was given.
    pub fn path(&self) -> &Path {
        &self.bytes.path
    }

    /// The format's version, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The whole file; a tensor's bytes are `file()[tensor.range]`.
    pub fn file(&self) -> &[u8] {
        &self.bytes
    }

    /// The metadata keys.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// All tensors, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }
}

type Parsed = (metadata::Entries, BTreeMap<String, TensorInfo>, u32);

fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let mut cursor = Cursor::new(bytes);
    match cursor.take(4, "the magic number")? {
        b"GGUF" => {}
        b"ggjt" | b"lmgg" | b"tjgg" | b"fmgg" => {
            return Err("it is an old GGML file, convert it to GGUF".to_owned());
        }
        other => return Err(format!("it starts with {other:02x?}, not with \"GGUF\"")),
    }
    let version = cursor.u32("the version")?;
    match version {
        2 | 3 => {}
        v if matches!(v.swap_bytes(), 2 | 3) => {
            return Err("it is big-endian, docent reads little-endian files".to_owned());
        }
        v => return Err(format!("its version is {v}, docent reads versions 2 and 3")),
    }
    let n_tensors = cursor.u64("the number of tensors")?;
    let n_keys = cursor.u64("the number of metadata keys")?;
    let entries = metadata::parse(&mut cursor, n_keys)?;
    let alignment = alignment(bytes, &entries)?;
    let tensors = parse_tensors(&mut cursor, n_tensors, alignment)?;
    Ok((entries, tensors, version))
}

fn alignment(bytes: &[u8], entries: &metadata::Entries) -> Result<u64, String> {
    match metadata::unsigned(bytes, entries, "general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        // Rust slices of quantised blocks need no alignment; the bound keeps the arithmetic far from overflow.
        Some(a) if a.is_power_of_two() && (8..=1 << 20).contains(&a) => Ok(a),
        Some(a) => Err(format!("general.alignment is {a}, expected a power of two from 8 to 1048576")),
    }
}

/// A tensor as the table has it, its offset not yet checked.
struct Entry {
    name: String,
    dims: Vec<usize>,
    tensor_type: TensorType,
    offset: u64,
}

fn parse_tensors(
    cursor: &mut Cursor<'_>,
    n_tensors: u64,
    alignment: u64,
) -> Result<BTreeMap<String, TensorInfo>, String> {
    // Name length, number of dimensions, type and offset take 24 bytes at least.
    cursor.check_count(n_tensors, 24, "tensors")?;
    let mut entries = Vec::new();
    for tensor_idx in 0..n_tensors {
        entries.push(parse_tensor(cursor, tensor_idx)?);
    }
    let data_start = (cursor.position() as u64).next_multiple_of(alignment);
    let file_len = cursor.len() as u64;
    let mut tensors = BTreeMap::new();
    for entry in entries {
        let Entry { name, dims, tensor_type, offset } = entry;
        if !offset.is_multiple_of(alignment) {
            return Err(format!(
                "tensor `{name}` lies at offset {offset}, which is no multiple of the alignment {alignment}"
            ));
        }
        let range = tensor_range(&name, &dims, tensor_type, data_start, offset, file_len)?;
        if tensors.contains_key(&name) {
            return Err(format!("tensor `{name}` appears twice"));
        }
        tensors.insert(name, TensorInfo { dims, tensor_type, range });
    }
    Ok(tensors)
}

fn parse_tensor(cursor: &mut Cursor<'_>, tensor_idx: u64) -> Result<Entry, String> {
    let name = cursor.string("a tensor's name")?;
    if name.len() > MAX_NAME_BYTES {
        return Err(format!(
            "the name of tensor {tensor_idx} has {} bytes, more than {MAX_NAME_BYTES}",
            name.len()
        ));
    }
    let name = std::str::from_utf8(name)
        .map_err(|_| format!("the name of tensor {tensor_idx} is not UTF-8"))?
        .to_owned();
    let n_dims = cursor.u32("a tensor's number of dimensions")?;
    if n_dims == 0 || n_dims > MAX_DIMS {
        return Err(format!("tensor `{name}` has {n_dims} dimensions, expected 1 to {MAX_DIMS}"));
    }
    let mut dims = Vec::with_capacity(n_dims as usize);
    let mut n_elements = 1usize;
    for _ in 0..n_dims {
        let dim = cursor.u64("a tensor's dimension")?;
        // A negative dimension of a careless writer is a huge one here.
        let ok = usize::try_from(dim).ok().filter(|&d| d > 0 && d <= isize::MAX as usize);
        let dim = ok.ok_or_else(|| format!("tensor `{name}` has a dimension of {}", dim.cast_signed()))?;
        let product = n_elements.checked_mul(dim).filter(|&n| n <= isize::MAX as usize);
        n_elements = product.ok_or_else(|| format!("the dimensions of tensor `{name}` overflow"))?;
        dims.push(dim);
    }
    let id = cursor.u32("a tensor's type")?;
    let tensor_type = TensorType::from_id(id)
        .ok_or_else(|| format!("tensor `{name}` has type number {id}, which GGUF does not define"))?;
    let offset = cursor.u64("a tensor's offset")?;
    Ok(Entry { name, dims, tensor_type, offset })
}

fn tensor_range(
    name: &str,
    dims: &[usize],
    tensor_type: TensorType,
    data_start: u64,
    offset: u64,
    file_len: u64,
) -> Result<Range<usize>, String> {
    let past_end = || {
        format!(
            "tensor `{name}` lies at offset {offset}, past the end of the file: it is truncated or corrupted"
        )
    };
    let start = data_start.checked_add(offset).filter(|&s| s <= file_len).ok_or_else(past_end)?;
    let available = file_len - start;
    let n_bytes = match tensor_type.layout() {
        None => available,
        Some((block_len, block_bytes)) => {
            if !dims[0].is_multiple_of(block_len) {
                return Err(format!(
                    "tensor `{name}` of type {tensor_type} has rows of {}, no multiple of {block_len}",
                    dims[0]
                ));
            }
            let n_blocks = dims.iter().product::<usize>() / block_len;
            let n_bytes = n_blocks
                .checked_mul(block_bytes)
                .ok_or_else(|| format!("the size of tensor `{name}` overflows"))?;
            n_bytes as u64
        }
    };
    if n_bytes > available {
        return Err(format!(
            "tensor `{name}` needs {n_bytes} bytes at {start}, the file ends at {file_len}: it is truncated or corrupted"
        ));
    }
    // Both are at most the length of a slice.
    Ok(start as usize..(start + n_bytes) as usize)
}

#[cfg(test)]
pub(crate) mod build;
#[cfg(test)]
mod tests;
