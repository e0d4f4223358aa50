//! Texts that end an answer, found in it piece by piece: what could be the beginning of one is held back until it is clear.

/// An answer on its way to the client.
pub(crate) struct Stops {
    /// End the answer.
    stops: Vec<String>,
    /// End what is shown of it: what follows is a tool call.
    marks: Vec<String>,
    held: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Muted,
    Ended,
}

impl Stops {
    pub fn new(stops: Vec<String>, marks: Vec<String>) -> Self {
        Self { stops, marks, held: String::new(), state: State::Open }
    }

    /// Whether a stop text was met: the rest is not wanted.
    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Takes a piece and gives what may be shown.
    pub fn push(&mut self, piece: &str) -> String {
        if self.state != State::Open {
            return String::new();
        }
        self.held.push_str(piece);
        let first = |texts: &[String]| texts.iter().filter_map(|text| self.held.find(text.as_str())).min();
        let (stop, mark) = (first(&self.stops), first(&self.marks));
        let end = [stop, mark].into_iter().flatten().min();
        if let Some(end) = end {
            self.state = if stop == Some(end) { State::Ended } else { State::Muted };
            let shown = self.held[..end].to_owned();
            self.held.clear();
            return shown;
        }
        let n_kept =
            self.stops.iter().chain(&self.marks).map(|text| overlap(&self.held, text)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - n_kept);
        std::mem::replace(&mut self.held, rest)
    }

    /// What was held back and is no stop text after all.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of `text` that `stop` begins with.
fn overlap(text: &str, stop: &str) -> usize {
    let most = text.len().min(stop.len().saturating_sub(1));
    (1..=most)
        .rev()
        .find(|&n| {
            text.is_char_boundary(text.len() - n)
                && stop.as_bytes().starts_with(&text.as_bytes()[text.len() - n..])
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(stops: &[&str], marks: &[&str], pieces: &[&str]) -> (String, bool) {
        let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let mut all = Stops::new(own(stops), own(marks));
        let mut text: String = pieces.iter().map(|piece| all.push(piece)).collect();
        text.push_str(&all.finish());
        (text, all.has_ended())
    }

    #[test]
    fn a_stop_text_ends_the_answer_however_it_is_cut() {
        assert_eq!(shown(&["END"], &[], &["one E", "N", "D two"]), ("one ".to_owned(), true));
        assert_eq!(shown(&["END"], &[], &["one E", "NX", " two"]), ("one ENX two".to_owned(), false));
        assert_eq!(shown(&["b", "ab"], &[], &["xa", "b"]), ("x".to_owned(), true));
        assert_eq!(shown(&["é!"], &[], &["caf", "é", "!"]), ("caf".to_owned(), true));
        assert_eq!(shown(&["END"], &[], &["half EN"]), ("half EN".to_owned(), false));
        assert_eq!(shown(&[], &[], &["all", " of it"]), ("all of it".to_owned(), false));
    }

    #[test]
    fn a_tool_call_is_not_shown_and_goes_on() {
        let call = ["Let me see. <tool", "_call>{\"name\":", " \"f\"}</tool_call>"];
        assert_eq!(shown(&[], &["<tool_call>"], &call), ("Let me see. ".to_owned(), false));
    }
}
