//! What the methods give, as Python sees it.

use docent::{Check, Status};
use pyo3::prelude::*;

/// A passage that was found.
#[pyclass(frozen, get_all, module = "docent_qa")]
#[derive(Clone)]
pub struct Hit {
    path: String,
    line_start: u32,
    line_end: u32,
    page: Option<u32>,
    title: Option<String>,
    heading_path: Vec<String>,
    score: f32,
    text: String,
    changed: bool,
}

impl From<docent::FoundHit> for Hit {
    fn from(found: docent::FoundHit) -> Self {
        let changed = found.hit.changed();
        let (score, chunk) = (found.hit.score, found.hit.chunk);
        Self {
            path: chunk.path.to_string_lossy().into_owned(),
            line_start: chunk.lines.0,
            line_end: chunk.lines.1,
            page: chunk.page,
            title: chunk.title,
            heading_path: chunk.heading_path,
            score,
            text: chunk.text,
            changed,
        }
    }
}

#[pymethods]
impl Hit {
    fn __repr__(&self) -> String {
        format!("Hit({}:{}-{}, {:.3})", self.path, self.line_start, self.line_end, self.score)
    }
}

/// A sentence of an answer tied to its source.
#[pyclass(frozen, get_all, module = "docent_qa")]
#[derive(Clone)]
pub struct Citation {
    n: usize,
    path: String,
    line_start: usize,
    line_end: usize,
    page: Option<u32>,
    heading_path: Vec<String>,
    quote: String,
    check: &'static str,
}

impl From<docent::Citation> for Citation {
    fn from(citation: docent::Citation) -> Self {
        let place = citation.place;
        Self {
            n: citation.n,
            path: place.path.to_string_lossy().into_owned(),
            line_start: place.line_start,
            line_end: place.line_end,
            page: place.page,
            heading_path: place.heading_path,
            quote: place.quote,
            check: match citation.check {
                Check::Verified => "verified",
                Check::Repaired => "repaired",
                Check::SourceChanged => "source_changed",
                Check::SourceGone => "source_gone",
            },
        }
    }
}

#[pymethods]
impl Citation {
    fn __repr__(&self) -> String {
        format!("Citation([{}] {}:{}, {:?})", self.n, self.path, self.line_start, self.quote)
    }
}

/// A checked answer.
#[pyclass(frozen, get_all, module = "docent_qa")]
#[derive(Clone)]
pub struct Answer {
    status: &'static str,
    text: String,
    citations: Vec<Citation>,
    unsupported: Vec<String>,
    model: String,
    prompt_tokens: usize,
    cached_tokens: usize,
    completion_tokens: usize,
    seconds: f64,
}

impl From<docent::Answer> for Answer {
    fn from(answer: docent::Answer) -> Self {
        Self {
            status: match answer.status {
                Status::Answered => "answered",
                Status::Partly => "partly",
                Status::NotFound => "not_found",
            },
            text: answer.answer,
            citations: answer.citations.into_iter().map(Citation::from).collect(),
            unsupported: answer.unsupported,
            model: answer.model,
            prompt_tokens: answer.usage.prompt_tokens,
            cached_tokens: answer.usage.cached_tokens,
            completion_tokens: answer.usage.completion_tokens,
            seconds: answer.timing.total_s,
        }
    }
}

#[pymethods]
impl Answer {
    fn __str__(&self) -> &str {
        &self.text
    }

    fn __repr__(&self) -> String {
        format!("Answer({}, {:?}, {} citations)", self.status, self.text, self.citations.len())
    }
}

/// Something that happens while a question is being answered.
#[pyclass(frozen, get_all, module = "docent_qa")]
pub struct Event {
    kind: &'static str,
    text: String,
    done: usize,
    total: usize,
    answer: Option<Answer>,
}

impl Event {
    fn new(kind: &'static str) -> Self {
        Self { kind, text: String::new(), done: 0, total: 0, answer: None }
    }

    /// The last one.
    pub fn of_answer(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::new("done") }
    }

    /// The answer, if this is the last one.
    pub fn into_answer(self) -> Option<Answer> {
        self.answer
    }

    /// None for what Python is not told.
    pub fn of(event: docent::AskEvent) -> Option<Self> {
        use docent::{AskEvent, Reading};
        Some(match event {
            AskEvent::Packed { prompt_tokens, .. } => Self { total: prompt_tokens, ..Self::new("packed") },
            AskEvent::Reading(Reading::Found { cached, total, .. }) => {
                Self { done: cached, total, ..Self::new("reading") }
            }
            AskEvent::Reading(Reading::Prefill { done, total }) => {
                Self { done, total, ..Self::new("reading") }
            }
            AskEvent::Thinking(text) => Self { text, ..Self::new("thinking") },
            AskEvent::Answer(text) => Self { text, ..Self::new("answer") },
            AskEvent::NotWrittenDown(text) => Self { text, ..Self::new("note") },
            _ => return None,
        })
    }
}

#[pymethods]
impl Event {
    fn __repr__(&self) -> String {
        match self.kind {
            "packed" | "reading" => format!("Event({}, {}/{})", self.kind, self.done, self.total),
            kind => format!("Event({kind}, {:?})", self.text),
        }
    }
}

/// What an ingestion did, in files.
#[pyclass(frozen, get_all, module = "docent_qa")]
pub struct Summary {
    added: usize,
    changed: usize,
    renamed: usize,
    removed: usize,
    unchanged: usize,
    skipped: usize,
    failed: usize,
}

impl From<docent::Summary> for Summary {
    fn from(summary: docent::Summary) -> Self {
        let docent::Summary { added, changed, renamed, removed, unchanged, skipped, failed, .. } = summary;
        Self { added, changed, renamed, removed, unchanged, skipped, failed }
    }
}

#[pymethods]
impl Summary {
    fn __repr__(&self) -> String {
        format!(
            "Summary(added={}, changed={}, renamed={}, removed={}, unchanged={}, skipped={}, failed={})",
            self.added, self.changed, self.renamed, self.removed, self.unchanged, self.skipped, self.failed
        )
    }
}
