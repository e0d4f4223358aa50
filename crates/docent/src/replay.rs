//! Making an answer again, from what the history says of it.
//!
//! The passages it was made from are read from the index and laid out as they were; with the same model, seed and numerics the same
//! text comes out, whatever the prefix store holds. What is not as it was is named, and then nothing is generated: an answer from
//! other documents would be another answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use docent_index::{Chunk, DocId, FileRecord, Snapshot};
use docent_infer::{Cancel, GenerateOptions};
use docent_kernels::NUMERICS_VERSION;
use docent_pack::Passage;
use docent_retrieve::Hit;

use crate::answer::{Answer, Timing};
use crate::ask::{AskEvent, AskOptions, Asked};
use crate::history::{How, Made, MadeBy, MadeFrom, Record};
use crate::models::{KvType, ModelChoice};
use crate::warm::files_in;
use crate::write::{self, Laid, Plan};
use crate::{Error, Library, Narrow, kept, quote};

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The file is another one.
    Model(PathBuf),
    /// What rounds the numbers is different: instruction set, numerics mode, version.
    Numerics {
        /// Then.
        then: String,
        /// Now.
        now: String,
    },
    /// The embedding model is another one.
    Embedding,
    /// A document has changed, or is no longer in the index.
    Source {
        /// Its file.
        path: PathBuf,
        /// It is not in the index.
        is_gone: bool,
    },
    /// The same passages make another prompt: docent's instructions or layout, or the model's template, have changed.
    Prompt,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Model(path) => write!(f, "{} is another file than then", path.display()),
            Difference::Numerics { then, now } => {
                write!(f, "numbers were rounded as {then}, and are as {now}")
            }
            Difference::Embedding => f.write_str("the embedding model is another one"),
            Difference::Source { path, is_gone: true } => {
                write!(f, "{} is no longer in the index", path.display())
            }
            Difference::Source { path, is_gone: false } => write!(f, "{} has changed", path.display()),
            Difference::Prompt => f.write_str("docent lays out the same passages differently now"),
        }
    }
}

/// What became of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// What is not as it was.
    pub differences: Vec<Difference>,
    /// The answer made again; none where something is not as it was.
    pub answer: Option<Answer>,
    /// Whether its text is that of then, to the byte.
    pub same: bool,
}

impl Library {
    /// Makes the answer of a record again.
    ///
    /// # Errors
    /// [`Error::NothingToReplay`] where nothing was found then; otherwise as [`Library::ask`].
    pub fn replay(
        &self,
        record: &Record,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<Replayed, Error> {
        let start = Instant::now();
        let made = record.made.as_ref().ok_or_else(|| Error::NothingToReplay { id: record.id.clone() })?;
        let model = self.choose_model(&ModelChoice::Named(made.model.name.clone()))?;
        let kv_type = kv_type(&made.model.kv);
        let engine = self.engine(&model, kv_type)?;
        let prefixes = self.prefixes(&engine, &mut |reading| on_event(AskEvent::Reading(reading)));
        let index = self.open_index()?;
        let options = AskOptions { kv_type, ..AskOptions::default() };
        let asked = Asked {
            question: &record.question,
            index: &index,
            hits: &[],
            model: &model,
            engine: &engine,
            prefixes: prefixes.as_ref(),
            options: &options,
        };
        let snapshot = index.snapshot()?;
        let mut differences = made.model.differences(&MadeBy::now(&asked));
        let (sources, changed) = Sources::find(&snapshot, &made.passages)?;
        differences.extend(changed);
        let answer = match &made.how {
            _ if !differences.is_empty() => None,
            How::Quoted { embedding } => {
                let embedder = self.embedder()?;
                if embedder.fingerprint() != embedding {
                    differences.push(Difference::Embedding);
                    None
                } else {
                    let hits = sources.hits(&snapshot, made)?;
                    Some(quote::answer(&Asked { hits: &hits, ..asked }, None, &embedder, cancel, on_event)?)
                }
            }
            How::Written { sampling, max_tokens, max_thinking, prompt_hash } => {
                let brief = Plan::new(&model, &options, None).brief;
                let packed = write::repack(
                    &engine,
                    brief,
                    &record.question,
                    &sources.passages(&snapshot, &made.passages)?,
                )?;
                if write::prompt_hash(&packed) != *prompt_hash {
                    differences.push(Difference::Prompt);
                    None
                } else {
                    let generation = GenerateOptions {
                        sampling: sampling.clone(),
                        max_tokens: *max_tokens,
                        max_thinking: *max_thinking,
                        ..model.generation()
                    };
                    let files: Vec<FileRecord> = sources.files.into_values().collect();
                    let owners = kept::owners(&self.settings, &packed, &files);
                    let laid = Laid { packed: &packed, owners: &owners, session: &mut engine.session() };
                    Some(write::from_prompt(&asked, laid, &generation, cancel, on_event)?)
                }
            }
        };
        let timed = |answer: Answer| {
            let timing = Timing { total_s: start.elapsed().as_secs_f64(), ..answer.timing };
            Answer { timing, ..answer }
        };
        let answer = answer.map(timed);
        let same = answer.as_ref().is_some_and(|answer| answer.answer == record.answer.answer);
        Ok(Replayed { differences, answer, same })
    }
}

/// The files an answer was made from, as they are in the index.
pub(crate) struct Sources {
    files: HashMap<PathBuf, FileRecord>,
}

impl Sources {
    /// Those that are as they were, and what became of the others.
    pub(crate) fn find(snapshot: &Snapshot<'_>, from: &[MadeFrom]) -> Result<(Self, Vec<Difference>), Error> {
        let all = Narrow::default().filter(&[PathBuf::from("/")]);
        let known: HashMap<PathBuf, FileRecord> =
            files_in(snapshot, &all)?.into_iter().map(|file| (file.stat.path.clone(), file)).collect();
        let mut files = HashMap::new();
        let mut differences: Vec<Difference> = Vec::new();
        for MadeFrom { path, hash, .. } in from {
            let now = known.get(path);
            let hash_now = now
                .and_then(|file| file.hash.as_ref())
                .map(|hash| blake3::Hash::from_bytes(*hash).to_string());
            match now {
                Some(file) if hash_now == *hash => drop(files.insert(path.clone(), file.clone())),
                _ => {
                    let difference = Difference::Source { path: path.clone(), is_gone: now.is_none() };
                    if !differences.contains(&difference) {
                        differences.push(difference);
                    }
                }
            }
        }
        Ok((Self { files }, differences))
    }

    /// The passages as they were packed.
    pub(crate) fn passages(&self, snapshot: &Snapshot<'_>, from: &[MadeFrom]) -> Result<Vec<Passage>, Error> {
        let mut texts: HashMap<DocId, String> = HashMap::new();
        let mut passages = Vec::with_capacity(from.len());
        for from in from {
            let Some(file) = self.files.get(&from.path) else { continue };
            let text = match texts.entry(file.id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(snapshot.document(file.id)?.text),
            };
            let span = from.byte_start..from.byte_end;
            passages.push(Passage {
                document: file.id.0,
                name: write::name(&from.path),
                heading_path: from.heading_path.clone(),
                text: text.get(span.clone()).unwrap_or_default().to_owned(),
                span,
                rank: from.rank,
            });
        }
        Ok(passages)
    }

    /// The passages as they were found.
    fn hits(&self, snapshot: &Snapshot<'_>, made: &Made) -> Result<Vec<Hit>, Error> {
        let mut hits = Vec::with_capacity(made.passages.len());
        for from in &made.passages {
            if let Some(chunk) = self.chunk(snapshot, from)? {
                hits.push(Hit {
                    chunk,
                    source: 0,
                    score: from.score,
                    lexical_rank: None,
                    vector_rank: None,
                    lexical_score: None,
                    vector_score: from.cosine,
                    rerank_score: None,
                });
            }
        }
        Ok(hits)
    }

    fn chunk(&self, snapshot: &Snapshot<'_>, from: &MadeFrom) -> Result<Option<Chunk>, Error> {
        let Some(file) = self.files.get(&from.path) else { return Ok(None) };
        let span = from.byte_start..from.byte_end;
        let chunks = snapshot.chunks_of(file.id)?;
        let found = chunks.iter().find(|(_, chunk)| *chunk == span);
        found.map(|(id, _)| snapshot.chunk(*id)).transpose().map_err(Error::from)
    }
}

impl MadeBy {
    /// The model that answers now.
    pub(crate) fn now(asked: &Asked) -> Self {
        let kernels = asked.engine.model().kernels();
        Self {
            name: asked.model.to_choose(),
            bytes: std::fs::metadata(&asked.model.path).map_or(0, |metadata| metadata.len()),
            hash: asked.prefixes.map(|prefixes| blake3::Hash::from_bytes(*prefixes.weights()).to_string()),
            kv: format!("{:?}", asked.options.kv_type),
            numerics: format!("{:?} {NUMERICS_VERSION} {:?}", kernels.settings().numerics, kernels.isa()),
        }
    }

    /// What of `now` is not as it was. Where a hash was not taken, the length must do.
    fn differences(&self, now: &Self) -> Vec<Difference> {
        let hashes_differ = self.hash.is_some() && now.hash.is_some() && self.hash != now.hash;
        let model =
            (self.bytes != now.bytes || hashes_differ).then(|| Difference::Model(now.name.clone().into()));
        let numerics = (self.numerics != now.numerics)
            .then(|| Difference::Numerics { then: self.numerics.clone(), now: now.numerics.clone() });
        model.into_iter().chain(numerics).collect()
    }
}

fn kv_type(name: &str) -> KvType {
    [KvType::F32, KvType::Q8_0].into_iter().find(|kv| format!("{kv:?}") == name).unwrap_or(KvType::F16)
}
