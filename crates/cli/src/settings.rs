//! From what the user typed and the platform to the library's settings. The only place that knows where things live.

use std::path::PathBuf;

use anyhow::Context as _;
use docent::Settings;
use etcetera::BaseStrategy as _;

use crate::args::{Common, IngestArgs};

/// Resolves folders and threads.
pub fn resolve(common: &Common, ingest: Option<&IngestArgs>) -> anyhow::Result<Settings> {
    let mut settings = match &common.home {
        Some(home) => Settings::in_folder(std::path::absolute(home).context("--home")?),
        None => platform()?,
    };
    if let Some(threads) = common.threads {
        settings.n_threads = usize::from(threads);
    }
    settings.isa.clone_from(&common.isa);
    settings.extract_worker = extract_worker();
    if let Some(ingest) = ingest {
        settings.limits.max_bytes = ingest.max_size;
        settings.hidden = ingest.hidden;
        settings.no_ignore = ingest.no_ignore;
    }
    Ok(settings)
}

/// XDG folders on Linux and macOS, Known Folders on Windows.
fn platform() -> anyhow::Result<Settings> {
    let base = etcetera::choose_base_strategy().context("no home folder is known; name one with --home DIR")?;
    let mut settings = Settings::in_folder(PathBuf::new());
    settings.data_dir = base.data_dir().join("docent");
    settings.cache_dir = base.cache_dir().join("docent");
    Ok(settings)
}

/// This program again, as the process that reads documents which may crash their parser.
fn extract_worker() -> Option<Vec<String>> {
    let program = std::env::current_exe().ok()?.into_os_string().into_string().ok()?;
    Some(vec![program, "extract-worker".to_owned()])
}
