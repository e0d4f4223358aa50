//! Where work is done, and when its turn comes.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Something to do on a thread where it may block.
pub type Work = Box<dyn FnOnce() + Send>;

/// Who does the work: the server itself for its one client ([`Own`]), or a program in which others wait for the same model.
pub trait Turns: Send + Sync + 'static {
    /// Does `work` at once or soon; for what takes milliseconds to seconds.
    fn look_up(&self, work: Work) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;

    /// Does `work` when its turn at the model comes, and returns at once. What it gives is held for as long as somebody waits.
    ///
    /// # Errors
    /// It cannot wait, in a sentence for the client.
    fn ask(&self, work: Work) -> Result<Box<dyn Any + Send>, String>;
}

/// Searches and readings at a time. They pass a question that is being answered.
const N_LOOKUPS: usize = 2;

/// One question at a time, in the order they came.
pub struct Own {
    questions: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

impl Default for Own {
    fn default() -> Self {
        Self { questions: Arc::new(Semaphore::new(1)), lookups: Arc::new(Semaphore::new(N_LOOKUPS)) }
    }
}

impl Turns for Own {
    fn look_up(&self, work: Work) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(when_free(self.lookups.clone(), work))
    }

    fn ask(&self, work: Work) -> Result<Box<dyn Any + Send>, String> {
        tokio::spawn(when_free(self.questions.clone(), work));
        Ok(Box::new(()))
    }
}

async fn when_free(places: Arc<Semaphore>, work: Work) -> Result<(), String> {
    let stopped = || "the server is being stopped".to_owned();
    let place = places.acquire_owned().await.map_err(|_| stopped())?;
    let working = tokio::task::spawn_blocking(move || {
        work();
        drop(place);
    });
    working.await.map_err(|_| stopped())
}
