//! Searches run on a few threads, so many at once as there are cores; more wait their turn, for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::problem::Problem;
use crate::settings::Limits;

/// The right to search.
pub(crate) struct Searches {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    n_waiting: usize,
    wait: Duration,
}

/// One that waits; counted until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Searches {
    pub fn new(limits: &Limits) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(limits.n_searching.max(1))),
            waiting: AtomicUsize::new(0),
            n_waiting: limits.n_searches_waiting,
            wait: limits.search_wait,
        }
    }

    /// Does `work` on a thread where it may block.
    ///
    /// # Errors
    /// Its turn does not come in time; what `work` says.
    pub async fn run<T, E>(&self, work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let n_before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        let full =
            || Problem::busy("too_many_searches", "too many searches at once; try again in a moment", 1);
        if n_before >= self.n_waiting {
            return Err(full());
        }
        let turn =
            tokio::time::timeout(self.wait, self.turns.clone().acquire_owned()).await.map_err(|_| full())?;
        let turn = turn.map_err(|_| Problem::stopped())?;
        drop(waiting);
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn); // here, and not when the client goes: the thread is busy until now
            done
        })
        .await
        .map_err(|_| {
            Problem::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "this request made docent stumble; please report it with what you asked for",
            )
        })?;
        done.map_err(Into::into)
    }
}
