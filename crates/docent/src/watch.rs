//! Keeping the index up to date while somebody works on the documents.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use docent_ingest::{Progress, Summary, Watcher, Woken};

use crate::{Error, Library};

/// How often the list of roots is looked at: another process may add one.
const ROOTS_EVERY: Duration = Duration::from_secs(5);

/// How to watch.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Quiet after a change before it is taken in: saving is often several writes.
    pub quiet: Duration,
    /// Time after which everything is looked at even if the system told of no change.
    pub sweep: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { quiet: Duration::from_millis(500), sweep: Duration::from_secs(600) }
    }
}

/// What happens while watching.
#[derive(Debug)]
pub enum WatchEvent {
    /// These are watched from now on; the second list has what the system cannot watch, and why: that is only swept.
    Watching(Vec<PathBuf>, Vec<(PathBuf, String)>),
    /// An update is under way.
    Progress(Progress),
    /// An update is done.
    Updated(Summary),
    /// An update failed. The watch goes on.
    Failed(Error),
}

impl Library {
    /// Brings the index up to date, and keeps it so until `cancel` says true. The right to write is held during updates only.
    ///
    /// # Errors
    /// [`Error::Empty`] if nothing was added; an index that cannot be read. An update that fails is told to `on_event`.
    pub fn watch(
        &self,
        options: &WatchOptions,
        cancel: &dyn Fn() -> bool,
        on_event: &mut dyn FnMut(WatchEvent),
    ) -> Result<(), Error> {
        let mut roots = self.remembered_roots()?;
        if roots.is_empty() {
            return Err(Error::Empty);
        }
        let exclude = [self.settings.data_dir.clone(), self.settings.cache_dir.clone()];
        let mut watcher = Watcher::new(&roots, &exclude);
        on_event(WatchEvent::Watching(roots.clone(), watcher.unwatched().to_vec()));
        self.update_and_tell(&roots, cancel, on_event);
        let mut swept = Instant::now();
        while !cancel() {
            let woken = watcher.wait(options.quiet, options.sweep.min(ROOTS_EVERY), cancel);
            let now = self.remembered_roots()?;
            if now != roots {
                roots = now;
                watcher = Watcher::new(&roots, &exclude);
                on_event(WatchEvent::Watching(roots.clone(), watcher.unwatched().to_vec()));
                swept = Instant::now();
                self.update_and_tell(&roots, cancel, on_event);
            }
            match woken {
                Woken::Cancelled => break,
                Woken::Changed(changed) => self.update_and_tell(&changed, cancel, on_event),
                Woken::Time if swept.elapsed() >= options.sweep => {
                    // A root that came back, on a disk that was mounted again, has to be watched anew.
                    watcher = Watcher::new(&roots, &exclude);
                    self.update_and_tell(&roots, cancel, on_event);
                    swept = Instant::now();
                }
                Woken::Time => {}
            }
        }
        Ok(())
    }

    fn update_and_tell(
        &self,
        roots: &[PathBuf],
        cancel: &dyn Fn() -> bool,
        on_event: &mut dyn FnMut(WatchEvent),
    ) {
        let mut progress = |progress| on_event(WatchEvent::Progress(progress));
        match self.update_roots(roots, cancel, &mut progress) {
            Ok(summary) => on_event(WatchEvent::Updated(summary)),
            Err(error) => on_event(WatchEvent::Failed(error)),
        }
    }
}
