//! Where something stands, in words, and documents as addresses.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

/// `docent:///home/me/notes/roof.md`: a document as docent reads it, which is not the file at that path.
const SCHEME: &str = "docent://";
/// What must be escaped in the path of an address (RFC 3986, section 3.3).
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// `/notes/roof.md:10-12`, with the page where there is one and the headings above.
pub fn location(path: &Path, lines: (usize, usize), page: Option<u32>, headings: &[String]) -> String {
    let page = page.map_or_else(String::new, |page| format!(" (page {page})"));
    let headings = if headings.is_empty() { String::new() } else { format!("  {}", headings.join(" > ")) };
    format!("{}:{}-{}{page}{headings}", path.display(), lines.0, lines.1)
}

/// A document's address.
pub fn address(path: &Path) -> String {
    format!("{SCHEME}{}", percent_encode(path.as_os_str().as_encoded_bytes(), ESCAPED))
}

/// The path of an address; none if it is none of ours.
pub fn path_of(address: &str) -> Option<PathBuf> {
    let path = address.strip_prefix(SCHEME).filter(|path| path.starts_with('/'))?;
    from_bytes(percent_decode_str(path).collect())
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_path_whatever_that_holds() {
        for path in ["/a/b.md", "/with space/ü#?%41.txt", "/a\nb/[c]"] {
            let there = address(Path::new(path));
            assert!(there.bytes().all(|b| b.is_ascii_graphic()), "{there}");
            assert_eq!(path_of(&there), Some(PathBuf::from(path)));
        }
        assert_eq!(path_of("file:///etc/passwd"), None);
        assert_eq!(path_of("docent://relative"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_has_an_address_too() {
        let path = from_bytes(vec![b'/', 0xff, b'x']).unwrap();
        assert_eq!(path_of(&address(&path)), Some(path));
    }
}
