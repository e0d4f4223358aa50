//! Marks that stand for contents while a template is rendered.
//!
//! A mark is `EM SPACE, U+E0D0, index, '"', U+E0D1, EM SPACE`:
//! - the private-use characters occur in no template (it is checked), and contents are never rendered, so a mark cannot be forged;
//! - a template that trims takes the blanks off, and then the content is trimmed as well;
//! - a template that writes the string as JSON escapes the quotation mark, and then the content is escaped as well.

use super::{Piece, TemplateError};

const OPEN: char = '\u{e0d0}';
const CLOSE: char = '\u{e0d1}';
const BLANK: char = '\u{2003}';

/// Whether `text` holds a character that marks are made of.
pub(super) fn are_in(text: &str) -> bool {
    text.contains([OPEN, CLOSE])
}

/// A text that is rendered as a mark.
#[derive(Debug)]
pub(super) struct Mark {
    message: usize,
    text: String,
    is_content: bool,
    /// Whether the rendered template held it.
    pub(super) seen: bool,
}

/// The marks of one rendering.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<Mark>);

impl Marks {
    /// The mark for a message's content; nothing for an empty one, which templates may test for.
    pub(super) fn content(&mut self, message: usize, text: &str) -> String {
        self.add(message, text, true)
    }

    /// The mark for something beside the content, which a template is free to leave out.
    pub(super) fn aside(&mut self, message: usize, text: &str) -> String {
        self.add(message, text, false)
    }

    fn add(&mut self, message: usize, text: &str, is_content: bool) -> String {
        if text.is_empty() {
            return String::new();
        }
        let idx = self.0.len();
        self.0.push(Mark { message, text: text.to_owned(), is_content, seen: false });
        format!("{BLANK}{OPEN}{idx}\"{CLOSE}{BLANK}")
    }

    /// `value` with a mark for every string in it, names of fields included, that is to be kept `apart`.
    pub(super) fn strings_of(
        &mut self,
        message: usize,
        value: &serde_json::Value,
        apart: &dyn Fn(&str) -> bool,
    ) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) if apart(text) => Value::String(self.aside(message, text)),
            Value::Array(items) => items.iter().map(|item| self.strings_of(message, item, apart)).collect(),
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, field)| {
                        let name = if apart(name) { self.aside(message, name) } else { name.clone() };
                        (name, self.strings_of(message, field, apart))
                    })
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// The mark of a message's content, if it has any.
    pub(super) fn content_of(&self, message: usize) -> Option<&Mark> {
        self.0.iter().find(|mark| mark.is_content && mark.message == message)
    }

    /// Cuts a rendered template at its marks, and notes which ones it held.
    pub(super) fn cut(&mut self, rendered: &str) -> Result<Vec<Piece>, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = rendered;
        while let Some((before, after)) = rest.split_once(OPEN) {
            let (inside, after) = after.split_once(CLOSE).ok_or(TemplateError::Mangled)?;
            let (idx, as_json) = match inside.strip_suffix("\\\"") {
                Some(idx) => (idx, true),
                None => (inside.strip_suffix('"').ok_or(TemplateError::Mangled)?, false),
            };
            let idx: usize = idx.parse().map_err(|_| TemplateError::Mangled)?;
            let mark = self.0.get_mut(idx).ok_or(TemplateError::Mangled)?;
            mark.seen = true;

            let (before, trimmed_start) = match before.strip_suffix(BLANK) {
                Some(before) => (before, false),
                None => (before, true),
            };
            let (after, trimmed_end) = match after.strip_prefix(BLANK) {
                Some(after) => (after, false),
                None => (after, true),
            };
            let mut text = mark.text.as_str();
            if trimmed_start {
                text = text.trim_start();
            }
            if trimmed_end {
                text = text.trim_end();
            }
            let text = if as_json { json_inside(text) } else { text.to_owned() };
            push_template(&mut pieces, before);
            if !text.is_empty() {
                pieces.push(Piece::Content { message: mark.message, text });
            }
            rest = after;
        }
        push_template(&mut pieces, rest);
        if pieces.iter().any(|piece| matches!(piece, Piece::Template(text) if are_in(text))) {
            return Err(TemplateError::Mangled);
        }
        Ok(pieces)
    }
}

fn push_template(pieces: &mut Vec<Piece>, text: &str) {
    if text.is_empty() {
        return;
    }
    if let Some(Piece::Template(last)) = pieces.last_mut() {
        last.push_str(text);
    } else {
        pieces.push(Piece::Template(text.to_owned()));
    }
}

/// `text` as it stands between the quotation marks of a JSON string.
fn json_inside(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
