//! Searching: which collections, with which models, and what the hits come with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use docent_embed::{CrossEncoder, Embedder};
use docent_index::{EmbeddingSpec, Index, Snapshot};
use docent_ingest::embedding_text;
use docent_models::{ModelKind, find};
use docent_retrieve::rerank::CANDIDATES;
use docent_retrieve::{Background, Hit, InContext, Source};

use crate::library::{EMBEDDING_SETTING, absolute};
use crate::models::EMBEDDING_MODEL;
use crate::{Error, Library, Narrow};

/// Which rankings a search uses.
pub use docent_retrieve::Mode as SearchMode;

/// The setting of an index that names the model which reads its best candidates again.
const RERANKING_SETTING: &str = "reranking_model";
/// What that setting says where there is none.
const NO_RERANKING: &str = "none";

/// Whether a model reads question and passage together and puts the best candidates in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Rerank {
    /// As the collection is set; of several, as the first that is.
    #[default]
    AsSet,
    /// No.
    Off,
    /// By this model: a name in the catalogue, or a folder with a cross-encoder's `config.json`, `tokenizer.json` and
    /// `model.safetensors`.
    With(String),
}

impl Rerank {
    /// From a name, a folder, or `none`.
    pub fn named(name: &str) -> Self {
        if name == NO_RERANKING { Rerank::Off } else { Rerank::With(name.to_owned()) }
    }
}

/// How to search.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// How many passages.
    pub k: usize,
    /// Only files at or below these paths; empty means everything that was added.
    pub within: Vec<PathBuf>,
    /// Only these of them.
    pub narrow: Narrow,
    /// Which rankings.
    pub mode: SearchMode,
    /// The collections to look in, `None` being the one without a name; none at all: the library's own.
    pub collections: Vec<Option<String>>,
    /// Whether the best candidates are read again.
    pub rerank: Rerank,
    /// Neighbouring passages to show before and after each hit.
    pub context: usize,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            k: 10,
            within: Vec::new(),
            narrow: Narrow::default(),
            mode: SearchMode::Hybrid,
            collections: Vec::new(),
            rerank: Rerank::AsSet,
            context: 0,
        }
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Best first.
    pub hits: Vec<FoundHit>,
    /// What reading the best candidates again took, if that was done.
    pub reranked: Option<Reranked>,
}

/// A hit, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundHit {
    /// The collection it is from.
    pub collection: Option<String>,
    /// The hit.
    pub hit: Hit,
    /// What stands around it, where [`SearchOptions::context`] asks for it.
    pub around: Option<Around>,
}

/// The stretch of a document that a hit stands in.
#[derive(Debug, Clone, PartialEq)]
pub struct Around {
    /// In bytes of the document's text.
    pub span: std::ops::Range<usize>,
    /// Its first and last line, from 1.
    pub lines: (u32, u32),
    /// Exactly the text at `span`.
    pub text: String,
    /// Other hits in it, best first; they are not listed by themselves.
    pub others: Vec<Hit>,
}

/// The second stage of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Reranked {
    /// Name of the model, or its folder.
    pub model: String,
    /// Passages it read.
    pub n_passages: usize,
    /// Seconds it took to open it; next to nothing when it was open.
    pub load_s: f64,
    /// Seconds it read.
    pub seconds: f64,
}

/// Texts that have nothing to do with a question, as a rule: what a model gives them says what its cosines mean. Only looked at where
/// collections of several models are searched together.
const UNRELATED: [&str; 16] = [
    "The ferry to the island leaves twice a day in winter.",
    "Beat the egg whites until stiff and fold in the sugar.",
    "def parse(line): return line.split(',')",
    "The parliament adopted the budget with a narrow majority.",
    "Photosynthesis turns light into chemical energy.",
    "She tuned the violin before the concert began.",
    "Interest on the loan is paid every quarter.",
    "The goalkeeper saved the penalty in the last minute.",
    "Granite forms when magma cools slowly underground.",
    "Reset the router by holding the button for ten seconds.",
    "The patient was given antibiotics for a week.",
    "Roman roads were built in straight lines.",
    "Prune apple trees before the buds open.",
    "The tenant shall give three months' notice.",
    "Let x be a real number greater than zero.",
    "Our flight was delayed because of fog.",
];

impl Library {
    /// The passages that match `query` best.
    ///
    /// Of several collections each is searched with its own embedding model, and what they find is brought to one scale:
    /// `docent_retrieve` tells how.
    ///
    /// # Errors
    /// [`Error::Empty`] before anything was indexed, [`Error::NoCollection`]; a missing embedding model unless the search is lexical;
    /// a missing model for the second stage where one is asked for.
    pub fn search(&self, query: &str, options: &SearchOptions) -> Result<Found, Error> {
        let names = self.searched(options);
        let indexes = names.iter().map(|name| self.open_collection(name)).collect::<Result<Vec<_>, _>>()?;
        let snapshots = indexes.iter().map(|index| index.snapshot()).collect::<Result<Vec<_>, _>>()?;
        let (hits, reranked) = self.ranked(&names, &snapshots, query, options)?;
        let with_name = |hit: Hit, around| FoundHit { collection: names[hit.source].clone(), hit, around };
        if options.context == 0 {
            let hits = hits.into_iter().map(|hit| with_name(hit, None)).collect();
            return Ok(Found { hits, reranked });
        }
        let in_context = docent_retrieve::in_context(hits, &snapshots, options.context)?;
        let hits = in_context.into_iter().map(|InContext { hit, others, span, lines, text }| {
            with_name(hit, Some(Around { span, lines, text, others }))
        });
        Ok(Found { hits: hits.collect(), reranked })
    }

    /// The hits of one index that is open already.
    pub(crate) fn search_in(
        &self,
        index: &Index,
        query: &str,
        options: &SearchOptions,
    ) -> Result<Vec<Hit>, Error> {
        let own = [self.settings().collection.clone()];
        Ok(self.ranked(&own, &[index.snapshot()?], query, options)?.0)
    }

    /// Names of the models that a search would use and that are in the catalogue: to see whether they are here before it begins.
    ///
    /// # Errors
    /// [`Error::NoCollection`], or an index that cannot be read.
    pub fn models_for(&self, options: &SearchOptions) -> Result<Vec<String>, Error> {
        let names = self.searched(options);
        let mut models = Vec::new();
        for name in &names {
            if options.mode != SearchMode::Lexical {
                models.push(self.embedding_model_of(name)?);
            }
        }
        models.extend(self.reranking_model(&names, &options.rerank)?.filter(|name| find(name).is_ok()));
        let mut seen = std::collections::HashSet::new();
        models.retain(|name| seen.insert(name.clone()));
        Ok(models)
    }

    fn searched(&self, options: &SearchOptions) -> Vec<Option<String>> {
        if options.collections.is_empty() {
            return vec![self.settings().collection.clone()];
        }
        let mut names: Vec<Option<String>> = Vec::new();
        for name in &options.collections {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The ranking over all of `snapshots`, with the second stage where that is wanted.
    fn ranked(
        &self,
        names: &[Option<String>],
        snapshots: &[Snapshot<'_>],
        query: &str,
        options: &SearchOptions,
    ) -> Result<(Vec<Hit>, Option<Reranked>), Error> {
        let opening = Instant::now();
        let reader = match self.reranking_model(names, &options.rerank)? {
            Some(model) => Some((self.cross_encoder(&model)?, model)),
            None => None,
        };
        let load_s = opening.elapsed().as_secs_f64();
        let questions = match options.mode {
            SearchMode::Lexical => vec![None; names.len()],
            SearchMode::Hybrid | SearchMode::Vector => self.questions(names, snapshots, query)?,
        };
        let sources: Vec<Source<'_>> = snapshots
            .iter()
            .zip(&questions)
            .map(|(snapshot, question)| Source {
                snapshot,
                query_vector: question.as_ref().map(|question| &question.vector[..]),
                background: question.as_ref().map(|question| question.background).unwrap_or_default(),
            })
            .collect();
        let n_candidates = if reader.is_some() { options.k.max(CANDIDATES) } else { options.k };
        let filter = options.narrow.filter(&options.within);
        let search = docent_retrieve::SearchOptions { k: n_candidates, filter, mode: options.mode };
        let hits = docent_retrieve::search_all(&sources, query, &search)?;
        let Some((reader, model)) = reader else { return Ok((hits, None)) };
        let reading = Instant::now();
        let n_passages = hits.len().min(CANDIDATES);
        let hits = docent_retrieve::rerank(hits, options.k, &|hits| scores(&reader, query, hits))?;
        let seconds = reading.elapsed().as_secs_f64();
        Ok((hits, Some(Reranked { model, n_passages, load_s, seconds })))
    }

    /// The question as each collection's model sees it.
    fn questions(
        &self,
        names: &[Option<String>],
        snapshots: &[Snapshot<'_>],
        query: &str,
    ) -> Result<Vec<Option<Question>>, Error> {
        let models = names.iter().map(|name| self.embedding_model_of(name)).collect::<Result<Vec<_>, _>>()?;
        let is_one_model = models.iter().all(|model| *model == models[0]);
        let mut questions = Vec::with_capacity(names.len());
        for (model, snapshot) in models.iter().zip(snapshots) {
            let embedder = self.embedder_named(model)?;
            // Numbers of two models can be multiplied, but they mean nothing.
            let is_other = |spec: &EmbeddingSpec| spec.fingerprint != embedder.fingerprint();
            if snapshot.embedding().is_some_and(is_other) {
                return Err(Error::OtherVectors { name: model.clone() });
            }
            let vector = embedder.embed_queries(&[query])?.pop().unwrap_or_default();
            let background = match is_one_model {
                true => Background::default(),
                false => background(&embedder, &vector)?,
            };
            questions.push(Some(Question { vector, background }));
        }
        Ok(questions)
    }

    fn embedding_model_of(&self, name: &Option<String>) -> Result<String, Error> {
        if *name == self.settings().collection {
            return self.embedding_model();
        }
        let setting = self.open_collection(name)?.setting(EMBEDDING_SETTING)?;
        Ok(setting.unwrap_or_else(|| EMBEDDING_MODEL.to_owned()))
    }

    /// The model that reads the best candidates again; none if none does.
    fn reranking_model(&self, names: &[Option<String>], rerank: &Rerank) -> Result<Option<String>, Error> {
        match rerank {
            Rerank::Off => Ok(None),
            Rerank::With(name) => Ok(Some(name.clone())),
            Rerank::AsSet => {
                for name in names {
                    let setting = match self.open_collection(name) {
                        Ok(index) => reranking_of(&index)?,
                        Err(Error::Empty) => None,
                        Err(error) => return Err(error),
                    };
                    if setting.is_some() {
                        return Ok(setting);
                    }
                }
                Ok(None)
            }
        }
    }

    /// The collection's model for the second stage from now on; written by the next addition or update.
    ///
    /// # Errors
    /// A model that is not here or is for something else.
    pub fn use_reranking(&mut self, rerank: &Rerank) -> Result<(), Error> {
        self.settings.reranking = match rerank {
            Rerank::AsSet => None,
            Rerank::Off => Some(NO_RERANKING.to_owned()),
            Rerank::With(name) => {
                self.cross_encoder(name)?; // now, and not when the next question is asked
                let is_named = find(name).is_ok();
                let folder = absolute(Path::new(name)).to_string_lossy().into_owned();
                Some(if is_named { name.clone() } else { folder })
            }
        };
        Ok(())
    }

    /// What [`use_reranking`](Self::use_reranking) said, if the index says otherwise so far: name and value of the setting.
    pub(crate) fn new_reranking(&self) -> Result<Option<(&'static str, &str)>, Error> {
        let Some(wanted) = &self.settings.reranking else { return Ok(None) };
        let present = self.open_index()?.setting(RERANKING_SETTING)?;
        Ok((present.as_ref() != Some(wanted)).then_some((RERANKING_SETTING, wanted)))
    }

    fn cross_encoder_folder(&self, name: &str) -> Result<PathBuf, Error> {
        let located = self.models().locate(name)?;
        match located.entry {
            Some(entry) if entry.kind != ModelKind::Reranking => {
                Err(Error::NotAReranker { name: entry.name.to_owned() })
            }
            _ => Ok(located.path),
        }
    }

    /// The model of the second stage, opened at the first call.
    pub(crate) fn cross_encoder(&self, name: &str) -> Result<Arc<CrossEncoder>, Error> {
        let mut slot = self.cross_encoder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, model)) = slot.as_ref().filter(|(known, _)| known == name) {
            return Ok(model.clone());
        }
        let folder = self.cross_encoder_folder(name)?;
        let model = Arc::new(CrossEncoder::open(&folder, self.settings().n_threads)?);
        *slot = Some((name.to_owned(), model.clone()));
        Ok(model)
    }
}

/// The model that reads the best candidates of every search in an index again, if one does.
pub(crate) fn reranking_of(index: &Index) -> Result<Option<String>, Error> {
    Ok(index.setting(RERANKING_SETTING)?.filter(|model| model != NO_RERANKING))
}

/// A question as a collection's model sees it.
#[derive(Debug, Clone)]
struct Question {
    vector: Vec<f32>,
    background: Background,
}

/// What the second stage reads of each hit: what is embedded of it, too.
fn scores(reader: &CrossEncoder, query: &str, hits: &[Hit]) -> Result<Vec<f32>, String> {
    let texts: Vec<String> = hits
        .iter()
        .map(|hit| embedding_text(hit.chunk.title.as_deref(), &hit.chunk.heading_path, &hit.chunk.text))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    reader.scores(query, &texts).map_err(|error| error.to_string())
}

/// The cosines of a question, and of texts of all sorts with each other, by one model.
fn background(embedder: &Embedder, question: &[f32]) -> Result<Background, Error> {
    let texts = embedder.embed(&UNRELATED)?;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let mean = |all: &[f32]| all.iter().sum::<f32>() / all.len().max(1) as f32;
    let with_question: Vec<f32> = texts.iter().map(|text| dot(text, question)).collect();
    let mut pairs = Vec::new();
    for (i, a) in texts.iter().enumerate() {
        pairs.extend(texts[..i].iter().map(|b| dot(a, b)));
    }
    // The spread is the model's, which many pairs tell better than a single question's few.
    let of_pairs = mean(&pairs);
    let squares: Vec<f32> = pairs.iter().map(|cosine| (cosine - of_pairs).powi(2)).collect();
    Ok(Background { mean: mean(&with_question), deviation: mean(&squares).sqrt().max(1e-4) })
}
