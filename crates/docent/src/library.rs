//! A library: an index, the models, and what can be asked of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docent_embed::{CrossEncoder, Embedder};
use docent_index::{
    DocumentText, EmbeddingSpec, Fate, FileRecord, Index, IndexError, IndexOptions, Root, RootSettings,
    Stats, Writer,
};
use docent_infer::{Engine, EngineOptions, Prefixes, Reading};
use docent_ingest::{IngestOptions, Progress, Summary};
use docent_kernels::{Kernels, Profile};
use docent_models::{ModelKind, Store};

use crate::kept;
use crate::models::{ChosenModel, EMBEDDING_MODEL, KvType};
use crate::search::reranking_of;
use crate::{Error, Settings};

/// A personal library of documents: opened once, asked many times, by one thread or several.
///
/// Opening costs nothing; the index, the embedding model and the language model are each opened when first needed and
/// the models stay open as long as the library lives. Its parts are shared with what [`Library::in_collection`] gives.
pub struct Library {
    pub(crate) settings: Settings,
    models: Store,
    /// By collection.
    indexes: Arc<Mutex<HashMap<Option<String>, Arc<Index>>>>,
    /// By name.
    embedders: Arc<Mutex<HashMap<String, Arc<Embedder>>>>,
    pub(crate) cross_encoder: Arc<Mutex<Option<NamedEncoder>>>,
    engine: Arc<Mutex<Option<OpenEngine>>>,
    pub(crate) prefix_store: Arc<docent_prefix::Store>,
}

/// The model of the second stage that is open, and its name.
type NamedEncoder = (String, Arc<CrossEncoder>);

/// The engine that is open, and for which model file and KV type.
struct OpenEngine {
    path: PathBuf,
    kv_type: KvType,
    engine: Arc<Engine>,
    /// Its part of the prefix store, once that was asked for.
    prefixes: Option<Prefixes>,
}

/// What a library holds.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// What was added or looked into.
    pub roots: Vec<Root>,
    /// Every file that was seen, indexed or not.
    pub files: Vec<FileRecord>,
    /// Counts and sizes of the index.
    pub stats: Stats,
    /// Name of the embedding model.
    pub embedding_model: String,
    /// The model that reads the best candidates of every search again, if one does.
    pub reranking_model: Option<String>,
}

/// A collection that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name; none for the one without.
    pub name: Option<String>,
    /// What was added to it.
    pub roots: Vec<Root>,
    /// Counts and sizes of its index.
    pub stats: Stats,
    /// Name of its embedding model.
    pub embedding_model: String,
    /// The model that reads the best candidates of every search again, if one does.
    pub reranking_model: Option<String>,
}

/// What a text is to an embedding model: some are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextRole {
    /// What is searched for.
    Question,
    /// What is found.
    #[default]
    Passage,
}

/// Texts as vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// The model that made them.
    pub model: String,
    /// One for each text, of length 1.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens that were read.
    pub n_tokens: usize,
}

/// The setting of an index that names its embedding model.
pub(crate) const EMBEDDING_SETTING: &str = "embedding_model";
/// How often a writer that waits looks whether the other one has finished.
const WRITER_POLL: Duration = Duration::from_millis(100);

impl Library {
    /// A library with these settings. Creates nothing on disk.
    pub fn open(settings: Settings) -> Self {
        let models = Store::new(settings.models_dir());
        let prefix_store = Arc::new(kept::store(&settings));
        Self {
            settings,
            models,
            indexes: Arc::default(),
            embedders: Arc::default(),
            cross_encoder: Arc::default(),
            engine: Arc::default(),
            prefix_store,
        }
    }

    /// The same library with another collection to work with. What is open, models above all, is shared by both, so that a program may have
    /// as many of these as there are collections.
    pub fn in_collection(&self, name: Option<String>) -> Self {
        let new_here = Settings { embedding: None, reranking: None, ..self.settings.clone() };
        self.sharing(Settings { collection: name, ..new_here })
    }

    /// The same library with changed settings; what is open is shared by both. For what is read and how (`hidden`, `ignore`, `limits`, `embedding`, …): models,
    /// threads and the store of what was read are open already, and stay as they are.
    pub fn with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.settings.clone();
        change(&mut settings);
        self.sharing(settings)
    }

    fn sharing(&self, settings: Settings) -> Self {
        Self {
            settings,
            models: self.models.clone(),
            indexes: self.indexes.clone(),
            embedders: self.embedders.clone(),
            cross_encoder: self.cross_encoder.clone(),
            engine: self.engine.clone(),
            prefix_store: self.prefix_store.clone(),
        }
    }

    /// Whether anything was ever added to the collection.
    pub fn exists(&self) -> bool {
        Index::exists(&self.settings.index_dir())
    }

    /// The models that are here, and the way to get others.
    pub fn models(&self) -> &Store {
        &self.models
    }

    /// The collection's embedding model from now on. The next addition or update embeds everything again if it had another.
    pub fn use_embedding(&mut self, name: Option<String>) {
        self.settings.embedding = name;
    }

    /// For how many days questions and answers are written down from now on; none: they are not.
    pub fn keep_history(&mut self, days: Option<u32>) {
        self.settings.history_days = days;
    }

    /// Whether updates from now on read files that failed before once more.
    pub fn retry_failed(&mut self, retry: bool) {
        self.settings.retry_failed = retry;
    }

    /// Where things are kept.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Remembers files and folders, and indexes them.
    ///
    /// # Errors
    /// A path that does not exist, a missing embedding model, an index that cannot be written.
    pub fn add(
        &self,
        paths: &[PathBuf],
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Summary, Error> {
        self.ingest(paths, true, cancel, progress)
    }

    /// Indexes files and folders so that they can be asked directly, without adding them for good.
    ///
    /// # Errors
    /// As [`Library::add`].
    pub fn look_into(
        &self,
        paths: &[PathBuf],
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Summary, Error> {
        self.ingest(paths, false, cancel, progress)
    }

    /// Looks again at everything that was added.
    ///
    /// # Errors
    /// [`Error::Empty`] if nothing was; otherwise as [`Library::add`].
    pub fn update(
        &self,
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Summary, Error> {
        let paths = self.remembered_roots()?;
        if paths.is_empty() {
            return Err(Error::Empty);
        }
        self.update_roots(&paths, cancel, progress)
    }

    /// What was added, by path.
    pub(crate) fn remembered_roots(&self) -> Result<Vec<PathBuf>, Error> {
        let roots = self.open_index()?.roots()?;
        Ok(roots.into_iter().filter(|root| root.remembered).map(|root| root.path).collect())
    }

    /// Looks again at some of what was added.
    pub(crate) fn update_roots(
        &self,
        paths: &[PathBuf],
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Summary, Error> {
        let embedder = self.embedder()?;
        let Some(mut writer) = self.wait_for_writer(Some(&embedder), cancel, progress)? else {
            return Ok(Summary { interrupted: true, ..Summary::default() });
        };
        self.run_ingest(&mut writer, &embedder, paths, cancel, progress)
    }

    fn ingest(
        &self,
        paths: &[PathBuf],
        remembered: bool,
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Summary, Error> {
        let paths = paths.iter().map(|path| existing(path)).collect::<Result<Vec<_>, _>>()?;
        let embedder = self.embedder()?;
        let mut writer = match self.writer(Some(&embedder), cancel, progress) {
            Err(Error::Index(IndexError::Stopped { .. })) => {
                return Ok(Summary { interrupted: true, ..Summary::default() });
            }
            // Somebody else writes, and there is nothing to write.
            Err(Error::Index(IndexError::Busy { .. }))
                if !remembered && self.is_up_to_date(&paths, cancel)? =>
            {
                return Ok(Summary::default());
            }
            Err(Error::Index(IndexError::Busy { .. })) => {
                match self.wait_for_writer(Some(&embedder), cancel, progress)? {
                    Some(writer) => writer,
                    None => return Ok(Summary { interrupted: true, ..Summary::default() }),
                }
            }
            writer => writer?,
        };
        let Settings { hidden, no_ignore, .. } = self.settings;
        let settings = RootSettings { hidden, no_ignore };
        let known = writer.roots()?;
        for path in &paths {
            // What says nothing new is not written: then there is nothing to commit.
            let is_known = |root: &Root| {
                &root.path == path && (!remembered || (root.remembered && root.settings == settings))
            };
            if !known.iter().any(is_known) {
                writer.add_root(path, remembered)?;
                writer.set_root_settings(path, settings)?;
            }
        }
        self.run_ingest(&mut writer, &embedder, &paths, cancel, progress)
    }

    fn run_ingest(
        &self,
        writer: &mut Writer,
        embedder: &Embedder,
        paths: &[PathBuf],
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Summary, Error> {
        let model = self.embedding_model()?;
        if self.open_index()?.setting(EMBEDDING_SETTING)?.as_ref() != Some(&model) {
            writer.set_setting(EMBEDDING_SETTING, &model)?;
        }
        if let Some((name, value)) = self.new_reranking()? {
            writer.set_setting(name, value)?;
        }
        let options = self.ingest_options();
        let summary = docent_ingest::ingest(writer, Some(embedder), paths, &options, cancel, progress)?;
        if summary.changed + summary.renamed + summary.removed > 0 {
            self.drop_gone_prefixes();
        }
        Ok(summary)
    }

    pub(crate) fn ingest_options(&self) -> IngestOptions {
        IngestOptions {
            limits: self.settings.limits.clone(),
            hidden: self.settings.hidden,
            no_ignore: self.settings.no_ignore,
            ignore: self.settings.ignore.clone(),
            retry_failed: self.settings.retry_failed,
            exclude: vec![self.settings.data_dir.clone(), self.settings.cache_dir.clone()],
            ..IngestOptions::default()
        }
    }

    /// Whether these paths were indexed before and nothing about them has changed.
    fn is_up_to_date(&self, paths: &[PathBuf], cancel: &dyn Fn() -> bool) -> Result<bool, Error> {
        let index = self.open_index()?;
        let snapshot = index.snapshot()?;
        let roots = snapshot.roots()?;
        let is_known = |path: &PathBuf| roots.iter().any(|root| path.starts_with(&root.path));
        let (difference, _) = docent_ingest::difference(&snapshot, paths, &self.ingest_options(), cancel)?;
        Ok(paths.iter().all(is_known) && difference.is_empty())
    }

    /// Forgets files and folders that were added, with everything indexed from them. The files themselves stay.
    ///
    /// # Errors
    /// [`Error::NotARoot`] for a path that was never added.
    pub fn remove(
        &self,
        paths: &[PathBuf],
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<usize, Error> {
        let index = self.open_index()?;
        let roots = index.roots()?;
        let wanted: Vec<PathBuf> = paths.iter().map(|path| absolute(path)).collect();
        for (path, given) in wanted.iter().zip(paths) {
            if !roots.iter().any(|root| &root.path == path) {
                let inside =
                    roots.iter().find(|root| path.starts_with(&root.path)).map(|root| root.path.clone());
                return Err(Error::NotARoot { path: given.clone(), inside });
            }
        }
        let Some(mut writer) = self.wait_for_writer(None, cancel, progress)? else { return Ok(0) };
        let mut n_removed = 0;
        for path in &wanted {
            n_removed += writer.remove_root(path)?;
        }
        writer.commit()?;
        drop(writer);
        self.drop_gone_prefixes();
        Ok(n_removed)
    }

    /// A document's whole text.
    ///
    /// # Errors
    /// [`Error::NotIndexed`].
    pub fn document(&self, path: &Path) -> Result<DocumentText, Error> {
        let index = self.open_index()?;
        let record = index.file(&absolute(path))?.filter(|record| record.fate == Fate::Indexed);
        let record = record.ok_or_else(|| Error::NotIndexed { path: path.to_owned() })?;
        Ok(index.document(record.id)?)
    }

    /// Everything the library holds.
    ///
    /// # Errors
    /// An index that cannot be read. An empty inventory if there is none yet.
    pub fn inventory(&self) -> Result<Inventory, Error> {
        if !Index::exists(&self.settings.index_dir()) {
            let embedding_model = self.embedding_model()?;
            let stats = Stats::default();
            let (roots, files) = (Vec::new(), Vec::new());
            return Ok(Inventory { roots, files, stats, embedding_model, reranking_model: None });
        }
        let index = self.open_index()?;
        Ok(Inventory {
            roots: index.roots()?,
            files: index.files()?,
            stats: index.stats()?,
            embedding_model: self.embedding_model()?,
            reranking_model: reranking_of(&index)?,
        })
    }

    /// The collections that there are, the one without a name first.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn collections(&self) -> Result<Vec<CollectionInfo>, Error> {
        let mut names: Vec<String> = std::fs::read_dir(self.settings.collections_dir())
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| Index::exists(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        let unnamed = Settings { collection: None, ..self.settings.clone() };
        let with_name = |name| Settings { collection: Some(name), ..self.settings.clone() };
        let all = std::iter::once(unnamed).chain(names.into_iter().map(with_name));
        all.filter(|settings| Index::exists(&settings.index_dir()))
            .map(|settings| {
                let index = Index::open(&settings.index_dir(), &IndexOptions { read_only: true })?;
                Ok(CollectionInfo {
                    name: settings.collection,
                    roots: index.roots()?,
                    stats: index.stats()?,
                    embedding_model: index
                        .setting(EMBEDDING_SETTING)?
                        .unwrap_or_else(|| EMBEDDING_MODEL.to_owned()),
                    reranking_model: reranking_of(&index)?,
                })
            })
            .collect()
    }

    /// Name of the embedding model: the one asked for, else the collection's own, else that of new collections.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn embedding_model(&self) -> Result<String, Error> {
        if let Some(name) = &self.settings.embedding {
            return Ok(name.clone());
        }
        let of_new = || self.settings.default_embedding.clone().unwrap_or_else(|| EMBEDDING_MODEL.to_owned());
        if !Index::exists(&self.settings.index_dir()) {
            return Ok(of_new());
        }
        let index = self.open_index()?;
        Ok(match index.setting(EMBEDDING_SETTING)? {
            Some(name) => name,
            // Made just now, or by a process that was killed before it wrote anything.
            None if index.stats()?.n_indexed == 0 => of_new(),
            None => EMBEDDING_MODEL.to_owned(),
        })
    }

    /// The index for reading, opened at the first call. What others commit later is seen.
    pub(crate) fn open_index(&self) -> Result<Arc<Index>, Error> {
        self.open_collection(&self.settings.collection)
    }

    /// As [`open_index`](Self::open_index), of any collection.
    pub(crate) fn open_collection(&self, name: &Option<String>) -> Result<Arc<Index>, Error> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = indexes.get(name).filter(|index| index.is_still_there()) {
            return Ok(index.clone());
        }
        let dir = Settings { collection: name.clone(), ..self.settings.clone() }.index_dir();
        if !Index::exists(&dir) {
            return Err(match name {
                Some(name) if *name != self.settings.collection.as_deref().unwrap_or_default() => {
                    Error::NoCollection { name: name.clone() }
                }
                _ => Error::Empty,
            });
        }
        let index = Arc::new(Index::open(&dir, &IndexOptions { read_only: true })?);
        indexes.insert(name.clone(), index.clone());
        Ok(index)
    }

    /// The right to write, at once or not at all.
    pub(crate) fn writer(
        &self,
        embedder: Option<&Embedder>,
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Writer, Error> {
        let index = Index::open(&self.settings.index_dir(), &IndexOptions { read_only: false })?;
        let spec = embedder.map(|embedder| EmbeddingSpec {
            fingerprint: embedder.fingerprint().to_owned(),
            dim: embedder.dim(),
        });
        Ok(index.writer_telling(spec, &mut |bytes_done, bytes_total| {
            progress(Progress::Renewing { bytes_done, bytes_total });
            !cancel()
        })?)
    }

    /// The right to write, as soon as nobody else has it; none where the caller asks to stop while waiting. Says once whom it
    /// waits for, and again when that is another.
    pub(crate) fn wait_for_writer(
        &self,
        embedder: Option<&Embedder>,
        cancel: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<Writer>, Error> {
        let mut told = String::new();
        loop {
            match self.writer(embedder, cancel, progress) {
                Err(Error::Index(IndexError::Stopped { .. })) => return Ok(None),
                Err(Error::Index(IndexError::Busy { holder, .. })) => {
                    if holder != told {
                        progress(Progress::Waiting { holder: holder.clone() });
                        told = holder;
                    }
                }
                writer => return writer.map(Some),
            }
            if cancel() {
                return Ok(None);
            }
            std::thread::sleep(WRITER_POLL);
        }
    }

    /// The collection's embedding model, opened at the first call.
    pub(crate) fn embedder(&self) -> Result<Arc<Embedder>, Error> {
        self.embedder_named(&self.embedding_model()?)
    }

    /// An embedding model, opened at the first call.
    pub(crate) fn embedder_named(&self, name: &str) -> Result<Arc<Embedder>, Error> {
        let mut embedders = self.embedders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(embedder) = embedders.get(name) {
            return Ok(embedder.clone());
        }
        let installed =
            self.models.installed(name).ok_or_else(|| Error::ModelMissing { name: name.to_owned() })?;
        let (query, passage) = installed.entry.prefixes;
        let prefixes = docent_embed::Prefixes { query, passage };
        let embedder = Arc::new(Embedder::open_with(&installed.dir, self.settings.n_threads, prefixes)?);
        embedders.insert(name.to_owned(), embedder.clone());
        Ok(embedder)
    }

    /// Vectors of texts by an embedding model, each of length 1; without a name, the collection's.
    ///
    /// # Errors
    /// [`Error::ModelMissing`], [`Error::NotAnEmbedder`].
    pub fn embed(&self, model: Option<&str>, texts: &[&str], role: TextRole) -> Result<Embedded, Error> {
        let model = match model {
            Some(name) => name.to_owned(),
            None => self.embedding_model()?,
        };
        if docent_models::find(&model)?.kind != ModelKind::Embedding {
            return Err(Error::NotAnEmbedder { name: model });
        }
        let embedder = self.embedder_named(&model)?;
        let vectors = match role {
            TextRole::Question => embedder.embed_queries(texts)?,
            TextRole::Passage => embedder.embed(texts)?,
        };
        let n_tokens = texts.iter().map(|text| embedder.count_tokens(text).min(embedder.max_tokens())).sum();
        Ok(Embedded { model, vectors, n_tokens })
    }

    /// The kernels as the settings want them, for looking at; an engine opens its own.
    ///
    /// # Errors
    /// An instruction set that this processor lacks.
    pub fn kernels(&self) -> Result<Kernels, Error> {
        Ok(Kernels::new(self.kernel_settings())?)
    }

    fn kernel_settings(&self) -> docent_kernels::Settings {
        let Settings { n_threads, isa, profile, .. } = self.settings;
        docent_kernels::Settings { n_threads, isa, profile, ..docent_kernels::Settings::default() }
    }

    /// Where the open model's time went since the last call; `None` where no model is open or
    /// [`Settings::profile`] does not ask for it.
    pub fn take_profile(&self) -> Option<Profile> {
        let slot = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref()?.engine.model().kernels().take_profile()
    }

    /// The engine for `model`, opened at the first call and again when another model is asked for.
    ///
    /// # Errors
    /// A file that is no model docent runs.
    pub fn engine(&self, model: &ChosenModel, kv_type: KvType) -> Result<Arc<Engine>, Error> {
        let mut slot = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = slot.as_ref().filter(|open| open.path == model.path && open.kv_type == kv_type) {
            return Ok(open.engine.clone());
        }
        *slot = None; // two models at once may not fit into memory
        let options = EngineOptions { kv_type, kernels: self.kernel_settings() };
        let engine = Arc::new(Engine::open(&model.path, &options)?);
        *slot =
            Some(OpenEngine { path: model.path.clone(), kv_type, engine: engine.clone(), prefixes: None });
        Ok(engine)
    }

    /// The part of the prefix store that belongs to `engine`; `None` where nothing is to be kept. The first call for a model file
    /// reads all of it and tells how far that is.
    pub fn prefixes(&self, engine: &Arc<Engine>, on_event: &mut dyn FnMut(Reading)) -> Option<Prefixes> {
        if !self.settings.keep_prefixes {
            return None;
        }
        let mut slot = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hashed = |done, total| on_event(Reading::Hashed { done, total });
        let mut new = || Prefixes::new(self.prefix_store.clone(), engine.model(), &mut hashed);
        match slot.as_mut().filter(|open| Arc::ptr_eq(&open.engine, engine)) {
            Some(open) => Some(open.prefixes.get_or_insert_with(&mut new).clone()),
            None => Some(new()),
        }
    }
}

/// Who writes to the index in a folder now, if somebody does.
pub fn index_writer(dir: &Path) -> Option<String> {
    Index::writer_of(dir)
}

/// The absolute path of something that must exist, links resolved.
fn existing(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|error| Error::Path { path: path.to_owned(), reason: reason(&error) })
}

/// The absolute path of something that may be gone.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "you may not read it".to_owned(),
        _ => error.to_string(),
    }
}
