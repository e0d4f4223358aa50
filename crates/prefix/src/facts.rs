//! Small facts that are dear to find out, by hash: `key 32 | value 32 | first 16 bytes of the BLAKE3 of these`, appended.
//! The last one counts; a damaged one is not there.

use crate::storage::Storage;

const FILE: &str = "facts";
const RECORD: usize = 80;

fn record(key: &[u8; 32], value: &[u8; 32]) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..32].copy_from_slice(key);
    record[32..64].copy_from_slice(value);
    let hash = blake3::hash(&record[..64]);
    record[64..].copy_from_slice(&hash.as_bytes()[..16]);
    record
}

/// The value that was remembered under `key`.
pub(crate) fn recall(storage: &dyn Storage, key: &[u8; 32]) -> Option<[u8; 32]> {
    let bytes = storage.read(FILE).ok()?;
    let mut value = [0; 32];
    let known = bytes.chunks_exact(RECORD).rev().find(|found| &found[..32] == key)?;
    value.copy_from_slice(&known[32..64]);
    (record(key, &value) == known).then_some(value)
}

/// Remembers a value. Failures are nobody's concern.
pub(crate) fn remember(storage: &dyn Storage, key: &[u8; 32], value: &[u8; 32]) {
    let _ = storage.append(FILE, &record(key, value));
}
