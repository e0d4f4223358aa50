//! Tokenizers built from GGUF metadata alone: byte-level BPE (`tokenizer.ggml.model` = `gpt2`).
//!
//! ```text
//! text ──split──▶ words ──bytes──▶ printable alphabet ──BPE──▶ token ids
//! ```
//!
//! Merging is done by the `tokenizers` crate; where words end is decided in [`split`], special tokens here. Ids are the same as
//! llama.cpp's, with one difference on purpose:
//!
//! **Text never speaks as the template.** [`Tokenizer::encode`] yields only tokens that the file marks as normal. llama.cpp with
//! `parse_special = false` keeps out control tokens but still recognises *user-defined* ones, and those are what Qwen and others use for
//! `<tool_call>`, `<think>` or `<|fim_prefix|>`: a document could speak as a tool. So here neither is recognised, whether by its
//! whole text or as the result of merges. [`Tokenizer::encode_template`], which is for text that a template wrote, recognises both.
//!
//! Cost: 1 MB of English is about 250,000 tokens and takes about 0.15 s of a core; time grows linearly, in long runs of one
//! character as n log n. Opening Qwen's vocabulary of
//! 152,000 tokens takes 0.3 s and some 70 MB.

mod bytes;
mod split;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::Model as _;
use tokenizers::models::bpe::{BPE, Merges, Vocab};

use self::split::Split;
pub use self::stream::DecodeStream;

/// What a GGUF file says about its tokenizer, as it stands there.
#[derive(Debug, Clone, Default)]
pub struct TokenizerSpec {
    /// `tokenizer.ggml.model`; only `gpt2` is supported.
    pub model: String,
    /// `tokenizer.ggml.pre`: which split the vocabulary was trained with. `None` is llama.cpp's `default`.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`, by id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.token_type`, by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. May be empty: all normal.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.merges`, best first, each `left right`.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.eot_token_id`: end of turn, where it differs from `eos`.
    pub eot: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`; `None` leaves it to the split (llama-3's kind adds it).
    pub add_bos: Option<bool>,
}

/// What is wrong with a tokenizer's metadata.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenizerError {
    /// Not a byte-level BPE vocabulary.
    #[error(
        "tokenizer model `{0}` is not supported, only `gpt2` (byte-level BPE); use a GGUF of a model with such a vocabulary"
    )]
    UnknownModel(String),
    /// A split that is not implemented: token ids would be subtly wrong.
    #[error(
        "pre-tokenizer `{0}` is not supported (known: lfm2, llama-bpe, smollm, qwen2, gpt-2 and their relatives)"
    )]
    UnknownPre(String),
    /// No tokens at all, or more than fit an id.
    #[error("the vocabulary has {0} tokens")]
    VocabularySize(usize),
    /// As many types as tokens are needed.
    #[error("the vocabulary has {tokens} tokens but {types} token types")]
    TypeCount {
        /// Number of tokens.
        tokens: usize,
        /// Number of types.
        types: usize,
    },
    /// A merge that is not two tokens, or whose result is not one.
    #[error("merge {rank} (`{merge}`) does not join two tokens of the vocabulary into a third")]
    Merge {
        /// Place in the list, best first.
        rank: usize,
        /// The entry as it stands in the file.
        merge: String,
    },
    /// A special token's id is not in the vocabulary.
    #[error("{name} token id {id} is outside the vocabulary of {n_vocab}")]
    SpecialId {
        /// Which special token.
        name: &'static str,
        /// Its id.
        id: u32,
        /// Size of the vocabulary.
        n_vocab: usize,
    },
    /// The merge or search tables could not be built.
    #[error("the vocabulary cannot be used: {0}")]
    Build(String),
}

/// What a token is for. GGUF's `tokenizer.ggml.token_type` (`gguf-py/gguf/constants.py`, `TokenType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Ordinary text.
    Normal,
    /// Steers the model: `<|im_end|>`. Never shown, never taken from text.
    Control,
    /// Added by whoever made the file: `<tool_call>`. Taken from template text only.
    UserDefined,
    /// Filler that no text yields.
    Unused,
}

/// Text to token ids and back. Shared between threads freely.
pub struct Tokenizer {
    bpe: BPE,
    split: Split,
    /// Bytes of all tokens one after the other; token i ends at `ends[i]`.
    token_bytes: Vec<u8>,
    ends: Vec<u32>,
    kinds: Vec<TokenKind>,
    /// Whether a byte has a token of its own.
    has_byte: [bool; 256],
    /// Finds special tokens in template text; pattern i is `special_ids[i]`.
    special_finder: AhoCorasick,
    special_ids: Vec<u32>,
    special_by_text: HashMap<String, u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    stop_ids: Vec<u32>,
    add_bos: bool,
}

/// Texts under which models end a turn (llama.cpp `llama-vocab.cpp`, `special_eog_ids`), for those of our architectures.
const END_OF_TURN: [&str; 8] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "</s>",
    "<end_of_turn>",
];

impl Tokenizer {
    /// Builds the tables from a file's metadata.
    ///
    /// # Errors
    /// [`TokenizerError`] names what in the metadata is missing, not supported or does not fit.
    pub fn new(spec: TokenizerSpec) -> Result<Self, TokenizerError> {
        if spec.model != "gpt2" {
            return Err(TokenizerError::UnknownModel(spec.model));
        }
        let (split, ignore_merges, adds_bos) = split_named(spec.pre.as_deref())?;
        let n_vocab = spec.tokens.len();
        if n_vocab == 0 || u32::try_from(n_vocab).is_err() {
            return Err(TokenizerError::VocabularySize(n_vocab));
        }
        let kinds = token_kinds(&spec.token_types, n_vocab)?;
        for (name, id) in [("BOS", spec.bos), ("EOS", spec.eos), ("EOT", spec.eot)] {
            if let Some(id) = id.filter(|&id| id as usize >= n_vocab) {
                return Err(TokenizerError::SpecialId { name, id, n_vocab });
            }
        }

        let mut token_bytes = Vec::new();
        let mut ends = Vec::with_capacity(n_vocab);
        let mut special_by_text = HashMap::new();
        for ((id, text), kind) in (0u32..).zip(&spec.tokens).zip(&kinds) {
            match kind {
                TokenKind::Normal => push_bytes(text, &mut token_bytes),
                TokenKind::Control | TokenKind::UserDefined => {
                    token_bytes.extend_from_slice(text.as_bytes());
                    if !text.is_empty() {
                        special_by_text.entry(text.clone()).or_insert(id);
                    }
                }
                TokenKind::Unused => token_bytes.extend_from_slice(text.as_bytes()),
            }
            let end = u32::try_from(token_bytes.len())
                .map_err(|_| TokenizerError::Build("its texts exceed 4 GiB".to_owned()))?;
            ends.push(end);
        }

        let mut stop_ids: Vec<u32> = [spec.eos, spec.eot].into_iter().flatten().collect();
        stop_ids.extend(END_OF_TURN.iter().filter_map(|text| special_by_text.get(*text)));
        stop_ids.sort_unstable();
        stop_ids.dedup();

        let (special_texts, special_ids): (Vec<&str>, Vec<u32>) =
            special_by_text.iter().map(|(text, id)| (text.as_str(), *id)).unzip();
        let special_finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(special_texts)
            .map_err(|error| TokenizerError::Build(error.to_string()))?;

        let bpe = build_bpe(spec.tokens, &kinds, &spec.merges, ignore_merges)?;
        let mut has_byte = [false; 256];
        for byte in 0..=u8::MAX {
            let spelling = bytes::char_of(byte).to_string();
            has_byte[usize::from(byte)] = bpe.token_to_id(&spelling).is_some();
        }
        Ok(Tokenizer {
            bpe,
            split,
            token_bytes,
            ends,
            kinds,
            has_byte,
            special_finder,
            special_ids,
            special_by_text,
            bos: spec.bos,
            eos: spec.eos,
            stop_ids,
            add_bos: spec.add_bos.unwrap_or(adds_bos),
        })
    }

    /// Tokens of plain text. Nothing in `text` becomes a special token, whatever it spells; no BOS is added.
    ///
    /// `decode(encode(text)) == text`, unless the vocabulary has no token for a byte of it (SmolLM2 lacks six control characters
    /// such as U+0004, and the lead bytes of U+40000 and above): such a byte is dropped, as llama.cpp does.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        // English comes to about four bytes a token.
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        self.encode_into(text, &mut ids);
        ids
    }

    /// Tokens of text that a chat template wrote: special tokens in it are recognised, the longest where two start together.
    ///
    /// Never pass it anything that a user or a document wrote. No BOS is added beyond what the text spells.
    pub fn encode_template(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut done = 0;
        for special in self.special_finder.find_iter(text) {
            self.encode_into(&text[done..special.start()], &mut ids);
            ids.push(self.special_ids[special.pattern().as_usize()]);
            done = special.end();
        }
        self.encode_into(&text[done..], &mut ids);
        ids
    }

    fn encode_into(&self, text: &str, ids: &mut Vec<u32>) {
        let mut spelled = String::new();
        self.split.words(text, &mut |word| {
            spelled.clear();
            for &byte in word.as_bytes() {
                if self.has_byte[usize::from(byte)] {
                    spelled.push(bytes::char_of(byte));
                } else {
                    // Neighbours of a byte without a token must not merge across it.
                    self.merge_into(&spelled, ids);
                    spelled.clear();
                }
            }
            self.merge_into(&spelled, ids);
        });
    }

    fn merge_into(&self, spelled: &str, ids: &mut Vec<u32>) {
        if spelled.is_empty() {
            return;
        }
        // Fails only where an unknown token is configured and missing; none is configured, and every character has a token.
        if let Ok(tokens) = self.bpe.tokenize(spelled) {
            ids.extend(tokens.iter().map(|token| token.id));
        }
    }

    /// The text of `tokens`: special tokens as they are spelled, bytes that are not UTF-8 as U+FFFD, ids outside the vocabulary as nothing.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut bytes = Vec::new();
        for &id in tokens {
            bytes.extend_from_slice(self.token_bytes(id));
        }
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// A decoder that takes tokens one by one and gives whole characters only.
    pub fn decode_stream(&self) -> DecodeStream<'_> {
        DecodeStream::new(self)
    }

    /// Bytes that a token stands for: its text, for a special token too. Empty for an id outside the vocabulary.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        let idx = id as usize;
        let Some(&end) = self.ends.get(idx) else {
            return &[];
        };
        let start = if idx == 0 { 0 } else { self.ends[idx - 1] };
        &self.token_bytes[start as usize..end as usize]
    }

    /// The id of the special token (control or user-defined) that is spelled `text`.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        self.special_by_text.get(text).copied()
    }

    /// The special tokens (control and user-defined) and their spellings, in no order.
    pub fn special_tokens(&self) -> impl Iterator<Item = (&str, u32)> {
        self.special_by_text.iter().map(|(text, &id)| (text.as_str(), id))
    }

    /// What a token is for; `None` outside the vocabulary.
    pub fn kind(&self, id: u32) -> Option<TokenKind> {
        self.kinds.get(id as usize).copied()
    }

    /// Beginning-of-sequence token.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// End-of-sequence token.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Every token that ends a turn: EOS, EOT, and control tokens of the names that models use for it. Sorted.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// Whether a prompt starts with BOS even if the template does not write it.
    pub fn add_bos(&self) -> bool {
        self.add_bos
    }

    /// Number of tokens, special and unused ones included.
    pub fn n_vocab(&self) -> usize {
        self.ends.len()
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("split", &self.split)
            .field("n_vocab", &self.n_vocab())
            .field("bos", &self.bos)
            .field("eos", &self.eos)
            .field("add_bos", &self.add_bos)
            .finish_non_exhaustive()
    }
}

/// The split behind a `tokenizer.ggml.pre` name, whether a word that is a token is taken without merging, and whether BOS is added
/// when the file does not say (llama.cpp `llama-vocab.cpp`, `llama_vocab::impl::load`).
fn split_named(pre: Option<&str>) -> Result<(Split, bool, bool), TokenizerError> {
    Ok(match pre.unwrap_or("default") {
        "lfm2" | "llama-bpe" | "llama3" | "llama-v3" | "falcon3" => (Split::Llama3, true, true),
        "smaug-bpe" | "dbrx" => (Split::Llama3, false, false),
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" => (Split::Qwen2, false, false),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => (Split::SmolLm, false, false),
        "gpt-2" | "gpt2" | "mpt" | "olmo" => (Split::Gpt2, false, false),
        "default" => (Split::Default, false, false),
        other => return Err(TokenizerError::UnknownPre(other.to_owned())),
    })
}

fn token_kinds(types: &[i32], n_vocab: usize) -> Result<Vec<TokenKind>, TokenizerError> {
    if types.is_empty() {
        return Ok(vec![TokenKind::Normal; n_vocab]);
    }
    if types.len() != n_vocab {
        return Err(TokenizerError::TypeCount { tokens: n_vocab, types: types.len() });
    }
    let kind = |&kind: &i32| match kind {
        2 | 3 => TokenKind::Control, // an "unknown" token is as little text as a control token
        4 => TokenKind::UserDefined,
        5 => TokenKind::Unused,
        _ => TokenKind::Normal,
    };
    Ok(types.iter().map(kind).collect())
}

/// The bytes that a normal token spells. A token with a character outside the alphabet stands for its own text.
fn push_bytes(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    for c in text.chars() {
        match bytes::byte_of(c) {
            Some(byte) => out.push(byte),
            None => {
                out.truncate(start);
                out.extend_from_slice(text.as_bytes());
                return;
            }
        }
    }
}

/// The merge tables over normal tokens alone: a merge that touches a special token is left out, so that no text can yield one.
fn build_bpe(
    tokens: Vec<String>,
    kinds: &[TokenKind],
    merges: &[String],
    ignore_merges: bool,
) -> Result<BPE, TokenizerError> {
    let mut vocab = Vocab::default();
    let mut special = std::collections::HashSet::new();
    for ((id, text), kind) in (0u32..).zip(tokens).zip(kinds) {
        if *kind == TokenKind::Normal {
            vocab.insert(text, id);
        } else {
            special.insert(text);
        }
    }
    let mut pairs = Merges::with_capacity(merges.len());
    for (rank, merge) in merges.iter().enumerate() {
        let error = || TokenizerError::Merge { rank, merge: merge.clone() };
        // The blank between the two; a first character may itself be one (llama.cpp looks from position 1 as well).
        let first = merge.chars().next().map_or(0, char::len_utf8);
        let blank = first + merge[first..].find(' ').ok_or_else(error)?;
        let (left, right) = (&merge[..blank], &merge[blank + 1..]);
        let joined = [left, right].concat();
        let known = |text: &str| vocab.contains_key(text);
        if known(left) && known(right) && known(&joined) {
            pairs.push((left.to_owned(), right.to_owned()));
        } else if ![left, right, &joined].iter().any(|text| special.contains(*text)) {
            return Err(error());
        }
    }
    BPE::builder()
        .vocab_and_merges(vocab, pairs)
        .ignore_merges(ignore_merges)
        .build()
        .map_err(|error| TokenizerError::Build(error.to_string()))
}
