//! Walk, extract, chunk, embed, index: incremental and resumable.
//!
//! [`ingest`] brings an index in line with what lies at or below some paths. What it has in the ledger with the same size,
//! time of change and inode is not opened; what has another is read and, if its content is the same, only noted; a file
//! whose content is that of one that is gone is the same file under a new name. Only the rest is extracted, cut into
//! passages ([`chunk`]), embedded and stored. Files that give no document are noted with the reason and never stop it.
//!
//! What never happens here: a file that is opened for writing; a link followed out of a root; the data of a root that is gone
//! deleted (a disk may be unmounted); a look at the environment or at settings; output.
//!
//! Cost: for what is unchanged one `stat` a file and one query in all; for the rest embedding dominates.

mod chunk;
mod difference;
mod embed;
mod error;
mod examine;
mod gate;
mod language;
mod pipeline;
mod plan;
mod report;
#[cfg(test)]
mod tests;
mod walk;
mod watch;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docent_extract::Worker;
use docent_index::Writer;

pub use chunk::{Chunk, ChunkOptions, approximate_tokens, chunk, embedding_text};
pub use difference::{Difference, difference};
pub use embed::Embed;
pub use error::IngestError;
pub use language::{language, of_text as language_of_text};
pub use report::{IngestOptions, Progress, Summary};
pub use walk::{IGNORE_FILE, WalkOptions, Walked, check_pattern, walk};
pub use watch::{Watcher, Woken};

/// Address space of a process that extracts: what the largest file allowed may need, and not what a broken one can ask for.
const WORKER_MEMORY: u64 = 4 << 30;

/// Brings the index in line with what lies at or below `roots`, files or folders.
///
/// Commits every few seconds and at the end. `cancel` is asked between files and between batches of passages; when it says
/// true, what is done is committed and [`Summary::interrupted`] is set. Without `embedder`, passages are stored without
/// vectors; an ingestion with one adds them. Roots are remembered by [`Writer::add_root`], not here.
///
/// # Errors
/// [`IngestError::RootMissing`] or [`IngestError::RootUnreadable`] names a root that is not there or cannot be listed,
/// after the others have been brought up to date. Otherwise what the index or the model gives; what was committed by then
/// stays.
pub fn ingest(
    writer: &mut Writer,
    embedder: Option<&dyn Embed>,
    roots: &[PathBuf],
    options: &IngestOptions,
    cancel: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, IngestError> {
    let mut limits = options.limits.clone();
    if let Some((program, args)) = options.worker.as_ref().and_then(|command| command.split_first())
        && limits.worker.is_none()
    {
        let args = args.iter().map(OsString::from).collect();
        limits.worker = Some(Arc::new(Worker::new(PathBuf::from(program), args, WORKER_MEMORY)));
    }
    let extract = |path: &Path, bytes: &[u8]| docent_extract::extract(path, bytes, &limits);
    let tools = pipeline::Tools { embed: embedder, read_file: &examine::read_file, extract: &extract };
    pipeline::run(writer, &tools, roots, options, cancel, progress)
}
