//! What an answer would read, and why, without running the model.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;

use docent_infer::Reading;
use docent_pack::{Packed, PackedPassage, Reason};
use docent_retrieve::Hit;
use serde::Serialize;

use crate::answer::Place;
use crate::ask::{AskOptions, Asked};
use crate::locate::Locator;
use crate::warm::files_in;
use crate::write::{self, Plan};
use crate::{Error, Library};

/// What would be read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Packing {
    /// The model that would read it.
    pub model: String,
    /// The most tokens of evidence.
    pub budget: usize,
    /// Tokens of the whole prompt.
    pub prompt_tokens: usize,
    /// Those of them that are kept.
    pub cached_tokens: usize,
    /// Seconds that reading the others will take, if enough was read before to say.
    pub estimate_s: Option<f64>,
    /// Seconds it took to find and pack.
    pub retrieve_s: f64,
    /// The passages, as they would stand in the prompt.
    pub passages: Vec<PackedPlace>,
    /// What was found and would not be read, best first.
    pub left_out: Vec<LeftOutPlace>,
}

/// A passage in the prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackedPlace {
    /// The number it would be cited by.
    pub n: usize,
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Its tokens, its label not counted.
    pub tokens: usize,
    /// Those of them that are kept.
    pub cached_tokens: usize,
    /// Why it is there.
    pub why: Why,
    /// Place of the best of what it holds in the search, from 1.
    pub rank: Option<usize>,
}

/// Why a passage is in the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The search found it.
    Found,
    /// Its document is read whole, or the section of it around what was found.
    Around,
    /// It was read before and costs nothing.
    Kept,
}

/// A passage that was found and is not in the prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeftOutPlace {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Place in the search, from 1; none for what was only around something found.
    pub rank: Option<usize>,
    /// `over_budget`: better ones filled the budget; `repeated`: its text stands in a better one.
    pub reason: &'static str,
}

/// The tokens of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptTokens {
    /// All of them.
    pub tokens: Vec<u32>,
    /// Where the documents stand.
    pub documents: Range<usize>,
    /// Places of the tokens that are the template's or otherwise special.
    pub special: Vec<usize>,
}

impl Library {
    /// What [`Library::ask`] would read for `question`.
    ///
    /// # Errors
    /// As [`Library::ask`]; [`Error::NothingToPack`] where the model quotes, and so reads sentences only.
    pub fn packing(
        &self,
        question: &str,
        options: &AskOptions,
        on_event: &mut dyn FnMut(Reading),
    ) -> Result<Packing, Error> {
        let start = Instant::now();
        self.packed(question, options, on_event, &mut |asked, packed, plan| {
            let retrieve_s = start.elapsed().as_secs_f64();
            // The last token is always computed: its logits are what the answer begins with.
            let readable = &packed.tokens[..packed.tokens.len().saturating_sub(1)];
            let cached_tokens =
                asked.prefixes.map_or(0, |prefixes| prefixes.n_cached(asked.engine.model(), readable));
            let n_new = packed.tokens.len() - cached_tokens;
            let mut locator = Locator::new(asked.index);
            Ok(Packing {
                model: asked.model.name.clone(),
                budget: plan.budget.evidence,
                prompt_tokens: packed.tokens.len(),
                cached_tokens,
                estimate_s: asked.prefixes.and_then(|prefixes| prefixes.estimate(cached_tokens, n_new)),
                retrieve_s,
                passages: packed_places(packed, asked.hits, cached_tokens, &mut locator)?,
                left_out: left_out_places(packed, asked.hits, &mut locator)?,
            })
        })
    }

    /// The tokens that [`Library::ask`] would read for `question`.
    ///
    /// # Errors
    /// As [`Library::packing`].
    pub fn prompt(
        &self,
        question: &str,
        options: &AskOptions,
        on_event: &mut dyn FnMut(Reading),
    ) -> Result<PromptTokens, Error> {
        self.packed(question, options, on_event, &mut |asked, packed, _| {
            let tokenizer = asked.engine.model().tokenizer();
            let special: HashSet<u32> = tokenizer.special_tokens().map(|(_, id)| id).collect();
            let is_special = |(_, token): &(usize, &u32)| special.contains(*token);
            Ok(PromptTokens {
                documents: packed.documents_start..packed.documents_end,
                special: packed.tokens.iter().enumerate().filter(is_special).map(|(at, _)| at).collect(),
                tokens: packed.tokens.clone(),
            })
        })
    }

    /// Packs as for an answer, and gives `with` what there is.
    fn packed<T>(
        &self,
        question: &str,
        options: &AskOptions,
        on_event: &mut dyn FnMut(Reading),
        with: &mut dyn FnMut(&Asked, &Packed, &Plan) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let model = self.choose_model(&options.model)?;
        if options.style.quotes(&model) {
            return Err(Error::NothingToPack { name: model.name });
        }
        let index = self.open_index()?;
        let hits = self.search_in(&index, question, &options.candidates())?;
        let engine = self.engine(&model, options.kv_type)?;
        let prefixes = self.prefixes(&engine, on_event);
        let asked = Asked {
            question,
            index: &index,
            hits: &hits,
            model: &model,
            engine: &engine,
            prefixes: prefixes.as_ref(),
            options,
        };
        let plan = Plan::new(&model, options, prefixes.as_ref());
        let files = files_in(&index.snapshot()?, &options.narrow.filter(&options.within))?;
        let packed = write::pack_prompt(self, &asked, &plan, &files)?;
        with(&asked, &packed, &plan)
    }
}

fn packed_places(
    packed: &Packed,
    hits: &[Hit],
    n_cached: usize,
    locator: &mut Locator<'_>,
) -> Result<Vec<PackedPlace>, Error> {
    let place = |PackedPassage { number, passage, tokens }: &PackedPassage| {
        let cached_tokens = n_cached.clamp(tokens.start, tokens.end) - tokens.start;
        let rank = hits.iter().position(|hit| {
            let chunk = &hit.chunk;
            let is_inside = chunk.doc.0 == passage.document
                && passage.span.start <= chunk.span.start
                && chunk.span.end <= passage.span.end;
            is_inside || passage.text.contains(chunk.text.trim())
        });
        let why = match rank {
            Some(_) => Why::Found,
            None if cached_tokens == tokens.len() => Why::Kept,
            None => Why::Around,
        };
        let document = docent_index::DocId(passage.document);
        Ok(PackedPlace {
            n: *number,
            place: locator.place(document, passage.span.clone(), passage.heading_path.clone())?,
            tokens: tokens.len(),
            cached_tokens,
            why,
            rank: rank.map(|rank| rank + 1),
        })
    };
    packed.passages.iter().map(place).collect()
}

fn left_out_places(
    packed: &Packed,
    hits: &[Hit],
    locator: &mut Locator<'_>,
) -> Result<Vec<LeftOutPlace>, Error> {
    let place = |left_out: &docent_pack::LeftOut| {
        let passage = &left_out.passage;
        let is_it = |hit: &Hit| hit.chunk.doc.0 == passage.document && hit.chunk.span == passage.span;
        let document = docent_index::DocId(passage.document);
        Ok(LeftOutPlace {
            place: locator.place(document, passage.span.clone(), passage.heading_path.clone())?,
            rank: hits.iter().position(is_it).map(|rank| rank + 1),
            reason: match left_out.reason {
                Reason::OverBudget => "over_budget",
                Reason::Repeated => "repeated",
            },
        })
    };
    packed.left_out.iter().map(place).collect()
}
