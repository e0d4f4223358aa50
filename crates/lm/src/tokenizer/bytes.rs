//! The printable alphabet in which byte-level BPE vocabularies spell bytes.
//!
//! GPT-2 (`encoder.py`, `bytes_to_unicode`) writes each of the 256 bytes as one printable character: those that are printable in
//! Latin-1 stand for themselves, the 68 others take the characters from U+0100 on, in order. A space is `Ġ`, a line break `Ċ`.

/// The character that spells `byte` in a vocabulary.
pub(super) fn char_of(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        0..=b' ' => shifted(u32::from(byte)),
        0x7f..=0xa0 => shifted(33 + u32::from(byte) - 0x7f),
        0xad => shifted(67),
    }
}

/// The byte that `c` spells, if it is one of the 256.
pub(super) fn byte_of(c: char) -> Option<u8> {
    match u32::from(c) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => u8::try_from(code).ok(),
        code @ 0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        code @ 0x121..=0x142 => u8::try_from(code - 0x121 + 0x7f).ok(),
        0x143 => Some(0xad),
        _ => None,
    }
}

fn shifted(nth: u32) -> char {
    char::from_u32(0x100 + nth).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character_and_back() {
        for byte in 0..=u8::MAX {
            assert_eq!(byte_of(char_of(byte)), Some(byte), "byte {byte:#x}");
        }
        assert_eq!(char_of(b' '), 'Ġ');
        assert_eq!(char_of(b'\n'), 'Ċ');
        assert_eq!(byte_of('中'), None);
    }
}
