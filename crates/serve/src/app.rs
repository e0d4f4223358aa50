//! What all requests share: the library by collection, the model's queue, the searches, the jobs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use docent::{Cancel, Library, ModelChoice, Settings};

use crate::jobs::Jobs;
use crate::metrics::Metrics;
use crate::openai::Conversations;
use crate::problem::Problem;
use crate::queue::{Queue, Running};
use crate::searches::Searches;
use crate::settings::{Limits, ServeSettings};
use crate::watching::Watching;

/// The collection without a name, as a request calls it; leaving it out means the one that the server was started with.
pub(crate) const UNNAMED: &str = ".";

/// A server's inside, for whoever adds routes to it. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    library: Arc<Library>,
    collections: Mutex<HashMap<Option<String>, Arc<Library>>>,
    settings: ServeSettings,
    queue: Arc<Queue>,
    searches: Searches,
    metrics: Arc<Metrics>,
    jobs: Jobs,
    watching: Watching,
    conversations: Conversations,
    started: Instant,
    stop: Cancel,
}

/// The threads that work for an [`App`].
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Waits for their end.
    pub fn join(self) {
        for thread in self.0 {
            let _ = thread.join();
        }
    }
}

impl App {
    /// An app on a library, and its threads, which end when `stop` is raised and [`App::close`] is called.
    pub(crate) fn new(library: Library, settings: ServeSettings) -> std::io::Result<(Self, Threads)> {
        let metrics = Arc::new(Metrics::default());
        let stop = Cancel::new();
        let library = Arc::new(library);
        let (queue, model) = Queue::start(&settings.limits, metrics.clone())?;
        let (jobs, indexing) = Jobs::start()?;
        let (watching, watcher) = match settings.watch {
            true => Watching::start(library.clone(), stop.clone())?,
            false => (Watching::default(), None),
        };
        let app = Self(Arc::new(Inner {
            collections: Mutex::new(HashMap::from([(
                library.settings().collection.clone(),
                library.clone(),
            )])),
            library,
            searches: Searches::new(&settings.limits),
            settings,
            queue,
            metrics,
            jobs,
            watching,
            conversations: Conversations::default(),
            started: Instant::now(),
            stop,
        }));
        Ok((app, Threads([Some(model), Some(indexing), watcher].into_iter().flatten().collect())))
    }

    /// Lets the threads end.
    pub(crate) fn close(&self) {
        self.0.stop.cancel();
        self.0.queue.close();
        self.0.jobs.close();
    }

    /// The library as a request's `collection` names it: nothing is the one that the server was started with, `.` the one without a name.
    ///
    /// # Errors
    /// 404 for one that does not exist.
    pub fn library(&self, collection: Option<&str>) -> Result<Arc<Library>, Problem> {
        let library = self.library_to_fill(collection)?;
        match collection {
            Some(name) if name != UNNAMED && !library.exists() => Err(no_collection(name)),
            _ => Ok(library),
        }
    }

    /// The same, of a collection that may be new.
    pub(crate) fn library_to_fill(&self, collection: Option<&str>) -> Result<Arc<Library>, Problem> {
        let Some(name) = collection else { return Ok(self.0.library.clone()) };
        let name = match name {
            UNNAMED => None,
            name if Settings::check_name(name) => Some(name.to_owned()),
            name => return Err(no_collection(name)),
        };
        let mut collections = self.0.collections.lock().unwrap_or_else(PoisonError::into_inner);
        // Names come from clients: what nobody filled need not be remembered.
        collections
            .retain(|known, library| *known == self.0.library.settings().collection || library.exists());
        let new = || Arc::new(self.0.library.in_collection(name.clone()));
        Ok(collections.entry(name.clone()).or_insert_with(new).clone())
    }

    /// Runs `work` on a thread where it may block, when its turn comes; for what takes milliseconds to seconds.
    ///
    /// # Errors
    /// 429 where its turn does not come in time; what `work` says.
    pub async fn search<T, E>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        self.0.searches.run(work).await
    }

    /// Runs `work` on the model's thread, when `client`'s turn comes. It is told through its flag when nobody waits for it any more.
    ///
    /// # Errors
    /// 429 where too many wait.
    pub fn ask<E: Send + 'static>(
        &self,
        client: &str,
        work: impl FnOnce(&Cancel, &mut dyn FnMut(E)) + Send + 'static,
    ) -> Result<Running<E>, Problem> {
        self.0.queue.submit(client, work)
    }

    /// The model that a request names, or the server's own. Names only: a path would let clients open files.
    ///
    /// # Errors
    /// 404 for a name that is not in the catalogue.
    pub fn model(&self, name: Option<&str>) -> Result<ModelChoice, Problem> {
        match (name, &self.0.settings.model) {
            (None, None) => Ok(ModelChoice::Best),
            (None, Some(own)) => Ok(ModelChoice::Named(own.clone())),
            (Some(name), Some(own)) if name == own || self.own_model_name().as_deref() == Some(name) => {
                Ok(ModelChoice::Named(own.clone()))
            }
            (Some(name), _) if docent_models::find(name).is_ok() => Ok(ModelChoice::Named(name.to_owned())),
            (Some(name), _) => Err(Problem::not_found(
                "model_not_found",
                format!("there is no model {name:?} here; GET /v1/models lists those that there are"),
            )),
        }
    }

    /// What the server's own model is called, if it was named and is here.
    pub(crate) fn own_model_name(&self) -> Option<String> {
        let own = ModelChoice::Named(self.0.settings.model.clone()?);
        self.0.library.choose_model(&own).ok().map(|model| model.name)
    }

    /// Where uploaded documents of a collection lie.
    pub(crate) fn uploads_dir(&self, library: &Library) -> PathBuf {
        let settings = library.settings();
        let name = settings.collection.as_deref().unwrap_or("_");
        settings.data_dir.join("uploads").join(name)
    }

    pub(crate) fn settings(&self) -> &ServeSettings {
        &self.0.settings
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.settings.limits
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    pub(crate) fn watching(&self) -> &Watching {
        &self.0.watching
    }

    pub(crate) fn conversations(&self) -> &Conversations {
        &self.0.conversations
    }

    /// Questions that wait, and whether one is being answered.
    pub(crate) fn load(&self) -> (usize, bool) {
        self.0.queue.load()
    }

    pub(crate) fn uptime_s(&self) -> u64 {
        self.0.started.elapsed().as_secs()
    }
}

fn no_collection(name: &str) -> Problem {
    let message = format!("there is no collection {name:?}; GET /v1/collections lists those that there are");
    Problem::not_found("no_such_collection", message)
}
