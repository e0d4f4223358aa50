//! Archives: one document with a section for each file in it, under the file's path in the archive.
//!
//! A file inside is read as it would be outside, by its own format; what cannot be read is told as a warning and costs
//! only itself. The limits hold for the archive as a whole, whatever is packed in what ([`Allowance`]). The archive
//! is one document and not many because what the index knows is a file on disk: its size, its time, its content's hash.
//!
//! Hidden files, and those that macOS adds, are left out, as they are when a folder is read.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::container::Container;
use crate::document::{BlockKind, Document, Writer};
use crate::limits::{Allowance, megabytes};
use crate::tar::entries;
use crate::{ExtractError, Format, read_member};

/// Warnings told one by one; the rest is counted.
const MAX_WARNINGS: usize = 50;

pub(crate) fn zip(bytes: &[u8], allowance: &mut Allowance) -> Result<Document, ExtractError> {
    let mut container = Container::open(bytes, "zip archive", &allowance.limits)?;
    let max_bytes = allowance.limits.max_bytes;
    let mut archive = Archive::new(allowance);
    for (idx, name) in container.files() {
        if archive.is_full() {
            break;
        }
        if is_hidden(&name) {
            archive.n_hidden += 1;
            continue;
        }
        match container.read_at(idx, &name, max_bytes) {
            Ok(bytes) => archive.add(&name, &bytes),
            Err(_) if container.is_spent() => {
                archive.stop("it unpacks to too much: what comes after this was left out".to_owned());
            }
            Err(error) => archive.warn(&name, error.reason()),
        }
    }
    Ok(archive.finish(Format::Zip))
}

pub(crate) fn tar(bytes: &[u8], allowance: &mut Allowance) -> Result<Document, ExtractError> {
    let mut archive = Archive::new(allowance);
    for entry in entries(bytes) {
        if archive.is_full() {
            break;
        }
        if is_hidden(&entry.name) {
            archive.n_hidden += 1;
            continue;
        }
        archive.add(&entry.name, entry.bytes);
        if entry.is_cut {
            archive.stop("the archive is cut off in this file".to_owned());
        }
    }
    Ok(archive.finish(Format::Tar))
}

/// One compressed file: what it is when unpacked. The text is that of the file inside.
pub(crate) fn gzip(path: &Path, bytes: &[u8], allowance: &mut Allowance) -> Result<Document, ExtractError> {
    let max_bytes = allowance.limits.max_unpacked_bytes;
    let mut unpacked = Vec::new();
    let done = MultiGzDecoder::new(bytes).take(max_bytes + 1).read_to_end(&mut unpacked);
    if unpacked.len() as u64 > max_bytes {
        return Err(ExtractError::failed(format!(
            "gzip file that unpacks to more than {}: not read",
            megabytes(max_bytes)
        )));
    }
    if let (Err(error), true) = (&done, unpacked.is_empty()) {
        return Err(ExtractError::failed(format!("broken gzip file: {error}")));
    }
    allowance.take_bytes(unpacked.len() as u64).map_err(ExtractError::failed)?;
    let inner = match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase) {
        Some(extension) if extension == "tgz" => path.with_extension("tar"),
        Some(extension) if extension == "gz" => path.with_extension(""),
        _ => path.to_owned(),
    };
    let mut document = read_member(&inner, &unpacked, allowance)?;
    document.same_as_file = false;
    if done.is_err() {
        document.warnings.push("the file is cut off or damaged: what comes after this is missing".to_owned());
    }
    Ok(document)
}

/// An archive being read.
struct Archive<'a> {
    allowance: &'a mut Allowance,
    writer: Writer,
    warnings: Vec<String>,
    n_more_warnings: usize,
    n_hidden: usize,
    is_full: bool,
}

impl<'a> Archive<'a> {
    fn new(allowance: &'a mut Allowance) -> Self {
        Self {
            allowance,
            writer: Writer::default(),
            warnings: Vec::new(),
            n_more_warnings: 0,
            n_hidden: 0,
            is_full: false,
        }
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        let taken = self.allowance.take_entry().and_then(|()| self.allowance.take_bytes(bytes.len() as u64));
        if let Err(reason) = taken {
            return self.stop(reason);
        }
        let limits = &self.allowance.limits;
        let read = limits
            .check_size(bytes.len() as u64)
            .and_then(|()| read_member(Path::new(name), bytes, self.allowance));
        match read {
            Ok(part) => {
                self.writer.push(name, BlockKind::Heading { level: 1 });
                self.writer.append(&part, 1);
                for warning in &part.warnings {
                    self.warn(name, warning);
                }
            }
            Err(error) => self.warn(name, error.reason()),
        }
        if self.writer.n_bytes() as u64 > self.allowance.limits.max_bytes {
            self.stop("it holds too much text: what comes after this was left out".to_owned());
        }
    }

    fn warn(&mut self, name: &str, reason: &str) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(format!("{name}: {reason}"));
        } else {
            self.n_more_warnings += 1;
        }
    }

    fn stop(&mut self, reason: String) {
        self.warnings.push(reason);
        self.is_full = true;
    }

    fn finish(mut self, format: Format) -> Document {
        if self.n_more_warnings > 0 {
            self.warnings.push(format!("{} more files could not be read", self.n_more_warnings));
        }
        if self.n_hidden > 0 {
            self.warnings.push(format!("{} hidden files were left out", self.n_hidden));
        }
        let warnings = self.warnings;
        Document { warnings, ..self.writer.finish(format, None) }
    }
}

fn is_hidden(name: &str) -> bool {
    name.split(['/', '\\'])
        .any(|part| part == "__MACOSX" || (part.starts_with('.') && part != "." && part != ".."))
}
