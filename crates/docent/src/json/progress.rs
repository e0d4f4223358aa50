//! How far an ingestion is.

use serde::{Deserialize, Serialize};

use super::text_of;
use crate::Progress;

/// What an ingestion is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IngestPhase {
    /// It waits until another process has finished writing.
    Waiting,
    /// An index of an earlier format is brought to the present one.
    Renewing,
    /// It looks for files.
    Scanning,
    /// It reads what is new or changed.
    Working,
    /// Vectors are sorted, so that searches stay quick.
    Sorting,
}

/// How far it is; what a phase does not know is `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IngestProgress {
    /// What it is at.
    pub phase: IngestPhase,
    /// Files found or done.
    pub files_done: Option<usize>,
    /// Files to do.
    pub files_total: Option<usize>,
    /// Bytes done; percent while vectors are sorted.
    pub done: Option<u64>,
    /// Bytes to do; 100 while vectors are sorted.
    pub total: Option<u64>,
    /// The file worked on, or the process waited for.
    pub what: Option<String>,
}

impl From<&Progress> for IngestProgress {
    fn from(progress: &Progress) -> Self {
        let at =
            |phase| Self { phase, files_done: None, files_total: None, done: None, total: None, what: None };
        match progress {
            Progress::Waiting { holder } => Self { what: Some(holder.clone()), ..at(IngestPhase::Waiting) },
            Progress::Renewing { bytes_done, bytes_total } => {
                Self { done: Some(*bytes_done), total: Some(*bytes_total), ..at(IngestPhase::Renewing) }
            }
            Progress::Scanning { found } => Self { files_done: Some(*found), ..at(IngestPhase::Scanning) },
            Progress::Working { files_done, files_total, bytes_done, bytes_total, path } => Self {
                phase: IngestPhase::Working,
                files_done: Some(*files_done),
                files_total: Some(*files_total),
                done: Some(*bytes_done),
                total: Some(*bytes_total),
                what: Some(text_of(path)),
            },
            Progress::Sorting { percent } => {
                Self { done: Some(u64::from(*percent)), total: Some(100), ..at(IngestPhase::Sorting) }
            }
        }
    }
}

impl From<IngestProgress> for Progress {
    fn from(told: IngestProgress) -> Self {
        let IngestProgress { phase, files_done, files_total, done, total, what } = told;
        let (done, total, what) = (done.unwrap_or(0), total.unwrap_or(0), what.unwrap_or_default());
        match phase {
            IngestPhase::Waiting => Self::Waiting { holder: what },
            IngestPhase::Renewing => Self::Renewing { bytes_done: done, bytes_total: total },
            IngestPhase::Scanning => Self::Scanning { found: files_done.unwrap_or(0) },
            IngestPhase::Working => Self::Working {
                files_done: files_done.unwrap_or(0),
                files_total: files_total.unwrap_or(0),
                bytes_done: done,
                bytes_total: total,
                path: what.into(),
            },
            IngestPhase::Sorting => Self::Sorting { percent: u8::try_from(done).unwrap_or(100) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_that_was_told_is_the_same_progress() {
        let working = Progress::Working {
            files_done: 3,
            files_total: 9,
            bytes_done: 1_000,
            bytes_total: 70_000,
            path: "/notes/roof.md".into(),
        };
        for progress in [
            Progress::Waiting { holder: "docent update (process 7)".to_owned() },
            Progress::Renewing { bytes_done: 5, bytes_total: 8 },
            Progress::Scanning { found: 12 },
            working,
            Progress::Sorting { percent: 40 },
        ] {
            let text = serde_json::to_string(&IngestProgress::from(&progress)).unwrap();
            let told: IngestProgress = serde_json::from_str(&text).unwrap();
            assert_eq!(Progress::from(told), progress);
        }
    }
}
