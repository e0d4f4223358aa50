//! Which blocks go when room is needed.
//!
//! ```text
//! worth of a block = seconds to compute it again x decayed uses / bytes
//! until there is room: the leaf of least worth goes; its parent may become a leaf
//! ```
//! Only leaves go, since a block without its parent can never be found. A use counts 1 and half as much every week after,
//! and counts for all blocks before it too, so that a parent is never worth less for being older than its children. Pinned
//! blocks go when nothing else is left, protected ones never.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use crate::uses::Use;

/// Seconds after which a use counts half.
const HALF_LIFE: f64 = 7.0 * 24.0 * 3600.0;

/// A block as eviction sees it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The node it follows; none for the first of a sequence.
    pub(crate) parent: Option<usize>,
    pub(crate) bytes: u64,
    /// Seconds to compute it again; 0 for blocks that nothing leads to.
    pub(crate) seconds: f64,
    /// Decayed uses of the block and of all behind it.
    pub(crate) uses: f64,
    pub(crate) pinned: bool,
    pub(crate) protected: bool,
}

impl Node {
    fn worth(&self) -> f64 {
        let worth = self.seconds * self.uses / self.bytes.max(1) as f64;
        if worth.is_finite() { worth } else { 0.0 }
    }
}

/// What a use that long ago counts.
pub(crate) fn decayed(now: u64, at: u64) -> f64 {
    (-(now.saturating_sub(at) as f64) / HALF_LIFE * std::f64::consts::LN_2).exp()
}

/// Adds `uses`, by the blocks' keys, to the nodes and to all before them.
pub(crate) fn count_uses(
    nodes: &mut [Node],
    node_of: &HashMap<[u8; 16], Vec<usize>>,
    uses: &[Use],
    now: u64,
) {
    for used in uses {
        for &start in node_of.get(&used.key).into_iter().flatten() {
            let mut node = Some(start);
            // A chain is no longer than there are nodes: a loop in hostile names ends.
            for _ in 0..nodes.len() {
                let Some(idx) = node else { break };
                nodes[idx].uses += decayed(now, used.at);
                node = nodes[idx].parent;
            }
        }
    }
}

/// A leaf waiting to go; the largest of a heap is the one to go first.
struct Leaf {
    idx: usize,
    pinned: bool,
    worth: f64,
}

impl Ord for Leaf {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |leaf: &Self| (leaf.pinned, leaf.idx);
        // Of equal worth the later one goes; the order must only be the same every time.
        (other.pinned.cmp(&self.pinned))
            .then(other.worth.total_cmp(&self.worth))
            .then(key(self).cmp(&key(other)))
    }
}

impl PartialOrd for Leaf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Leaf {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Leaf {}

/// The nodes to remove, in order, until at least `to_free` bytes are free or nothing more may go.
pub(crate) fn plan(nodes: &[Node], to_free: u64) -> Vec<usize> {
    let mut n_children = vec![0_usize; nodes.len()];
    for parent in nodes.iter().filter_map(|node| node.parent) {
        n_children[parent] += 1;
    }
    let leaf = |idx: usize| Leaf { idx, pinned: nodes[idx].pinned, worth: nodes[idx].worth() };
    let may_go = |idx: usize| !nodes[idx].protected;
    let mut leaves: BinaryHeap<Leaf> =
        (0..nodes.len()).filter(|&idx| n_children[idx] == 0 && may_go(idx)).map(leaf).collect();
    let (mut going, mut freed) = (Vec::new(), 0);
    while freed < to_free {
        let Some(Leaf { idx, .. }) = leaves.pop() else { break };
        going.push(idx);
        freed += nodes[idx].bytes;
        if let Some(parent) = nodes[idx].parent {
            n_children[parent] -= 1;
            if n_children[parent] == 0 && may_go(parent) {
                leaves.push(leaf(parent));
            }
        }
    }
    going
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Trees: every node's parent comes before it.
    fn trees() -> impl Strategy<Value = Vec<Node>> {
        let one = (any::<prop::sample::Index>(), 1..50_u64, 0..9_u32, 0..9_u32, 0..8_u8);
        proptest::collection::vec(one, 1..60).prop_map(|raw| {
            let mut nodes: Vec<Node> = Vec::new();
            for (parent, bytes, seconds, uses, kind) in raw {
                let parent = parent.index(nodes.len() + 1).checked_sub(1);
                nodes.push(Node {
                    parent,
                    bytes,
                    seconds: f64::from(seconds),
                    uses: f64::from(uses),
                    pinned: kind == 0,
                    protected: kind == 1,
                });
            }
            nodes
        })
    }

    fn has_protected_below(nodes: &[Node], idx: usize) -> bool {
        nodes[idx].protected
            || (0..nodes.len()).any(|c| nodes[c].parent == Some(idx) && has_protected_below(nodes, c))
    }

    proptest! {
        #[test]
        fn children_go_before_parents_and_protected_blocks_and_what_they_hang_on_stay(
            nodes in trees(), to_free in 0..2_000_u64,
        ) {
            let going = plan(&nodes, to_free);
            for (at, &idx) in going.iter().enumerate() {
                prop_assert!(!has_protected_below(&nodes, idx));
                prop_assert!(!going[..at].contains(&idx));
                for child in (0..nodes.len()).filter(|&child| nodes[child].parent == Some(idx)) {
                    prop_assert!(going[..at].contains(&child));
                }
            }
        }

        #[test]
        fn as_much_goes_as_is_needed_and_not_one_block_more(nodes in trees(), to_free in 0..2_000_u64) {
            let going = plan(&nodes, to_free);
            let freed: u64 = going.iter().map(|&idx| nodes[idx].bytes).sum();
            let could: u64 = (0..nodes.len())
                .filter(|&idx| !has_protected_below(&nodes, idx))
                .map(|idx| nodes[idx].bytes)
                .sum();
            prop_assert!(freed >= to_free.min(could));
            if let Some((&last, _)) = going.split_last() {
                prop_assert!(freed - nodes[last].bytes < to_free);
            }
        }

        #[test]
        fn each_that_goes_is_the_least_worth_of_the_leaves_that_may(nodes in trees(), to_free in 0..2_000_u64) {
            let going = plan(&nodes, to_free);
            for (at, &idx) in going.iter().enumerate() {
                let gone = &going[..at];
                let is_leaf = |node: usize| !gone.contains(&node)
                    && (0..nodes.len()).all(|child| nodes[child].parent != Some(node) || gone.contains(&child));
                for other in (0..nodes.len()).filter(|&other| is_leaf(other) && !nodes[other].protected) {
                    let rank = |node: usize| (nodes[node].pinned, nodes[node].worth());
                    prop_assert!(rank(idx) <= rank(other), "{idx} went before {other}");
                }
            }
        }
    }

    #[test]
    fn a_use_counts_for_all_before_it_and_half_as_much_a_week_later() {
        let node =
            |parent| Node { parent, bytes: 1, seconds: 1.0, uses: 0.0, pinned: false, protected: false };
        let mut nodes = vec![node(None), node(Some(0)), node(Some(0))];
        let node_of = HashMap::from([([1; 16], vec![1]), ([2; 16], vec![2])]);
        let week = 7 * 24 * 3600;
        let uses = [Use { key: [1; 16], at: week }, Use { key: [2; 16], at: 0 }, Use { key: [9; 16], at: 0 }];
        count_uses(&mut nodes, &node_of, &uses, week);
        assert_eq!(nodes[1].uses, 1.0);
        assert!((nodes[2].uses - 0.5).abs() < 1e-12);
        assert!((nodes[0].uses - 1.5).abs() < 1e-12);
    }
}
