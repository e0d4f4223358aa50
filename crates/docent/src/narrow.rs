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

/// Nanoseconds since 1970 of a date as people write it: the beginning of a year, month or day, or a time; where this machine is, unless the
/// text names an offset.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_date(text: &str) -> Result<i64, String> {
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    let explain = || format!("{text:?} is no date: 2025-03-01, 2025-03, 2025, or 2025-03-01T12:00");
    let instant = whole.parse::<jiff::Timestamp>().or_else(|_| {
        let local = whole.parse::<jiff::civil::DateTime>().map_err(|_| explain())?;
        local.to_zoned(jiff::tz::TimeZone::system()).map(|time| time.timestamp()).map_err(|_| explain())
    })?;
    i64::try_from(instant.as_nanosecond()).map_err(|_| explain())
}

/// A format or an ending as [`Narrow::types`] has it: `PDF` and `.pdf` are `pdf`.
pub fn parse_type(name: &str) -> String {
    name.trim().trim_start_matches('.').to_lowercase()
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
