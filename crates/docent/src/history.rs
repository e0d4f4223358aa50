//! What was asked and answered, with all that it takes to make an answer again: `history.jsonl` beside the index (see [`journal`]).

use std::io;
use std::path::PathBuf;

use docent_infer::Sampling;
use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::converse::Turn;
use crate::journal::{self, Entry};
use crate::{Error, Library};

/// An answered question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub id: String,
    /// When, in seconds since 1970.
    pub asked_at: u64,
    /// The question.
    pub question: String,
    /// The collection that was asked; none for the one without a name.
    pub collection: Option<String>,
    /// How the answer was made; none where nothing was found to make one from.
    pub made: Option<Made>,
    /// The answer as it was given.
    pub answer: Answer,
}

/// How an answer was made: with this and the same documents it can be made again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// Written by the model, or quoted.
    pub how: How,
    /// The model, and what decides the bits it computes.
    pub model: MadeBy,
    /// What it read, in the order it read it.
    pub passages: Vec<MadeFrom>,
}

/// In whose words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The model's.
    Written {
        /// How tokens were chosen.
        sampling: Sampling,
        /// The most tokens of reasoning and answer.
        max_tokens: usize,
        /// The most tokens of reasoning.
        max_thinking: Option<usize>,
        /// BLAKE3 of the prompt's tokens, little-endian.
        prompt_hash: String,
    },
    /// The documents'.
    Quoted {
        /// Fingerprint of the embedding model.
        embedding: String,
    },
}

/// A model as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeBy {
    /// Its name in the catalogue, or the path of its file.
    pub name: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Hash of the file, where it was known.
    pub hash: Option<String>,
    /// How keys and values were kept.
    pub kv: String,
    /// Numerics mode and version, and instruction set.
    pub numerics: String,
}

/// A passage as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// The file, absolute.
    pub path: PathBuf,
    /// BLAKE3 of its content.
    pub hash: Option<String>,
    /// First byte in the document's text.
    pub byte_start: usize,
    /// One past the last.
    pub byte_end: usize,
    /// Headings above it.
    pub heading_path: Vec<String>,
    /// Place in the ranking, from 0.
    pub rank: usize,
    /// Score in the search.
    pub score: f32,
    /// Cosine with the question, where that was taken.
    #[serde(default)]
    pub cosine: Option<f32>,
}

impl Entry for Record {
    fn asked_at(&self) -> u64 {
        self.asked_at
    }
}

impl Library {
    /// What was asked, oldest first.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn history(&self) -> Result<Vec<Record>, Error> {
        journal::read(&self.settings.history_path()).map_err(|source| self.history_error(source))
    }

    /// The record of this name, of which the beginning is enough; `last` is the newest.
    ///
    /// # Errors
    /// [`Error::NoSuchRecord`]; a file that cannot be read.
    pub fn record(&self, id: &str) -> Result<Record, Error> {
        let mut records = self.history()?;
        if id == "last"
            && let Some(last) = records.pop()
        {
            return Ok(last);
        }
        let mut found = records.into_iter().filter(|record| !id.is_empty() && record.id.starts_with(id));
        match (found.next(), found.next()) {
            (Some(record), None) => Ok(record),
            (first, _) => Err(Error::NoSuchRecord { id: id.to_owned(), several: first.is_some() }),
        }
    }

    /// Forgets everything, conversations too, and gives the number of questions.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn clear_history(&self) -> Result<usize, Error> {
        let clear = || -> io::Result<usize> {
            let n_records = journal::clear::<Record>(&self.settings.history_path())?;
            Ok(n_records + journal::clear::<Turn>(&self.settings.conversations_path())?)
        };
        clear().map_err(|source| self.history_error(source))
    }

    /// Writes an answer down under a new name, if the settings ask for it.
    pub(crate) fn write_down(
        &self,
        question: &str,
        made: Option<Made>,
        answer: &Answer,
    ) -> Result<Option<String>, Error> {
        let Some(days) = self.settings.history_days else { return Ok(None) };
        let now = journal::now();
        let id = journal::new_id(question, now);
        let record = Record {
            id: id.clone(),
            asked_at: now.as_secs(),
            question: question.to_owned(),
            collection: self.settings.collection.clone(),
            made,
            answer: Answer { id: Some(id.clone()), ..answer.clone() },
        };
        journal::append(&self.settings.history_path(), &record, days)
            .map_err(|source| self.history_error(source))?;
        Ok(Some(id))
    }

    pub(crate) fn history_error(&self, source: io::Error) -> Error {
        Error::History { path: self.settings.history_path(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Settings;
    use crate::answer::{Status, Timing, Usage};

    fn answer() -> Answer {
        Answer {
            id: None,
            status: Status::NotFound,
            held: None,
            answer: "Nothing.".to_owned(),
            citations: Vec::new(),
            unsupported: Vec::new(),
            failed_quotes: Vec::new(),
            nearest: Vec::new(),
            coverage: None,
            model: "m".to_owned(),
            usage: Usage::default(),
            timing: Timing { total_s: 0.125, ..Timing::default() },
        }
    }

    fn library(home: &Path, days: Option<u32>) -> Library {
        Library::open(Settings { history_days: days, ..Settings::in_folder(home) })
    }

    #[test]
    fn a_question_is_found_again_by_the_beginning_of_its_name() {
        let home = tempfile::tempdir().unwrap();
        let library = library(home.path(), Some(90));
        let first = library.write_down("Why?", None, &answer()).unwrap().unwrap();
        let second = library.write_down("When?", None, &answer()).unwrap().unwrap();
        assert_eq!(library.record(&first[..6]).unwrap().question, "Why?");
        assert_eq!(library.record("last").unwrap().id, second);
        assert_eq!(library.record("last").unwrap().answer, Answer { id: Some(second), ..answer() });
        assert!(matches!(library.record("zz"), Err(Error::NoSuchRecord { several: false, .. })));
        assert!(matches!(library.record(""), Err(Error::NoSuchRecord { .. })));
        assert_eq!(library.clear_history().unwrap(), 2);
        assert!(library.history().unwrap().is_empty());
    }

    #[test]
    fn nothing_is_written_where_no_history_is_wanted() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(library(home.path(), None).write_down("Why?", None, &answer()).unwrap(), None);
        assert!(!home.path().join("data").exists());
    }

    #[test]
    fn a_line_that_was_cut_off_takes_no_other_with_it() {
        let home = tempfile::tempdir().unwrap();
        let library = library(home.path(), Some(90));
        library.write_down("Why?", None, &answer()).unwrap();
        let path = library.settings().history_path();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
        library.write_down("When?", None, &answer()).unwrap();
        let questions: Vec<String> = library.history().unwrap().into_iter().map(|r| r.question).collect();
        assert_eq!(questions, ["Why?", "When?"]);
    }

    #[test]
    fn what_is_too_old_goes_when_something_new_comes_and_others_cannot_read_it() {
        let home = tempfile::tempdir().unwrap();
        let library = library(home.path(), Some(90));
        library.write_down("Why?", None, &answer()).unwrap();
        let path = library.settings().history_path();
        let mut old = library.record("last").unwrap();
        (old.asked_at, old.question) = (old.asked_at - 91 * 24 * 60 * 60, "Long ago?".to_owned());
        let recent = std::fs::read_to_string(&path).unwrap();
        // What a process left that was killed while it wrote must not keep the old ones.
        let torn = "{\"id\":\"torn\n".to_owned();
        std::fs::write(&path, torn + &serde_json::to_string(&old).unwrap() + "\n" + &recent).unwrap();
        library.write_down("When?", None, &answer()).unwrap();
        let questions: Vec<String> = library.history().unwrap().into_iter().map(|r| r.question).collect();
        assert_eq!(questions, ["Why?", "When?"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
