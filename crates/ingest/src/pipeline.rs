//! The work of a plan: worker threads examine files while this thread embeds and stores what they found.
//!
//! ```text
//! worker threads:  gate ─▶ read, hash, extract, cut ─▶ channel
//! this thread:     channel ─▶ in order of the plan ─▶ batch ─▶ embed ─▶ writer ─▶ commit every few seconds
//! ```
//!
//! Embedding takes most of the time and all cores, so it is fed passages of several documents at once. Results are stored in order of the plan whatever thread was first, so that two ingestions
//! of the same files give the same index.
//!
//! What a process killed at any instant loses, as a story:
//!  1) documents are written between two commits: undone, the next ingestion reads those files again. Commits follow one another
//!     so closely that this is what is being embedded at the moment, [`BATCH_CHUNKS`] passages, and little before it;
//!  2) a commit is under way: the index has it whole or not at all;
//!  3) a document of many passages is being embedded: its text and the vectors of its first parts are committed, and the next
//!     ingestion goes on with the passages that have none;
//!  4) renamed files are written with their new names, others that are gone are removed at the very end: a file that was
//!     moved is never removed before it is recognised.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use docent_index::{ChunkId, DocId, Fate, FileRecord, Filter, Writer};

use crate::embed::Embed;
use crate::examine::{Examiner, Extract, Finding, ReadFile, Ready, What};
use crate::gate::Gate;
use crate::plan::{Candidate, Plan, count, plan};
use crate::{IngestError, IngestOptions, Progress, Summary, approximate_tokens, embedding_text};

/// Passages embedded at once: what a killed process has to embed again, about a second's work. With fewer the cores are not kept busy:
/// the model cuts them into some 500 tokens a core, and waits for the last one.
const CALL_CHUNKS: usize = 32;

/// Passages collected before they are embedded.
const BATCH_CHUNKS: usize = CALL_CHUNKS;

/// A document of more passages is stored without vectors first and gets them part by part, so that a process killed in the midst of
/// a book need not begin the book again.
const LARGE_DOCUMENT: usize = 128;

/// Bytes of text collected before they are embedded, however few passages they are.
const BATCH_BYTES: usize = 16 << 20;

/// Vectors of passages kept while an ingestion runs, because files repeat each other: licences, navigation, copies.
const KEPT_VECTORS: usize = 8_192;

/// What an ingestion works with.
pub(crate) struct Tools<'a> {
    pub embed: Option<&'a dyn Embed>,
    pub read_file: ReadFile<'a>,
    pub extract: Extract<'a>,
}

struct Run<'a> {
    writer: &'a mut Writer,
    embed: Option<&'a dyn Embed>,
    options: &'a IngestOptions,
    cancel: &'a dyn Fn() -> bool,
    progress: &'a mut dyn FnMut(Progress),
    summary: Summary,
    batch: Vec<Pending>,
    batch_chunks: usize,
    batch_bytes: usize,
    last_commit: Instant,
    kept_vectors: HashMap<[u8; 32], Vec<f32>>,
    files_done: usize,
    files_total: usize,
    bytes_done: u64,
    bytes_total: u64,
}

/// A document that waits to be embedded.
struct Pending {
    ready: Ready,
    n_bytes: u64,
    is_new: bool,
}

/// Brings the index in line with what lies at or below `roots`.
pub(crate) fn run(
    writer: &mut Writer,
    tools: &Tools,
    roots: &[PathBuf],
    options: &IngestOptions,
    cancel: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, IngestError> {
    let mut summary = Summary::default();
    let mut go_on = |found: usize| {
        if found.is_multiple_of(256) {
            progress(Progress::Scanning { found });
        }
        !cancel()
    };
    let mut plan = plan(writer, roots, options, &mut summary, &mut go_on)?;
    summary.interrupted = plan.interrupted;
    let mut run = Run {
        embed: tools.embed,
        writer,
        options,
        cancel,
        progress,
        summary,
        batch: Vec::new(),
        batch_chunks: 0,
        batch_bytes: 0,
        last_commit: Instant::now(),
        kept_vectors: HashMap::new(),
        files_done: 0,
        files_total: plan.candidates.len(),
        bytes_done: 0,
        bytes_total: plan.candidates.iter().map(|candidate| candidate.stat.size).sum(),
    };
    let lost_root = plan.lost_root.take();
    if !plan.interrupted {
        run.work(plan, tools)?;
    }
    run.writer.commit()?;
    run.sort_vectors();
    match lost_root {
        Some(error) => Err(error),
        None => Ok(run.summary),
    }
}

impl Run<'_> {
    fn work(&mut self, plan: Plan, tools: &Tools) -> Result<(), IngestError> {
        for (stat, fate) in plan.fates {
            self.writer.put_fate(stat, None, fate, "")?;
        }
        let count_tokens =
            |text: &str| tools.embed.map_or_else(|| approximate_tokens(text), |e| e.count_tokens(text));
        let examiner = Examiner {
            read_file: tools.read_file,
            extract: tools.extract,
            count_tokens: &count_tokens,
            options: self.options,
            vanished: Mutex::new(by_content(plan.vanished.iter().chain(&plan.elsewhere))),
        };
        self.take_in(&plan.candidates, &examiner)?;
        if !self.summary.interrupted {
            let left = examiner.vanished.into_inner().unwrap_or_else(PoisonError::into_inner);
            let left: Vec<DocId> = left.into_values().flatten().map(|record| record.id).collect();
            for record in &plan.vanished {
                if left.contains(&record.id) || by_content([record]).is_empty() {
                    self.writer.remove(record.id)?;
                    self.summary.removed += 1;
                }
            }
            self.forget_moved_roots(&plan.missing_roots)?;
            let ids = self.writer.chunks_without_vectors(ChunkId(0), usize::MAX >> 1)?;
            // Sizes are not known before the passages are read; a passage counts as a thousand bytes.
            self.bytes_total = self.bytes_done + ids.len() as u64 * 1000;
            self.embed_in_parts(&ids, 1000)?;
        }
        Ok(())
    }

    /// A root that is gone, and all of whose files were found elsewhere, was moved.
    fn forget_moved_roots(&mut self, missing: &[PathBuf]) -> Result<(), IngestError> {
        for root in missing.iter().filter(|_| self.summary.renamed > 0) {
            let under = vec![root.clone()];
            if self.writer.files(&Filter { under, ..Filter::default() })?.is_empty() {
                self.writer.remove_root(root)?;
            }
        }
        Ok(())
    }

    /// Examines the candidates on worker threads and stores what they found.
    fn take_in(&mut self, candidates: &[Candidate], examiner: &Examiner) -> Result<(), IngestError> {
        let sizes: Vec<u64> = candidates.iter().map(|candidate| candidate.stat.size).collect();
        let gate = Gate::new();
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            let n_threads = self.options.n_threads.clamp(1, sizes.len().max(1));
            let mut workers = Vec::new();
            for _ in 0..n_threads {
                let (sender, gate, sizes) = (sender.clone(), &gate, &sizes);
                workers.push(scope.spawn(move || {
                    while let Some(idx) = gate.next(sizes) {
                        if sender.send((idx, examiner.examine(&candidates[idx]))).is_err() {
                            break;
                        }
                    }
                }));
            }
            drop(sender);
            let result = self.store_findings(candidates, &receiver, &gate);
            gate.close();
            drop(receiver);
            for worker in workers {
                if let Err(panic) = worker.join() {
                    resume_unwind(panic); // a defect: what a file contains is contained in `examine`
                }
            }
            result
        })
    }

    /// Stores findings in order of the plan as they come in.
    fn store_findings(
        &mut self,
        candidates: &[Candidate],
        receiver: &Receiver<(usize, Finding)>,
        gate: &Gate,
    ) -> Result<(), IngestError> {
        let mut early: BTreeMap<usize, Finding> = BTreeMap::new();
        for (idx, candidate) in candidates.iter().enumerate() {
            let finding = loop {
                if let Some(finding) = early.remove(&idx) {
                    break finding;
                }
                match receiver.recv() {
                    Ok((idx, finding)) => early.insert(idx, finding),
                    Err(_) => return Ok(()), // a worker panicked; its panic goes on when it is joined
                };
            };
            gate.free(candidate.stat.size);
            if (self.cancel)() {
                self.summary.interrupted = true;
                return Ok(());
            }
            self.store(candidate, finding)?;
            if self.batch_chunks >= BATCH_CHUNKS || self.batch_bytes >= BATCH_BYTES {
                self.embed_batch()?;
                if self.summary.interrupted {
                    return Ok(());
                }
            }
        }
        self.embed_batch()
    }

    /// Notes what was found about a file; a document is put into the batch.
    fn store(&mut self, candidate: &Candidate, finding: Finding) -> Result<(), IngestError> {
        let Finding { stat, what } = finding;
        self.summary.n_read += usize::from(!matches!(what, What::Gone));
        match what {
            What::Ready(ready) if self.embed.is_some() && ready.inputs.len() > LARGE_DOCUMENT => {
                return self.store_large(candidate, *ready);
            }
            What::Ready(ready) => {
                self.batch_chunks += ready.inputs.len();
                self.batch_bytes += ready.document.text.len();
                let is_new = candidate.known.is_none();
                self.batch.push(Pending { ready: *ready, n_bytes: candidate.stat.size, is_new });
                return Ok(());
            }
            What::Gone => {
                if let Some(known) = &candidate.known {
                    self.writer.remove(known.id)?;
                    self.summary.removed += 1;
                }
            }
            What::Same => {
                if let Some(known) = &candidate.known {
                    self.writer.touch(known.id, stat)?;
                    count(&known.fate, &mut self.summary);
                }
            }
            What::Renamed(doc) => {
                self.writer.rename(doc, stat)?;
                self.summary.renamed += 1;
            }
            What::NoDocument { hash, fate } => {
                count(&fate, &mut self.summary);
                let is_known = candidate
                    .known
                    .as_ref()
                    .is_some_and(|k| k.stat == stat && k.hash == hash && k.fate == fate);
                if !is_known {
                    self.writer.put_fate(stat, hash, fate, "")?;
                }
            }
        }
        self.files_done += 1;
        self.bytes_done += candidate.stat.size;
        self.tell(&candidate.stat.path, 0);
        self.commit_now_and_then()
    }

    /// Stores a document without vectors, and then its vectors part by part.
    fn store_large(&mut self, candidate: &Candidate, ready: Ready) -> Result<(), IngestError> {
        self.embed_batch()?; // what comes before it in the plan
        if self.summary.interrupted {
            return Ok(());
        }
        let doc = self.writer.put_document(ready.document)?;
        *(if candidate.known.is_none() { &mut self.summary.added } else { &mut self.summary.changed }) += 1;
        self.files_done += 1;
        let ids = self.writer.chunks_of(doc)?;
        let end = self.bytes_done + candidate.stat.size;
        self.embed_in_parts(&ids, candidate.stat.size / ids.len().max(1) as u64)?;
        self.bytes_done = end;
        Ok(())
    }

    /// Embeds the documents of the batch and stores them.
    fn embed_batch(&mut self) -> Result<(), IngestError> {
        let mut batch = std::mem::take(&mut self.batch);
        (self.batch_chunks, self.batch_bytes) = (0, 0);
        if let Some(embed) = self.embed {
            let inputs: Vec<(usize, &str)> = batch
                .iter()
                .enumerate()
                .flat_map(|(at, pending)| pending.ready.inputs.iter().map(move |input| (at, input.as_str())))
                .collect();
            let n_inputs = inputs.len().max(1) as u64;
            let n_bytes: u64 = batch.iter().map(|pending| pending.n_bytes).sum();
            let texts: Vec<&str> = inputs.iter().map(|(_, input)| *input).collect();
            let path_of = |input: usize| batch[inputs[input].0].ready.document.stat.path.as_path();
            let vectors =
                self.embed_texts(embed, &texts, &path_of, &|n_done| n_bytes * n_done as u64 / n_inputs)?;
            let Some(vectors) = vectors else {
                self.summary.interrupted = true;
                return Ok(());
            };
            let mut vectors = vectors.into_iter();
            for pending in &mut batch {
                pending.ready.document.vectors = vectors.by_ref().take(pending.ready.inputs.len()).collect();
            }
        }
        let mut bytes_left: u64 = batch.iter().map(|pending| pending.n_bytes).sum();
        for Pending { ready, n_bytes, is_new } in batch {
            let path = ready.document.stat.path.clone();
            self.writer.put_document(ready.document)?;
            *(if is_new { &mut self.summary.added } else { &mut self.summary.changed }) += 1;
            self.files_done += 1;
            self.bytes_done += n_bytes;
            bytes_left -= n_bytes;
            self.tell(&path, bytes_left); // embedding them was the work, and told already
        }
        self.commit_now_and_then()
    }

    /// The vectors of `texts`, in order; none if the caller asked to stop. `path_of` names the file of a text, and
    /// `bytes_of` says how many bytes of files so many embedded texts stand for.
    fn embed_texts<'t>(
        &mut self,
        embed: &dyn Embed,
        texts: &[&'t str],
        path_of: &dyn Fn(usize) -> &'t Path,
        bytes_of: &dyn Fn(usize) -> u64,
    ) -> Result<Option<Vec<Vec<f32>>>, IngestError> {
        let keys: Vec<[u8; 32]> =
            texts.iter().map(|text| *blake3::hash(text.as_bytes()).as_bytes()).collect();
        let mut seen = HashSet::new();
        let is_fresh = |idx: &usize| !self.kept_vectors.contains_key(&keys[*idx]) && seen.insert(keys[*idx]);
        let to_embed: Vec<usize> = (0..texts.len()).filter(is_fresh).collect();
        let mut fresh: HashMap<[u8; 32], Vec<f32>> = HashMap::new();
        let mut n_done = texts.len() - to_embed.len();
        for call in to_embed.chunks(CALL_CHUNKS) {
            if (self.cancel)() {
                return Ok(None);
            }
            let call_texts: Vec<&str> = call.iter().map(|&idx| texts[idx]).collect();
            let error = |source| IngestError::Embed { path: path_of(call[0]).to_owned(), source };
            let vectors = embed.embed(&call_texts).map_err(error)?;
            fresh.extend(call.iter().map(|&idx| keys[idx]).zip(vectors));
            n_done += call.len();
            self.summary.n_embedded += call.len();
            self.tell(path_of(call[0]), bytes_of(n_done));
        }
        let vector = |key| fresh.get(key).or_else(|| self.kept_vectors.get(key)).cloned().unwrap_or_default();
        let vectors = keys.iter().map(vector).collect();
        if self.kept_vectors.len() + fresh.len() > KEPT_VECTORS {
            self.kept_vectors.clear();
        }
        self.kept_vectors.extend(fresh.into_iter().take(KEPT_VECTORS));
        Ok(Some(vectors))
    }

    /// Embeds passages stored without a vector of this model: before there was one, with another, or of a large document.
    /// For the progress each counts as so many bytes.
    fn embed_in_parts(&mut self, ids: &[ChunkId], bytes_each: u64) -> Result<(), IngestError> {
        let Some(embed) = self.embed else { return Ok(()) };
        for part in ids.chunks(BATCH_CHUNKS) {
            let chunks = part.iter().map(|&id| self.writer.chunk(id)).collect::<Result<Vec<_>, _>>()?;
            let inputs: Vec<String> =
                chunks.iter().map(|c| embedding_text(c.title.as_deref(), &c.heading_path, &c.text)).collect();
            let texts: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let path_of = |idx: usize| chunks[idx].path.as_path();
            let Some(vectors) =
                self.embed_texts(embed, &texts, &path_of, &|n_done| n_done as u64 * bytes_each)?
            else {
                self.summary.interrupted = true;
                return Ok(());
            };
            let vectors: Vec<(ChunkId, Vec<f32>)> = part.iter().copied().zip(vectors).collect();
            self.writer.put_vectors(&vectors)?;
            self.bytes_done += part.len() as u64 * bytes_each;
            self.commit_now_and_then()?;
        }
        Ok(())
    }

    /// Makes lists of near vectors where there are many. Everything is committed before, and searches find without them: what
    /// goes wrong here is no failure of the ingestion, and the next one tries again.
    fn sort_vectors(&mut self) {
        let Run { cancel, progress, summary, writer, .. } = self;
        if !summary.interrupted {
            let _ = writer.make_lists(&mut |done, total| {
                progress(Progress::Sorting { percent: (done * 100 / total.max(1)).min(100) as u8 });
                !cancel()
            });
        }
    }

    /// Commits if the last commit is long enough ago.
    fn commit_now_and_then(&mut self) -> Result<(), IngestError> {
        if self.last_commit.elapsed() >= self.options.commit_every {
            self.writer.commit()?;
            self.last_commit = Instant::now();
        }
        Ok(())
    }

    /// Tells how far it is; `n_bytes` of what follows the files done are done as well.
    fn tell(&mut self, path: &Path, n_bytes: u64) {
        (self.progress)(Progress::Working {
            files_done: self.files_done,
            files_total: self.files_total,
            bytes_done: self.bytes_done + n_bytes,
            bytes_total: self.bytes_total,
            path: path.to_owned(),
        });
    }
}

/// Indexed files by their content.
fn by_content<'r>(records: impl IntoIterator<Item = &'r FileRecord>) -> HashMap<[u8; 32], Vec<FileRecord>> {
    let mut by_content: HashMap<[u8; 32], Vec<FileRecord>> = HashMap::new();
    for record in records {
        if let (Fate::Indexed, Some(hash)) = (&record.fate, record.hash) {
            by_content.entry(hash).or_default().push(record.clone());
        }
    }
    by_content
}
