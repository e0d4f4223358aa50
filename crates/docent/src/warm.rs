//! Reading a folder ahead of time: its packed context is computed and kept, block by block.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use docent_index::{Fate, FileRecord, Filter, Snapshot};
use docent_infer::{Cancel, Engine, InferError, Prompt, Reading, SyncEvent};
use docent_lm::LmError;
use docent_pack::Packed;
use docent_prefix::Written;
use docent_retrieve::Hit;

use crate::ask::{AskOptions, Evidence, SMALL_BUDGET};
use crate::models::{KvType, ModelChoice};
use crate::{Error, Library, Narrow, kept, write};

/// A token of text has more bytes than this only in text that nobody writes; whatever is larger cannot fit a budget.
const MOST_BYTES_PER_TOKEN: u64 = 16;

/// What to read ahead.
#[derive(Debug, Clone)]
pub struct WarmOptions {
    /// Only files at or below these paths; empty means everything that was added.
    pub within: Vec<PathBuf>,
    /// Which model will answer.
    pub model: ModelChoice,
    /// How keys and values are kept.
    pub kv_type: KvType,
    /// The most tokens of evidence; what suits the model if none. Questions must be asked with the same.
    pub budget: Option<usize>,
}

impl Default for WarmOptions {
    fn default() -> Self {
        Self { within: Vec::new(), model: ModelChoice::Best, kv_type: KvType::F16, budget: None }
    }
}

/// What was read ahead.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Warmed {
    /// Documents.
    pub n_documents: usize,
    /// Tokens of instructions and documents.
    pub n_tokens: usize,
    /// Those that were kept before.
    pub n_cached: usize,
    /// Those that were read now.
    pub n_prefilled: usize,
    /// Seconds it took, until everything was on disk.
    pub seconds: f64,
    /// It was stopped; what was read is kept, but for the last few tokens.
    pub interrupted: bool,
    /// What became of it on disk.
    pub written: Written,
}

/// What is to be read, and by whom.
struct Ahead {
    engine: Arc<Engine>,
    prompt: Packed,
    n_documents: usize,
    files: Vec<FileRecord>,
}

impl Library {
    /// Reads all documents below some paths into the prefix store, so that questions about them need not. Where it was stopped, or
    /// killed, the next call goes on.
    ///
    /// # Errors
    /// [`Error::TooMuchToRead`] where they do not fit the budget; a missing model or index.
    pub fn warm(
        &self,
        options: &WarmOptions,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(Reading),
    ) -> Result<Warmed, Error> {
        let started = Instant::now();
        let Ahead { engine, prompt, n_documents, files } = self.ahead(options)?;
        let prefixes = self.prefixes(&engine, on_event);
        let owners = kept::owners(&self.settings, &prompt, &files);
        let n_tokens = prompt.documents_end;
        let prompt = Prompt {
            tokens: &prompt.tokens[..n_tokens],
            n_frozen: prompt.documents_start,
            n_kept: n_tokens,
            owners: &owners,
        };
        let mut warmed = Warmed { n_tokens, n_documents, ..Warmed::default() };
        let synced = engine.session().sync_kept(engine.model(), &prompt, prefixes.as_ref(), &mut |event| {
            match event {
                SyncEvent::Found { n_cached, estimate_s } => {
                    warmed.n_cached = n_cached;
                    on_event(Reading::Found { cached: n_cached, total: n_tokens, estimate_s });
                }
                SyncEvent::Prefill { n_done, n_total } => {
                    warmed.n_prefilled = n_done;
                    on_event(Reading::Prefill { done: n_done, total: n_total });
                }
                SyncEvent::Filled(block) => self.prefix_store.keep(block),
            }
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match synced {
            Ok(_) => {}
            Err(InferError::Model(LmError::Cancelled)) => warmed.interrupted = true,
            Err(error) => return Err(error.into()),
        }
        warmed.written = self.prefix_store.flush();
        warmed.seconds = started.elapsed().as_secs_f64();
        Ok(warmed)
    }

    /// The tokens that [`Library::warm`] reads.
    ///
    /// # Errors
    /// As [`Library::warm`].
    pub fn warm_tokens(&self, options: &WarmOptions) -> Result<Vec<u32>, Error> {
        let mut prompt = self.ahead(options)?.prompt;
        prompt.tokens.truncate(prompt.documents_end);
        Ok(prompt.tokens)
    }

    fn ahead(&self, options: &WarmOptions) -> Result<Ahead, Error> {
        let model = self.choose_model(&options.model)?;
        let engine = self.engine(&model, options.kv_type)?;
        let index = self.open_index()?;
        if model.evidence_budget < SMALL_BUDGET {
            return Err(Error::TooSmallToWarm { name: model.name });
        }
        let budget = options.budget.map_or(Evidence::Suits, Evidence::Tokens);
        let ask = AskOptions { budget, ..AskOptions::default() };
        let (budget, room) = write::room(&model, &ask);
        let snapshot = index.snapshot()?;
        let files = files_in(&snapshot, &Narrow::default().filter(&options.within))?;
        let hits = whole(&snapshot, &files, budget)?.unwrap_or_default();
        let packed = write::pack_whole(&engine, &model, &ask, &hits)?;
        let Some(prompt) = packed.filter(|_| !hits.is_empty()) else {
            return Err(Error::TooMuchToRead { bytes: text_bytes(&files), budget, room });
        };
        let n_documents = hits.iter().map(|hit| hit.chunk.doc).collect::<HashSet<_>>().len();
        Ok(Ahead { engine, prompt, n_documents, files })
    }
}

/// The indexed files that may answer.
pub(crate) fn files_in(snapshot: &Snapshot<'_>, filter: &Filter) -> Result<Vec<FileRecord>, Error> {
    let mut files = snapshot.files(filter)?;
    files.retain(|file| file.fate == Fate::Indexed);
    Ok(files)
}

/// All passages of `files` in canonical order, a text that several documents have once; `None` where they cannot fit `budget` tokens.
pub(crate) fn whole(
    snapshot: &Snapshot<'_>,
    files: &[FileRecord],
    budget: usize,
) -> Result<Option<Vec<Hit>>, Error> {
    if text_bytes(files) > budget as u64 * MOST_BYTES_PER_TOKEN {
        return Ok(None);
    }
    let mut hits = Vec::new();
    for file in files {
        for (id, _) in snapshot.chunks_of(file.id)? {
            let chunk = snapshot.chunk(id)?;
            hits.push(Hit {
                chunk,
                source: 0,
                score: 0.0,
                lexical_rank: None,
                vector_rank: None,
                lexical_score: None,
                vector_score: None,
                rerank_score: None,
            });
        }
    }
    hits.sort_by(|a, b| {
        let key = |hit: &Hit| (hit.chunk.path.clone(), hit.chunk.span.start, hit.chunk.span.end);
        key(a).cmp(&key(b))
    });
    let mut seen = HashSet::new();
    hits.retain(|hit| seen.insert(hit.chunk.text.trim().to_owned()));
    Ok(Some(hits))
}

fn text_bytes(files: &[FileRecord]) -> u64 {
    files.iter().map(|file| file.n_bytes_text).sum()
}
