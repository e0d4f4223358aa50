//! From glyphs on a page to lines in reading order.
//!
//! 1. Glyphs go by direction (upright, turned, vertical writing), each turned so that lines run right and follow downwards.
//! 2. In drawing order, glyphs that follow each other on a baseline become segments; a gap wider than a seventh of the
//!    type size is a space.
//! 3. Segments of one baseline that nearly touch are joined, whatever order they were drawn in.
//! 4. Columns are found by the empty corridors between them (`columns.rs`); lines that cross it part the page into bands, which are
//!    read one after the other, the left column before the right. Columns may hold columns.
//! 5. Elsewhere what stands on one baseline is one line: a table's row.
//! 6. A line begins a paragraph when it is further from the line above than lines are, is set in another size, is
//!    indented, or follows a line that ended short.
//!
//! Every step is a sort or a pass: n log n in the number of glyphs.

use std::collections::HashSet;

use super::columns::{median, split};

/// A gap of this share of the type size is a space. Word spaces are 0.2-0.35 em in print, letter spacing and kerning stay under 0.1.
const SPACE: f64 = 0.15;

/// Baselines this share of the type size apart are one: superscripts within a segment, sloppy setting between segments.
const SAME_WORD: f64 = 0.45;
const SAME_LINE: f64 = 0.3;

/// Gaps up to this many ems stay within a segment when the file draws on without a jump, or joins segments.
const WITHIN: f64 = 1.6;
const JOINED: f64 = 0.9;

/// How text runs on the page as it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Right,
    Up,
    Down,
    Left,
    /// Vertical writing: characters upright, from top to bottom, columns from right to left.
    Vertical,
}

const DIRECTIONS: [Direction; 5] =
    [Direction::Right, Direction::Vertical, Direction::Up, Direction::Down, Direction::Left];

impl Direction {
    /// By where the top of a character points; y grows downwards.
    pub(super) fn of(up_x: f64, up_y: f64) -> Self {
        match (up_y.abs() >= up_x.abs(), up_y < 0.0, up_x < 0.0) {
            (true, true, _) => Self::Right,
            (true, false, _) => Self::Left,
            (false, _, true) => Self::Up,
            (false, _, false) => Self::Down,
        }
    }

    /// Along the line, and across lines.
    fn turned(self, (x, y): (f64, f64)) -> (f64, f64) {
        match self {
            Self::Right => (x, y),
            Self::Left => (-x, -y),
            Self::Up => (-y, x),
            Self::Down | Self::Vertical => (y, -x),
        }
    }
}

/// One drawn character (or ligature). Lengths are points.
#[derive(Debug, Clone)]
pub(super) struct Glyph {
    text: String,
    direction: Direction,
    /// Where it begins and ends along its line, and where its line is.
    start: f64,
    end: f64,
    across: f64,
    /// Type size.
    size: f64,
}

impl Glyph {
    /// From its origin and the point its advance leads to, on the page as it is seen.
    pub(super) fn placed(
        text: String,
        origin: (f64, f64),
        end: (f64, f64),
        size: f64,
        direction: Direction,
    ) -> Self {
        let (start, across) = direction.turned(origin);
        let (end, _) = direction.turned(end);
        Self { text, direction, start, end: end.max(start), across, size }
    }
}

/// One line of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) text: String,
    /// Type size, in points.
    pub(super) size: f64,
    /// Where it stands across the page, growing in reading direction.
    pub(super) across: f64,
    /// Whether a paragraph begins with it.
    pub(super) begins: bool,
}

/// Text on one baseline without a wide gap in it. `start` and `end` lie along the line, `across` is where the line stands.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) text: String,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) across: f64,
    pub(super) size: f64,
}

/// Lines of a page in reading order: the upright ones first.
pub(super) fn lines(glyphs: Vec<Glyph>) -> Vec<Line> {
    let mut out = Vec::new();
    for direction in DIRECTIONS {
        let of_direction: Vec<&Glyph> = glyphs.iter().filter(|g| g.direction == direction).collect();
        let mut segments = joined(segments(&of_direction));
        segments.retain(|segment| !segment.text.trim().is_empty());
        let mut regions = Vec::new();
        split(segments, 0, &mut regions);
        for region in regions {
            add_region(region, &mut out);
        }
    }
    out
}

fn segments(glyphs: &[&Glyph]) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    let mut seen = HashSet::new();
    let mut has_space = false;
    for glyph in glyphs {
        if glyph.text.trim().is_empty() {
            has_space = true;
            continue;
        }
        // Shadows and poor man's bold draw a character twice in one place.
        let place =
            ((glyph.start * 2.0).round() as i64, (glyph.across * 2.0).round() as i64, glyph.text.as_str());
        if !seen.insert(place) {
            continue;
        }
        match out.last_mut() {
            Some(segment) if follows(segment, glyph, has_space) => segment.push(glyph, has_space),
            _ => out.push(Segment {
                text: glyph.text.clone(),
                start: glyph.start,
                end: glyph.end,
                across: glyph.across,
                size: glyph.size,
            }),
        }
        has_space = false;
    }
    out
}

fn follows(segment: &Segment, glyph: &Glyph, has_space: bool) -> bool {
    let size = segment.size.max(glyph.size);
    let gap = glyph.start - segment.end;
    let furthest = if has_space { WITHIN } else { 1.0 };
    (glyph.across - segment.across).abs() <= SAME_WORD * size && gap >= -0.9 * size && gap <= furthest * size
}

impl Segment {
    fn push(&mut self, glyph: &Glyph, has_space: bool) {
        let gap = glyph.start - self.end;
        let size = self.size.min(glyph.size);
        if let Some(whole) = accented(&self.text, &glyph.text).filter(|_| gap < -0.1 * size) {
            self.text.pop();
            self.text.push(whole);
        } else {
            if (has_space && gap > -0.2 * size || gap > SPACE * size) && !self.text.ends_with(' ') {
                self.text.push(' ');
            }
            self.text.push_str(&glyph.text);
        }
        self.end = self.end.max(glyph.end);
        if glyph.size > self.size * 1.1 {
            (self.size, self.across) = (glyph.size, glyph.across);
        }
    }
}

/// TeX draws `é` as an accent and a letter below it: one character of both.
fn accented(text: &str, letter: &str) -> Option<char> {
    let combining = match text.chars().next_back()? {
        '`' => '\u{300}',
        '\u{b4}' => '\u{301}',
        '^' | '\u{2c6}' => '\u{302}',
        '~' | '\u{2dc}' => '\u{303}',
        '\u{af}' => '\u{304}',
        '\u{2d8}' => '\u{306}',
        '\u{2d9}' => '\u{307}',
        '\u{a8}' => '\u{308}',
        '\u{2da}' => '\u{30a}',
        '\u{2dd}' => '\u{30b}',
        '\u{2c7}' => '\u{30c}',
        '\u{b8}' => '\u{327}',
        _ => return None,
    };
    let letter = match letter.chars().next()? {
        '\u{131}' => 'i',
        '\u{237}' => 'j',
        c => c,
    };
    unicode_normalization::char::compose(letter, combining)
}

/// Segments sorted into baselines, each from left to right.
pub(super) fn baselines(mut segments: Vec<Segment>) -> Vec<Vec<Segment>> {
    segments.sort_by(|a, b| a.across.total_cmp(&b.across));
    let mut rows: Vec<Vec<Segment>> = Vec::new();
    for segment in segments {
        match rows.last_mut() {
            Some(row)
                if row
                    .last()
                    .is_some_and(|s| segment.across - s.across <= SAME_LINE * s.size.min(segment.size)) =>
            {
                row.push(segment)
            }
            _ => rows.push(vec![segment]),
        }
    }
    for row in &mut rows {
        row.sort_by(|a, b| a.start.total_cmp(&b.start));
    }
    rows
}

/// Joins segments of one baseline that nearly touch.
fn joined(segments: Vec<Segment>) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    for row in baselines(segments) {
        let first = out.len();
        for segment in row {
            let size = segment.size;
            match out[first..].last_mut() {
                Some(last)
                    if (-0.5..=JOINED).contains(&((segment.start - last.end) / size.max(last.size))) =>
                {
                    if segment.start - last.end > SPACE * size && !last.text.ends_with(' ') {
                        last.text.push(' ');
                    }
                    last.text.push_str(&segment.text);
                    last.end = last.end.max(segment.end);
                    last.size = last.size.max(size);
                }
                _ => out.push(segment),
            }
        }
    }
    out
}

fn add_region(region: Vec<Segment>, out: &mut Vec<Line>) {
    let rows = baselines(region);
    let left = rows.iter().map(|row| row[0].start).fold(f64::INFINITY, f64::min);
    let right = rows.iter().flatten().map(|s| s.end).fold(f64::NEG_INFINITY, f64::max);
    let pitch = median(rows.windows(2).map(|pair| pair[1][0].across - pair[0][0].across)).unwrap_or(0.0);
    let mut above: Option<(f64, f64, f64, f64)> = None;
    for row in rows {
        let text = row.iter().map(|s| s.text.trim()).collect::<Vec<_>>().join("   ");
        let text = if is_right_to_left(&text) { logical(&text) } else { text };
        let size = row.iter().map(|s| s.size).fold(0.0, f64::max);
        let (start, end, across) = (row[0].start, row[row.len() - 1].end, row[0].across);
        let begins = match above {
            None => !out.last().is_some_and(|last| runs_on(&last.text, &text)),
            Some((above_start, above_end, above_across, above_size)) => {
                let is_far = across - above_across > (1.35 * pitch).max(1.1 * size);
                let is_other_size = size / above_size > 1.12 || above_size / size > 1.12;
                let is_indented = start - above_start > 0.8 * size
                    && above_start - left < 0.5 * size
                    && start - left < 5.0 * size;
                let ended_short = above_end < right - 0.2 * (right - left)
                    && out.last().is_some_and(|l| l.text.ends_with(['.', '!', '?', ':']));
                is_far || is_other_size || is_indented || ended_short
            }
        };
        out.push(Line { text, size, across, begins });
        above = Some((start, end, across, size));
    }
}

/// Whether most letters of a line are Hebrew or Arabic.
fn is_right_to_left(line: &str) -> bool {
    let n_right_to_left = line.chars().filter(|c| reads_right_to_left(*c)).count();
    n_right_to_left * 2 > line.chars().filter(|c| c.is_alphabetic()).count()
}

fn reads_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

/// A line of a right-to-left script, from the order it is seen in to the order it is read in: turned round, but for the runs of
/// digits and Latin words in it. (Not the whole bidirectional algorithm, which goes the other way.)
fn logical(line: &str) -> String {
    let mut out: Vec<char> = Vec::with_capacity(line.len());
    let turned: Vec<char> = line.chars().rev().collect();
    for run in turned.chunk_by(|a, b| is_forward(*a) == is_forward(*b)) {
        if is_forward(run[0]) { out.extend(run.iter().rev()) } else { out.extend(run) }
    }
    // Shaped letters become plain ones.
    unicode_normalization::UnicodeNormalization::nfkc(out.into_iter()).collect()
}

fn is_forward(c: char) -> bool {
    c.is_alphanumeric() && !reads_right_to_left(c)
}

/// Whether a sentence goes on from the foot of one column to the head of the next.
fn runs_on(above: &str, below: &str) -> bool {
    let ends_open = above.ends_with(|c: char| c.is_lowercase() || matches!(c, ',' | '-' | '\u{2010}'));
    ends_open && below.starts_with(char::is_lowercase) && above.chars().count() > 20 && !above.contains("   ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Glyphs of a text set at 10 points, half an em each, from `x` on baseline `y`; spaces are gaps.
    fn set(text: &str, x: f64, y: f64) -> Vec<Glyph> {
        let place = |(i, c): (usize, char)| {
            let x = x + 5.0 * i as f64;
            Glyph::placed(c.to_string(), (x, y), (x + 5.0, y), 10.0, Direction::Right)
        };
        text.chars().enumerate().filter(|(_, c)| *c != ' ').map(place).collect()
    }

    fn texts(glyphs: Vec<Glyph>) -> Vec<String> {
        lines(glyphs).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn gaps_are_spaces_and_baselines_lines() {
        let glyphs = [set("second line here", 50.0, 112.0), set("a first line", 50.0, 100.0)].concat();
        assert_eq!(texts(glyphs), ["a first line", "second line here"]);
    }

    #[test]
    fn two_columns_are_read_one_after_the_other() {
        let mut glyphs = set("A title that goes across both of the columns of it", 80.0, 50.0);
        for i in 0..6 {
            let y = 100.0 + 12.0 * f64::from(i);
            glyphs.extend(set(&format!("left column line no {i}"), 50.0, y));
            glyphs.extend(set(&format!("right column line no {i}"), 200.0, y));
        }
        let texts = texts(glyphs);
        assert_eq!(texts[0], "A title that goes across both of the columns of it");
        assert_eq!(texts[1..4], ["left column line no 0", "left column line no 1", "left column line no 2"]);
        assert_eq!(texts[7], "right column line no 0");
    }

    #[test]
    fn rows_of_a_table_stay_rows() {
        let mut glyphs = Vec::new();
        for i in 0..8 {
            let y = 100.0 + 12.0 * f64::from(i);
            glyphs.extend(set("name", 50.0, y));
            glyphs.extend(set(&format!("{i}00"), 200.0, y));
        }
        assert_eq!(texts(glyphs)[3], "name   300");
    }

    #[test]
    fn turned_and_vertical_text_is_read_too() {
        let mut glyphs = set("upright", 50.0, 100.0);
        let turned = "turned".chars().enumerate().map(|(i, c)| {
            let y = 300.0 - 5.0 * i as f64;
            Glyph::placed(c.to_string(), (20.0, y), (20.0, y - 5.0), 10.0, Direction::Up)
        });
        glyphs.extend(turned);
        for (column, text) in ["縦書きの文", "二行目です"].iter().enumerate() {
            glyphs.extend(text.chars().enumerate().map(|(i, c)| {
                let (x, y) = (400.0 - 20.0 * column as f64, 100.0 + 10.0 * i as f64);
                Glyph::placed(c.to_string(), (x, y), (x, y + 10.0), 10.0, Direction::Vertical)
            }));
        }
        assert_eq!(texts(glyphs), ["upright", "縦書きの文", "二行目です", "turned"]);
    }

    #[test]
    fn hebrew_is_given_in_reading_order() {
        assert_eq!(texts(set("2024 םלוע םולש", 50.0, 100.0)), ["שלום עולם 2024"]);
    }

    #[test]
    fn paragraphs_begin_at_gaps_and_indents() {
        let mut glyphs = Vec::new();
        for (i, (x, y)) in [(50.0, 100.0), (50.0, 112.0), (60.0, 124.0), (50.0, 136.0), (50.0, 160.0)]
            .into_iter()
            .enumerate()
        {
            glyphs.extend(set(&format!("some line that is long no {i}"), x, y));
        }
        let begins: Vec<bool> = lines(glyphs).into_iter().map(|line| line.begins).collect();
        assert_eq!(begins, [true, false, true, false, true]);
    }

    #[test]
    fn accents_join_their_letters_and_doubled_glyphs_count_once() {
        let mut glyphs = set("caf", 50.0, 100.0);
        glyphs.push(Glyph::placed("\u{b4}".into(), (65.0, 100.0), (70.0, 100.0), 10.0, Direction::Right));
        glyphs.push(Glyph::placed("e".into(), (65.0, 100.0), (70.0, 100.0), 10.0, Direction::Right));
        glyphs.extend(set("caf", 50.0, 100.0));
        assert_eq!(texts(glyphs), ["café"]);
    }
}
