//! The tables of a rich text: fonts with their character sets, styles, and what control words stand for.

use std::collections::HashMap;

use encoding_rs::Encoding;

/// The character sets of a file's fonts.
#[derive(Debug, Default)]
pub(super) struct Fonts {
    charsets: HashMap<u32, u32>,
    open: u32,
}

impl Fonts {
    pub(super) fn begin(&mut self, font: u32) {
        self.open = font;
    }

    pub(super) fn set(&mut self, charset: u32) {
        self.charsets.insert(self.open, charset);
    }

    /// How the bytes of text in this font are read; `None` as the file says.
    pub(super) fn encoding(&self, font: u32) -> Option<&'static Encoding> {
        Some(match self.charsets.get(&font)? {
            77 => encoding_rs::MACINTOSH,
            128 => encoding_rs::SHIFT_JIS,
            129 => encoding_rs::EUC_KR,
            134 => encoding_rs::GB18030,
            136 => encoding_rs::BIG5,
            161 => encoding_rs::WINDOWS_1253,
            162 => encoding_rs::WINDOWS_1254,
            163 => encoding_rs::WINDOWS_1258,
            177 => encoding_rs::WINDOWS_1255,
            178 => encoding_rs::WINDOWS_1256,
            186 => encoding_rs::WINDOWS_1257,
            204 => encoding_rs::WINDOWS_1251,
            222 => encoding_rs::WINDOWS_874,
            238 => encoding_rs::WINDOWS_1250,
            _ => return None,
        })
    }
}

/// A Windows code page.
pub(super) fn code_page(number: u32) -> Option<&'static Encoding> {
    match number {
        932 => Some(encoding_rs::SHIFT_JIS),
        936 => Some(encoding_rs::GB18030),
        949 => Some(encoding_rs::EUC_KR),
        950 => Some(encoding_rs::BIG5),
        10000 => Some(encoding_rs::MACINTOSH),
        65001 => Some(encoding_rs::UTF_8),
        _ => Encoding::for_label(format!("windows-{number}").as_bytes()),
    }
}

/// Which styles are headings.
#[derive(Debug, Default)]
pub(super) struct Styles {
    levels: HashMap<u32, u8>,
    open: u32,
}

impl Styles {
    pub(super) fn begin(&mut self, style: u32) {
        self.open = style;
    }

    /// A style ends; `name` is what was written in its group, up to a semicolon.
    pub(super) fn end(&mut self, name: &str) {
        let style = std::mem::take(&mut self.open);
        let name = name.split(';').next().unwrap_or(name).trim().to_lowercase();
        let level = match name.as_str() {
            "title" => Some(1),
            _ => name
                .strip_prefix("heading")
                .and_then(|n| n.trim().parse().ok())
                .filter(|n| (1..=9).contains(n)),
        };
        self.levels.extend(level.map(|level| (style, level)));
    }

    pub(super) fn heading(&self, style: u32) -> Option<u8> {
        self.levels.get(&style).copied()
    }
}

/// A date being read.
#[derive(Debug, Default)]
pub(super) struct Date {
    parts: [u32; 6],
}

impl Date {
    pub(super) fn set(&mut self, name: &str, value: u32) {
        if let Some(idx) = ["yr", "mo", "dy", "hr", "min", "sec"].iter().position(|part| *part == name) {
            self.parts[idx] = value;
        }
    }

    /// As RFC 3339 has it, but for the zone, which rich text does not tell.
    pub(super) fn rfc3339(&self) -> Option<String> {
        let [year, month, day, hour, minute, second] = self.parts;
        (year > 0).then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
    }
}

/// What a control word that is a character stands for.
pub(super) fn character(name: &str) -> Option<&'static str> {
    Some(match name {
        "tab" => "\t",
        "emdash" => "—",
        "endash" => "–",
        "lquote" => "‘",
        "rquote" => "’",
        "ldblquote" => "“",
        "rdblquote" => "”",
        "bullet" => "•",
        "emspace" | "enspace" | "qmspace" => " ",
        _ => return None,
    })
}

/// Groups that begin with one of these words hold no text of the document.
pub(super) fn is_silent(name: &str) -> bool {
    [
        "colortbl",
        "pict",
        "object",
        "header",
        "headerl",
        "headerr",
        "headerf",
        "footer",
        "footerl",
        "footerr",
        "footerf",
        "fldinst",
        "themedata",
        "colorschememapping",
        "latentstyles",
        "datastore",
        "filetbl",
        "revtbl",
        "rsidtbl",
        "listtable",
        "listoverridetable",
        "generator",
        "xmlnstbl",
        "bkmkstart",
        "bkmkend",
        "nonshppict",
        "sp",
        "pgptbl",
        "mmathPr",
        "atnid",
        "atnauthor",
        "annotation",
        "atrfstart",
        "atrfend",
        "xe",
        "tc",
        "do",
        "nonesttables",
        "objdata",
        "fontemb",
        "ftnsep",
        "ftnsepc",
        "aftnsep",
        "aftnsepc",
        "userprops",
        "docvar",
        "template",
        "shprslt",
    ]
    .contains(&name)
}
