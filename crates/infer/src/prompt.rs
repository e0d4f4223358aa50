//! A prompt, and what of it may outlive the answer.

use std::collections::HashSet;
use std::ops::Range;

use docent_prefix::Owner;

/// Token ids, with what may be kept of their state in a [`Prefixes`](crate::Prefixes) store.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// All tokens.
    pub tokens: &'a [u32],
    /// So many at the front are instructions that never change: kept for themselves, and longest.
    pub n_frozen: usize,
    /// So many at the front may be kept; what follows (a question) never is.
    pub n_kept: usize,
    /// Whose content is where, so that it can be removed.
    pub owners: &'a [(Range<usize>, Owner)],
}

impl<'a> Prompt<'a> {
    /// A prompt of which nothing may be kept.
    pub fn passing(tokens: &'a [u32]) -> Self {
        Self { tokens, n_frozen: 0, n_kept: 0, owners: &[] }
    }

    /// A prompt all of which may be kept.
    pub fn lasting(tokens: &'a [u32]) -> Self {
        Self { tokens, n_frozen: 0, n_kept: tokens.len(), owners: &[] }
    }

    /// Owners of the content in `range`, each once, in the order of [`Prompt::owners`].
    pub(crate) fn owners_in(&self, range: &Range<usize>) -> Vec<Owner> {
        let overlaps = |of: &Range<usize>| of.start < range.end && range.start < of.end;
        let mut seen = HashSet::new();
        let owners = self.owners.iter().filter(|(of, _)| overlaps(of)).map(|(_, owner)| *owner);
        owners.filter(|owner| seen.insert(*owner)).collect()
    }
}
