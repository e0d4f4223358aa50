//! From what the user typed and the platform to the library's settings. The only place that knows where things live.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use docent::Settings;
use docent_extract::Worker;
use etcetera::BaseStrategy as _;

use crate::args::{self, Common, IngestArgs};

/// Where the configuration file is, if there is one: named, in the home, or in the platform's own place.
pub fn config_path(common: &Common) -> anyhow::Result<PathBuf> {
    const NAME: &str = "config.toml";
    Ok(match (&common.config, &common.home) {
        (Some(file), _) => std::path::absolute(file).context("--config")?,
        (None, Some(home)) => std::path::absolute(home).context("--home")?.join(NAME),
        (None, None) => base()?.config_dir().join("docent").join(NAME),
    })
}

/// Resolves folders and threads.
pub fn resolve(common: &Common, ingest: Option<&IngestArgs>) -> anyhow::Result<Settings> {
    let mut settings = match &common.home {
        Some(home) => Settings::in_folder(std::path::absolute(home).context("--home")?),
        None => platform()?,
    };
    if let Some(dir) = &common.models_dir {
        settings.models = Some(std::path::absolute(dir).context("--models-dir")?);
    }
    if let Some(threads) = common.threads {
        settings.n_threads = usize::from(threads);
    }
    settings.isa = common.isa.map(|isa| match isa {
        args::Isa::Scalar => docent::Isa::Scalar,
        args::Isa::Avx2 => docent::Isa::Avx2,
        args::Isa::Avx512 => docent::Isa::Avx512,
    });
    settings.profile = common.profile;
    settings.default_embedding.clone_from(&common.default_embedding);
    settings.collection = match common.collections.as_slice() {
        [name] => named(name),
        // Several: whoever looks into several asks for them by name.
        _ => None,
    };
    settings.keep_prefixes = !common.no_cache;
    settings.prefix_bytes = common.cache_size;
    settings.limits.worker = extract_worker().map(Arc::new);
    if let Some(ingest) = ingest {
        settings.limits.max_bytes = ingest.max_size;
        settings.limits.ocr = ingest.ocr.wanted();
        settings.hidden = ingest.hidden;
        settings.no_ignore = ingest.no_ignore;
        settings.ignore.clone_from(&ingest.ignore);
    }
    Ok(settings)
}

/// The collection that is meant by a name on the command line.
pub fn named(name: &str) -> Option<String> {
    (name != args::UNNAMED).then(|| name.to_owned())
}

/// XDG folders on Linux and macOS, Known Folders on Windows.
fn base() -> anyhow::Result<impl etcetera::BaseStrategy> {
    etcetera::choose_base_strategy().context("no home folder is known; name one with --home DIR")
}

fn platform() -> anyhow::Result<Settings> {
    let base = base()?;
    let mut settings = Settings::in_folder(PathBuf::new());
    settings.data_dir = base.data_dir().join("docent");
    settings.cache_dir = base.cache_dir().join("docent");
    Ok(settings)
}

/// Memory that one worker may use: as much as a large PDF needs, and a bomb does not get more.
const WORKER_MEMORY: u64 = 4 << 30;

/// This program again, as the process that reads documents which may crash their parser.
fn extract_worker() -> Option<Worker> {
    let program = std::env::current_exe().ok()?;
    Some(Worker::new(program, vec!["extract-worker".into()], WORKER_MEMORY))
}
