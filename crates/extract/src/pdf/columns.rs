//! Columns of text on a page: where they part, and the order they are read in.
//!
//! A corridor is a strip from top to bottom with next to no text in it. It parts columns, and not the cells of a table, if
//!
//! 1. the text on both sides fills most of its side (two columns of prose), or
//! 2. the text of the two columns beside it does, and is long or set on lines of its own (three and more columns), or
//! 3. the lines on one side are not those of the other: rows of a table are, whatever is in them; the lines of
//!    two columns are only where both keep to one grid.
//!
//! The widest such corridor is taken, and the columns it parts are looked at again.

use super::layout::{Segment, baselines};

/// Least width of the corridor between columns, in ems.
const CORRIDOR: f64 = 0.8;

/// How deep columns are looked for in columns.
const MAX_DEPTH: usize = 4;

/// Lines whose baselines are this share of the type size apart are not one.
const SAME_BASELINE: f64 = 0.12;

/// Parts segments into regions without columns, in reading order.
pub(super) fn split(segments: Vec<Segment>, depth: usize, regions: &mut Vec<Vec<Segment>>) {
    if segments.is_empty() {
        return;
    }
    let corridor = if depth < MAX_DEPTH { corridor(&segments) } else { None };
    let Some(corridor) = corridor else {
        regions.push(segments);
        return;
    };
    // What crosses the corridor parts the page into bands.
    let (crossing, mut sides): (Vec<_>, Vec<_>) =
        segments.into_iter().partition(|s| s.start < corridor && s.end > corridor);
    sides.sort_by(|a, b| a.across.total_cmp(&b.across));
    let mut sides = sides.into_iter().peekable();
    let mut crossing = baselines(crossing).into_iter().peekable();
    loop {
        let until = crossing.peek().and_then(|row| row.first()).map_or(f64::INFINITY, |s| s.across);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        while let Some(segment) = sides.next_if(|s| s.across < until) {
            if segment.end <= corridor { left.push(segment) } else { right.push(segment) }
        }
        split(left, depth + 1, regions);
        split(right, depth + 1, regions);
        // Crossing lines with nothing beside them are one region.
        let mut band = Vec::new();
        while let Some(row) = crossing.next_if(|row| sides.peek().is_none_or(|s| row[0].across <= s.across)) {
            band.extend(row);
        }
        if !band.is_empty() {
            regions.push(band);
        }
        if sides.peek().is_none() && crossing.peek().is_none() {
            return;
        }
    }
}

/// Where an empty corridor parts two columns of text, if one does.
fn corridor(segments: &[Segment]) -> Option<f64> {
    let left = segments.iter().map(|s| s.start).fold(f64::INFINITY, f64::min);
    let right = segments.iter().map(|s| s.end).fold(f64::NEG_INFINITY, f64::max);
    let size = median(segments.iter().map(|s| s.size))?;
    let width = right - left;
    if segments.len() < 8 || !(width > 12.0 * size && width < 1e5) {
        return None;
    }
    let free = free_strips(segments, left, width, CORRIDOR * size);
    // Columns at the very edge are margins' notes and numbers.
    let (from, to) = (left + width / 7.0, right - width / 7.0);
    let mut best: Option<(f64, f64)> = None;
    for (i, (begin, end)) in free.iter().enumerate() {
        let (begin, end) = (begin.max(from), end.min(to));
        if end - begin < CORRIDOR * size || best.is_some_and(|(widest, _)| end - begin <= widest) {
            continue;
        }
        let middle = (begin + end) / 2.0;
        let near = if i == 0 { left } else { free[i - 1].1 };
        let far = free.get(i + 1).map_or(right, |next| next.0);
        if parts_text(segments, middle, near..far) {
            best = Some((end - begin, middle));
        }
    }
    best.map(|(_, middle)| middle)
}

/// Strips of at least `least` width that at most one segment in twelve reaches into, from left to right.
fn free_strips(segments: &[Segment], left: f64, width: f64, least: f64) -> Vec<(f64, f64)> {
    // How many segments begin and end at each point of the width.
    let n_bins = width.ceil() as usize + 1;
    let mut steps = vec![0i32; n_bins + 1];
    for segment in segments {
        steps[((segment.start - left).floor().max(0.0) as usize).min(n_bins)] += 1;
        steps[((segment.end - left).ceil().max(0.0) as usize).min(n_bins)] -= 1;
    }
    let allowed = (segments.len() / 12) as i32;
    let mut free = Vec::new();
    let (mut n_open, mut begin) = (0, None);
    for (bin, step) in steps.iter().enumerate() {
        n_open += step;
        let is_free = n_open <= allowed && bin < n_bins;
        match (is_free, begin) {
            (true, None) => begin = Some(bin),
            (false, Some(first)) => {
                if (bin - first) as f64 >= least {
                    free.push((left + first as f64, left + bin as f64));
                }
                begin = None;
            }
            _ => {}
        }
    }
    free
}

/// Whether what a corridor parts is text in columns. `beside` are the outer edges of the two columns next to it.
fn parts_text(segments: &[Segment], corridor: f64, beside: std::ops::Range<f64>) -> bool {
    let of_left: Vec<&Segment> = segments.iter().filter(|s| s.end <= corridor).collect();
    let of_right: Vec<&Segment> = segments.iter().filter(|s| s.start >= corridor).collect();
    if fills(&of_left) && fills(&of_right) {
        return true;
    }
    let apart = share_of_own_lines(&of_left, &of_right);
    if apart >= 0.5 && of_left.len().min(of_right.len()) >= 6 {
        return true;
    }
    let next_left: Vec<&Segment> = of_left.into_iter().filter(|s| s.start >= beside.start - s.size).collect();
    let next_right: Vec<&Segment> = of_right.into_iter().filter(|s| s.end <= beside.end + s.size).collect();
    let are_long = || is_long(&next_left) && is_long(&next_right);
    fills(&next_left) && fills(&next_right) && (apart >= 0.3 || are_long())
}

/// Whether these are several lines that fill most of the width they take up. The cells of a table do not.
fn fills(side: &[&Segment]) -> bool {
    let near = side.iter().map(|s| s.start).fold(f64::INFINITY, f64::min);
    let far = side.iter().map(|s| s.end).fold(f64::NEG_INFINITY, f64::max);
    let share = median(side.iter().map(|s| (s.end - s.start) / (far - near).max(1.0)));
    let n_chars = median(side.iter().map(|s| s.text.chars().count() as f64));
    side.len() >= 4 && share.is_some_and(|share| share >= 0.55) && n_chars.is_some_and(|n| n >= 12.0)
}

/// Whether most segments are a line of prose in a narrow column.
fn is_long(side: &[&Segment]) -> bool {
    median(side.iter().map(|s| s.text.chars().count() as f64)).is_some_and(|n| n >= 25.0)
}

/// The share of the lines of the side with fewer of them that stand on no line of the other.
fn share_of_own_lines(one: &[&Segment], other: &[&Segment]) -> f64 {
    let (few, many) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let mut lines: Vec<f64> = many.iter().map(|s| s.across).collect();
    lines.sort_by(f64::total_cmp);
    let is_own = |segment: &&&Segment| {
        let at = lines.partition_point(|line| *line < segment.across);
        let near = [at.checked_sub(1), Some(at)].into_iter().flatten().filter_map(|i| lines.get(i));
        near.map(|line| (line - segment.across).abs()).fold(f64::INFINITY, f64::min)
            > SAME_BASELINE * segment.size
    };
    few.iter().filter(is_own).count() as f64 / few.len().max(1) as f64
}

/// The upper median; `None` of nothing.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
