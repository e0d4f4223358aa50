//! Subtitles (SubRip, WebVTT): what is said, in paragraphs that begin with the time they are said at.
//!
//! Cues are a few words each; those that follow each other without a pause make one paragraph, `[0:12:05] …`, so that a
//! passage reads as speech and can be looked up in the film.

use crate::Format;
use crate::document::{BlockKind, Document, Writer};

/// A pause that begins a paragraph, in milliseconds.
const PAUSE: u64 = 3_000;

/// A paragraph ends with the next sentence after this many bytes, and whatever comes after twice as many.
const LONG: usize = 400;

struct Cue {
    start: u64,
    end: u64,
    lines: Vec<String>,
}

pub(crate) fn extract(text: &str) -> Document {
    let mut writer = Writer::default();
    let (mut title, mut language) = (None, None);
    for line in text.trim_start_matches('\u{feff}').lines().take_while(|line| !line.trim().is_empty()) {
        match line.split_once(':') {
            Some(("Title", value)) => title = Some(value.to_owned()),
            Some(("Language", value)) => language = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut paragraph = String::new();
    let (mut last_end, mut last_line) = (0, String::new());
    for cue in cues(text) {
        let pauses = cue.start > last_end + PAUSE;
        let is_long = paragraph.len() > 2 * LONG
            || (paragraph.len() > LONG && paragraph.ends_with(['.', '!', '?', '…', '。', '！', '？']));
        if pauses || is_long {
            writer.push(&std::mem::take(&mut paragraph), BlockKind::Paragraph);
        }
        for line in cue.lines {
            // Captions that roll up repeat the line above.
            if line == last_line && !pauses {
                continue;
            }
            if paragraph.is_empty() {
                paragraph = clock(cue.start);
            }
            paragraph.push(' ');
            paragraph.push_str(&line);
            last_line = line;
        }
        last_end = cue.end.max(cue.start);
    }
    writer.push(&paragraph, BlockKind::Paragraph);
    let mut document = writer.finish(Format::Subtitles, title);
    document.about.language = language;
    document
}

fn cues(text: &str) -> impl Iterator<Item = Cue> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let (start, end) = lines.by_ref().find_map(timing)?;
        let mut cue = Cue { start, end, lines: Vec::new() };
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty() && timing(line).is_none()) {
            cue.lines.extend(Some(spoken(line)).filter(|line| !line.is_empty()));
        }
        // Without a blank line between cues the next one's number is not spoken.
        if lines.peek().is_some_and(|line| timing(line).is_some())
            && cue.lines.last().is_some_and(|line| line.bytes().all(|b| b.is_ascii_digit()))
        {
            cue.lines.pop();
        }
        Some(cue)
    })
}

/// `00:01:02,500 --> 00:01:04,000`, in milliseconds.
fn timing(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_once("-->")?;
    Some((milliseconds(start.trim())?, milliseconds(end.split_whitespace().next()?)?))
}

fn milliseconds(time: &str) -> Option<u64> {
    let (clock, fraction) = time.split_once([',', '.']).unwrap_or((time, "0"));
    let mut seconds: u64 = 0;
    for part in clock.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.trim().parse().ok()?)?;
    }
    let fraction: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    seconds.checked_mul(1000)?.checked_add(fraction)
}

/// `[0:01:02]`
fn clock(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    format!("[{}:{:02}:{:02}]", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A line without tags (`<i>`, `{\an8}`); a voice (`<v Ann>`) is a name before what it says.
fn spoken(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['<', '{']) {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let close = if tag.starts_with('<') { '>' } else { '}' };
        match tag.find(close) {
            Some(n) if close == '>' || tag.starts_with("{\\") => {
                if let Some(name) = tag[1..n].strip_prefix("v ").or(tag[1..n].strip_prefix("v.")) {
                    let name = if tag.starts_with("<v.") {
                        name.split_once(' ').map_or(name, |(_, n)| n)
                    } else {
                        name
                    };
                    out.push_str(&format!("{}: ", name.trim()));
                }
                rest = &tag[n + 1..];
            }
            _ => {
                out.push_str(&tag[..1]);
                rest = &tag[1..];
            }
        }
    }
    out.push_str(rest);
    let mut text = String::new();
    crate::entities::unescape_into(&out, &mut text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_make_paragraphs_with_their_time() {
        let srt = "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hello</i>\r\nthere.\r\n\r\n2\r\n00:00:02,600 --> 00:00:04,000\r\n{\\an8}Second.\r\n\r\n3\r\n01:02:03,000 --> 01:02:04,000\r\nLater.\r\n";
        assert_eq!(extract(srt).text, "[0:00:01] Hello there. Second.\n\n[1:02:03] Later.");
        let vtt = "WEBVTT\nLanguage: de\n\nNOTE no\n\ncue-1\n01:00.000 --> 01:02.000 align:start\n<v Ann>Hi &amp; bye\n\n01:02.000 --> 01:03.000\n<v Ann>Hi &amp; bye\nNew <c.x>line</c>\n";
        let document = extract(vtt);
        assert_eq!(document.text, "[0:01:00] Ann: Hi & bye New line");
        assert_eq!(document.about.language.as_deref(), Some("de"));
    }

    #[test]
    fn what_is_no_time_is_no_cue() {
        assert!(extract("a --> b\nx\n\n99999999999999999999:00 --> 1\ny").blocks.is_empty());
    }
}
