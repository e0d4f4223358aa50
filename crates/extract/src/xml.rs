//! XML as office files use it: a stream of elements by local name, and text.
//!
//! Read with the page tokenizer, which has no stack: nesting costs nothing, no entity is ever expanded but the
//! predefined ones (no "billion laughs"), and a document that breaks off is read up to there.

use crate::document::{About, clean_title};
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

/// Title and the rest of what a file says about itself in Dublin Core elements: the core properties of Office files, the `meta.xml` of
/// OpenDocument files, the package of a book.
pub(crate) fn about(xml: &str) -> (Option<String>, About) {
    let (mut title, mut about) = (None, About::default());
    let mut open: Option<(String, String)> = None;
    walk(xml, &mut |node| match node {
        Node::Start(name, _) => open = Some((name.to_owned(), String::new())),
        Node::Text(text) => {
            if let Some((_, value)) = &mut open {
                value.push_str(text);
            }
        }
        Node::End(_) => {
            let Some((name, value)) = open.take() else { return };
            let Some(value) = clean_title(Some(value)) else { return };
            match name.as_str() {
                "title" => title = title.take().or(Some(value)),
                "creator" | "initial-creator" => about.add_author(&value),
                "created" | "creation-date" => about.created = Some(value),
                "modified" => about.modified = Some(value),
                "date" => about.modified = about.modified.take().or(Some(value)),
                "language" => about.language = about.language.take().or(Some(value)),
                "subject" | "keywords" | "keyword" => about.fields.push((name, value)),
                _ => {}
            }
        }
    });
    (title, about)
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
    fn what_a_file_says_about_itself_is_read_from_dublin_core() {
        let xml = "<cp:coreProperties><dc:creator>Ann  Lee</dc:creator><dcterms:created xsi:type='dcterms:W3CDTF'>2024-03-01T10:00:00Z</dcterms:created>\
            <dc:creator>Bo</dc:creator><dc:language>de</dc:language></cp:coreProperties>";
        let (title, about) = about(xml);
        assert_eq!((title, about.authors), (None, vec!["Ann Lee".to_owned(), "Bo".to_owned()]));
        assert_eq!(about.created.as_deref(), Some("2024-03-01T10:00:00Z"));
        assert_eq!(about.language.as_deref(), Some("de"));
    }

    #[test]
    fn names_are_local_and_text_is_unescaped() {
        let xml = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'>]><cp:core xmlns:dc='u'><dc:title>A &amp; B &a;</dc:title><w:p W:val='1'/></cp:core>";
        assert_eq!(about(xml).0.as_deref(), Some("A & B &a;"));
        let mut seen = Vec::new();
        walk(xml, &mut |node| {
            if let Node::Start(name, tag) = node {
                seen.push((name.to_owned(), attribute(tag, "val")));
            }
        });
        assert_eq!(seen.last(), Some(&("p".to_owned(), Some("1".to_owned()))));
    }
}
