//! When blocks were used: an append-only log of small records. Losing some, or all, only makes eviction less wise.
//!
//! ```text
//! key 16 | seconds since 1970 u64 | first 8 bytes of the BLAKE3 of these
//! ```
//! Only the last block of a match is logged: using it uses all before it.

use crate::storage::Storage;
use crate::write;

const FILE: &str = "uses";
const RECORD: usize = 32;
/// The log is rewritten with the newer half when it grows beyond this.
const MAX_BYTES: usize = 1 << 20;

/// A use: which block, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) key: [u8; 16],
    pub(crate) at: u64,
}

impl Use {
    fn record(&self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        record[..16].copy_from_slice(&self.key);
        record[16..24].copy_from_slice(&self.at.to_le_bytes());
        let hash = blake3::hash(&record[..24]);
        record[24..].copy_from_slice(&hash.as_bytes()[..8]);
        record
    }

    fn parse(record: &[u8]) -> Option<Self> {
        let (mut key, mut at) = ([0; 16], [0; 8]);
        key.copy_from_slice(record.get(..16)?);
        at.copy_from_slice(record.get(16..24)?);
        let read = Self { key, at: u64::from_le_bytes(at) };
        (read.record() == record).then_some(read)
    }
}

/// Notes a use. Failures are nobody's concern.
pub(crate) fn log(storage: &dyn Storage, key: [u8; 16], at: u64) {
    let _ = storage.append(FILE, &Use { key, at }.record());
}

/// All uses that can be read; a record that was cut ends the log for those behind it that are out of step.
pub(crate) fn read(storage: &dyn Storage) -> Vec<Use> {
    let bytes = storage.read(FILE).unwrap_or_default();
    let uses: Vec<Use> = bytes.chunks_exact(RECORD).filter_map(Use::parse).collect();
    if bytes.len() > MAX_BYTES {
        let newer = &uses[uses.len() / 2..];
        let records: Vec<u8> = newer.iter().flat_map(Use::record).collect();
        let _ = write::file(storage, FILE, &[&records]);
    }
    uses
}

/// Forgets all uses.
pub(crate) fn forget(storage: &dyn Storage) {
    let _ = storage.remove(FILE);
}
