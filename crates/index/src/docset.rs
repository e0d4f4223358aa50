//! A set of documents as a bitmap: what a filter lets through.

/// Documents by number. Numbers are dense, so a bit each is small: 100,000 documents take 12 KiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DocSet {
    words: Vec<u64>,
    n: usize,
}

impl DocSet {
    pub(crate) fn insert(&mut self, doc: u64) {
        let word = (doc / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (doc % 64);
        if self.words[word] & bit == 0 {
            self.words[word] |= bit;
            self.n += 1;
        }
    }

    pub(crate) fn contains(&self, doc: u64) -> bool {
        self.words.get((doc / 64) as usize).is_some_and(|word| word & (1 << (doc % 64)) != 0)
    }

    pub(crate) fn len(&self) -> usize {
        self.n
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.n == 0
    }
}

impl FromIterator<u64> for DocSet {
    fn from_iter<I: IntoIterator<Item = u64>>(docs: I) -> Self {
        let mut set = DocSet::default();
        docs.into_iter().for_each(|doc| set.insert(doc));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_in_the_set_once_or_not_at_all() {
        let set: DocSet = [3, 64, 3, 1000].into_iter().collect();
        assert_eq!(set.len(), 3);
        assert!(set.contains(3) && set.contains(64) && set.contains(1000));
        assert!(!set.contains(0) && !set.contains(65) && !set.contains(100_000));
    }
}
