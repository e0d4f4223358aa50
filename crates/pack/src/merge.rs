//! Neighbouring chunks overlap by design; read one after the other they would repeat themselves.

use crate::Passage;

/// Merges passages of one document that overlap or touch, and drops those whose text stands in a better
/// ranked passage already. The result is in canonical order: by name, then document, then offset.
///
/// A merged passage spans both, keeps the better rank and the first one's heading path.
pub fn merge_neighbours(mut passages: Vec<Passage>) -> Vec<Passage> {
    drop_repeated_texts(&mut passages);
    passages.sort_by(|a, b| canonical_key(a).cmp(&canonical_key(b)));
    let mut merged: Vec<Passage> = Vec::with_capacity(passages.len());
    for passage in passages {
        match merged.last_mut() {
            Some(last) if last.document == passage.document && passage.span.start <= last.span.end => {
                extend(last, &passage);
            }
            _ => merged.push(passage),
        }
    }
    merged
}

fn canonical_key(passage: &Passage) -> (&str, u64, usize, usize) {
    (&passage.name, passage.document, passage.span.start, passage.span.end)
}

/// Appends what `next` has beyond the end of `last`. `next` starts within or at the end of `last`.
fn extend(last: &mut Passage, next: &Passage) {
    if next.span.end > last.span.end {
        let shared = last.span.end - next.span.start;
        last.text.push_str(&next.text[shared..]);
        last.span.end = next.span.end;
    }
    last.rank = last.rank.min(next.rank);
}

/// Copies of a document give the same passage many times; the best ranked stays.
fn drop_repeated_texts(passages: &mut Vec<Passage>) {
    passages.sort_by_key(|passage| passage.rank);
    let mut seen = std::collections::HashSet::new();
    passages.retain(|passage| seen.insert(passage.text.trim().to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "One. Two. Three. Four. Five.";

    fn passage(document: u64, start: usize, end: usize, rank: usize) -> Passage {
        Passage {
            document,
            name: format!("doc{document}"),
            heading_path: vec![],
            span: start..end,
            text: TEXT[start..end].to_owned(),
            rank,
        }
    }

    #[test]
    fn overlapping_chunks_become_one_passage_with_the_better_rank() {
        let merged = merge_neighbours(vec![passage(1, 5, 16, 3), passage(1, 0, 9, 7)]);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].span, 0..16);
        assert_eq!(merged[0].text, &TEXT[0..16]);
        assert_eq!(merged[0].rank, 3);
    }

    #[test]
    fn a_passage_inside_another_adds_nothing() {
        let merged = merge_neighbours(vec![passage(1, 0, 16, 1), passage(1, 5, 9, 0)]);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].text, &TEXT[0..16]);
        assert_eq!(merged[0].rank, 0);
    }

    #[test]
    fn passages_apart_or_of_other_documents_stay_apart() {
        let merged = merge_neighbours(vec![passage(1, 0, 4, 0), passage(1, 10, 16, 1), passage(2, 4, 10, 2)]);
        assert_eq!(merged.len(), 3);
    }

    #[test]
    fn a_copy_of_a_document_is_read_once() {
        let merged = merge_neighbours(vec![passage(1, 0, 4, 1), passage(2, 0, 4, 0)]);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].document, 2);
    }
}
