//! Sha256 of files, in pieces, stoppable.

use crate::catalogue::ModelFile;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How a file compares with the catalogue.
pub(crate) enum Sum {
    /// It is the file.
    Right,
    /// It is another one: its sha256, or what is wrong with its size.
    Wrong(String),
    /// The caller asked to stop.
    Stopped,
}

/// Compares the file at `path` with its catalogue entry. Size first, then the sum: about 1.5 GB/s where the processor
/// has SHA instructions. `on_bytes` is given the bytes read so far, `stop` is asked once a MiB.
pub(crate) fn check(
    path: &Path,
    file: &ModelFile,
    stop: &dyn Fn() -> bool,
    on_bytes: &mut dyn FnMut(u64),
) -> io::Result<Sum> {
    let mut source = File::open(path)?;
    let size = source.metadata()?.len();
    if size != file.bytes {
        return Ok(Sum::Wrong(format!("{size} bytes instead of {}", file.bytes)));
    }
    let mut sum = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        if stop() {
            return Ok(Sum::Stopped);
        }
        let n = source.read(&mut piece)?;
        if n == 0 {
            break;
        }
        sum.update(&piece[..n]);
        done += n as u64;
        on_bytes(done);
    }
    let found = hex(&sum.finalize());
    Ok(if found == file.sha256 { Sum::Right } else { Sum::Wrong(found) })
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
