//! Writing one block, as a story:
//!
//! 1) a temporary file is made, in the folder where the block will be
//! 2) header and sections are written and synced
//! 3) it is renamed: from here on the block exists, whole
//! 4) the folder is synced, at the latest when the store is flushed
//!
//! A cut before 3 leaves a temporary file that nobody reads and that is removed when it is old. A cut between 3 and 4 may
//! lose the block, which is a miss. Two processes that write the same block write the same content; the later rename wins.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::{self, Header};
use crate::storage::{Bytes, Storage};

/// What temporary files begin with.
pub(crate) const TEMPORARY: &str = "tmp-";

/// Writes a file whole or not at all, and gives its length.
pub(crate) fn block(
    storage: &dyn Storage,
    path: &str,
    header: &Header,
    sections: &[Bytes],
) -> io::Result<u64> {
    let sections: Vec<&[u8]> = sections.iter().map(|section| (**section).as_ref()).collect();
    let (head, starts) = format::encode(header, &sections);
    let mut len = head.len();
    let mut parts: Vec<&[u8]> = vec![&head];
    for (section, start) in sections.iter().zip(starts) {
        parts.push(&PADDING[..start - len]);
        parts.push(section);
        len = start + section.len();
    }
    file(storage, path, &parts)?;
    Ok(len as u64)
}

/// Sections start at multiples of 64.
const PADDING: [u8; 64] = [0; 64];

/// Writes `parts` one behind the other to `path`, atomically.
pub(crate) fn file(storage: &dyn Storage, path: &str, parts: &[&[u8]]) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = format!("{TEMPORARY}{}-{unique}", std::process::id());
    let temporary = if folder.is_empty() { temporary } else { format!("{folder}/{temporary}") };
    let written = storage.create(&temporary).and_then(|mut sink| {
        for part in parts.iter().filter(|part| !part.is_empty()) {
            sink.write_all(part)?;
        }
        sink.sync()
    });
    let renamed = written.and_then(|()| storage.rename(&temporary, path));
    if renamed.is_err() {
        let _ = storage.remove(&temporary);
    }
    renamed
}
