//! Exit codes: the part of the interface that scripts read.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Found, answered, done.
    Done,
    /// Nothing found, or not in the documents.
    NotFound,
    /// What was asked for could not be done, and has been told.
    Failed,
    /// Some files failed; the others are indexed.
    SomeFailed,
    /// Stopped by the user; what was finished is kept.
    Interrupted,
}

/// What errors exit with.
pub const ERROR: u8 = 2;
/// 128 + SIGINT, as shells have it.
pub const INTERRUPTED: u8 = 130;

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(match outcome {
            Outcome::Done => 0,
            Outcome::NotFound => 1,
            Outcome::Failed => ERROR,
            Outcome::SomeFailed => 3,
            Outcome::Interrupted => INTERRUPTED,
        })
    }
}
