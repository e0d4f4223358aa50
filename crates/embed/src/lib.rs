//! Text to unit vectors (all-MiniLM-L6-v2, multilingual-e5-small and others of BERT's and RoBERTa's shape), and scores of pairs
//! of question and text ([`CrossEncoder`]), on candle.
//!
//! ```text
//!     texts ──WordPiece──▶ token ids ──sorted by length, cut into batches──▶ BERT ──mean over tokens──▶ divided by its length
//! ```
//!
//! Batches hold no padding: the rows of all their texts lie one after another, the matrix products see one tall matrix,
//! and only attention looks at each text alone. So a text costs what its own tokens cost, and what it is batched with
//! does not reach its numbers. Each core works on a batch of its own from end to end, which beats sharing out every
//! product (most are too small to be worth a meeting).
//!
//! The forward pass is written here, on candle's tensors with operations of our own (`operations`): candle-transformers
//! has a BERT, and compiles a hundred other models with it.

mod adapter;
mod bert;
mod error;
mod lanes;
mod operations;
mod pooling;
mod rerank;
mod tokens;
mod weights;

pub use error::EmbedError;
pub use rerank::CrossEncoder;

use adapter::Adapter;
use bert::{Bert, Sequence};
use lanes::Lanes;
use rerank::Scorer;
use std::path::Path;
use std::sync::OnceLock;
use tokens::Tokens;
use weights::{ModelFiles, Pooling};

/// Rows of tokens in a batch, about. Large enough that a product's set-up does not show, small enough that a batch's
/// widest intermediate (1536 numbers a row, 3 MB) stays near the core.
const BATCH_TOKENS: usize = 512;

/// Changes whenever the same files would give other vectors: another pooling, another way to cut text.
const VERSION: &str = "mean-pooled, unit length, v1";

/// What makes a reader of all-MiniLM-L6-v2 that tells whether a text answers a question. Trained by `benches/answerability.py` on
/// `corpora/answerability`.
const ANSWERABILITY: &[u8] = include_bytes!("answerability.safetensors");

/// What a model wants to stand before every text. Part of the fingerprint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prefixes<'a> {
    /// Before a question.
    pub query: &'a str,
    /// Before a passage that is to be found.
    pub passage: &'a str,
}

/// A model that turns text into vectors. Opened once, used from any thread.
pub struct Embedder {
    tokens: Tokens,
    bert: Bert,
    files: ModelFiles,
    /// Opened when first asked; none where nothing was trained for this model.
    reader: OnceLock<Option<Scorer>>,
    lanes: Lanes,
    fingerprint: String,
    query_prefix: String,
    passage_prefix: String,
}

impl Embedder {
    /// Opens the model in `dir`, a folder in the layout of sentence-transformers: `config.json`, `tokenizer.json`,
    /// `model.safetensors`, `sentence_bert_config.json`, `1_Pooling/config.json` (the last two may be absent).
    /// `n_threads` cores are used; 0 counts as 1. Costs about 90 MB of memory and a tenth of a second.
    ///
    /// # Errors
    /// [`EmbedError`] naming the file that is missing, unreadable or not what a model of this kind has in it.
    pub fn open(dir: &Path, n_threads: usize) -> Result<Embedder, EmbedError> {
        Embedder::open_with(dir, n_threads, Prefixes::default())
    }

    /// As [`open`](Embedder::open), for a model that wants prefixes.
    ///
    /// # Errors
    /// The same.
    pub fn open_with(dir: &Path, n_threads: usize, prefixes: Prefixes<'_>) -> Result<Embedder, EmbedError> {
        let model = weights::open(dir)?;
        let tokens = Tokens::open(dir, model.config.max_tokens)?;
        let mut fingerprint = format!("{} ({VERSION}, {} tokens)", model.hash, model.config.max_tokens);
        if model.config.pooling == Pooling::First {
            fingerprint.push_str(" of the first token");
        }
        if prefixes != Prefixes::default() {
            fingerprint.push_str(&format!(" with {:?} and {:?}", prefixes.query, prefixes.passage));
        }
        if tokens.n_vocab() > model.config.vocab_size {
            return Err(EmbedError::malformed(
                dir.join("tokenizer.json"),
                "it has more tokens than the model's embedding matrix has rows",
            ));
        }
        let bert = Bert::load(model.clone(), None)?;
        let lanes = Lanes::new(n_threads);
        let Prefixes { query, passage } = prefixes;
        let (query_prefix, passage_prefix) = (query.to_owned(), passage.to_owned());
        let reader = OnceLock::new();
        Ok(Embedder { tokens, bert, files: model, reader, lanes, fingerprint, query_prefix, passage_prefix })
    }

    /// One vector of [`dim`](Embedder::dim) numbers and length 1 for each text, in the order of the texts. Of a text
    /// longer than [`max_tokens`](Embedder::max_tokens) the beginning is read. An empty text has a vector too: that of
    /// no words.
    ///
    /// The same text gives the same vector on the same machine, bit for bit, whatever it is embedded with.
    ///
    /// # Errors
    /// [`EmbedError::Compute`] if the tensor library fails, for instance out of memory.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.embed_behind(&self.passage_prefix, texts)
    }

    /// The vectors of questions: as [`embed`](Embedder::embed), but for models that want questions marked as such.
    ///
    /// # Errors
    /// The same.
    pub fn embed_queries(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.embed_behind(&self.query_prefix, texts)
    }

    fn embed_behind(&self, prefix: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if prefix.is_empty() {
            return self.embed_as_they_are(texts);
        }
        let texts: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        self.embed_as_they_are(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn embed_as_they_are(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let encoded = self.lanes.map(texts.len(), |i| self.tokens.encode(texts[i]));
        let encoded = encoded.into_iter().collect::<Result<Vec<Sequence>, EmbedError>>()?;
        let mut order: Vec<usize> = (0..texts.len()).collect();
        // Long ones first: the batches left for the end are then the short ones, and the cores finish together.
        order.sort_by_key(|&i| std::cmp::Reverse(encoded[i].len()));
        let batches = cut(&order, &encoded);

        let done: Vec<Result<_, EmbedError>> = self.lanes.map(batches.len(), |b| {
            let batch: Vec<&Sequence> = batches[b].iter().map(|&i| &encoded[i]).collect();
            let (x, spans) = self.bert.forward(&batch)?;
            Ok(match self.bert.config().pooling {
                Pooling::Mean => pooling::mean(&x, &spans, self.bert.dim()),
                Pooling::First => pooling::first(&x, &spans, self.bert.dim()),
            })
        });
        let mut vectors = vec![Vec::new(); texts.len()];
        for (batch, result) in batches.iter().zip(done) {
            for (&i, vector) in batch.iter().zip(result?) {
                vectors[i] = vector;
            }
        }
        Ok(vectors)
    }

    /// How sure a reader of pairs is that each text answers the question: log odds, above 0 where it rather does. A vector tells what a text
    /// is about; this tells what it says. `None` where docent has no such reader for this model, but for all-MiniLM-L6-v2 it has. The first
    /// call costs about 45 MB of memory and a tenth of a second.
    ///
    /// # Errors
    /// [`EmbedError::Compute`] if the tensor library fails, for instance out of memory.
    pub fn answers(&self, question: &str, texts: &[&str]) -> Result<Option<Vec<f32>>, EmbedError> {
        let reader = match self.reader.get() {
            Some(reader) => reader,
            None => {
                let adapter = Adapter::of_model(ANSWERABILITY, &self.files.hash);
                let load = |adapter| Scorer::load(self.files.clone(), Some(&adapter));
                let reader = adapter.map(load).transpose()?;
                self.reader.get_or_init(|| reader)
            }
        };
        reader.as_ref().map(|reader| reader.scores(&self.tokens, &self.lanes, question, texts)).transpose()
    }

    /// How many tokens a text has, as [`max_tokens`](Embedder::max_tokens) counts them: those of the text alone.
    pub fn count_tokens(&self, text: &str) -> usize {
        self.tokens.count(text)
    }

    /// How far down a word stands among those of the language by how often they are used, "the" being the first; `None` for a word that the
    /// vocabulary has in pieces only. WordPiece and unigram vocabularies list their entries by falling frequency, so this is about the
    /// word's rank in the text that the tokenizer was made from.
    pub fn frequency_rank(&self, word: &str) -> Option<u32> {
        let id = self.tokens.id_of_one(word)?;
        Some(id.saturating_sub(self.tokens.id_of_one("the").unwrap_or(0)) + 1)
    }

    /// Numbers in a vector: 384.
    pub fn dim(&self) -> usize {
        self.bert.dim()
    }

    /// Tokens of a text that are read: 254. The model takes 256 (`max_seq_length`), and every text gets a first and a
    /// last one of its own.
    pub fn max_tokens(&self) -> usize {
        self.tokens.max_of_text()
    }

    /// Names everything that decides what vector a text has. Vectors of different fingerprints must not be compared.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// Cuts the texts, in `order`, into batches of about [`BATCH_TOKENS`].
fn cut<'a>(order: &'a [usize], encoded: &[Sequence]) -> Vec<&'a [usize]> {
    let mut batches = Vec::new();
    let (mut start, mut n_tokens) = (0, 0);
    for (at, &i) in order.iter().enumerate() {
        n_tokens += encoded[i].len();
        if n_tokens >= BATCH_TOKENS {
            batches.push(&order[start..=at]);
            (start, n_tokens) = (at + 1, 0);
        }
    }
    if start < order.len() {
        batches.push(&order[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_in_exactly_one_batch() {
        let encoded: Vec<Sequence> = (0..100).map(|i| Sequence::one(vec![7; 2 + (i * 37) % 254])).collect();
        let order: Vec<usize> = (0..100).rev().collect();
        let batches = cut(&order, &encoded);
        assert!(batches.len() > 1);
        assert_eq!(batches.concat(), order);
        assert!(cut(&[], &encoded).is_empty());
    }
}
