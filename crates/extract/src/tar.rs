//! Tar archives (POSIX.1-2017, pax; GNU tar's long names): the files in them, in order.
//!
//! ```text
//! one entry: header, 512 bytes                 data, padded to 512
//!            name 0..100 · size 124..136 (octal, or base 256 if the first bit is set) · kind 156
//!            "ustar" 257 · prefix 345..500
//! kind '0' or NUL: a file · 'x': fields of the next entry (`27 path=…\n`) · 'L': name of the next entry
//! ```
//!
//! Nothing is believed but the size, and that only as far as the archive goes: reading ends at the first header that is none.

const BLOCK: usize = 512;

/// One file in an archive.
pub(crate) struct Entry<'a> {
    pub(crate) name: String,
    pub(crate) bytes: &'a [u8],
    /// The archive ends before the file does.
    pub(crate) is_cut: bool,
}

/// The files of an archive. Folders, links and devices are left out.
pub(crate) fn entries(archive: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut rest = archive;
    let mut long_name: Option<String> = None;
    std::iter::from_fn(move || {
        loop {
            let (header, body) = rest.split_at_checked(BLOCK)?;
            let size = usize::try_from(size(&header[124..136])?).ok()?;
            if header[..100].iter().all(|b| *b == 0) && size == 0 {
                return None;
            }
            let bytes = &body[..size.min(body.len())];
            let is_cut = size > body.len();
            rest = &body[size.div_ceil(BLOCK).saturating_mul(BLOCK).min(body.len())..];
            match header[156] {
                b'L' => long_name = Some(until_nul(bytes)),
                b'x' => long_name = pax_path(bytes).or(long_name.take()),
                b'0' | 0 => {
                    let name = long_name.take().unwrap_or_else(|| short_name(header));
                    return Some(Entry { name, bytes, is_cut });
                }
                // Fields for the whole archive tell nothing about the next name.
                b'g' => {}
                _ => long_name = None,
            }
        }
    })
}

fn size(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let low = <[u8; 8]>::try_from(&field[4..12]).ok()?;
        return Some(u64::from_be_bytes(low));
    }
    let digits = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

fn until_nul(bytes: &[u8]) -> String {
    let n = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

fn short_name(header: &[u8]) -> String {
    let name = until_nul(&header[..100]);
    let prefix = if &header[257..263] == b"ustar\0" { until_nul(&header[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// The `path` among records `LENGTH KEY=VALUE\n`.
fn pax_path(records: &[u8]) -> Option<String> {
    let mut rest = records;
    while !rest.is_empty() {
        let n_digits = rest.iter().position(|b| *b == b' ')?;
        let n: usize = std::str::from_utf8(&rest[..n_digits]).ok()?.parse().ok()?;
        let record = rest.get(n_digits + 1..n)?;
        if let Some(path) = record.strip_prefix(b"path=") {
            return Some(String::from_utf8_lossy(path.strip_suffix(b"\n").unwrap_or(path)).into_owned());
        }
        rest = rest.get(n.max(1)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, kind: u8, size: usize) -> Vec<u8> {
        let mut header = vec![0u8; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        header
    }

    fn entry(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
        let mut all = header(name, kind, bytes.len());
        all.extend(bytes);
        all.resize(all.len().div_ceil(BLOCK) * BLOCK, 0);
        all
    }

    fn names(archive: &[u8]) -> Vec<(String, usize)> {
        entries(archive).map(|entry| (entry.name, entry.bytes.len())).collect()
    }

    #[test]
    fn files_come_with_their_whole_names() {
        let mut prefixed = entry("b.txt", b'0', b"xy");
        prefixed[345..350].copy_from_slice(b"a/dir");
        let archive = [
            entry("folder/", b'5', b""),
            prefixed,
            entry("././@LongLink", b'L', b"a/very/long/name.md\0"),
            entry("a/very/lo", b'0', &[b'z'; 700]),
            entry("pax", b'x', b"14 mtime=17.5\n19 path=p/\xc3\xbc/x.txt\n"),
            entry("cut", b'0', b"123"),
            vec![0; 1024],
            entry("after the end", b'0', b"1"),
        ]
        .concat();
        let expected = [("a/dir/b.txt", 2), ("a/very/long/name.md", 700), ("p/\u{fc}/x.txt", 3)];
        assert_eq!(names(&archive), expected.map(|(name, n)| (name.to_owned(), n)));
    }

    #[test]
    fn what_is_cut_or_lies_about_its_size_ends_the_archive() {
        let whole = entry("a.txt", b'0', &[b'a'; 1500]);
        for n in 0..whole.len() {
            for entry in entries(&whole[..n]) {
                assert!(entry.is_cut == (n < BLOCK + 1500) && entry.bytes.len() <= 1500);
            }
        }
        let mut liar = entry("a.txt", b'0', b"x");
        liar[124..136].fill(0xff);
        assert!(entries(&liar).count() <= 1);
    }
}
