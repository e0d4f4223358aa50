//! Where words go: results to standard output, everything else to standard error.
//!
//! A reader that goes away (`docent ls | head`) ends the program quietly, as a shell user expects.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Serialize;

use crate::args::Color;

/// What may be printed where.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// No progress and no notes.
    pub quiet: bool,
    /// Colours and links on standard output.
    pub styled: bool,
    /// Colours on standard error.
    pub styled_notes: bool,
    /// Somebody sits at the terminal and can answer.
    pub interactive: bool,
}

impl Output {
    /// Looks at the terminal and at NO_COLOR, which a setting overrides (<https://no-color.org>).
    pub fn detect(quiet: bool, color: Color) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let styles = |is_terminal: bool| match color {
            Color::Auto => is_terminal && !no_color,
            Color::Always => true,
            Color::Never => false,
        };
        Self {
            quiet,
            styled: styles(io::stdout().is_terminal()),
            styled_notes: styles(io::stderr().is_terminal()),
            interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// Whether progress may be drawn.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Prints a part of a result as it comes.
    pub fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            leave_if_reader_is_gone(&error);
        }
    }

    /// Prints a line of a result.
    pub fn line(&self, text: impl AsRef<str>) {
        self.write(&format!("{}\n", text.as_ref()));
    }

    /// Prints a result as one JSON object.
    pub fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.line(serde_json::to_string_pretty(value)?);
        Ok(())
    }

    /// Tells something that is not the result.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Tells something that should not be missed, even when quiet.
    pub fn warn(&self, text: impl AsRef<str>) {
        eprintln!("docent: {}", text.as_ref());
    }

    /// Asks a yes-or-no question; no when nobody can answer.
    pub fn confirm(&self, question: &str) -> bool {
        if !self.interactive {
            return false;
        }
        eprint!("{question} [y/N] ");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")
    }

    /// Dimmed text for standard output.
    pub fn dim(&self, text: &str) -> String {
        paint(self.styled, "2", text)
    }

    /// Dimmed text for standard error.
    pub fn dim_note(&self, text: &str) -> String {
        paint(self.styled_notes, "2", text)
    }

    /// `text` as a link to a file, where the terminal may show it (OSC 8, as terminals without it print the text alone).
    pub fn link(&self, path: &Path, text: &str) -> String {
        if !self.styled {
            return text.to_owned();
        }
        let address: String =
            path.as_os_str().as_encoded_bytes().iter().map(|byte| address_part(*byte)).collect();
        format!("\x1b]8;;file://{address}\x1b\\{text}\x1b]8;;\x1b\\")
    }

    /// Bold text for standard output.
    pub fn bold(&self, text: &str) -> String {
        paint(self.styled, "1", text)
    }
}

/// A byte of a path in an address (RFC 3986, section 2).
fn address_part(byte: u8) -> String {
    match byte {
        b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

fn paint(styled: bool, code: &str, text: &str) -> String {
    if styled { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn leave_if_reader_is_gone(error: &io::Error) {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
}

/// `12.3 MB`: units of 1024 with one digit.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Text of a document without what would steer the terminal: control characters and those that reorder the line.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if steers_terminal(c) && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A path on one line, without what would steer the terminal.
pub fn name(path: &Path) -> String {
    path.to_string_lossy().chars().map(|c| if steers_terminal(c) { '\u{fffd}' } else { c }).collect()
}

/// [`name`] of a path as one would type it here: relative where it lies below the current folder.
pub fn place(path: &Path) -> String {
    static HERE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let here = HERE.get_or_init(|| std::env::current_dir().and_then(|dir| dir.canonicalize()).ok());
    let below = here.as_ref().and_then(|here| path.strip_prefix(here).ok());
    name(below.filter(|below| !below.as_os_str().is_empty()).unwrap_or(path))
}

/// Control characters, and the bidirectional overrides and isolates of Unicode (UAX #9).
fn steers_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// `52 s`, `4 min`, `1.5 h`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 99.5 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// `1,234`.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(5_155_564_768), "4.8 GB");
    }

    #[test]
    fn counts_are_grouped_in_threes() {
        assert_eq!(count(5), "5");
        assert_eq!(count(1234), "1,234");
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn a_document_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n\u{202e}c"), "a\u{fffd}[2Jb\n\u{fffd}c");
        assert_eq!(name(Path::new("two\nlines")), "two\u{fffd}lines");
    }
}
