//! One lane a core: work is taken item by item, and what runs in a lane stays on its thread.
//!
//! Each lane is a rayon pool of a single thread, because candle and gemm spread every product over *the current rayon
//! pool*: in a pool of one they run it here, in one go. The lanes are idle (parked) between calls.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Lanes(Vec<ThreadPool>);

impl Lanes {
    pub(crate) fn new(n: usize) -> Result<Lanes, ThreadPoolBuildError> {
        let lane = |i: usize| {
            ThreadPoolBuilder::new().num_threads(1).thread_name(move |_| format!("docent-embed-{i}")).build()
        };
        (0..n.max(1)).map(lane).collect::<Result<_, _>>().map(Lanes)
    }

    /// `work(0)`, …, `work(n - 1)`, in that order, computed in all lanes; items are started in order.
    pub(crate) fn map<T: Send>(&self, n: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(n));
        let lane = || {
            let mut mine = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= n {
                    break;
                }
                mine.push((i, work(i)));
            }
            done.lock().unwrap_or_else(|broken| broken.into_inner()).append(&mut mine);
        };
        std::thread::scope(|scope| {
            for pool in self.0.iter().take(n).skip(1) {
                scope.spawn(|| pool.install(lane));
            }
            if n > 0 {
                self.0[0].install(lane);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(|broken| broken.into_inner());
        done.sort_unstable_by_key(|(i, _)| *i);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_from_any_number_of_lanes() {
        for n_lanes in [0, 1, 3] {
            let lanes = Lanes::new(n_lanes).unwrap();
            for n in [0, 1, 2, 100] {
                let squares = lanes.map(n, |i| i * i);
                assert_eq!(squares, (0..n).map(|i| i * i).collect::<Vec<_>>());
            }
        }
    }
}
