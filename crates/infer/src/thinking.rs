//! Parts the stream of a reasoning model into `<think>…</think>` and answer.
//!
//! Text comes in pieces of any size, so a tag may be split over several of them: what could still become one is held back. Only a tag
//! at the very start opens thinking; `<think>` inside an answer is text. White space between `</think>` and the answer is dropped.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A piece of text and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Thinking(String),
    Answer(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing but white space and the beginning of a tag so far.
    Start,
    Thinking,
    /// After `</think>`, before the first character of the answer.
    Between,
    Answer,
}

/// Takes text as it is generated and gives it back in parts.
#[derive(Debug)]
pub(crate) struct Splitter {
    mode: Mode,
    held: String,
}

impl Splitter {
    /// `opened`: the prompt itself ends with `<think>`.
    pub(crate) fn new(opened: bool) -> Self {
        Splitter { mode: if opened { Mode::Thinking } else { Mode::Start }, held: String::new() }
    }

    /// Whether what comes next would be thinking.
    pub(crate) fn is_thinking(&self) -> bool {
        self.mode == Mode::Thinking
    }

    /// Whether it is still open if this is thinking or answer.
    pub(crate) fn is_undecided(&self) -> bool {
        self.mode == Mode::Start
    }

    /// Gives `part` what `text` settles.
    pub(crate) fn push(&mut self, text: &str, part: &mut dyn FnMut(Part)) {
        self.held.push_str(text);
        if self.mode == Mode::Start {
            let trimmed = self.held.trim_start();
            if let Some(rest) = trimmed.strip_prefix(OPEN) {
                self.held = rest.to_owned();
                self.mode = Mode::Thinking;
            } else if OPEN.starts_with(trimmed) {
                return;
            } else {
                self.mode = Mode::Answer;
            }
        }
        if self.mode == Mode::Thinking {
            let Some(at) = self.held.find(CLOSE) else {
                let settled = self.held.len() - tag_beginning(&self.held);
                emit(Part::Thinking(self.held.drain(..settled).collect()), part);
                return;
            };
            emit(Part::Thinking(self.held[..at].to_owned()), part);
            self.held.drain(..at + CLOSE.len());
            self.mode = Mode::Between;
        }
        if self.mode == Mode::Between {
            let blank = self.held.len() - self.held.trim_start().len();
            self.held.drain(..blank);
            if self.held.is_empty() {
                return;
            }
            self.mode = Mode::Answer;
        }
        emit(Part::Answer(std::mem::take(&mut self.held)), part);
    }

    /// Gives `part` what was held back, now that nothing more comes.
    pub(crate) fn finish(&mut self, part: &mut dyn FnMut(Part)) {
        let held = std::mem::take(&mut self.held);
        emit(if self.is_thinking() { Part::Thinking(held) } else { Part::Answer(held) }, part);
    }
}

fn emit(value: Part, part: &mut dyn FnMut(Part)) {
    let (Part::Thinking(text) | Part::Answer(text)) = &value;
    if !text.is_empty() {
        part(value);
    }
}

/// Length of the longest end of `text` that `</think>` begins with.
fn tag_beginning(text: &str) -> usize {
    (1..CLOSE.len()).rev().find(|&len| text.ends_with(&CLOSE[..len])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of `pieces`, joined: thinking, answer.
    fn split(opened: bool, pieces: &[&str]) -> (String, String) {
        let mut splitter = Splitter::new(opened);
        let (mut thinking, mut answer) = (String::new(), String::new());
        let mut part = |part: Part| match part {
            Part::Thinking(text) => thinking.push_str(&text),
            Part::Answer(text) => answer.push_str(&text),
        };
        for piece in pieces {
            splitter.push(piece, &mut part);
        }
        splitter.finish(&mut part);
        (thinking, answer)
    }

    fn both(thinking: &str, answer: &str) -> (String, String) {
        (thinking.to_owned(), answer.to_owned())
    }

    #[test]
    fn tags_are_found_however_the_text_is_cut() {
        let text = "\n<think>a < b </thin </think>\n\nyes <think>no</think>";
        let expected = both("a < b </thin ", "yes <think>no</think>");
        for size in 1..text.len() {
            let pieces: Vec<&str> =
                text.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            assert_eq!(split(false, &pieces), expected, "pieces of {size}");
        }
    }

    #[test]
    fn an_answer_without_thinking_is_left_as_it_is() {
        assert_eq!(split(false, &[" ", "hello"]), both("", " hello"));
        assert_eq!(split(false, &["<thi", "s>"]), both("", "<this>"));
        assert_eq!(split(false, &["<thi"]), both("", "<thi"));
    }

    #[test]
    fn thinking_that_the_prompt_opened_or_that_never_ends_is_thinking() {
        assert_eq!(split(true, &["hm", "</think>", " so"]), both("hm", "so"));
        assert_eq!(split(false, &["<think>hm</th"]), both("hm</th", ""));
    }

    #[test]
    fn settled_text_is_given_at_once() {
        let mut splitter = Splitter::new(false);
        let mut parts = Vec::new();
        splitter.push("<think>abc</", &mut |part| parts.push(part));
        assert_eq!(parts, [Part::Thinking("abc".to_owned())]);
    }
}
