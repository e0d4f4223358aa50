//! XML as office files use it: a stream of elements by local name, and text.
//!
//! Read with the page tokenizer, which has no stack: nesting costs nothing, no entity is ever expanded but the
//! predefined ones (no "billion laughs"), and a document that breaks off is read up to there.

use crate::html_tokens::{Dialect, Tag, Token, append_text, tokens};

/// One step through a document. Names are local (no prefix) and in lower case.
pub(crate) enum Node<'a> {
    /// An element begins. `<a/>` gives both its start and its end.
    Start(&'a str, &'a Tag<'a>),
    /// An element ends.
    End(&'a str),
    /// Text, references replaced, blank space as it is.
    Text(&'a str),
}

/// Hands every node of `xml` to `visit`, in order.
pub(crate) fn walk(xml: &str, visit: &mut dyn FnMut(Node<'_>)) {
    let mut text = String::new();
    for token in tokens(xml, Dialect::Xml) {
        match token {
            Token::Start(tag) => {
                visit(Node::Start(local(&tag.name), &tag));
                if tag.self_closing {
                    visit(Node::End(local(&tag.name)));
                }
            }
            Token::End(name) => visit(Node::End(local(&name))),
            Token::Text { text: raw, is_raw } => {
                text.clear();
                append_text(raw, is_raw, &mut text);
                visit(Node::Text(&text));
            }
        }
    }
}

/// The text of the first element of that local name, `None` if it is missing or blank.
pub(crate) fn text_of_first(xml: &str, wanted: &str) -> Option<String> {
    let mut found: Option<String> = None;
    let mut is_open = false;
    walk(xml, &mut |node| match node {
        Node::Start(name, _) if name == wanted && found.is_none() => {
            is_open = true;
            found = Some(String::new());
        }
        Node::End(name) if name == wanted => is_open = false,
        Node::Text(text) if is_open => found.get_or_insert_default().push_str(text),
        _ => {}
    });
    found.filter(|text| !text.trim().is_empty())
}

/// An attribute by its local name: `val` finds `w:val`.
pub(crate) fn attribute(tag: &Tag<'_>, wanted: &str) -> Option<String> {
    tag.attribute_by(|name| local(name).eq_ignore_ascii_case(wanted))
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_local_and_text_is_unescaped() {
        let xml = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'>]><cp:core xmlns:dc='u'><dc:title>A &amp; B &a;</dc:title><w:p W:val='1'/></cp:core>";
        assert_eq!(text_of_first(xml, "title").as_deref(), Some("A & B &a;"));
        let mut seen = Vec::new();
        walk(xml, &mut |node| {
            if let Node::Start(name, tag) = node {
                seen.push((name.to_owned(), attribute(tag, "val")));
            }
        });
        assert_eq!(seen.last(), Some(&("p".to_owned(), Some("1".to_owned()))));
    }
}
