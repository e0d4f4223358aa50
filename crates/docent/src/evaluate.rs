//! Measuring search on a test collection.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use docent_index::EmbeddingSpec;
use docent_infer::Cancel;
use docent_retrieve::beir::Collection;
use docent_retrieve::evaluation::{self, Embedding, Evaluation};

use crate::{Error, Library, SearchMode};

/// Questions that are embedded one by one to tell what a question's embedding takes.
const EMBEDDED_ALONE: usize = 32;

/// How well and how fast a mode of search finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// Measures, rankings and the time of a search without the embedding of its question.
    pub report: evaluation::Report,
    /// Milliseconds that the embedding of one question takes: the median of some. 0 where none is needed.
    pub embed_ms: f64,
}

/// The language of most documents: what those are taken for whose own cannot be told, short ones and program text.
fn commonest_language(collection: &Collection) -> Option<&'static str> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for document in &collection.documents {
        if let Some(language) = docent_ingest::language_of_text(&document.text) {
            *counts.entry(language).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|(_, n)| *n).map(|(language, _)| language)
}

/// How fast texts became vectors, once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmbeddingRun {
    /// Tokens the model read, the first and the last of every text included.
    pub n_tokens: usize,
    /// Seconds from texts to vectors.
    pub seconds: f64,
}

impl Library {
    /// Embeds `texts` once for warming and then `n_repeats` times, and says how long each time took.
    ///
    /// # Errors
    /// A missing embedding model.
    pub fn time_embedding(&self, texts: &[&str], n_repeats: usize) -> Result<Vec<EmbeddingRun>, Error> {
        let embedder = self.embedder()?;
        let tokens_of = |text: &&str| embedder.count_tokens(text).min(embedder.max_tokens()) + 2;
        let n_tokens = texts.iter().map(tokens_of).sum();
        embedder.embed(&texts[..texts.len().min(64)])?;
        (0..n_repeats)
            .map(|_| {
                let start = Instant::now();
                embedder.embed(texts)?;
                Ok(EmbeddingRun { n_tokens, seconds: start.elapsed().as_secs_f64() })
            })
            .collect()
    }

    /// Measures a mode of search on the test collection in the folder `dir` (BEIR's layout: `corpus.jsonl`, `queries.jsonl`,
    /// `qrels.tsv`). Its index lies among the caches, apart from the library's own; what was embedded once is not
    /// embedded again. With `reranking`, a model's name or folder, the best candidates are read again by it.
    ///
    /// # Errors
    /// A folder that is no collection; a missing embedding model unless the mode is lexical; a missing model for the second stage;
    /// `docent_retrieve::RetrieveError::Cancelled` when `cancel` was raised.
    pub fn evaluate(
        &self,
        dir: &Path,
        mode: SearchMode,
        reranking: Option<&str>,
        cancel: &Cancel,
        progress: &mut dyn FnMut(evaluation::Progress),
    ) -> Result<Evaluated, Error> {
        let collection = Collection::read(dir)?;
        let embedder = match mode {
            SearchMode::Lexical => None,
            SearchMode::Hybrid | SearchMode::Vector => Some(self.embedder()?),
        };
        let embed = |texts: &[&str]| -> Result<Vec<Vec<f32>>, String> {
            let Some(embedder) = &embedder else { return Ok(Vec::new()) };
            embedder.embed(texts).map_err(|error| error.to_string())
        };
        let embed_queries = |texts: &[&str]| -> Result<Vec<Vec<f32>>, String> {
            let Some(embedder) = &embedder else { return Ok(Vec::new()) };
            embedder.embed_queries(texts).map_err(|error| error.to_string())
        };
        let embedding = embedder.as_ref().map(|embedder| {
            let spec = EmbeddingSpec { fingerprint: embedder.fingerprint().to_owned(), dim: embedder.dim() };
            Embedding { spec, embed: &embed, embed_queries: &embed_queries }
        });
        let reader = reranking.map(|name| self.cross_encoder(name)).transpose()?;
        let scores = |question: &str, texts: &[&str]| -> Result<Vec<f32>, String> {
            let Some(reader) = &reader else { return Ok(vec![0.0; texts.len()]) };
            reader.scores(question, texts).map_err(|error| error.to_string())
        };
        let commonest = commonest_language(&collection);
        let place = blake3::hash(crate::library::absolute(dir).as_os_str().as_encoded_bytes());
        let evaluation = Evaluation {
            collection: &collection,
            index_dir: &self.settings().evaluation_dir().join(&place.to_hex()[..16]),
            embedding: embedding.as_ref(),
            language: &|text| docent_ingest::language_of_text(text).or(commonest).map(str::to_owned),
            mode,
            second_stage: reader.is_some().then_some(&scores),
        };
        let report = evaluation::evaluate(&evaluation, &mut |event| {
            progress(event);
            !cancel.is_cancelled()
        })?;
        let mut times = Vec::new();
        if let Some(embedder) = &embedder {
            for query in collection.queries.iter().take(EMBEDDED_ALONE) {
                let start = Instant::now();
                embedder.embed_queries(&[&query.text])?;
                times.push(start.elapsed().as_secs_f64() * 1000.0);
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(Evaluated { report, embed_ms: times.get(times.len() / 2).copied().unwrap_or(0.0) })
    }
}
