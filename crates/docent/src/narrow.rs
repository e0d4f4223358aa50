//! Which documents a question may be answered from.

use std::path::PathBuf;

use docent_index::{Filter, PathGlob};

use crate::library::absolute;

/// What narrows a search beyond the folders it is in; applied before ranking. The default narrows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrow {
    /// Only files that one of these patterns matches.
    pub paths: Vec<PathGlob>,
    /// Only files of these formats (`markdown`) or endings (`md`), in lower case.
    pub types: Vec<String>,
    /// Only files changed at this time or later, nanoseconds since 1970.
    pub changed_from_ns: Option<i64>,
    /// Only files changed before this time, nanoseconds since 1970.
    pub changed_before_ns: Option<i64>,
}

impl Narrow {
    /// The filter for files at or below `within`; below whatever was added, where that is empty.
    pub(crate) fn filter(&self, within: &[PathBuf]) -> Filter {
        let under: Vec<PathBuf> = within.iter().map(|path| absolute(path)).collect();
        Filter {
            remembered_only: under.is_empty(),
            under,
            paths: self.paths.clone(),
            types: self.types.clone(),
            changed_from_ns: self.changed_from_ns,
            changed_before_ns: self.changed_before_ns,
        }
    }
}
