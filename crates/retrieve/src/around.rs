//! Hits with what stands around them: some neighbouring passages before and after, as one stretch of the document.

use docent_index::{ChunkId, Snapshot};

use crate::error::Result;
use crate::search::Hit;

/// A hit and the stretch of its document that it stands in.
#[derive(Debug, Clone, PartialEq)]
pub struct InContext {
    /// The best hit in the stretch.
    pub hit: Hit,
    /// The others in it, best first.
    pub others: Vec<Hit>,
    /// The stretch, in bytes of the document's text.
    pub span: std::ops::Range<usize>,
    /// Its first and last line, from 1.
    pub lines: (u32, u32),
    /// Exactly the text at `span`.
    pub text: String,
}

/// Passages `first..=last` of a document with hits in them.
struct Stretch {
    first: usize,
    last: usize,
    /// With their places in the ranking; the best first.
    hits: Vec<(usize, Hit)>,
}

/// Each of `hits`, best first, with up to `n` passages before and after it. Hits whose stretches overlap or touch are one, in the
/// place of the best. `snapshots` are those that were searched.
///
/// # Errors
/// If the catalog cannot be read.
pub fn in_context(hits: Vec<Hit>, snapshots: &[Snapshot<'_>], n: usize) -> Result<Vec<InContext>> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for (place, hit) in hits.into_iter().enumerate() {
        let chunks = snapshots[hit.source].chunks_of(hit.chunk.doc)?;
        let at = chunks.iter().position(|(id, _)| *id == hit.chunk.id).unwrap_or(0);
        let (first, last) = (at.saturating_sub(n), (at + n).min(chunks.len().saturating_sub(1)));
        add(&mut stretches, Stretch { first, last, hits: vec![(place, hit)] });
    }
    stretches.into_iter().map(|stretch| read(stretch, snapshots)).collect()
}

/// Adds a stretch, joined with those it touches, in the place of the best of them.
fn add(stretches: &mut Vec<Stretch>, mut new: Stretch) {
    let document = |stretch: &Stretch| stretch.hits.first().map(|(_, hit)| (hit.source, hit.chunk.doc));
    let mut place = stretches.len();
    for at in (0..stretches.len()).rev() {
        let known = &stretches[at];
        let touches = new.first <= known.last + 1 && known.first <= new.last + 1;
        if touches && document(known) == document(&new) {
            let known = stretches.remove(at);
            (new.first, new.last) = (known.first.min(new.first), known.last.max(new.last));
            new.hits.extend(known.hits);
            new.hits.sort_by_key(|(place, _)| *place);
            place = at;
        }
    }
    stretches.insert(place, new);
}

fn read(stretch: Stretch, snapshots: &[Snapshot<'_>]) -> Result<InContext> {
    let Stretch { first, last, mut hits } = stretch;
    let (_, hit) = hits.remove(0);
    let others = hits.into_iter().map(|(_, hit)| hit).collect();
    let snapshot = &snapshots[hit.source];
    let chunks = snapshot.chunks_of(hit.chunk.doc)?;
    let ids: Vec<ChunkId> = chunks.get(first..=last).unwrap_or_default().iter().map(|(id, _)| *id).collect();
    let (mut span, mut lines) = (hit.chunk.span.clone(), hit.chunk.lines);
    for id in [ids.first(), ids.last()].into_iter().flatten() {
        let chunk = snapshot.chunk(*id)?;
        span = span.start.min(chunk.span.start)..span.end.max(chunk.span.end);
        lines = (lines.0.min(chunk.lines.0), lines.1.max(chunk.lines.1));
    }
    let text = snapshot.document(hit.chunk.doc)?.text;
    let text = text.get(span.clone()).unwrap_or(&hit.chunk.text).to_owned();
    Ok(InContext { hit, others, span, lines, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::testing::{hit, index_of};
    use docent_index::Index;

    /// A document of lines that are passages each, and another one.
    fn index(dir: &std::path::Path) -> Index {
        let lines: Vec<String> = (0..12).map(|i| format!("line {i}")).collect();
        index_of(dir, &[lines, vec!["elsewhere".to_owned()]])
    }

    fn found(index: &Index, texts: &[&str], n: usize) -> Vec<(String, (u32, u32), usize)> {
        let snapshot = index.snapshot().unwrap();
        let mut hits = Vec::new();
        for file in snapshot.files(&docent_index::Filter::default()).unwrap() {
            for (id, _) in snapshot.chunks_of(file.id).unwrap() {
                let chunk = snapshot.chunk(id).unwrap();
                hits.push(Hit { chunk, ..hit(0, 0, "") });
            }
        }
        let wanted = texts
            .iter()
            .map(|text| hits.iter().find(|hit| hit.chunk.text == **text).unwrap().clone())
            .collect();
        let found = in_context(wanted, &[snapshot], n).unwrap();
        found.into_iter().map(|c| (c.text, c.lines, c.others.len())).collect()
    }

    fn lines(range: std::ops::RangeInclusive<usize>) -> String {
        range.map(|i| format!("line {i}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn neighbours_stand_around_a_hit_as_far_as_the_document_goes() {
        let dir = tempfile::tempdir().unwrap();
        let index = index(dir.path());
        assert_eq!(found(&index, &["line 5"], 2), [(lines(3..=7), (4, 8), 0)]);
        assert_eq!(found(&index, &["line 0"], 1), [(lines(0..=1), (1, 2), 0)]);
        assert_eq!(found(&index, &["line 11"], 3), [(lines(8..=11), (9, 12), 0)]);
        assert_eq!(found(&index, &["elsewhere"], 9), [("elsewhere".to_owned(), (1, 1), 0)]);
    }

    #[test]
    fn stretches_that_touch_are_one_in_the_place_of_the_best() {
        let dir = tempfile::tempdir().unwrap();
        let index = index(dir.path());
        let elsewhere = ("elsewhere".to_owned(), (1, 1), 0);
        assert_eq!(
            found(&index, &["line 2", "elsewhere", "line 5"], 1),
            [(lines(1..=6), (2, 7), 1), elsewhere.clone()]
        );
        // The third joins the first two.
        assert_eq!(
            found(&index, &["line 1", "elsewhere", "line 9", "line 5"], 2),
            [(lines(0..=11), (1, 12), 2), elsewhere.clone()]
        );
        assert_eq!(
            found(&index, &["line 2", "elsewhere", "line 6"], 1),
            [(lines(1..=3), (2, 4), 0), elsewhere, (lines(5..=7), (6, 8), 0)]
        );
    }
}
