//! The model's thread, and who comes next.
//!
//! One model computes for one question at a time: two at once would take twice as long each and hold two states. Clients take turns: each
//! has a lane of its own, the thread goes from lane to lane, so that somebody with a hundred questions does not keep another with one
//! waiting for more than the question that is being answered.
//!
//! ```text
//! a: a1 a2 a3        answered:  a1 b1 c1 a2 c2 a3
//! b: b1
//! c: c1 c2
//! ```

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use docent::Cancel;
use tokio::sync::mpsc;

use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::settings::Limits;

type Job = Box<dyn FnOnce() + Send>;

/// Questions that wait for the model.
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    wake: Condvar,
    n_most: usize,
    n_most_each: usize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Lanes {
    /// The next one's lane first; none is empty.
    waiting: VecDeque<(String, VecDeque<Job>)>,
    n_waiting: usize,
    is_running: bool,
    is_closed: bool,
}

/// Work that was begun for a client: what it tells, and its end when nobody listens any more.
pub struct Running<E> {
    events: mpsc::UnboundedReceiver<E>,
    cancel: Cancel,
    /// Questions before it when it came.
    pub ahead: usize,
}

impl<E> Running<E> {
    /// Work that tells through `events`, and that `cancel` stops.
    pub(crate) fn new(events: mpsc::UnboundedReceiver<E>, cancel: Cancel) -> Self {
        Self { events, cancel, ahead: 0 }
    }

    /// What happens next; none when it is over.
    pub async fn next(&mut self) -> Option<E> {
        self.events.recv().await
    }
}

impl<E> Drop for Running<E> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Queue {
    /// An empty queue, and the thread that works it off until [`close`](Self::close).
    pub fn start(limits: &Limits, metrics: Arc<Metrics>) -> std::io::Result<(Arc<Self>, JoinHandle<()>)> {
        let queue = Arc::new(Self {
            lanes: Mutex::default(),
            wake: Condvar::new(),
            n_most: limits.n_waiting,
            n_most_each: limits.n_waiting_each,
            metrics,
        });
        let works = queue.clone();
        let thread = std::thread::Builder::new().name("model".to_owned()).spawn(move || {
            while let Some(job) = works.next() {
                works.metrics.model_runs(true);
                // A bug in one answer is no reason to leave all others without one: whoever waits for this one sees its channel closed.
                if std::panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a question made the model's thread panic");
                }
                works.metrics.model_runs(false);
                works.lock().is_running = false;
            }
        })?;
        Ok((queue, thread))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Questions that wait, and whether one is being answered.
    pub fn load(&self) -> (usize, bool) {
        let lanes = self.lock();
        (lanes.n_waiting, lanes.is_running)
    }

    /// Takes no more; what waits is dropped.
    pub fn close(&self) {
        let mut lanes = self.lock();
        lanes.is_closed = true;
        lanes.waiting.clear();
        lanes.n_waiting = 0;
        self.wake.notify_all();
    }

    /// Puts `work` into `client`'s lane. It is given its own flag, raised when what is returned is dropped, and tells through `emit`, which
    /// says whether anybody listens.
    ///
    /// # Errors
    /// Too many wait; the server is being stopped.
    pub fn submit<E: Send + 'static>(
        &self,
        client: &str,
        work: impl FnOnce(&Cancel, &mut dyn FnMut(E)) + Send + 'static,
    ) -> Result<Running<E>, Problem> {
        let (sender, events) = mpsc::unbounded_channel();
        let cancel = Cancel::new();
        let raised = cancel.clone();
        let metrics = self.metrics.clone();
        let job: Job = Box::new(move || {
            if raised.is_cancelled() {
                metrics.cancelled(); // gone before its turn came
            } else {
                work(&raised, &mut |event| {
                    if sender.send(event).is_err() {
                        raised.cancel();
                    }
                });
            }
        });
        let ahead = self.push(client, job)?;
        Ok(Running { events, cancel, ahead })
    }

    fn push(&self, client: &str, job: Job) -> Result<usize, Problem> {
        let mut lanes = self.lock();
        if lanes.is_closed {
            return Err(Problem::stopped());
        }
        let ahead = lanes.n_waiting + usize::from(lanes.is_running);
        let own = lanes.waiting.iter().position(|(name, _)| name == client);
        let n_own = own.map_or(0, |at| lanes.waiting[at].1.len());
        if lanes.n_waiting >= self.n_most || n_own >= self.n_most_each {
            let message =
                format!("{} questions wait already, {n_own} of them yours; ask again later", lanes.n_waiting);
            return Err(Problem::busy("queue_full", message, 10));
        }
        match own {
            Some(at) => lanes.waiting[at].1.push_back(job),
            None => lanes.waiting.push_back((client.to_owned(), VecDeque::from([job]))),
        }
        lanes.n_waiting += 1;
        self.wake.notify_one();
        Ok(ahead)
    }

    /// The next one's question; none once the queue is closed.
    fn next(&self) -> Option<Job> {
        let mut lanes = self.lock();
        loop {
            if lanes.is_closed {
                return None;
            }
            if let Some((client, mut jobs)) = lanes.waiting.pop_front() {
                let job = jobs.pop_front();
                if !jobs.is_empty() {
                    lanes.waiting.push_back((client, jobs));
                }
                if let Some(job) = job {
                    lanes.n_waiting -= 1;
                    lanes.is_running = true;
                    return Some(job);
                }
            }
            lanes = self.wake.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn queue(limits: &Limits) -> Arc<Queue> {
        Queue::start(limits, Arc::default()).unwrap().0
    }

    /// Holds the model's thread until the sender is dropped.
    fn hold(queue: &Queue) -> (std::sync::mpsc::Sender<()>, Running<()>) {
        let (release, held) = channel::<()>();
        let running = queue.submit("first", move |_, _| held.recv().unwrap_or_default()).unwrap();
        while !queue.load().1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        (release, running)
    }

    #[test]
    fn clients_take_turns_however_many_questions_one_has() {
        let queue = queue(&Limits::default());
        let (release, _running) = hold(&queue);
        let (told, answered) = channel();
        let mut running = Vec::new();
        for (client, name) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("c", "c2")] {
            let told = told.clone();
            running.push(queue.submit::<()>(client, move |_, _| told.send(name).unwrap()).unwrap());
        }
        drop(release);
        let order: Vec<&str> = (0..6).map(|_| answered.recv().unwrap()).collect();
        assert_eq!(order, ["a1", "b1", "c1", "a2", "c2", "a3"]);
        queue.close();
    }

    #[test]
    fn nobody_works_for_a_client_that_has_gone() {
        let queue = queue(&Limits::default());
        let (release, _running) = hold(&queue);
        let (told, answered) = channel();
        let waiting = queue.submit::<()>("a", {
            let told = told.clone();
            move |_, _| told.send("gone").unwrap()
        });
        drop(waiting);
        let _stays = queue.submit::<()>("b", move |_, _| told.send("there").unwrap()).unwrap();
        drop(release);
        assert_eq!(answered.recv(), Ok("there"));
        assert!(queue.metrics.text(0).contains("docent_answers_cancelled_total 1\n"));
        queue.close();
    }

    #[test]
    fn a_full_queue_says_so_and_one_client_cannot_fill_it() {
        let queue = queue(&Limits { n_waiting: 3, n_waiting_each: 2, ..Limits::default() });
        let (_release, _running) = hold(&queue);
        let submit = |client: &str| queue.submit::<()>(client, |_, _| ());
        let _kept = [submit("a").unwrap(), submit("a").unwrap()];
        assert_eq!(submit("a").err().map(|problem| problem.code), Some("queue_full"));
        let _also = submit("b").unwrap();
        assert_eq!(submit("c").err().map(|problem| problem.code), Some("queue_full"));
        queue.close();
    }

    #[test]
    fn a_question_that_panics_leaves_the_others_their_answers() {
        let queue = queue(&Limits::default());
        let (told, answered) = channel();
        let _first = queue.submit::<()>("a", |_, _| panic!("a bug")).unwrap();
        let _second = queue.submit::<()>("b", move |_, _| told.send(()).unwrap()).unwrap();
        assert_eq!(answered.recv(), Ok(()));
        queue.close();
    }
}
