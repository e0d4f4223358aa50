//! The vector files without the rest of an index, for measuring them.

use std::path::Path;
use std::sync::Arc;

use super::{Among, VectorFiles, VectorWriter, lists};
use crate::docset::DocSet;
use crate::error::Result;
use crate::fault::Faults;
use crate::types::EmbeddingSpec;

/// Vector files in a folder of their own; row i is passage and document i.
#[derive(Debug)]
pub struct VectorsAlone {
    files: VectorFiles,
    dead: DocSet,
}

impl VectorsAlone {
    /// Writes `rows` of `dim` numbers to the folder, in place of what is there; gives their number.
    ///
    /// # Errors
    /// What writing gives.
    pub fn write<'r>(folder: &Path, dim: usize, rows: impl Iterator<Item = &'r [f32]>) -> Result<u64> {
        let mut writer = VectorWriter::open(folder, &spec(dim), 1, 0, &Faults::default())?;
        for row in rows {
            let number = writer.next_row();
            writer.push(row, number, number)?;
        }
        writer.sync()?;
        Ok(writer.n_rows())
    }

    /// Makes lists of all rows, however few.
    ///
    /// # Errors
    /// What writing gives.
    pub fn make_lists(folder: &Path, dim: usize, n_rows: u64, n_threads: usize) -> Result<()> {
        let faults = Faults::default();
        lists::build((folder, &spec(dim), 1, n_rows), n_threads, &faults, &mut |_, _| true).map(drop)
    }

    /// Opens what was written.
    ///
    /// # Errors
    /// Files that do not fit.
    pub fn open(folder: &Path, dim: usize, n_rows: u64) -> Result<VectorsAlone> {
        let files = VectorFiles::open(folder, &spec(dim), 1, n_rows)?;
        Ok(VectorsAlone { files, dead: DocSet::default() })
    }

    /// Number of lists, and how many of them a search looks at; none: there are no lists.
    pub fn n_lists(&self) -> Option<(usize, usize)> {
        self.files.lists.as_ref().map(lists::Lists::n_lists)
    }

    /// Counts a row as deleted.
    pub fn delete(&mut self, row: u64) {
        self.dead.insert(row);
    }

    /// The best `k` living rows and their products, by lists if there are any. `only`: rows that may answer; none: all.
    pub fn search(
        &self,
        query: &[f32],
        only: Option<&Allowed>,
        k: usize,
        n_threads: usize,
    ) -> Vec<(u64, f32)> {
        let allowed = only.map(|allowed| &allowed.0);
        let among = Among { dead: &self.dead, allowed, n_docs: self.files.n_rows };
        self.files.search(query, among, k, n_threads)
    }

    /// The best `k` living rows by the numbers themselves, one thread: what the others are measured against.
    pub fn exact(&self, query: &[f32], only: Option<&Allowed>, k: usize) -> Vec<(u64, f32)> {
        let mut top = crate::top::Top::new(k);
        for row in 0..self.files.n_rows as u64 {
            if !self.dead.contains(row) && only.is_none_or(|allowed| allowed.0.contains(row)) {
                let vector = self.files.row(row).unwrap_or_default();
                top.push(row, docent_kernels::Dense::default().dot(vector, query));
            }
        }
        top.into_sorted()
    }
}

/// Rows that may answer.
#[derive(Debug, Clone)]
pub struct Allowed(Arc<DocSet>);

impl FromIterator<u64> for Allowed {
    fn from_iter<I: IntoIterator<Item = u64>>(rows: I) -> Self {
        Allowed(Arc::new(rows.into_iter().collect()))
    }
}

fn spec(dim: usize) -> EmbeddingSpec {
    EmbeddingSpec { fingerprint: "alone".to_owned(), dim }
}
