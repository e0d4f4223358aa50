//! `--watch`: one thread that keeps the index up to date while documents change.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use docent::json::{IngestProgress, IngestSummary};
use docent::{Cancel, Error, Library, WatchEvent, WatchOptions};
use serde::Serialize;

/// How often a library without a folder is looked at again.
const EMPTY_POLL: Duration = Duration::from_secs(2);

/// What the watch is at.
#[derive(Clone, Default)]
pub(crate) struct Watching(Arc<Mutex<WatchState>>);

/// What the watch is at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WatchState {
    /// The server watches.
    pub on: bool,
    /// Folders and files that are watched.
    pub roots: usize,
    /// How far an update is that runs now.
    pub progress: Option<IngestProgress>,
    /// What the last update did that changed something.
    pub last: Option<IngestSummary>,
    /// Why the last update failed, if it did.
    pub error: Option<String>,
}

impl Watching {
    /// Watches until `stop` is raised.
    pub fn start(library: Arc<Library>, stop: Cancel) -> std::io::Result<(Self, Option<JoinHandle<()>>)> {
        let watching = Self::default();
        watching.change(|state| state.on = true);
        let told = watching.clone();
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            while !stop.is_cancelled() {
                let ended = library
                    .watch(&WatchOptions::default(), &|| stop.is_cancelled(), &mut |event| told.tell(event));
                match ended {
                    Err(Error::Empty) | Ok(()) => (),
                    Err(error) => told.change(|state| state.error = Some(error.to_string())),
                }
                wait(&stop);
            }
        })?;
        Ok((watching, Some(thread)))
    }

    /// What it is at.
    pub fn state(&self) -> WatchState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut WatchState)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn tell(&self, event: WatchEvent) {
        self.change(|state| match event {
            WatchEvent::Watching(roots, _) => state.roots = roots.len(),
            WatchEvent::Progress(progress) => state.progress = Some(IngestProgress::from(&progress)),
            WatchEvent::Updated(summary) => {
                state.progress = None;
                state.error = None;
                if summary.n_changes() > 0 {
                    state.last = Some(IngestSummary::from(&summary));
                }
            }
            WatchEvent::Failed(error) => {
                state.progress = None;
                state.error = Some(error.to_string());
            }
        });
    }
}

fn wait(stop: &Cancel) {
    let step = Duration::from_millis(100);
    for _ in 0..EMPTY_POLL.as_millis() / step.as_millis() {
        if !stop.is_cancelled() {
            std::thread::sleep(step);
        }
    }
}
