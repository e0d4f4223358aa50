//! What `add`, `update` and `rm` want done: they have it done by the server, so that one process writes to the index and one embedding model is
//! open. It is a job like those of `/v1/documents`, listed at `/v1/jobs` and done in turn with them.
//!
//! Paths are the command's own here: who may connect to the socket may add what the command may.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use docent::{Library, Ocr, Settings, Summary};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::body::Json;
use crate::jobs::Work;
use crate::problem::Problem;
use crate::sse::{self, Event};

/// Where it is asked for, on the socket alone.
pub(super) const ROUTE: &str = "/beside/jobs";

/// What is to be done with a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Indexing {
    /// [`Library::add`].
    Add,
    /// [`Library::update`].
    Update,
    /// [`Library::remove`].
    Remove,
}

/// All that a command may say of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub what: Indexing,
    /// Absolute.
    pub paths: Vec<PathBuf>,
    pub collection: String,
    embedding: Option<String>,
    default_embedding: Option<String>,
    reranking: Option<String>,
    hidden: bool,
    no_ignore: bool,
    ignore: Vec<String>,
    retry_failed: bool,
    max_bytes: u64,
    /// Languages.
    ocr: Option<String>,
}

impl Request {
    pub fn new(what: Indexing, paths: Vec<PathBuf>, collection: &str, settings: &Settings) -> Self {
        let settings = settings.clone();
        Self {
            what,
            paths,
            collection: collection.to_owned(),
            embedding: settings.embedding,
            default_embedding: settings.default_embedding,
            reranking: settings.reranking,
            hidden: settings.hidden,
            no_ignore: settings.no_ignore,
            ignore: settings.ignore,
            retry_failed: settings.retry_failed,
            max_bytes: settings.limits.max_bytes,
            ocr: settings.limits.ocr.map(|ocr| ocr.languages),
        }
    }

    /// Makes a server's settings those of the command, as far as indexing goes.
    fn change(&self, settings: &mut Settings) {
        settings.embedding.clone_from(&self.embedding);
        settings.default_embedding.clone_from(&self.default_embedding);
        settings.reranking.clone_from(&self.reranking);
        settings.hidden = self.hidden;
        settings.no_ignore = self.no_ignore;
        settings.ignore.clone_from(&self.ignore);
        settings.retry_failed = self.retry_failed;
        settings.limits.max_bytes = self.max_bytes;
        settings.limits.ocr = self.ocr.as_deref().map(Ocr::of);
    }
}

/// Begins a job and tells how far it is, as events `job`. It is stopped when the command goes away before its end.
pub(super) async fn begin(State(app): State<App>, Json(request): Json<Request>) -> Result<Response, Problem> {
    let filled = app.library_to_fill(Some(&request.collection))?;
    if request.what != Indexing::Add && !filled.exists() {
        return Err(docent::Error::Empty.into());
    }
    let library = Arc::new(filled.with(|settings| request.change(settings)));
    let collection = library.settings().collection.clone();
    let (kind, work) = work(library, request);
    let job = app.jobs().submit(kind, collection, work)?;
    let tell = Box::new(|status| vec![Event::new("job", &status)]);
    Ok(sse::response(Vec::new(), job.followed(), tell, Vec::new()))
}

fn work(library: Arc<Library>, request: Request) -> (&'static str, Work) {
    let paths = request.paths;
    match request.what {
        Indexing::Add => ("add", Box::new(move |cancel, progress| library.add(&paths, cancel, progress))),
        Indexing::Update => ("update", Box::new(move |cancel, progress| library.update(cancel, progress))),
        Indexing::Remove => (
            "remove",
            Box::new(move |cancel, progress| {
                let removed = library.remove(&paths, cancel, progress)?;
                Ok(Summary { removed, ..Summary::default() })
            }),
        ),
    }
}
