//! Several cores on one call: work is taken item by item, and an item stays on its thread from end to end.
//!
//! The threads live as long as the call: starting one costs some fifty microseconds, a batch milliseconds. A call with one item, such as
//! the vector of a question, runs on its caller's thread, so that questions neither wait for each other nor for documents that are being embedded.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many threads a call may use, its own included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes(usize);

impl Lanes {
    /// `n` threads; 0 counts as 1.
    pub(crate) fn new(n: usize) -> Lanes {
        Lanes(n.max(1))
    }

    /// `work(0)`, …, `work(n - 1)`, in that order, computed in all lanes; items are started in order.
    pub(crate) fn map<T: Send>(self, n: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
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
            for _ in 1..self.0.min(n) {
                scope.spawn(lane);
            }
            lane();
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
            let lanes = Lanes::new(n_lanes);
            for n in [0, 1, 2, 100] {
                let squares = lanes.map(n, |i| i * i);
                assert_eq!(squares, (0..n).map(|i| i * i).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_single_item_is_computed_where_it_was_asked_for() {
        let asked = std::thread::current().id();
        assert_eq!(Lanes::new(4).map(1, |_| std::thread::current().id()), [asked]);
    }
}
