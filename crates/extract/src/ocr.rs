//! Text recognition, by programs of the system: poppler's `pdftoppm` draws the pages of a PDF, `tesseract` reads pictures.
//!
//! ```text
//! for each page:  file ─▶ pdftoppm -f N -l N -scale-to 3500 -gray ─▶ tesseract stdin stdout ─▶ text of the page
//! picture:        file ─▶ tesseract stdin stdout ─▶ text, a form feed between the pages of a TIFF
//! ```
//!
//! Used when the user asked for it ([`crate::Limits::ocr`]), for pictures and for PDFs without any text. It costs seconds a page, so
//! it has a time cap of its own; what did not fit is told as a warning. Nothing is written to disk: both programs read
//! their input from a pipe. A page is drawn at a size of our choosing, whatever the file says it is, and both programs run under
//! a memory cap on Unix.
//!
//! Not used for single pages without text among others that have some: those are mostly blank or a figure.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use crate::document::{BlockKind, Document, Writer};
use crate::worker::capped;
use crate::{ExtractError, Format};

/// Recognition of text in pictures, when the user asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ocr {
    /// Languages to expect, as tesseract names them: `eng`, `deu+eng`.
    pub languages: String,
    /// Longest time for one file.
    pub timeout: Duration,
    /// The program that reads pictures; looked for on the system's path where it is a mere name.
    pub tesseract: PathBuf,
    /// The program that draws pages of PDFs.
    pub pdftoppm: PathBuf,
}

impl Ocr {
    /// Recognition of `languages` by the programs on the system's path, ten minutes a file: some two hundred pages.
    pub fn of(languages: impl Into<String>) -> Self {
        Self {
            languages: languages.into(),
            timeout: Duration::from_secs(600),
            tesseract: "tesseract".into(),
            pdftoppm: "pdftoppm".into(),
        }
    }
}

/// Pixels of a page's longer side: A4 at 300 dots an inch, which tesseract's documentation recommends.
const PAGE_PIXELS: &str = "3500";

/// Address space of either program: a page needs a tenth of it, a picture that claims to be huge does not get more.
const MEMORY: u64 = 2 << 30;

/// Bytes taken from a program: a page of [`PAGE_PIXELS`] squared, a byte each.
const MAX_OUTPUT: u64 = 16 << 20;

/// Exit status of `pdftoppm` for a page past the last.
const NO_SUCH_PAGE: i32 = 99;

/// Exit status of the shell for a program that is not there.
const NOT_FOUND: i32 = 127;

/// Lines shorter than this on average are verse, a form or a table, and stay lines.
const PROSE_LINE: usize = 28;

/// Reads a PDF whose pages hold no text, page by page.
pub(crate) fn pdf(bytes: &[u8], ocr: &Ocr) -> Result<Document, ExtractError> {
    let deadline = Instant::now() + ocr.timeout;
    let mut pages = Vec::new();
    let mut warnings = Vec::new();
    for number in 1.. {
        let page = match draw(bytes, number, ocr, deadline) {
            Ok(Some(picture)) => read(&picture, ocr, deadline),
            Ok(None) => break,
            Err(error) => Err(error),
        };
        match page {
            Ok(text) => pages.push(text),
            Err(error) if number == 1 => return Err(error),
            Err(error) => {
                warnings
                    .push(format!("page {number} and what comes after it was left out: {}", error.reason()));
                break;
            }
        }
    }
    document(&pages, Format::Pdf, warnings)
}

/// Reads a picture.
pub(crate) fn picture(bytes: &[u8], ocr: &Ocr) -> Result<Document, ExtractError> {
    let text = read(bytes, ocr, Instant::now() + ocr.timeout)?;
    let pages: Vec<&str> = text.trim_end_matches('\u{c}').split('\u{c}').collect();
    document(&pages, Format::Image, Vec::new())
}

/// A page as a picture; `None` past the last.
fn draw(bytes: &[u8], number: usize, ocr: &Ocr, deadline: Instant) -> Result<Option<Vec<u8>>, ExtractError> {
    let number = number.to_string();
    let args = ["-q", "-gray", "-scale-to", PAGE_PIXELS, "-f", &number, "-l", &number, "-"];
    let drawn = run(&ocr.pdftoppm, &args, bytes, deadline)?;
    match drawn.status.code() {
        Some(0) if !drawn.stdout.is_empty() => Ok(Some(drawn.stdout)),
        Some(0 | NO_SUCH_PAGE) => Ok(None),
        Some(NOT_FOUND) => Err(missing("pdftoppm", "poppler-utils", "poppler")),
        _ => Err(gave_up("pdftoppm could not draw it", &drawn)),
    }
}

/// The words in a picture.
fn read(picture: &[u8], ocr: &Ocr, deadline: Instant) -> Result<String, ExtractError> {
    let read = run(&ocr.tesseract, &["stdin", "stdout", "-l", &ocr.languages], picture, deadline)?;
    match read.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&read.stdout).into_owned()),
        Some(NOT_FOUND) => Err(missing("tesseract", "tesseract-ocr", "tesseract")),
        _ => Err(gave_up("tesseract could not read it", &read)),
    }
}

fn missing(program: &str, on_debian: &str, on_macos: &str) -> ExtractError {
    ExtractError::failed(format!(
        "text recognition needs the program {program}: install it (`apt install {on_debian}`, `brew install {on_macos}`) and \
         read the file again (`docent update --retry-failed`)"
    ))
}

/// A failure with what the program said last: which language is not installed, for instance.
fn gave_up(what: &str, output: &Output) -> ExtractError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    ExtractError::failed(format!("text recognition failed: {what} ({said})"))
}

/// Runs a program on `input`; it is killed at the deadline.
fn run(program: &Path, args: &[&str], input: &[u8], deadline: Instant) -> Result<Output, ExtractError> {
    let mut command = capped(program, MEMORY);
    // Several files are read at the same time: more threads a file only get in each other's way.
    command.args(args).env("OMP_THREAD_LIMIT", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            missing(&program.to_string_lossy(), "tesseract-ocr poppler-utils", "tesseract poppler")
        }
        _ => ExtractError::failed(format!("text recognition failed: {} ({error})", program.display())),
    };
    let mut child = command.spawn().map_err(failed)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        // A program that has seen enough closes its end; that is no failure.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        let stdout = scope.spawn(move || all_of(stdout));
        let stderr = scope.spawn(move || all_of(stderr));
        let status = wait(&mut child, deadline).map_err(failed)?;
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        match status {
            Some(status) => Ok(Output { status, stdout, stderr }),
            None => Err(ExtractError::failed("text recognition took too long")),
        }
    })
}

/// What a program prints, up to the limit. A program that prints more waits for a reader until it is killed.
fn all_of(from: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What came before a broken pipe stands.
        let _ = from.take(MAX_OUTPUT).read_to_end(&mut bytes);
    }
    bytes
}

/// Waits for a program to end; at the deadline it is killed, and `None` the answer.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<std::process::ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn document(
    pages: &[impl AsRef<str>],
    format: Format,
    warnings: Vec<String>,
) -> Result<Document, ExtractError> {
    let mut writer = Writer::default();
    for page in pages {
        let write = |writer: &mut Writer| {
            paragraphs(page.as_ref()).iter().for_each(|text| writer.push(text, BlockKind::Paragraph));
        };
        // One picture has no page numbers.
        if format == Format::Pdf || pages.len() > 1 { writer.page(write) } else { write(&mut writer) }
    }
    if writer.is_empty() {
        return Err(ExtractError::skipped("no text: text recognition found no words in its pictures"));
    }
    let mut warnings = warnings;
    warnings.push("its text was recognised in pictures (OCR): words may be wrong".to_owned());
    Ok(Document { warnings, ..writer.finish(format, None) })
}

/// Paragraphs as tesseract parts them, by blank lines; the lines of running text joined, words cut at a line's end mended.
fn paragraphs(page: &str) -> Vec<String> {
    let mut paragraphs = vec![Vec::new()];
    for line in page.lines().map(str::trim) {
        match paragraphs.last_mut() {
            Some(open) if !line.is_empty() => open.push(line),
            _ => paragraphs.push(Vec::new()),
        }
    }
    paragraphs.iter().filter(|lines| !lines.is_empty()).map(|lines| joined(lines)).collect()
}

fn joined(lines: &[&str]) -> String {
    let n_chars: usize = lines.iter().map(|line| line.chars().count()).sum();
    if n_chars < PROSE_LINE * lines.len() {
        return lines.join("\n");
    }
    let mut out = String::new();
    for line in lines {
        let goes_on = line.starts_with(char::is_lowercase);
        match out.strip_suffix('-') {
            Some(cut) if goes_on && cut.ends_with(char::is_alphabetic) => out.truncate(cut.len()),
            _ if !out.is_empty() => out.push(' '),
            _ => {}
        }
        out.push_str(line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_running_text_are_joined_and_others_stay() {
        let page = "The roof over the kitchen is twenty years old and the gut-\nters are older than that by far.\n\nTiles 12\nNails 7\n\n\u{c}";
        let expected = [
            "The roof over the kitchen is twenty years old and the gutters are older than that by far.",
            "Tiles 12\nNails 7",
        ];
        assert_eq!(paragraphs(page), expected);
    }
}
