//! NumPy's `.npy` files, float32 matrices only: logits for comparison with other programs.
//!
//! ```text
//! "\x93NUMPY" | major u8 | minor u8 | header length u16 | header, a Python dict | data, row-major
//! ```
//! Source: NumPy `numpy/lib/format.py`.

use std::io::{self, Write};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Writes a matrix (rows, cols) of little-endian float32, row-major.
///
/// # Errors
/// Whatever creating or writing the file gives, and `InvalidInput` where `data` is not `rows * cols` long.
pub fn write_npy_f32(path: &Path, rows: usize, cols: usize, data: &[f32]) -> io::Result<()> {
    if rows.checked_mul(cols) != Some(data.len()) {
        let what = format!("{} numbers are no matrix of {rows} by {cols}", data.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
    // The data start at a multiple of 64.
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let mut out = io::BufWriter::new(std::fs::File::create(path)?);
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    for value in data {
        out.write_all(&value.to_le_bytes())?;
    }
    out.flush()
}

/// Reads such a matrix: (rows, cols, data).
///
/// # Errors
/// `InvalidData` where the bytes are no two-dimensional little-endian float32 matrix in row-major order.
pub fn read_npy_f32(bytes: &[u8]) -> io::Result<(usize, usize, Vec<f32>)> {
    let invalid = |what: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("not a float32 matrix in .npy: {what}"))
    };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| invalid("wrong magic"))?;
    let (head, rest) = rest.split_at_checked(4).ok_or_else(|| invalid("truncated"))?;
    if head[0] != 1 {
        return Err(invalid("version"));
    }
    let len = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let (header, data) = rest.split_at_checked(len).ok_or_else(|| invalid("truncated"))?;
    let header = String::from_utf8_lossy(header);
    if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
        return Err(invalid(&header));
    }
    let shape = header
        .split_once("'shape': (")
        .and_then(|(_, s)| s.split_once(')'))
        .ok_or_else(|| invalid(&header))?
        .0;
    let dims: Vec<usize> = shape.split(',').filter_map(|d| d.trim().parse().ok()).collect();
    let [rows, cols] = dims[..] else { return Err(invalid(shape)) };
    if rows.checked_mul(cols).and_then(|n| n.checked_mul(4)) != Some(data.len()) {
        return Err(invalid("length"));
    }
    Ok((rows, cols, data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_read_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logits.npy");
        write_npy_f32(&path, 2, 3, &[0.0, -1.5, 2.0, f32::MIN, f32::MAX, 5.0]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len() - 24) % 64, 0);
        let (rows, cols, data) = read_npy_f32(&bytes).unwrap();
        assert_eq!(
            (rows, cols, data.as_slice()),
            (2, 3, [0.0, -1.5, 2.0, f32::MIN, f32::MAX, 5.0].as_slice())
        );
        for len in 0..bytes.len() {
            assert!(read_npy_f32(&bytes[..len]).is_err());
        }
        assert!(write_npy_f32(&path, 2, 2, &[0.0]).is_err());
    }
}
