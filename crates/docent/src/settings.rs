//! What a library is opened with. Resolved by the program that embeds it; nothing here reads the environment.

use std::path::PathBuf;

use docent_extract::Limits;
use docent_kernels::Isa;

/// Where a library keeps its things and what it may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The index lives in `data_dir/index`, those of named collections in `data_dir/collections`.
    pub data_dir: PathBuf,
    /// The collection worked with; none for the one without a name. Each is an index of its own: see [`check_name`](Self::check_name).
    pub collection: Option<String>,
    /// The embedding model of the collection from now on; none: the one it has, and for a new one the catalogue's.
    pub embedding: Option<String>,
    /// The embedding model of a collection in which nothing is yet; none: the catalogue's.
    pub default_embedding: Option<String>,
    /// The model that reads the collection's best candidates again, from now on: see
    /// [`Library::use_reranking`](crate::Library::use_reranking).
    pub reranking: Option<String>,
    /// What can be made again lives below this folder: the state of what was read, models where [`models`](Self::models) says nothing else.
    pub cache_dir: PathBuf,
    /// Models live here, for several libraries to share; none: in `cache_dir/models`.
    pub models: Option<PathBuf>,
    /// Threads for indexing and inference.
    pub n_threads: usize,
    /// Forces an instruction set of the kernels; for tests and comparisons.
    pub isa: Option<Isa>,
    /// Collect where a model's time goes, for [`Library::take_profile`](crate::Library::take_profile).
    pub profile: bool,
    /// Keep what the model computed for documents on disk, and use it again.
    pub keep_prefixes: bool,
    /// The most bytes that may take; by default the smaller of 20 GiB and a tenth of the free disk.
    pub prefix_bytes: Option<u64>,
    /// Write down questions and answers, for so many days; none: nothing is written down.
    pub history_days: Option<u32>,
    /// What one file may cost while it is read, and the process that reads those whose parser may crash.
    pub limits: Limits,
    /// Read hidden files too. Remembered for each root that is added.
    pub hidden: bool,
    /// Read what ignore files exclude. Remembered for each root that is added.
    pub no_ignore: bool,
    /// Patterns of files and folders that are not read, in gitignore syntax and seen from each root
    /// ([`check_pattern`](crate::check_pattern) says which are none). Not remembered: they hold for every root while they are set.
    pub ignore: Vec<String>,
    /// Read files that failed before once more, even if they have not changed.
    pub retry_failed: bool,
}

impl Settings {
    /// Everything below one folder, with the defaults a person would want.
    pub fn in_folder(home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        Self {
            data_dir: home.join("data"),
            collection: None,
            embedding: None,
            default_embedding: None,
            reranking: None,
            cache_dir: home.join("cache"),
            models: None,
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
            isa: None,
            profile: false,
            keep_prefixes: true,
            prefix_bytes: None,
            history_days: None,
            limits: Limits::default(),
            hidden: false,
            no_ignore: false,
            ignore: Vec::new(),
            retry_failed: false,
        }
    }

    /// Where the collection's index lives.
    pub fn index_dir(&self) -> PathBuf {
        match &self.collection {
            None => self.data_dir.join("index"),
            Some(name) => self.collections_dir().join(name),
        }
    }

    /// Where the indexes of named collections live.
    pub fn collections_dir(&self) -> PathBuf {
        self.data_dir.join("collections")
    }

    /// Whether a collection may have this name: letters, digits, `-`, `_` and `.`, at most 64, and no `.` first.
    pub fn check_name(name: &str) -> bool {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        !name.is_empty() && name.chars().count() <= 64 && name.chars().all(fits) && !name.starts_with('.')
    }

    /// Where the states of beginnings of prompts are kept. They are content of documents.
    pub fn prefix_dir(&self) -> PathBuf {
        self.cache_dir.join("prefix")
    }

    /// Where questions and answers are written down.
    pub fn history_path(&self) -> PathBuf {
        self.data_dir.join("history.jsonl")
    }

    /// Where conversations about documents are written down.
    pub fn conversations_path(&self) -> PathBuf {
        self.data_dir.join("conversations.jsonl")
    }

    /// Where the indexes of test collections are kept.
    pub fn evaluation_dir(&self) -> PathBuf {
        self.cache_dir.join("eval")
    }

    /// Where the models live.
    pub fn models_dir(&self) -> PathBuf {
        self.models.clone().unwrap_or_else(|| self.cache_dir.join("models"))
    }
}
