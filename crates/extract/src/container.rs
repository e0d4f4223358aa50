//! Zip containers (DOCX, EPUB, …) read within limits.
//!
//! The size an entry claims is not believed: what comes out is counted, over all entries, so that a bomb costs at most
//! [`Limits::max_unpacked_bytes`].

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::limits::{Limits, megabytes};
use crate::{ExtractError, decode};

/// The names in a zip file's directory; `None` if it cannot be read.
pub(crate) fn entry_names(bytes: &[u8]) -> Option<Vec<String>> {
    let archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    Some(archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect())
}

/// An open container.
pub(crate) struct Container<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// What the user calls such a file: `DOCX`.
    called: &'static str,
    max_unpacked_bytes: u64,
    /// Bytes that may still come out.
    budget: u64,
    is_spent: bool,
}

impl<'a> Container<'a> {
    /// Reads the table of contents.
    ///
    /// # Errors
    /// Failed when there is none (a cut file) or it lists more entries than allowed.
    pub(crate) fn open(bytes: &'a [u8], called: &'static str, limits: &Limits) -> Result<Self, ExtractError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            ExtractError::failed(format!("broken {called}: its zip directory cannot be read ({error})"))
        })?;
        if archive.len() > limits.max_entries {
            let n = archive.len();
            return Err(ExtractError::failed(format!(
                "{called} with {n} entries: more than {} are not read",
                limits.max_entries
            )));
        }
        Ok(Self {
            archive,
            called,
            max_unpacked_bytes: limits.max_unpacked_bytes,
            budget: limits.max_unpacked_bytes,
            is_spent: false,
        })
    }

    /// The bytes of an entry, `None` if there is no such entry.
    ///
    /// # Errors
    /// Failed when the entry is damaged or encrypted, or the container unpacks to more than allowed.
    pub(crate) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExtractError> {
        let Some(idx) = self.archive.index_for_name(name) else { return Ok(None) };
        self.read_at(idx, name, u64::MAX).map(Some)
    }

    /// The bytes of the entry at a position of the directory, at most `max_bytes` and one of them.
    ///
    /// # Errors
    /// As [`Container::read`].
    pub(crate) fn read_at(
        &mut self,
        idx: usize,
        name: &str,
        max_bytes: u64,
    ) -> Result<Vec<u8>, ExtractError> {
        let called = self.called;
        if self.archive.by_index_raw(idx).is_ok_and(|entry| entry.encrypted()) {
            return Err(ExtractError::failed("encrypted: remove the password and run `docent update`"));
        }
        let broken = |error: &dyn std::fmt::Display| {
            ExtractError::failed(format!("broken {called}: `{name}` in it cannot be unpacked ({error})"))
        };
        let entry = self.archive.by_index(idx).map_err(|error| broken(&error))?;
        let mut bytes = Vec::new();
        let most = self.budget.min(max_bytes).saturating_add(1);
        entry.take(most).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        let Some(budget) = self.budget.checked_sub(bytes.len() as u64) else {
            (self.budget, self.is_spent) = (0, true);
            return Err(ExtractError::failed(format!(
                "{called} that unpacks to more than {}: not read",
                megabytes(self.max_unpacked_bytes)
            )));
        };
        self.budget = budget;
        Ok(bytes)
    }

    /// Position and name of all entries that are files, in the order of the directory.
    pub(crate) fn files(&self) -> Vec<(usize, String)> {
        let names = self.archive.file_names_raw().map(|name| String::from_utf8_lossy(name).into_owned());
        let decoded = self.archive.file_names().zip(names);
        let names = decoded.map(|(name, raw)| name.map_or(raw, |name| name.into_owned()));
        names.enumerate().filter(|(_, name)| !name.ends_with(['/', '\\'])).collect()
    }

    /// Whether the container has unpacked to more than allowed, so that nothing more comes out of it.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// An entry as text; undecodable bytes become U+FFFD.
    ///
    /// # Errors
    /// As [`Container::read`].
    pub(crate) fn read_text(&mut self, name: &str) -> Result<Option<String>, ExtractError> {
        Ok(self.read(name)?.map(|bytes| match decode::decode_html(&bytes) {
            Ok(text) => text,
            Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
        }))
    }

    /// An entry the format cannot do without, as text.
    ///
    /// # Errors
    /// As [`Container::read`], and Failed when it is missing.
    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, ExtractError> {
        let called = self.called;
        self.read_text(name)?
            .ok_or_else(|| ExtractError::failed(format!("broken {called}: there is no `{name}` in it")))
    }
}

/// A reference in a part of `folder`, as a path in the container: `..` goes up, a leading `/` means the root, `%20` is a blank.
pub(crate) fn joined_path(folder: &str, reference: &str) -> String {
    let reference = percent_decoded(reference.split('#').next().unwrap_or(reference));
    let folder = if reference.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in reference.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex =
            bytes.get(i + 1..i + 3).and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        match (bytes[i], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 3;
            }
            (byte, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_paths_in_the_container() {
        assert_eq!(joined_path("OEBPS", "text/ch%201.xhtml#a"), "OEBPS/text/ch 1.xhtml");
        assert_eq!(joined_path("a/b", "../x.html"), "a/x.html");
        assert_eq!(joined_path("", "../../x%.html"), "x%.html");
        assert_eq!(joined_path("ppt/slides", "/ppt/notes/n.xml"), "ppt/notes/n.xml");
    }
}
