//! The k best of a stream of scored numbers.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Scored {
    score: f32,
    id: u64,
}

impl Eq for Scored {}

impl Ord for Scored {
    /// Higher scores are greater; of equal scores the lower number.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.id.cmp(&self.id))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Keeps the `k` best; the result does not depend on the order of arrival.
#[derive(Debug)]
pub(crate) struct Top {
    k: usize,
    heap: BinaryHeap<Reverse<Scored>>,
}

impl Top {
    pub(crate) fn new(k: usize) -> Self {
        Top { k, heap: BinaryHeap::with_capacity(k.min(1024) + 1) }
    }

    pub(crate) fn push(&mut self, id: u64, score: f32) {
        let new = Scored { score, id };
        if self.heap.len() < self.k {
            self.heap.push(Reverse(new));
        } else if self.heap.peek().is_some_and(|worst| new > worst.0) {
            self.heap.pop();
            self.heap.push(Reverse(new));
        }
    }

    /// The worst score kept, once `k` are kept: lower ones cannot enter any more.
    pub(crate) fn threshold(&self) -> Option<f32> {
        if self.heap.len() < self.k { None } else { self.heap.peek().map(|worst| worst.0.score) }
    }

    /// Numbers and scores, best first.
    pub(crate) fn into_sorted(self) -> Vec<(u64, f32)> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(s)| (s.id, s.score)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_are_ordered_by_number_whatever_the_order_of_arrival() {
        for order in [[1, 2, 3, 4], [4, 3, 2, 1], [3, 1, 4, 2]] {
            let mut top = Top::new(2);
            for id in order {
                top.push(id, if id == 4 { 2.0 } else { 1.0 });
            }
            assert_eq!(top.into_sorted(), [(4, 2.0), (1, 1.0)]);
        }
    }

    #[test]
    fn nothing_is_kept_of_no_places() {
        let mut top = Top::new(0);
        top.push(1, 1.0);
        assert!(top.into_sorted().is_empty());
    }
}
