//! Bytes to text: byte-order marks, UTF-8, UTF-16, and a guess for the rest.
//!
//! 1. A byte-order mark is believed.
//! 2. Many NULs in even or in odd places alone are UTF-16 without a mark; any other NUL near the start is a binary file.
//! 3. Valid UTF-8 is taken as it is: the text is the file.
//! 4. UTF-8 with a few broken bytes is kept, with U+FFFD in their place.
//! 5. Otherwise the encoding is guessed from the byte statistics (chardetng, the detector of Firefox).
//!
//! Whatever comes out must look like text: a high share of control characters or U+FFFD is a binary file.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::ExtractError;

/// How far into a file NULs are looked for; git looks at as much.
const SNIFFED: usize = 8000;

/// How much the encoding guesser reads: its guess settles long before.
const GUESSED: usize = 256 << 10;

/// The text of a file.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// Whether `text` is the file byte for byte.
    pub(crate) same_as_file: bool,
}

/// Reads `bytes` as text.
///
/// # Errors
/// Skipped as binary when it is not text in any encoding.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, ExtractError> {
    decode_with(bytes, None)
}

/// As [`decode`], believing the `<meta charset>` of a web page that is not UTF-8. Returns the text alone.
pub(crate) fn decode_html(bytes: &[u8]) -> Result<String, ExtractError> {
    decode_with(bytes, declared_charset(bytes)).map(|d| d.text)
}

fn decode_with(bytes: &[u8], declared: Option<&'static Encoding>) -> Result<Decoded, ExtractError> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes)
        && encoding != UTF_8
    {
        return as_text(encoding.decode(bytes).0.into_owned(), false);
    }
    let head = &bytes[..bytes.len().min(SNIFFED)];
    if head.contains(&0) {
        let encoding = utf16_without_mark(head).ok_or_else(binary)?;
        return as_text(encoding.decode_without_bom_handling(bytes).0.into_owned(), false);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => as_text(text.to_owned(), true),
        Err(_) if is_nearly_utf8(bytes) => as_text(String::from_utf8_lossy(bytes).into_owned(), false),
        Err(_) => {
            let encoding = declared.unwrap_or_else(|| guess(bytes));
            as_text(encoding.decode_without_bom_handling(bytes).0.into_owned(), false)
        }
    }
}

/// Lets a text through if at most one character in twenty is a control character or undecodable.
fn as_text(text: String, same_as_file: bool) -> Result<Decoded, ExtractError> {
    let mut n_odd = 0usize;
    for (i, c) in text.chars().enumerate() {
        let is_odd = (c.is_control()
            && !matches!(c, '\n' | '\r' | '\t' | '\x0c' | '\x1b' | '\x08' | '\u{85}'))
            || c == '\u{fffd}';
        n_odd += usize::from(is_odd);
        if is_odd && n_odd * 20 > i + 200 {
            return Err(binary());
        }
    }
    if n_odd * 20 > text.len() {
        return Err(binary());
    }
    Ok(Decoded { text, same_as_file })
}

fn binary() -> ExtractError {
    ExtractError::skipped("binary file")
}

/// NULs in at least a third of the even (odd) places and almost none of the others: Latin text in UTF-16.
fn utf16_without_mark(head: &[u8]) -> Option<&'static Encoding> {
    let n_pairs = head.len() / 2;
    let n_zero = |from: usize| head.iter().skip(from).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (n_zero(0), n_zero(1));
    if odd * 3 > n_pairs && even * 50 <= n_pairs {
        Some(UTF_16LE)
    } else if even * 3 > n_pairs && odd * 50 <= n_pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Whether broken bytes are rare, and rarer than the multi-byte characters that are whole: at most a tenth as many.
/// A file cut in the middle of a character is UTF-8 too.
fn is_nearly_utf8(bytes: &[u8]) -> bool {
    let (mut n_broken, mut n_whole) = (0usize, 0usize);
    let mut n_chunks = 0usize;
    for chunk in bytes.utf8_chunks() {
        n_chunks += 1;
        n_whole += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        n_broken += usize::from(!chunk.invalid().is_empty());
        if n_chunks > 1000 && n_broken > n_whole {
            return false;
        }
    }
    n_broken * 10 <= n_whole
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    let head = &bytes[..bytes.len().min(GUESSED)];
    detector.feed(head, head.len() == bytes.len());
    detector.guess(None, Utf8Detection::Allow)
}

/// The label in `<meta charset=…>`, `<meta … content="…; charset=…">` or `<?xml … encoding="…"?>` near the start.
fn declared_charset(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes[..bytes.len().min(2048)].to_ascii_lowercase();
    ["charset=", "encoding="].iter().find_map(|key| {
        let at = head.windows(key.len()).position(|w| w == key.as_bytes())? + key.len();
        let rest = head.get(at..)?.trim_ascii_start();
        let rest = rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).unwrap_or(rest);
        let n = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-_:.".contains(b)).count();
        Encoding::for_label(&rest[..n])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    }

    #[test]
    fn utf8_is_the_file_itself_mark_and_line_ends_included() {
        for bytes in ["\u{feff}one\r\ntwo\r\n".as_bytes(), "naïve 日本語".as_bytes()] {
            let decoded = decode(bytes).unwrap();
            assert!(decoded.same_as_file);
            assert_eq!(decoded.text.as_bytes(), bytes);
        }
    }

    #[test]
    fn utf16_is_read_with_and_without_a_mark() {
        let text = "Grüße aus Köln, liebe Leser";
        for big in [false, true] {
            assert_eq!(decode(&utf16(text, big)).unwrap().text, text);
            let decoded = decode(&utf16(&format!("\u{feff}{text}"), big)).unwrap();
            assert_eq!(decoded.text, text);
            assert!(!decoded.same_as_file);
        }
    }

    #[test]
    fn old_encodings_are_guessed() {
        let german = "Die Größe der Bäume überrascht viele Gäste. ".repeat(4);
        let (latin, ..) = encoding_rs::WINDOWS_1252.encode(&german);
        assert_eq!(decode(&latin).unwrap().text, german);
        let japanese = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。".repeat(3);
        let (sjis, ..) = encoding_rs::SHIFT_JIS.encode(&japanese);
        assert_eq!(decode(&sjis).unwrap().text, japanese);
        let chinese = "我们的生活越来越好，城市里的人们都很高兴。".repeat(3);
        let (gb, ..) = encoding_rs::GB18030.encode(&chinese);
        assert_eq!(decode(&gb).unwrap().text, chinese);
    }

    #[test]
    fn a_page_may_declare_its_charset() {
        let bytes = b"<html><meta charset=\"iso-8859-2\"><p>\xb1\xe6\xea".to_vec();
        assert!(decode_html(&bytes).unwrap().ends_with("ąćę"));
    }

    #[test]
    fn a_few_broken_bytes_do_not_cost_a_file() {
        let mut bytes = "日本語のテキストです。".repeat(20).into_bytes();
        bytes.truncate(bytes.len() - 1);
        let decoded = decode(&bytes).unwrap();
        assert!(!decoded.same_as_file);
        assert!(decoded.text.ends_with('\u{fffd}') && decoded.text.starts_with("日本語"));
    }

    #[test]
    fn binary_is_told_apart_from_text() {
        let noise: Vec<u8> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert!(decode(&noise).is_err());
        assert!(decode(b"text\0with nul").is_err());
        let controls: Vec<u8> = (0..4000u32).map(|i| 1 + (i % 7) as u8).collect();
        assert!(decode(&controls).is_err());
    }
}
