//! Character references of HTML: `&amp;`, `&#233;`, `&#xE9;`, and the unterminated `&copy 2020` of old pages.

use quick_xml::escape::resolve_html5_entity;

/// Longest name in the HTML standard's table (`CounterClockwiseContourIntegral`), with room.
const MAX_NAME: usize = 40;

/// Appends `raw` to `out` with its character references replaced. What is no reference stays as it is.
pub(crate) fn unescape_into(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match reference(rest) {
            Some((n_bytes, Replacement::Char(c))) => {
                out.push(c);
                rest = &rest[n_bytes..];
            }
            Some((n_bytes, Replacement::Text(text))) => {
                out.push_str(text);
                rest = &rest[n_bytes..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
}

/// [`unescape_into`] a new string.
pub(crate) fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    unescape_into(raw, &mut out);
    out
}

enum Replacement {
    Char(char),
    Text(&'static str),
}

/// The reference `text` opens with, and its length in bytes.
fn reference(text: &str) -> Option<(usize, Replacement)> {
    let body = text.get(1..)?;
    if let Some(number) = body.strip_prefix('#') {
        let (digits, radix, lead) = match number.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16, 3),
            None => (number, 10, 2),
        };
        let n = digits.bytes().take(8).take_while(|b| (*b as char).is_digit(radix)).count();
        let code = u32::from_str_radix(&digits[..n], radix).ok()?;
        let semicolon = usize::from(digits[n..].starts_with(';'));
        return Some((lead + n + semicolon, Replacement::Char(numbered(code))));
    }
    let n = body.bytes().take(MAX_NAME).take_while(u8::is_ascii_alphanumeric).count();
    let is_closed = body[n..].starts_with(';');
    if is_closed {
        return resolve_html5_entity(&body[..n]).map(|text| (n + 2, Replacement::Text(text)));
    }
    // Without the semicolon only the names of HTML 3 count; the common ones do here.
    ["amp", "lt", "gt", "quot", "nbsp", "copy", "reg"]
        .into_iter()
        .find(|name| *name == &body[..n])
        .and_then(|name| resolve_html5_entity(name).map(|text| (n + 1, Replacement::Text(text))))
}

/// Codes 128-159 mean Windows-1252, as the HTML standard has it (section 13.2.5.84).
fn numbered(code: u32) -> char {
    if let Ok(byte @ 0x80..=0x9f) = u8::try_from(code) {
        let bytes = [byte];
        let (text, ..) = encoding_rs::WINDOWS_1252.decode(&bytes);
        return text.chars().next().unwrap_or('\u{fffd}');
    }
    char::from_u32(code).filter(|c| *c != '\0').unwrap_or('\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_characters_and_the_rest_stays() {
        for (raw, text) in [
            ("a &amp; b", "a & b"),
            ("&#233;&#xe9;&#XE9;", "ééé"),
            ("&eacute;&nbsp;&hellip;", "é\u{a0}…"),
            ("AT&T & x &; &# &#x; &nosuch; &", "AT&T & x &; &# &#x; &nosuch; &"),
            ("&copy 2020 &copyx", "© 2020 &copyx"),
            ("&#147;q&#148;", "“q”"),
            ("&#0;&#1114112;&#99999999;", "\u{fffd}\u{fffd}\u{fffd}"),
            ("&日本", "&日本"),
        ] {
            assert_eq!(unescape(raw), text, "{raw}");
        }
    }
}
