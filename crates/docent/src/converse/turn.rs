//! Turns of conversations as they are written down: `conversations.jsonl` beside the index, under the rules of the history.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::history::MadeFrom;
use crate::journal::{self, Entry};
use crate::{Error, Library};

/// A question of a conversation and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The conversation's name.
    pub conversation: String,
    /// When, in seconds since 1970.
    pub asked_at: u64,
    /// The collection that is talked about; none for the one without a name.
    pub collection: Option<String>,
    /// The files and folders that are talked about; none for everything that was added.
    pub within: Vec<PathBuf>,
    /// The model that answers, as it is named.
    pub model: String,
    /// The question as it was said.
    pub question: String,
    /// The question as it was searched for.
    pub searched: String,
    /// Passages that came with it, in order; those of earlier turns stay.
    pub passages: Vec<MadeFrom>,
    /// The numbers of those that matter most, best first.
    pub numbers: Vec<usize>,
    /// The model began anew: what was said before is not before it any more.
    pub anew: bool,
    /// The answer.
    pub answer: Answer,
}

/// A conversation that was written down.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConversationInfo {
    /// Its name.
    pub id: String,
    /// Its first question.
    pub question: String,
    /// Questions in it.
    pub n_turns: usize,
    /// When the last was asked, in seconds since 1970.
    pub asked_at: u64,
    /// The files and folders that are talked about; none for everything that was added.
    pub within: Vec<PathBuf>,
    /// The model.
    pub model: String,
}

impl Entry for Turn {
    fn asked_at(&self) -> u64 {
        self.asked_at
    }
}

impl Library {
    /// The conversations that were written down, the one that was talked in last at the end.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn conversations(&self) -> Result<Vec<ConversationInfo>, Error> {
        let mut conversations: HashMap<String, ConversationInfo> = HashMap::new();
        for turn in self.turns()? {
            let info = conversations.entry(turn.conversation.clone()).or_insert_with(|| ConversationInfo {
                id: turn.conversation.clone(),
                question: turn.question.clone(),
                n_turns: 0,
                asked_at: 0,
                within: turn.within.clone(),
                model: turn.model.clone(),
            });
            info.n_turns += 1;
            info.asked_at = turn.asked_at;
        }
        let mut conversations: Vec<ConversationInfo> = conversations.into_values().collect();
        conversations.sort_by(|a, b| (a.asked_at, &a.id).cmp(&(b.asked_at, &b.id)));
        Ok(conversations)
    }

    /// The turns of the conversation of this name, of which the beginning is enough; `last` is the one that was talked in last.
    ///
    /// # Errors
    /// [`Error::NoSuchConversation`]; a file that cannot be read.
    pub fn conversation(&self, id: &str) -> Result<Vec<Turn>, Error> {
        let mut known = self.conversations()?;
        if id == "last" {
            known.drain(..known.len().saturating_sub(1));
        } else {
            known.retain(|info| !id.is_empty() && info.id.starts_with(id));
        }
        let [info] = &known[..] else {
            return Err(Error::NoSuchConversation { id: id.to_owned(), several: known.len() > 1 });
        };
        let mut turns = self.turns()?;
        turns.retain(|turn| turn.conversation == info.id);
        Ok(turns)
    }

    fn turns(&self) -> Result<Vec<Turn>, Error> {
        journal::read(&self.settings.conversations_path()).map_err(|source| self.conversations_error(source))
    }

    /// Writes a turn down, if the settings ask for it.
    pub(super) fn write_turn(&self, turn: &Turn) -> Result<(), Error> {
        let Some(days) = self.settings.history_days else { return Ok(()) };
        journal::append(&self.settings.conversations_path(), turn, days)
            .map_err(|source| self.conversations_error(source))
    }

    fn conversations_error(&self, source: std::io::Error) -> Error {
        Error::History { path: self.settings.conversations_path(), source }
    }
}
