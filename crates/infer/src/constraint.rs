//! Answers that are JSON of a given schema, by construction: tokens that would leave the grammar are never drawn.
//!
//! The grammar work is `llguidance`'s (Earley parser over a trie of the vocabulary; its authors give 50 µs a token for a vocabulary of
//! 128,000). The trie is built once for an engine. Blanks are fixed (`", "` and `": "`), since a model that may write any number of
//! them sometimes writes nothing else.
//!
//! Thinking comes before the grammar: a model whose vocabulary has a `<think>` token may open with it, and is free until `</think>`.

use std::sync::{Arc, OnceLock};

use docent_lm::tokenizer::{TokenKind, Tokenizer};
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};

use crate::InferError;

/// What all constraints of one vocabulary share; filled when the first one is made.
#[derive(Clone, Default)]
pub(crate) struct Grammars(Arc<OnceLock<Result<ParserFactory, String>>>);

impl std::fmt::Debug for Grammars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grammars").finish_non_exhaustive()
    }
}

impl Grammars {
    /// A constraint to JSON of `schema`.
    pub(crate) fn json(&self, tokenizer: &Tokenizer, schema: &Value) -> Result<Constraint, InferError> {
        let factory = self.0.get_or_init(|| factory(tokenizer)).as_ref();
        let factory = factory.map_err(|what| InferError::Schema(what.clone()))?;
        let mut schema = schema.clone();
        let Some(fields) = schema.as_object_mut() else {
            return Err(InferError::Schema("a schema is a JSON object".to_owned()));
        };
        fields.insert(
            "x-guidance".to_owned(),
            json!({ "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": " }),
        );
        let parser = factory
            .create_parser(TopLevelGrammar::from_json_schema(schema))
            .map_err(|error| InferError::Schema(error.to_string()))?;
        Ok(Constraint { matcher: Matcher::new(Ok(parser)), think: tokenizer.token_id("<think>") })
    }
}

fn factory(tokenizer: &Tokenizer) -> Result<ParserFactory, String> {
    let n_vocab = u32::try_from(tokenizer.n_vocab()).map_err(|error| error.to_string())?;
    let eos = tokenizer.eos().or_else(|| tokenizer.stop_ids().first().copied());
    let eos = eos.ok_or("the model has no token that ends an answer")?;
    // Only ordinary text may be drawn. An empty word is never allowed; 0xff is the trie's own mark, and no part of UTF-8.
    let word = |id: u32| match tokenizer.kind(id) {
        Some(TokenKind::Normal) if !tokenizer.token_bytes(id).contains(&0xff) => {
            tokenizer.token_bytes(id).to_vec()
        }
        _ => Vec::new(),
    };
    let words: Vec<Vec<u8>> = (0..n_vocab).map(word).collect();
    let trie = TokTrie::from(&TokRxInfo::new(n_vocab, eos), &words);
    let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let mut factory = ParserFactory::new_simple(&environment).map_err(|error| error.to_string())?;
    factory.quiet();
    Ok(factory)
}

/// Where one answer stands in its grammar.
pub(crate) struct Constraint {
    matcher: Matcher,
    think: Option<u32>,
}

impl Constraint {
    /// Whether the answer is complete: nothing may follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped() && !self.matcher.is_error()
    }

    /// Takes from `logits` every token that may not come next. `may_think`: nothing was written yet.
    pub(crate) fn mask(&mut self, logits: &mut [f32], may_think: bool) -> Result<(), InferError> {
        let think = self.think.filter(|_| may_think);
        let mask =
            self.matcher.compute_mask_or_eos().map_err(|error| InferError::Schema(error.to_string()))?;
        for (token, logit) in (0u32..).zip(logits.iter_mut()) {
            if !mask.is_allowed(token) && think != Some(token) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Takes note of a token of the answer.
    pub(crate) fn accept(&mut self, token: u32) -> Result<(), InferError> {
        self.matcher.consume_token(token).map_err(|error| InferError::Schema(error.to_string()))
    }
}
