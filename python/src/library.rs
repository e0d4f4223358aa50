//! `Library` and `Asking`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use docent::{
    AskOptions, Evidence, ModelChoice, Narrow, Next, PathGlob, Progress, SearchMode, SearchOptions, Settings,
    check_pattern,
};
use docent_models::{PullOptions, find};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::{exception, failure};
use crate::results::{Answer, Event, Hit, Summary};
use crate::work::{self, LOOK_UP};

/// An index, and the models that read it.
#[pyclass(frozen, module = "docent_qa")]
pub struct Library(Arc<docent::Library>);

#[pymethods]
impl Library {
    #[new]
    #[pyo3(signature = (home, *, models = None, collection = None, threads = None, ignore = Vec::new()))]
    fn new(
        home: PathBuf,
        models: Option<PathBuf>,
        collection: Option<String>,
        threads: Option<usize>,
        ignore: Vec<String>,
    ) -> PyResult<Self> {
        let home = std::path::absolute(home)?;
        let mut settings = Settings::in_folder(home);
        settings.models = models.map(std::path::absolute).transpose()?;
        if let Some(threads) = threads {
            settings.n_threads = threads.clamp(1, 256);
        }
        for pattern in &ignore {
            check_pattern(pattern).map_err(PyValueError::new_err)?;
        }
        settings.ignore = ignore;
        if let Some(name) = collection.as_ref().filter(|name| !Settings::check_name(name)) {
            return Err(PyValueError::new_err(format!("{name:?} is no name for a collection")));
        }
        settings.collection = collection;
        Ok(Self(Arc::new(docent::Library::open(settings))))
    }

    #[pyo3(signature = (*paths, on_progress = None))]
    fn add(
        &self,
        python: Python<'_>,
        paths: Vec<PathBuf>,
        on_progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Summary> {
        if paths.is_empty() {
            return Err(PyValueError::new_err("name at least one file or folder"));
        }
        self.ingest(python, on_progress, move |library, stop, tell| library.add(&paths, stop, tell))
    }

    #[pyo3(signature = (*, on_progress = None))]
    fn update(&self, python: Python<'_>, on_progress: Option<Bound<'_, PyAny>>) -> PyResult<Summary> {
        self.ingest(python, on_progress, |library, stop, tell| library.update(stop, tell))
    }

    #[pyo3(signature = (*paths))]
    fn remove(&self, python: Python<'_>, paths: Vec<PathBuf>) -> PyResult<usize> {
        let library = self.0.clone();
        let removed = work::run(python, None, move |stop, _| library.remove(&paths, stop, &mut |_| ()))?;
        removed.map_err(exception)
    }

    #[pyo3(signature = (query, *, limit = 10, mode = "hybrid", path = None, types = Vec::new()))]
    fn search(
        &self,
        python: Python<'_>,
        query: String,
        limit: usize,
        mode: &str,
        path: Option<&str>,
        types: Vec<String>,
    ) -> PyResult<Vec<Hit>> {
        let mode = match mode {
            "hybrid" => SearchMode::Hybrid,
            "lexical" => SearchMode::Lexical,
            "vector" => SearchMode::Vector,
            other => {
                return Err(PyValueError::new_err(format!(
                    "mode is {other:?}, not 'hybrid', 'lexical' or 'vector'"
                )));
            }
        };
        let options =
            SearchOptions { k: limit, mode, narrow: narrow(path, types)?, ..SearchOptions::default() };
        let found = python.detach(|| self.0.search(&query, &options)).map_err(exception)?;
        Ok(found.hits.into_iter().map(Hit::from).collect())
    }

    #[pyo3(signature = (
        question, *, model = None, budget = None, path = None, types = Vec::new(), temperature = None, seed = 0, max_tokens = None
    ))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn ask(
        &self,
        question: &str,
        model: Option<String>,
        budget: Option<usize>,
        path: Option<&str>,
        types: Vec<String>,
        temperature: Option<f32>,
        seed: u64,
        max_tokens: Option<usize>,
    ) -> PyResult<Asking> {
        if question.trim().is_empty() {
            return Err(PyValueError::new_err("the question is empty"));
        }
        let options = AskOptions {
            narrow: narrow(path, types)?,
            model: model.map_or(ModelChoice::Best, ModelChoice::Named),
            budget: budget.map_or(Evidence::Suits, Evidence::Tokens),
            temperature,
            seed,
            max_tokens,
            ..AskOptions::default()
        };
        Ok(Asking(Mutex::new(Some(self.0.start_asking(question, options)))))
    }

    fn read(&self, python: Python<'_>, path: PathBuf) -> PyResult<String> {
        python.detach(|| self.0.document(&path)).map(|document| document.text).map_err(exception)
    }

    fn documents(&self, python: Python<'_>) -> PyResult<Vec<String>> {
        let files = python.detach(|| self.0.documents(&Narrow::default())).map_err(exception)?;
        Ok(files.into_iter().map(|file| file.stat.path.to_string_lossy().into_owned()).collect())
    }

    fn models(&self) -> Vec<&'static str> {
        let all = self.0.models().list().into_iter();
        all.filter_map(|(entry, here)| here.map(|_| entry.name)).collect()
    }

    #[pyo3(signature = (*names))]
    fn pull(&self, python: Python<'_>, names: Vec<String>) -> PyResult<()> {
        let entries = names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>().map_err(failure)?;
        let library = self.0.clone();
        let pulled = work::run(python, None, move |stop, _| {
            let mut models = entries.into_iter();
            models.try_for_each(|entry| {
                library.models().pull(entry, &PullOptions::default(), stop, &mut |_| ()).map(drop)
            })
        })?;
        pulled.map_err(failure)
    }

    fn __repr__(&self) -> String {
        format!("Library({:?})", self.0.settings().index_dir())
    }
}

impl Library {
    fn ingest(
        &self,
        python: Python<'_>,
        on_progress: Option<Bound<'_, PyAny>>,
        work: impl FnOnce(
            &docent::Library,
            &dyn Fn() -> bool,
            &mut dyn FnMut(Progress),
        ) -> Result<docent::Summary, docent::Error>
        + Send
        + 'static,
    ) -> PyResult<Summary> {
        let library = self.0.clone();
        let summary = work::run(python, on_progress.as_ref(), move |stop, tell| {
            work(&library, stop, &mut |progress| {
                if let Progress::Working { bytes_done, bytes_total, .. } = progress {
                    tell(bytes_done, bytes_total);
                }
            })
        })?;
        summary.map(Summary::from).map_err(exception)
    }
}

fn narrow(path: Option<&str>, types: Vec<String>) -> PyResult<Narrow> {
    let globs = path.map(|glob| PathGlob::new(glob).map_err(failure)).transpose()?;
    Ok(Narrow {
        paths: globs.into_iter().collect(),
        types: types.iter().map(|name| name.trim().trim_start_matches('.').to_lowercase()).collect(),
        ..Narrow::default()
    })
}

/// An answer in the making; empty once it is there.
#[pyclass(frozen, module = "docent_qa")]
pub struct Asking(Mutex<Option<docent::Asking>>);

#[pymethods]
impl Asking {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, python: Python<'_>) -> PyResult<Option<Event>> {
        loop {
            // The lock is held without the interpreter's, and never the other way round.
            let next = python.detach(|| self.lock().as_ref().map(|asking| asking.wait(LOOK_UP)));
            match next {
                None => return Ok(None),
                Some(Next::Event(event)) => {
                    if let Some(event) = Event::of(event) {
                        return Ok(Some(event));
                    }
                }
                Some(Next::Nothing) => {}
                Some(Next::Done) => return self.finish(python).map(|answer| answer.map(Event::of_answer)),
            }
            if let Err(error) = python.check_signals() {
                self.cancel(python);
                return Err(error);
            }
        }
    }

    fn answer(&self, python: Python<'_>) -> PyResult<Answer> {
        while let Some(event) = self.__next__(python)? {
            if let Some(answer) = event.into_answer() {
                return Ok(answer);
            }
        }
        Err(failure("the answer was taken already, as the last event"))
    }

    fn cancel(&self, python: Python<'_>) {
        python.detach(|| {
            if let Some(asking) = self.lock().as_ref() {
                asking.cancel();
            }
        });
    }
}

impl Asking {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<docent::Asking>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, python: Python<'_>) -> PyResult<Option<Answer>> {
        let answer = python.detach(|| self.lock().take().map(docent::Asking::answer));
        answer.transpose().map(|answer| answer.map(Answer::from)).map_err(exception)
    }
}
