//! A worker pool for loops of a few microseconds to seconds. Each worker has a range of items of its own, which it takes
//! in order (neighbouring weights, which can be prefetched), and takes from the ranges of others when its own is empty:
//! a worker that the system puts aside delays the loop by the one item it holds. Who takes what never shows in a result.
//!
//! A loop is offered, worked on by the caller and whoever joins, closed, and waited for:
//!
//! 1) the caller writes the job, then raises `offered` to the job's number and unparks sleepers;
//! 2) a worker that sees a new number counts itself into `inside`, and only then looks whether the job is `closed`:
//!    if so it counts itself out without touching the job;
//! 3) the caller works too; when no item is left it raises `closed`, then waits until `inside` is zero.
//!
//! Either the worker's increment comes before the caller's last look at `inside`, and the caller waits for it, or
//! it comes after `closed` was raised, and the worker sees that (all four accesses are sequentially consistent).
//!
//! Idle workers look for [`SPIN`] and then park: the operations of a forward pass follow each other within a few
//! microseconds, for which waking through the system (10-50 us) would cost more than the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::KernelError;

/// How long an idle thread looks for work before it parks or gives its core away.
const SPIN: Duration = Duration::from_micros(30);

/// A range of items, the next one first. On a cache line of its own.
#[repr(align(64))]
struct Cursor {
    next: AtomicUsize,
    end: usize,
}

/// The items of one loop, each handed out once.
pub(crate) struct Items {
    cursors: Vec<Cursor>,
}

impl Items {
    fn new(n_items: usize, n_ranges: usize) -> Items {
        let cursor = |i: usize| Cursor {
            next: AtomicUsize::new(i * n_items / n_ranges),
            end: (i + 1) * n_items / n_ranges,
        };
        Items { cursors: (0..n_ranges).map(cursor).collect() }
    }

    /// An item nobody has taken: the next of the worker's own range, or of the first range that has one left.
    pub(crate) fn take(&self, worker: usize) -> Option<usize> {
        let n = self.cursors.len();
        (0..n).find_map(|i| {
            let cursor = &self.cursors[(worker + i) % n];
            // The plain look keeps the counter from running away when many workers find the range empty.
            if cursor.next.load(SeqCst) >= cursor.end {
                return None;
            }
            let item = cursor.next.fetch_add(1, SeqCst);
            (item < cursor.end).then_some(item)
        })
    }
}

/// What a worker runs: its number and the items to take.
type Work<'a> = dyn Fn(usize, &Items) + Sync + 'a;

/// The job on offer, as two raw pointers so that the cell has no lifetime.
#[derive(Clone, Copy)]
struct Job {
    work: *const Work<'static>,
    items: *const Items,
}

struct Shared {
    job: std::cell::UnsafeCell<Option<Job>>,
    offered: AtomicUsize,
    closed: AtomicUsize,
    inside: AtomicUsize,
    panicked: AtomicBool,
    stop: AtomicBool,
    asleep: Vec<AtomicBool>,
}

// SAFETY: `job` is written by the caller only while no worker is inside (`inside` was seen zero after `closed`
// was raised) and read by workers only while they are counted inside an open job; the atomics order the accesses.
unsafe impl Sync for Shared {}
// SAFETY: the raw pointers in `job` are only followed while the loop that owns their targets is running.
unsafe impl Send for Shared {}

/// A fixed set of threads; the thread that calls [`Pool::run`] is worker 0.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(Thread, JoinHandle<()>)>,
    running: std::sync::Mutex<()>,
}

impl Pool {
    /// A pool in which `n_threads` threads work, the caller included.
    pub(crate) fn new(n_threads: usize) -> Result<Pool, KernelError> {
        if n_threads == 0 {
            return Err(KernelError::NoThreads);
        }
        let shared = Arc::new(Shared {
            job: std::cell::UnsafeCell::new(None),
            offered: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            asleep: (0..n_threads).map(|_| AtomicBool::new(false)).collect(),
        });
        let mut pool = Pool { shared, workers: Vec::new(), running: std::sync::Mutex::new(()) };
        for number in 1..n_threads {
            let shared = Arc::clone(&pool.shared);
            let handle = std::thread::Builder::new()
                .name(format!("docent-{number}"))
                .spawn(move || work_until_stopped(&shared, number))
                .map_err(|error| KernelError::Spawn(error.to_string()))?;
            pool.workers.push((handle.thread().clone(), handle));
        }
        Ok(pool)
    }

    /// Threads that work in a loop, the caller included.
    pub(crate) fn n_threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `work` on the caller and on every worker that comes in time, until all `n_items` items are taken
    /// and finished. `work` gets a worker number below [`n_threads`](Self::n_threads), unique among those running.
    pub(crate) fn run(&self, n_items: usize, work: &Work<'_>) {
        if n_items <= 1 || self.workers.is_empty() {
            work(0, &Items::new(n_items, 1));
            return;
        }
        let items = Items::new(n_items, self.n_threads());
        let _one_loop_at_a_time = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes; the job is closed and left by all before this function returns.
        let work_for_all = unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
        // SAFETY: the previous job is closed and nobody is inside (we waited for it), so nobody reads the cell.
        unsafe { *shared.job.get() = Some(Job { work: work_for_all, items: &items }) };
        let number = shared.offered.load(SeqCst) + 1;
        shared.offered.store(number, SeqCst);
        for (index, (thread, _)) in self.workers.iter().enumerate() {
            if shared.asleep[index + 1].load(SeqCst) {
                thread.unpark();
            }
        }
        let closing = CloseOnDrop { shared, number };
        work(0, &items);
        drop(closing);
        assert!(!shared.panicked.swap(false, SeqCst), "a worker thread panicked inside a kernel");
    }
}

/// Closes the job and waits for the workers inside, also when the caller's own share panics.
struct CloseOnDrop<'a> {
    shared: &'a Shared,
    number: usize,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.shared.closed.store(self.number, SeqCst);
        let mut since = None;
        while self.shared.inside.load(SeqCst) != 0 {
            wait_politely(&mut since);
        }
    }
}

/// Spins for [`SPIN`], then lets others have the core.
fn wait_politely(since: &mut Option<Instant>) {
    for _ in 0..16 {
        std::hint::spin_loop();
    }
    if since.get_or_insert_with(Instant::now).elapsed() > SPIN {
        std::thread::yield_now();
    }
}

fn work_until_stopped(shared: &Shared, number: usize) {
    let mut seen = 0;
    while !shared.stop.load(SeqCst) {
        let offered = shared.offered.load(SeqCst);
        if offered == seen {
            wait_for_offer(shared, number, seen);
            continue;
        }
        seen = offered;
        shared.inside.fetch_add(1, SeqCst);
        let leaving = LeaveOnDrop(shared);
        if shared.closed.load(SeqCst) < offered {
            // SAFETY: we are counted inside a job that was not closed afterwards, so the caller is still in `run`
            // and both pointers live until we leave.
            unsafe {
                if let Some(job) = *shared.job.get() {
                    let run = || (*job.work)(number, &*job.items);
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
                        shared.panicked.store(true, SeqCst);
                    }
                }
            }
        }
        drop(leaving);
    }
}

struct LeaveOnDrop<'a>(&'a Shared);

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, SeqCst);
    }
}

fn wait_for_offer(shared: &Shared, number: usize, seen: usize) {
    let nothing_new = || shared.offered.load(SeqCst) == seen && !shared.stop.load(SeqCst);
    let start = Instant::now();
    while nothing_new() {
        for _ in 0..32 {
            std::hint::spin_loop();
        }
        if start.elapsed() > SPIN {
            shared.asleep[number].store(true, SeqCst);
            // The caller raises `offered` before it looks at `asleep`; we do it the other way round, so one of us sees.
            while nothing_new() {
                std::thread::park();
            }
            shared.asleep[number].store(false, SeqCst);
            return;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for (thread, handle) in self.workers.drain(..) {
            thread.unpark();
            // A worker cannot end by a panic: they are caught and reported by `run`.
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once_before_the_loop_returns() {
        for n_threads in [1, 2, 3, 5] {
            let pool = Pool::new(n_threads).unwrap();
            for round in 0..300 {
                let counts: Vec<AtomicUsize> = (0..round % 17).map(|_| AtomicUsize::new(0)).collect();
                pool.run(counts.len(), &|worker, items| {
                    while let Some(item) = items.take(worker) {
                        counts[item].fetch_add(1, SeqCst);
                    }
                });
                assert!(counts.iter().all(|count| count.load(SeqCst) == 1));
            }
        }
    }

    #[test]
    fn sleeping_workers_wake_for_new_work() {
        let pool = Pool::new(3).unwrap();
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(2));
            let together = std::sync::Barrier::new(3);
            pool.run(3, &|worker, items| {
                while items.take(worker).is_some() {
                    together.wait();
                }
            });
        }
    }

    #[test]
    fn a_panic_in_a_worker_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2).unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let together = std::sync::Barrier::new(2);
            pool.run(2, &|worker, items| {
                while items.take(worker).is_some() {
                    together.wait();
                    assert_eq!(worker, 0, "expected in this test");
                }
            });
        }));
        assert!(outcome.is_err());
        let done = AtomicUsize::new(0);
        pool.run(8, &|worker, items| {
            while items.take(worker).is_some() {
                done.fetch_add(1, SeqCst);
            }
        });
        assert_eq!(done.load(SeqCst), 8);
    }

    #[test]
    fn no_threads_is_an_error() {
        assert_eq!(Pool::new(0).err(), Some(KernelError::NoThreads));
    }
}
