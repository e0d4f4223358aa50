//! The lists' file: written whole, mapped, checked.
//!
//! ```text
//! 0    the 64 bytes every vector file begins with (kind 3)
//! 64   u64 rows R, u64 lists L, u64 lists to look at for a question, u64 0
//! 96   BLAKE3 of all of the file's bytes before the codes, these 32 left out
//! 128  starts   (L + 1) x u32     list l has the places starts[l] .. starts[l + 1]
//!      rows     R x u32           place -> row; every row has one place
//!      centres  L x (dim + 4)     as rows of N.i8
//!      codes    R x (dim + 4)     place -> the row of N.i8
//! ```
//!
//! The sum does not cover the codes: hundreds of megabytes that a search reads little of. A wrong code costs a hit, never gives
//! a false one, because what the codes find is scored again; the index's check compares them.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use docent_mapped::MappedFile;

use super::Lists;
use crate::error::{IndexError, Result};
use crate::fault::Faults;
use crate::types::EmbeddingSpec;
use crate::vectors::codes;
use crate::vectors::file::{FaultyFile, HEADER, Kind, VectorFiles, header};

/// Where the sum lies.
const SUM: Range<usize> = 96..128;
/// Ending of a file that is not finished; its name is none of a vector file, so sweeping removes it.
const UNFINISHED: &str = "lists.new";

/// Where the parts lie.
struct Layout {
    starts: Range<usize>,
    rows: Range<usize>,
    centres: Range<usize>,
    codes: Range<usize>,
}

impl Layout {
    /// None if there is no such file.
    fn of(n_rows: usize, n_lists: usize, dim: usize) -> Option<Layout> {
        let row_bytes = codes::row_bytes(dim);
        let mut end = SUM.end;
        let mut part = |n: usize, size: usize| -> Option<Range<usize>> {
            let start = end;
            end = start.checked_add(n.checked_mul(size)?)?;
            Some(start..end)
        };
        Some(Layout {
            starts: part(n_lists.checked_add(1)?, 4)?,
            rows: part(n_rows, 4)?,
            centres: part(n_lists, row_bytes)?,
            codes: part(n_rows, row_bytes)?,
        })
    }
}

/// What is to be written.
pub(super) struct Content {
    pub(super) n_probes: usize,
    /// (n_lists + 1)
    pub(super) starts: Vec<u32>,
    /// (n_rows)
    pub(super) rows: Vec<u32>,
    /// Code rows, one behind the other.
    pub(super) centres: Vec<u8>,
}

/// Writes the file of `serial` beside the one there is, makes it durable and puts it in its place.
pub(super) fn write(
    folder: &Path,
    spec: &EmbeddingSpec,
    serial: u64,
    content: &Content,
    files: &VectorFiles,
    faults: &Faults,
) -> Result<()> {
    let path = Kind::Lists.path(folder, serial);
    let unfinished = path.with_extension(UNFINISHED);
    let written = (|| {
        faults.before("open the lists")?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        crate::private::owner_only(&mut options);
        let file = FaultyFile { file: options.open(&unfinished)?, faults: faults.clone() };
        let mut file = BufWriter::with_capacity(1 << 18, file);
        file.write_all(&before_codes(spec, serial, content))?;
        for row in &content.rows {
            file.write_all(files.code_row(*row as usize).unwrap_or_default())?;
        }
        file.flush()?;
        faults.before("sync the lists")?;
        file.get_ref().file.sync_data()?;
        faults.before("publish the lists")?;
        std::fs::rename(&unfinished, &path)?;
        crate::private::sync_dir(folder)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written.map_err(|error| IndexError::io(&path, error))
}

fn before_codes(spec: &EmbeddingSpec, serial: u64, content: &Content) -> Vec<u8> {
    let Content { n_probes, starts, rows, centres } = content;
    let n_lists = starts.len().saturating_sub(1);
    let mut bytes = header(Kind::Lists, serial, spec).to_vec();
    bytes.extend([rows.len(), n_lists, *n_probes, 0].iter().flat_map(|n| (*n as u64).to_le_bytes()));
    bytes.extend([0; SUM.end - SUM.start]);
    bytes.extend(starts.iter().chain(rows).flat_map(|n| n.to_le_bytes()));
    bytes.extend_from_slice(centres);
    let sum = sum(&bytes);
    bytes[SUM].copy_from_slice(&sum);
    bytes
}

fn sum(before_codes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before_codes[..SUM.start]).update(&before_codes[SUM.end..]);
    *hasher.finalize().as_bytes()
}

/// Maps the lists of `serial`. None if there are none, or none that fit the first `n_rows` rows: what they are for can be done without
/// them.
pub(in crate::vectors) fn open(
    folder: &Path,
    spec: &EmbeddingSpec,
    serial: u64,
    n_rows: u64,
) -> Option<Lists> {
    let map = MappedFile::open(&Kind::Lists.path(folder, serial)).ok()?;
    if map.get(..HEADER)? != header(Kind::Lists, serial, spec) {
        return None;
    }
    let number = |at: usize| -> Option<usize> {
        usize::try_from(u64::from_le_bytes(*map.get(at..)?.first_chunk()?)).ok()
    };
    let (covered, n_lists, n_probes) = (number(64)?, number(72)?, number(80)?);
    let layout = Layout::of(covered, n_lists, spec.dim)?;
    let fits = layout.codes.end == map.len() && covered as u64 <= n_rows;
    if !fits || map.get(SUM)? != sum(map.get(..layout.codes.start)?) {
        return None;
    }
    let Layout { starts, rows, centres, codes } = layout;
    Some(Lists { map, dim: spec.dim, n_rows: covered, n_lists, n_probes, starts, rows, centres, codes })
}
