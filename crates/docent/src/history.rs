//! What was asked and answered, with all that it takes to make an answer again.
//!
//! One JSON object a line, in `history.jsonl` beside the index, readable by its owner alone: questions and answers are private. A
//! line that cannot be read (a process was killed while it wrote) is passed over. Whoever adds a line also removes those that are
//! too old, by writing the file anew beside the old one and renaming it; a lock on `history.lock` keeps two of them apart.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use docent_infer::Sampling;
use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::{Error, Library};

/// Hexadecimal digits of an answer's name.
const ID_DIGITS: usize = 10;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
}

impl Library {
    /// What was asked, oldest first.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn history(&self) -> Result<Vec<Record>, Error> {
        read(&self.settings.history_path()).map_err(|source| self.history_error(source))
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

    /// Forgets everything, and gives the number of records.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn clear_history(&self) -> Result<usize, Error> {
        let path = self.settings.history_path();
        let clear = || -> io::Result<usize> {
            let n_records = read(&path)?.len();
            if path.exists() {
                let _lock = lock(&path)?;
                std::fs::remove_file(&path)?;
            }
            Ok(n_records)
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
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = new_id(question, now);
        let record = Record {
            id: id.clone(),
            asked_at: now.as_secs(),
            question: question.to_owned(),
            collection: self.settings.collection.clone(),
            made,
            answer: Answer { id: Some(id.clone()), ..answer.clone() },
        };
        let oldest = now.saturating_sub(DAY * days).as_secs();
        append(&self.settings.history_path(), &record, oldest)
            .map_err(|source| self.history_error(source))?;
        Ok(Some(id))
    }

    fn history_error(&self, source: io::Error) -> Error {
        Error::History { path: self.settings.history_path(), source }
    }
}

fn new_id(question: &str, now: Duration) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(question.as_bytes());
    hasher.update(&now.as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.finalize().to_hex()[..ID_DIGITS].to_owned()
}

/// The records of a file, oldest first; none if it is not there.
fn read(path: &Path) -> io::Result<Vec<Record>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let lines = BufReader::new(file).split(b'\n').collect::<io::Result<Vec<_>>>()?;
    Ok(lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn append(path: &Path, record: &Record, oldest: u64) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let _lock = lock(path)?;
    let line = serde_json::to_string(record)? + "\n";
    if first(path)?.is_some_and(|first| first.asked_at < oldest) {
        return rewrite(path, oldest, &line);
    }
    let mut file = private(OpenOptions::new().read(true).append(true).create(true)).open(path)?;
    // A line that was cut off must not swallow this one.
    let is_cut = file.seek(SeekFrom::End(-1)).is_ok() && {
        let mut last = [0];
        file.read_exact(&mut last).is_ok() && last != *b"\n"
    };
    let line = if is_cut { format!("\n{line}") } else { line };
    file.write_all(line.as_bytes())
}

/// The oldest record.
fn first(path: &Path) -> io::Result<Option<Record>> {
    let mut line = Vec::new();
    match File::open(path) {
        Ok(file) => BufReader::new(file).read_until(b'\n', &mut line)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(serde_json::from_slice(&line).ok())
}

/// Leaves out what is older than `oldest` and adds `line`.
fn rewrite(path: &Path, oldest: u64, line: &str) -> io::Result<()> {
    let new = path.with_extension("jsonl.new");
    let mut text = String::new();
    for record in read(path)?.iter().filter(|record| record.asked_at >= oldest) {
        text += &serde_json::to_string(record)?;
        text.push('\n');
    }
    text += line;
    let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

fn lock(path: &Path) -> io::Result<File> {
    let file = private(OpenOptions::new().write(true).create(true)).open(path.with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

/// Files that only their owner can read.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::answer::{Status, Timing, Usage};

    fn answer() -> Answer {
        Answer {
            id: None,
            status: Status::NotFound,
            answer: "Nothing.".to_owned(),
            citations: Vec::new(),
            unsupported: Vec::new(),
            failed_quotes: Vec::new(),
            nearest: Vec::new(),
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
        (old.asked_at, old.question) = (old.asked_at - 91 * DAY.as_secs(), "Long ago?".to_owned());
        let recent = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, serde_json::to_string(&old).unwrap() + "\n" + &recent).unwrap();
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
