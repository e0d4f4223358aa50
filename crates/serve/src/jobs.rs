//! Indexing that was asked for over HTTP: one at a time, on a thread of its own, whether or not the client that asked still listens.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use docent::json::{IngestProgress, IngestSummary};
use docent::{Cancel, Error, Progress, Summary};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::problem::{Problem, ProblemDetail};
use crate::queue::Running;

/// Jobs that are remembered after their end.
const REMEMBERED: usize = 64;
/// A client that follows a job is told so often how far it is, at most.
const TOLD_EVERY: Duration = Duration::from_millis(100);
/// Jobs that wait or run.
const MOST: usize = 32;

/// What a job is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Others come first.
    Waiting,
    /// It is worked on.
    Running,
    /// It is done: `summary` says what it did.
    Done,
    /// It failed: `error` says why. What was done before is kept.
    Failed,
    /// It was stopped. What was done before is kept.
    Cancelled,
}

/// Indexing that was asked for.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct JobStatus {
    /// Its name.
    pub id: String,
    /// `add`, `update`, `upload` or `remove`.
    pub kind: &'static str,
    /// The collection; `null` for the one without a name.
    pub collection: Option<String>,
    /// What it is at.
    pub state: JobState,
    /// How far it is while it runs.
    pub progress: Option<IngestProgress>,
    /// What it did.
    pub summary: Option<IngestSummary>,
    /// Why it failed.
    pub error: Option<ProblemDetail>,
}

impl JobStatus {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self.state, JobState::Done | JobState::Failed | JobState::Cancelled)
    }
}

/// A job that can be watched and stopped.
pub(crate) struct Job {
    cancel: Cancel,
    status: watch::Sender<JobStatus>,
}

impl Job {
    /// What it is at now.
    pub fn status(&self) -> JobStatus {
        self.status.borrow().clone()
    }

    /// What it will be at.
    pub fn changes(&self) -> watch::Receiver<JobStatus> {
        self.status.subscribe()
    }

    /// Stops it at the next safe place.
    pub fn stop(&self) {
        self.cancel.cancel();
    }

    /// What it is at, again and again until its end, for the one client that it is done for: when that goes away, it is stopped.
    pub fn followed(&self) -> Running<JobStatus> {
        let (sender, events) = mpsc::unbounded_channel();
        let mut changes = self.changes();
        tokio::spawn(async move {
            // One that has its turn at once does not wait.
            let _ = timeout(TOLD_EVERY, changes.wait_for(|status| status.state != JobState::Waiting)).await;
            loop {
                let status = changes.borrow_and_update().clone();
                let is_over = status.is_over();
                if sender.send(status).is_err() || is_over || changes.changed().await.is_err() {
                    return;
                }
                let _ = timeout(TOLD_EVERY, changes.wait_for(JobStatus::is_over)).await;
            }
        });
        Running::new(events, self.cancel.clone())
    }

    /// Waits for its end.
    pub async fn end(&self) -> JobStatus {
        let mut changes = self.changes();
        let ended = changes.wait_for(JobStatus::is_over).await.map(|status| status.clone());
        ended.unwrap_or_else(|_| self.status())
    }

    fn run(&self, work: Work) {
        if self.cancel.is_cancelled() {
            self.status.send_modify(|status| {
                status.state = JobState::Cancelled; // before its turn came
                status.summary = Some(IngestSummary { interrupted: true, ..IngestSummary::default() });
            });
            return;
        }
        self.status.send_modify(|status| status.state = JobState::Running);
        let done = work(&|| self.cancel.is_cancelled(), &mut |progress| {
            self.status.send_modify(|status| status.progress = Some(IngestProgress::from(&progress)));
        });
        self.status.send_modify(|status| {
            status.progress = None;
            match done {
                Ok(summary) => {
                    let stopped = summary.interrupted || self.cancel.is_cancelled();
                    status.state = if stopped { JobState::Cancelled } else { JobState::Done };
                    status.summary = Some(IngestSummary::from(&summary));
                }
                Err(error) => {
                    status.state = JobState::Failed;
                    status.error = Some(Problem::from(error).body().error);
                }
            }
        });
    }
}

/// What a job does: it is told whether to stop, and tells how far it is.
pub(crate) type Work =
    Box<dyn FnOnce(&dyn Fn() -> bool, &mut dyn FnMut(Progress)) -> Result<Summary, Error> + Send>;

/// A job, and what it does.
type Ordered = (Arc<Job>, Work);

/// All jobs.
pub(crate) struct Jobs {
    known: Arc<Mutex<VecDeque<Arc<Job>>>>,
    sender: Mutex<Option<Sender<Ordered>>>,
    next: AtomicU64,
}

impl Jobs {
    /// No jobs, and the thread that will do them until [`close`](Self::close).
    pub fn start() -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, waiting) = channel::<Ordered>();
        let thread = std::thread::Builder::new().name("indexing".to_owned()).spawn(move || {
            for (job, work) in waiting {
                // A bug met in one folder is no reason never to index another.
                if std::panic::catch_unwind(AssertUnwindSafe(|| job.run(work))).is_err() {
                    tracing::error!("a job made its thread panic");
                    job.status.send_modify(|status| {
                        status.state = JobState::Failed;
                        status.error = Some(Problem::stopped().body().error);
                    });
                }
            }
        })?;
        let jobs = Self { known: Arc::default(), sender: Mutex::new(Some(sender)), next: AtomicU64::new(1) };
        Ok((jobs, thread))
    }

    /// Puts a job behind those that wait.
    ///
    /// # Errors
    /// Too many wait; the server is being stopped.
    pub fn submit(
        &self,
        kind: &'static str,
        collection: Option<String>,
        work: Work,
    ) -> Result<Arc<Job>, Problem> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().filter(|job| !job.status().is_over()).count() >= MOST {
            return Err(Problem::busy(
                "too_many_jobs",
                "too many folders wait to be indexed; try again later",
                30,
            ));
        }
        let id = format!("job-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let state = JobState::Waiting;
        let status = JobStatus { id, kind, collection, state, progress: None, summary: None, error: None };
        let job = Arc::new(Job { cancel: Cancel::new(), status: watch::Sender::new(status) });
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = sender.as_ref().is_some_and(|sender| sender.send((job.clone(), work)).is_ok());
        if !sent {
            return Err(Problem::stopped());
        }
        known.push_back(job.clone());
        while known.len() > REMEMBERED {
            known.pop_front();
        }
        Ok(job)
    }

    /// What there is, oldest first.
    pub fn list(&self) -> Vec<JobStatus> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|job| job.status()).collect()
    }

    /// A job by name.
    ///
    /// # Errors
    /// 404 for one that nobody knows (any more).
    pub fn find(&self, id: &str) -> Result<Arc<Job>, Problem> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|job| job.status.borrow().id == id).cloned().ok_or_else(|| {
            Problem::not_found(
                "no_such_job",
                format!("there is no job {id:?}; GET /v1/jobs lists those that there are"),
            )
        })
    }

    /// Stops what runs, and takes no more.
    pub fn close(&self) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = None;
        for job in self.known.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            job.stop();
        }
    }
}
