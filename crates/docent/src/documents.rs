//! The documents that were added: what `search` may find, and nothing that was only looked into.

use std::path::Path;

use docent_index::{DocumentText, Fate, FileRecord, Root};

use crate::{Error, Library, Narrow};

impl Library {
    /// The documents that were added, by path.
    ///
    /// # Errors
    /// An index that cannot be read. No documents if there is none yet.
    pub fn documents(&self, narrow: &Narrow) -> Result<Vec<FileRecord>, Error> {
        let inventory = self.inventory()?;
        let filter = narrow.filter(&[]);
        let (from, before) = (filter.changed_from_ns, filter.changed_before_ns);
        let mut files = inventory.files;
        files.retain(|FileRecord { stat, format, fate, .. }| {
            *fate == Fate::Indexed
                && is_added(&inventory.roots, &stat.path)
                && filter.covers(&stat.path, format)
                && from.is_none_or(|from| stat.mtime_ns >= from)
                && before.is_none_or(|before| stat.mtime_ns < before)
        });
        files.sort_by(|a, b| a.stat.path.cmp(&b.stat.path));
        Ok(files)
    }

    /// [`Library::document`], if it was added. For whoever hands documents on: what somebody once looked into is not meant for that.
    ///
    /// # Errors
    /// [`Error::NotIndexed`].
    pub fn added_document(&self, path: &Path) -> Result<DocumentText, Error> {
        let document = self.document(path)?;
        match is_added(&self.open_index()?.roots()?, &document.record.stat.path) {
            true => Ok(document),
            false => Err(Error::NotIndexed { path: path.to_owned() }),
        }
    }
}

fn is_added(roots: &[Root], path: &Path) -> bool {
    roots.iter().any(|root| root.remembered && path.starts_with(&root.path))
}
