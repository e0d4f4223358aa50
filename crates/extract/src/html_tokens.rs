//! Splits HTML into tags and text, as browsers do it where it matters for reading.
//!
//! One pass, linear, without a stack: what nests is for the reader of the tokens to count. Script, style and other raw-text
//! elements come out as one text token. Deviations from the HTML standard's tokenizer (section 13.2.5): a tag that is never
//! closed by `>` is text; the escaped states inside `<script>` are not followed; CDATA sections are text everywhere.

use crate::entities::{unescape, unescape_into};

/// One piece of a page, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Start(Tag<'a>),
    /// Lower-case name.
    End(String),
    /// Raw text; character references are not replaced yet unless `is_raw`.
    Text {
        text: &'a str,
        is_raw: bool,
    },
}

/// A start tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    /// Lower-case name.
    pub(crate) name: String,
    /// What stands between the name and `>`.
    attributes: &'a str,
    pub(crate) self_closing: bool,
}

impl Tag<'_> {
    /// The value of an attribute, references replaced. Looks through the attributes each time; the first of a name counts.
    pub(crate) fn attribute(&self, wanted: &str) -> Option<String> {
        self.attribute_by(|name| name.eq_ignore_ascii_case(wanted))
    }

    /// The value of the first attribute whose name passes.
    pub(crate) fn attribute_by(&self, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
        attributes(self.attributes).find(|(name, _)| is_wanted(name)).map(|(_, value)| unescape(value))
    }
}

/// Elements whose content is not markup. The two with references in their text come last.
const RAW: &[&str] = &["script", "style", "xmp", "iframe", "noembed", "noframes", "textarea", "title"];

/// Whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Web pages.
    Html,
    /// Web pages in which `<script/>` closes itself.
    Xhtml,
    /// No element holds raw text. Names come out in lower case here too.
    Xml,
}

/// Tokens of a page or of an XML document.
pub(crate) fn tokens(html: &str, dialect: Dialect) -> Tokens<'_> {
    Tokens { html, at: 0, raw: None, dialect, has_no_more_ends: false, quotes_are_broken: false }
}

pub(crate) struct Tokens<'a> {
    html: &'a str,
    at: usize,
    /// The raw-text element that is open.
    raw: Option<String>,
    dialect: Dialect,
    /// No `>` is left: every further `<` is text. Without this, `<a <a <a …` would be quadratic.
    has_no_more_ends: bool,
    /// A quoted value was never closed: quotes no longer hide a `>`. Keeps `<a b='>'=">"` over and over linear.
    quotes_are_broken: bool,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(name) = self.raw.take() {
            let n = raw_text_len(&self.html[self.at..], &name);
            let text = &self.html[self.at..self.at + n];
            self.at += n;
            if n > 0 {
                return Some(Token::Text { text, is_raw: !matches!(name.as_str(), "title" | "textarea") });
            }
        }
        loop {
            let rest = &self.html[self.at..];
            if rest.is_empty() {
                return None;
            }
            if !rest.starts_with('<') {
                let n = rest.find('<').unwrap_or(rest.len());
                self.at += n;
                return Some(Token::Text { text: &rest[..n], is_raw: false });
            }
            match self.markup(rest) {
                Markup::Skip(n) => self.at += n,
                Markup::Cdata(n, text) => {
                    self.at += n;
                    return Some(Token::Text { text, is_raw: true });
                }
                Markup::End(n, name) => {
                    self.at += n;
                    return Some(Token::End(name));
                }
                Markup::Start(n, tag) => {
                    self.at += n;
                    let closes_itself = self.dialect == Dialect::Xhtml && tag.self_closing;
                    if self.dialect != Dialect::Xml && RAW.contains(&tag.name.as_str()) && !closes_itself {
                        self.raw = Some(tag.name.clone());
                    }
                    return Some(Token::Start(tag));
                }
                Markup::Text => {
                    let n = rest[1..].find('<').map_or(rest.len(), |n| n + 1);
                    self.at += n;
                    return Some(Token::Text { text: &rest[..n], is_raw: false });
                }
            }
        }
    }
}

/// What a `<` opens, with its length in bytes.
enum Markup<'a> {
    Start(usize, Tag<'a>),
    End(usize, String),
    Cdata(usize, &'a str),
    /// A comment, a doctype, a processing instruction.
    Skip(usize),
    /// Nothing: the `<` is text.
    Text,
}

impl<'a> Tokens<'a> {
    fn markup(&mut self, rest: &'a str) -> Markup<'a> {
        if let Some(markup) = declaration(rest) {
            return markup;
        }
        let is_end = rest.starts_with("</");
        let name_at = if is_end { 2 } else { 1 };
        let name = &rest[name_at..];
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return if is_end && !name.is_empty() { Markup::Skip(upto(rest, ">", 2)) } else { Markup::Text };
        }
        if self.has_no_more_ends {
            return Markup::Text;
        }
        let n_name =
            name.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>').unwrap_or(name.len());
        let body_at = name_at + n_name;
        let Some(n_body) = self.tag_body_len(&rest[body_at..]) else {
            self.has_no_more_ends = true;
            return Markup::Text;
        };
        let end = body_at + n_body + 1;
        let name = name[..n_name].to_ascii_lowercase();
        if is_end {
            return Markup::End(end, name);
        }
        let attributes = &rest[body_at..body_at + n_body];
        Markup::Start(end, Tag { name, attributes, self_closing: attributes.ends_with('/') })
    }

    /// Bytes up to the `>` that closes a tag, quoted values jumped over.
    fn tag_body_len(&mut self, body: &str) -> Option<usize> {
        let mut quote = None;
        let mut after_equals = false;
        for (i, b) in body.bytes().enumerate() {
            match quote {
                Some(q) if b == q => quote = None,
                Some(_) => {}
                None if b == b'>' => return Some(i),
                // A quote opens a value only after `=`; elsewhere it is a stray.
                None if (b == b'"' || b == b'\'') && after_equals && !self.quotes_are_broken => {
                    quote = Some(b)
                }
                None => {}
            }
            if !b.is_ascii_whitespace() {
                after_equals = b == b'=' && quote.is_none();
            }
        }
        self.quotes_are_broken = true;
        body.find('>')
    }
}

/// Bytes up to the end of the first `needle` after `from`, else all.
fn upto(rest: &str, needle: &str, from: usize) -> usize {
    rest[from..].find(needle).map_or(rest.len(), |n| from + n + needle.len())
}

/// Comments, CDATA sections, doctypes, processing instructions.
fn declaration(rest: &str) -> Option<Markup<'_>> {
    if rest.starts_with("<!--") {
        // `<!-->` is a whole comment.
        return Some(Markup::Skip(if rest.starts_with("<!-->") { 5 } else { upto(rest, "-->", 4) }));
    }
    if rest.starts_with("<![CDATA[") {
        let end = upto(rest, "]]>", 9);
        let body = &rest[9..end];
        return Some(Markup::Cdata(end, body.strip_suffix("]]>").unwrap_or(body)));
    }
    (rest.starts_with("<!") || rest.starts_with("<?")).then(|| Markup::Skip(upto(rest, ">", 2)))
}

/// Bytes of raw text before `</name` and what may follow a name.
fn raw_text_len(rest: &str, name: &str) -> usize {
    let mut from = 0;
    while let Some(n) = rest[from..].find("</") {
        let at = from + n;
        let tail = &rest.as_bytes()[at + 2..];
        let is_name = tail.len() >= name.len() && tail[..name.len()].eq_ignore_ascii_case(name.as_bytes());
        if is_name && tail.get(name.len()).is_none_or(|b| b.is_ascii_whitespace() || *b == b'/' || *b == b'>')
        {
            return at;
        }
        from = at + 2;
    }
    rest.len()
}

/// Name and raw value of each attribute.
fn attributes(body: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = body;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        // A name may begin with `=`; it always has at least one character, so this ends.
        let n_first = rest.chars().next().map_or(1, char::len_utf8);
        let n = rest[n_first..]
            .find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '/')
            .map_or(rest.len(), |n| n + n_first);
        let name = &rest[..n];
        rest = rest[n..].trim_ascii_start();
        let Some(value) = rest.strip_prefix('=') else { return Some((name, "")) };
        let value = value.trim_ascii_start();
        let quoted = ['"', '\''].into_iter().find_map(|q| value.strip_prefix(q).map(|v| (q, v)));
        let (value, after) = match quoted {
            Some((q, v)) => v.split_once(q).unwrap_or((v, "")),
            None => value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
        };
        rest = after;
        Some((name, value))
    })
}

/// Appends the text of a token, references replaced.
pub(crate) fn append_text(text: &str, is_raw: bool, out: &mut String) {
    if is_raw {
        out.push_str(text);
    } else {
        unescape_into(text, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(html: &str) -> Vec<String> {
        tokens(html, Dialect::Html)
            .map(|t| match t {
                Token::Start(tag) => format!("<{}>", tag.name),
                Token::End(name) => format!("</{name}>"),
                Token::Text { text, .. } => text.to_owned(),
            })
            .collect()
    }

    #[test]
    fn tags_and_text_part_where_a_browser_parts_them() {
        assert_eq!(shape("<!DOCTYPE html><P Class=x>a<br/>b</p >"), ["<p>", "a", "<br>", "b", "</p>"]);
        assert_eq!(shape("1 < 2 && a<b>c"), ["1 ", "< 2 && a", "<b>", "c"]);
        assert_eq!(shape("<!-- <p> -->x<!-->y<?php <b> ?>z"), ["x", "y", " ?>z"]);
        assert_eq!(shape("<a title='x > y'>t</a>"), ["<a>", "t", "</a>"]);
        assert_eq!(shape("<a title=\"never closed>t"), ["<a>", "t"]);
        assert_eq!(
            shape("<script>if (a<b) '</p>'</SCRIPT>x"),
            ["<script>", "if (a<b) '</p>'", "</script>", "x"]
        );
        assert_eq!(shape("<"), ["<"]);
        assert_eq!(shape("<p"), ["<p"]);
        assert_eq!(shape("<![CDATA[a<b]]>c"), ["a<b", "c"]);
    }

    #[test]
    fn attributes_are_read_in_every_way_of_quoting() {
        let mut tokens = tokens("<a one=1 two='2 &amp; 3' THREE = \"t\" = four five=/x/>", Dialect::Html);
        let Some(Token::Start(tag)) = tokens.next() else { panic!("no tag") };
        assert_eq!(tag.attribute("one").as_deref(), Some("1"));
        assert_eq!(tag.attribute("two").as_deref(), Some("2 & 3"));
        assert_eq!(tag.attribute("three").as_deref(), Some("t"));
        assert_eq!(tag.attribute("four").as_deref(), Some(""));
        assert_eq!(tag.attribute("nope"), None);
    }

    #[test]
    fn hostile_pages_take_linear_time() {
        // Each of these would take minutes if a piece were looked at again for each `<`.
        for part in
            ["<", "<a ", "<a b=\"", "<!--", "</", "<a/", "&#", "<![CDATA[", "<a b='>", "<a b='>'=\">\""]
        {
            let html = part.repeat(200_000);
            assert!(tokens(&html, Dialect::Html).count() <= 400_001);
        }
    }
}
