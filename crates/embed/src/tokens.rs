//! Text to token ids: the model's own WordPiece tokenizer, cut at the model's length.

use crate::bert::Sequence;
use crate::error::EmbedError;
use std::fs;
use std::path::Path;
use tokenizers::Tokenizer;

/// Bytes of a text looked at first, per token wanted. English has some 4.5 bytes a token; a text that needs more is
/// looked at again with more of it.
const BYTES_PER_TOKEN: usize = 16;

pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    first: u32,
    last: u32,
    /// Separators between the parts of a pair: one in BERT, two in RoBERTa.
    n_between: usize,
    max_of_text: usize,
}

impl Tokens {
    /// Reads `tokenizer.json`. `max_tokens` counts the first and the last.
    pub(crate) fn open(dir: &Path, max_tokens: usize) -> Result<Tokens, EmbedError> {
        let path = dir.join("tokenizer.json");
        let bytes =
            fs::read(&path).map_err(|source| EmbedError::Unreadable { path: path.clone(), source })?;
        let mut tokenizer =
            Tokenizer::from_bytes(&bytes).map_err(|e| EmbedError::malformed(path.clone(), e))?;
        // The file asks for 128 tokens and for padding to as many; the model was made for `max_tokens`, and batches
        // here have no padding.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| EmbedError::malformed(path.clone(), e))?;
        let both = |first: &str, last: &str| tokenizer.token_to_id(first).zip(tokenizer.token_to_id(last));
        let bert = both("[CLS]", "[SEP]").map(|ends| (ends, 1));
        let Some(((first, last), n_between)) = bert.or_else(|| Some((both("<s>", "</s>")?, 2))) else {
            let what = "it has neither the tokens [CLS] and [SEP] nor <s> and </s>";
            return Err(EmbedError::malformed(path, what));
        };
        Ok(Tokens { tokenizer, first, last, n_between, max_of_text: max_tokens.saturating_sub(2) })
    }

    pub(crate) fn n_vocab(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    pub(crate) fn max_of_text(&self) -> usize {
        self.max_of_text
    }

    /// The id of a text that is one token.
    pub(crate) fn id_of_one(&self, text: &str) -> Option<u32> {
        match self.ids(text).ok()?[..] {
            [id] if Some(id) != self.tokenizer.token_to_id("[UNK]") => Some(id),
            _ => None,
        }
    }

    /// The ids of the beginning of a text: at most `max_of_text`, between the first and the last.
    pub(crate) fn encode(&self, text: &str) -> Result<Sequence, EmbedError> {
        let mut ids = self.beginning(text)?;
        ids.truncate(self.max_of_text);
        ids.insert(0, self.first);
        ids.push(self.last);
        Ok(Sequence::one(ids))
    }

    /// The ids of the pairs of a question and each of some texts, for a model that scores them: the question's beginning, at
    /// most half of what the model takes, then as much of the text as there is room for.
    pub(crate) fn encode_pairs(&self, question: &str, texts: &[&str]) -> Result<Vec<Sequence>, EmbedError> {
        let room = (self.max_of_text + 2).saturating_sub(2 + self.n_between);
        let mut asked = self.beginning(question)?;
        asked.truncate(room / 2);
        let pair = |text: &&str| {
            let mut ids = vec![self.first];
            ids.extend(&asked);
            ids.extend(std::iter::repeat_n(self.last, self.n_between));
            let second = ids.len();
            ids.extend(self.beginning(text)?.into_iter().take(room - asked.len()));
            ids.push(self.last);
            Ok(Sequence { ids, second })
        };
        texts.iter().map(pair).collect()
    }

    /// The ids of enough of a text, so that a text of many megabytes costs no more than a page. The last word of a cut
    /// piece may be half a word, so there must be ids to spare after it: a word has at most 100 characters, so 100 ids.
    fn beginning(&self, text: &str) -> Result<Vec<u32>, EmbedError> {
        let wanted = self.max_of_text + 100;
        let mut bytes = wanted * BYTES_PER_TOKEN;
        loop {
            let piece = &text[..text.floor_char_boundary(bytes)];
            let ids = self.ids(piece)?;
            if piece.len() == text.len() || ids.len() >= wanted {
                return Ok(ids);
            }
            bytes *= 4;
        }
    }

    /// How many tokens a whole text has. A text the tokenizer refuses counts as one a byte, which no text exceeds.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.ids(text).map_or(text.len(), |ids| ids.len())
    }

    fn ids(&self, text: &str) -> Result<Vec<u32>, EmbedError> {
        let encoding =
            self.tokenizer.encode_fast(text, false).map_err(|e| EmbedError::Tokenize(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }
}
