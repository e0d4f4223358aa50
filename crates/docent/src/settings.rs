//! What a library is opened with. Resolved by the program that embeds it; nothing here reads the environment.

use std::path::PathBuf;

use docent_extract::Limits;
use docent_kernels::Isa;

/// Where a library keeps its things and what it may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The index lives in `data_dir/index`.
    pub data_dir: PathBuf,
    /// Models live in `cache_dir/models`.
    pub cache_dir: PathBuf,
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
    /// What one file may cost while it is read, and the process that reads those whose parser may crash.
    pub limits: Limits,
    /// Read hidden files too.
    pub hidden: bool,
    /// Read what ignore files exclude.
    pub no_ignore: bool,
}

impl Settings {
    /// Everything below one folder, with the defaults a person would want.
    pub fn in_folder(home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        Self {
            data_dir: home.join("data"),
            cache_dir: home.join("cache"),
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
            isa: None,
            profile: false,
            keep_prefixes: true,
            prefix_bytes: None,
            limits: Limits::default(),
            hidden: false,
            no_ignore: false,
        }
    }

    /// Where the index lives.
    pub fn index_dir(&self) -> PathBuf {
        self.data_dir.join("index")
    }

    /// Where the states of beginnings of prompts are kept. They are content of documents.
    pub fn prefix_dir(&self) -> PathBuf {
        self.cache_dir.join("prefix")
    }

    /// Where the models live.
    pub fn models_dir(&self) -> PathBuf {
        self.cache_dir.join("models")
    }
}
