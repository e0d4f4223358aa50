//! A block's file. Little-endian throughout; drawn in `docs/prefix-store.md`.
//!
//! ```text
//!   0  "docentKV"             8    magic
//!   8  format version  u32    12  header length u32, its checksum included
//!  16  namespace       32     48  parent key 32      80  own key 32
//! 112  first position  u64   120  seconds it took to compute f64
//! 128  n_tokens u32          132  n_owners u32      136  n_sections u32     140  flags u32 (1: pinned)
//! 144  n_sections x { offset u64, length u64, BLAKE3 32 }
//!      n_owners x 32         n_tokens x u32
//!      BLAKE3 of all above
//! 4096-aligned: sections, each starting at a multiple of 64; the file ends with the last one
//! ```

use std::fmt;

use crate::key::{Key, Name, Namespace};

/// Raised when the layout of the file changes.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes of an [`Owner`].
pub const OWNER_BYTES: usize = 32;

const MAGIC: &[u8; 8] = b"docentKV";
const FIXED: usize = 144;
const SECTION: usize = 48;
const CHECKSUM: usize = 32;
/// Sections start on a page, so that what is read where it lies starts on a cache line too.
const SECTIONS_AT: usize = 4096;
const ALIGNMENT: usize = 64;
/// Bounds that no honest block comes near.
const MAX_SECTIONS: usize = 16;
const MAX_OWNERS: usize = 1 << 16;
const MAX_TOKENS: usize = 1 << 16;

/// A mark of whom a block's content belongs to; what it means is the caller's. Blocks are removed by it.
pub type Owner = [u8; OWNER_BYTES];

/// What a block's file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// What could change a bit.
    pub namespace: Namespace,
    /// Key before its tokens.
    pub parent: Key,
    /// Key after its tokens.
    pub key: Key,
    /// Position of its first token.
    pub first_pos: u64,
    /// Seconds it took to compute.
    pub seconds: f64,
    /// Goes last when room is needed.
    pub pinned: bool,
    /// Its tokens, not more than a block's.
    pub tokens: Vec<u32>,
    /// Whose content is in it.
    pub owners: Vec<Owner>,
}

/// Why a file cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// It cannot be opened or read.
    Unreadable,
    /// It is no block.
    Foreign,
    /// Another version of docent wrote it.
    Version(u32),
    /// Shorter or longer than it says.
    Length,
    /// The header's checksum is not that of its bytes.
    Header,
    /// It belongs to another model, quantisation, tokenizer, template or version.
    Namespace,
    /// Its name is not that of its content.
    Name,
    /// A section's checksum is not that of its bytes.
    Section(usize),
    /// What is in it makes no sense to whoever asked.
    Content,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("cannot be read"),
            Self::Foreign => f.write_str("is no block"),
            Self::Version(version) => {
                write!(f, "has format version {version}, this docent reads {FORMAT_VERSION}")
            }
            Self::Length => f.write_str("is shorter or longer than its header says"),
            Self::Header => f.write_str("has a header whose checksum does not fit"),
            Self::Namespace => f.write_str("belongs to another model, numerics or version"),
            Self::Name => f.write_str("has a name that is not its content's"),
            Self::Section(idx) => write!(f, "has a section {idx} whose checksum does not fit"),
            Self::Content => f.write_str("holds what the model cannot have written"),
        }
    }
}

/// Where a section lies and what its bytes hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SectionEntry {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) hash: [u8; 32],
}

/// The bytes before the first section, and where each section starts.
pub(crate) fn encode(header: &Header, sections: &[&[u8]]) -> (Vec<u8>, Vec<usize>) {
    let header_len = FIXED
        + sections.len() * SECTION
        + header.owners.len() * OWNER_BYTES
        + header.tokens.len() * 4
        + CHECKSUM;
    let mut bytes = Vec::with_capacity(header_len.next_multiple_of(SECTIONS_AT));
    bytes.extend(MAGIC);
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.extend((header_len as u32).to_le_bytes());
    bytes.extend(header.namespace.as_bytes());
    bytes.extend(header.parent.as_bytes());
    bytes.extend(header.key.as_bytes());
    bytes.extend(header.first_pos.to_le_bytes());
    bytes.extend(header.seconds.to_le_bytes());
    for n in [header.tokens.len(), header.owners.len(), sections.len(), usize::from(header.pinned)] {
        bytes.extend((n as u32).to_le_bytes());
    }
    let mut starts = Vec::with_capacity(sections.len());
    let mut end = header_len.next_multiple_of(SECTIONS_AT);
    for section in sections {
        let start = end.next_multiple_of(ALIGNMENT);
        bytes.extend((start as u64).to_le_bytes());
        bytes.extend((section.len() as u64).to_le_bytes());
        bytes.extend(blake3::hash(section).as_bytes());
        starts.push(start);
        end = start + section.len();
    }
    header.owners.iter().for_each(|owner| bytes.extend(owner));
    header.tokens.iter().for_each(|token| bytes.extend(token.to_le_bytes()));
    let checksum = blake3::hash(&bytes);
    bytes.extend(checksum.as_bytes());
    bytes.resize(header_len.next_multiple_of(SECTIONS_AT), 0);
    (bytes, starts)
}

/// Reads what `encode` and the sections behind it gave, and checks all but the sections' content.
pub(crate) fn decode(file: &[u8]) -> Result<(Header, Vec<SectionEntry>), Damage> {
    if file.len() < FIXED || &file[..8] != MAGIC {
        return Err(if file.len() < FIXED { Damage::Length } else { Damage::Foreign });
    }
    let u32_at = |at: usize| u32::from_le_bytes(array(&file[at..at + 4]));
    let u64_at = |at: usize| u64::from_le_bytes(array(&file[at..at + 8]));
    if u32_at(8) != FORMAT_VERSION {
        return Err(Damage::Version(u32_at(8)));
    }
    let [n_tokens, n_owners, n_sections] = [128, 132, 136].map(|at| u32_at(at) as usize);
    if n_sections > MAX_SECTIONS || n_owners > MAX_OWNERS || n_tokens > MAX_TOKENS {
        return Err(Damage::Header);
    }
    let header_len = FIXED + n_sections * SECTION + n_owners * OWNER_BYTES + n_tokens * 4 + CHECKSUM;
    if u32_at(12) as usize != header_len {
        return Err(Damage::Header);
    }
    if file.len() < header_len {
        return Err(Damage::Length);
    }
    let (content, checksum) = file[..header_len].split_at(header_len - CHECKSUM);
    if blake3::hash(content).as_bytes() != checksum {
        return Err(Damage::Header);
    }
    let hash_at = |at: usize| -> [u8; 32] { array(&file[at..at + 32]) };
    let mut sections = Vec::with_capacity(n_sections);
    let mut end = header_len.next_multiple_of(SECTIONS_AT);
    for at in (0..n_sections).map(|idx| FIXED + idx * SECTION) {
        let (start, len) = (u64_at(at) as usize, u64_at(at + 8) as usize);
        if start != end.next_multiple_of(ALIGNMENT) || len > file.len() {
            return Err(Damage::Length);
        }
        sections.push(SectionEntry { start, len, hash: hash_at(at + 16) });
        end = start + len;
    }
    if end != file.len() {
        return Err(Damage::Length);
    }
    let owners_at = FIXED + n_sections * SECTION;
    let tokens_at = owners_at + n_owners * OWNER_BYTES;
    let header = Header {
        namespace: hash_at(16).into(),
        parent: hash_at(48).into(),
        key: hash_at(80).into(),
        first_pos: u64_at(112),
        seconds: f64::from_bits(u64_at(120)),
        pinned: u32_at(140) & 1 == 1,
        tokens: file[tokens_at..tokens_at + n_tokens * 4]
            .chunks_exact(4)
            .map(|token| u32::from_le_bytes(array(token)))
            .collect(),
        owners: file[owners_at..tokens_at].chunks_exact(OWNER_BYTES).map(array).collect(),
    };
    Ok((header, sections))
}

/// Whether the header belongs where it was found.
pub(crate) fn check_place(header: &Header, folder: &str, name: &Name) -> Result<(), Damage> {
    if header.namespace.folder() != folder {
        return Err(Damage::Namespace);
    }
    let is_root = header.first_pos == 0;
    let chained = header.parent.child(&header.tokens) == header.key;
    let rooted = !is_root || header.parent == Key::root(&header.namespace);
    if !chained || !rooted || Name::new(&header.parent, &header.key) != *name {
        return Err(Damage::Name);
    }
    Ok(())
}

/// The first `N` bytes; callers give at least as many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let namespace = Namespace::of(&[("x", b"y".to_vec())]);
        let parent = Key::root(&namespace);
        let tokens = vec![5, 6, 7];
        let key = parent.child(&tokens);
        let owners = vec![[3; OWNER_BYTES], [9; OWNER_BYTES]];
        Header { namespace, parent, key, first_pos: 0, seconds: 1.5, pinned: true, tokens, owners }
    }

    fn file(sections: &[&[u8]]) -> Vec<u8> {
        let (mut bytes, starts) = encode(&header(), sections);
        for (section, start) in sections.iter().zip(starts) {
            bytes.resize(start, 0);
            bytes.extend(*section);
        }
        bytes
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let file = file(&[&[1; 100], &[], &[2; 64]]);
        let (read, sections) = decode(&file).unwrap();
        assert_eq!(read, header());
        assert_eq!(sections.iter().map(|s| s.len).collect::<Vec<_>>(), [100, 0, 64]);
        assert!(sections.iter().all(|s| s.start % ALIGNMENT == 0));
        for section in sections {
            let bytes = &file[section.start..section.start + section.len];
            assert_eq!(*blake3::hash(bytes).as_bytes(), section.hash);
        }
    }

    #[test]
    fn every_flipped_byte_of_the_header_and_every_other_length_is_damage() {
        let good = file(&[&[1; 100]]);
        let header_len = u32::from_le_bytes(good[12..16].try_into().unwrap()) as usize;
        for at in 0..header_len {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(decode(&bad).is_err(), "byte {at}");
        }
        for len in 0..good.len() {
            assert!(decode(&good[..len]).is_err(), "{len} bytes");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(decode(&longer).unwrap_err(), Damage::Length);
    }
}
