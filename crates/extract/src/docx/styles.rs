//! What a paragraph's style and numbering make of it.

use std::collections::HashMap;

use crate::xml::{Node, attribute, walk};

/// What a style says about its paragraphs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Style {
    /// Lower-case name; English in files of every language for the built-in styles.
    name: String,
    based_on: Option<String>,
    /// 0 is the outermost.
    outline_level: Option<u8>,
    /// List the style puts its paragraphs in, and the level there.
    list: Option<String>,
    list_level: usize,
}

/// What a paragraph is by its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    Heading(u8),
    Quote,
    Code,
    Contents,
    Text,
}

/// All styles by id.
#[derive(Debug, Default)]
pub(super) struct Styles(HashMap<String, Style>);

/// Styles inherit; a chain longer than this is a loop.
const MAX_CHAIN: usize = 12;

impl Styles {
    pub(super) fn read(xml: &str) -> Self {
        let mut styles = HashMap::new();
        let mut open: Option<(String, Style)> = None;
        walk(xml, &mut |node| match node {
            Node::Start("style", tag) => open = attribute(tag, "styleId").map(|id| (id, Style::default())),
            Node::Start(name, tag) => {
                let Some((_, style)) = &mut open else { return };
                let val = || attribute(tag, "val");
                match name {
                    "name" => style.name = val().unwrap_or_default().to_lowercase(),
                    "basedon" => style.based_on = val(),
                    "outlinelvl" => style.outline_level = val().and_then(|v| v.parse().ok()),
                    "numid" => style.list = val(),
                    "ilvl" => style.list_level = val().and_then(|v| v.parse().ok()).unwrap_or(0),
                    _ => {}
                }
            }
            Node::End("style") => styles.extend(open.take()),
            _ => {}
        });
        Self(styles)
    }

    /// The style and those it is based on, nearest first.
    fn chain<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a Style> {
        let mut next = self.0.get(id);
        std::iter::from_fn(move || {
            let style = next?;
            next = style.based_on.as_deref().and_then(|id| self.0.get(id));
            Some(style)
        })
        .take(MAX_CHAIN)
    }

    pub(super) fn role(&self, id: &str) -> Role {
        if self.0.is_empty() {
            return role_by_name(&id.to_lowercase()).unwrap_or(Role::Text);
        }
        self.chain(id)
            .find_map(|style| {
                let by_level =
                    || style.outline_level.filter(|level| *level < 9).map(|level| Role::Heading(level + 1));
                role_by_name(&style.name).or_else(by_level)
            })
            .unwrap_or(Role::Text)
    }

    /// The list and level a style puts its paragraphs in.
    pub(super) fn list(&self, id: &str) -> Option<(String, usize)> {
        self.chain(id).find_map(|style| style.list.clone().map(|list| (list, style.list_level)))
    }
}

fn role_by_name(name: &str) -> Option<Role> {
    let compact: String = name.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some(level) = compact.strip_prefix("heading").and_then(|n| n.parse::<u8>().ok()) {
        return (1..=9).contains(&level).then_some(Role::Heading(level));
    }
    match compact.as_str() {
        "title" => Some(Role::Title),
        "quote" | "intensequote" | "blocktext" | "quotations" => Some(Role::Quote),
        "tocheading" | "tableoffigures" => Some(Role::Contents),
        _ if compact.strip_prefix("toc").is_some_and(|n| n.parse::<u8>().is_ok()) => Some(Role::Contents),
        _ if ["code", "preformatted", "verbatim", "macrotext"].iter().any(|word| compact.contains(word)) => {
            Some(Role::Code)
        }
        _ => None,
    }
}

/// Which lists count and which have bullets.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// List id to definition id.
    lists: HashMap<String, String>,
    /// Definition id and level that have bullets, or no mark at all.
    bullets: HashMap<(String, usize), bool>,
}

impl Numbering {
    pub(super) fn read(xml: &str) -> Self {
        let mut numbering = Self::default();
        let mut definition: Option<String> = None;
        let mut list: Option<String> = None;
        let mut level = 0;
        walk(xml, &mut |node| match node {
            Node::Start("abstractnum", tag) => definition = attribute(tag, "abstractNumId"),
            Node::End("abstractnum") => definition = None,
            Node::Start("lvl", tag) => {
                level = attribute(tag, "ilvl").and_then(|v| v.parse().ok()).unwrap_or(0)
            }
            Node::Start("numfmt", tag) => {
                if let Some(id) = &definition {
                    let is_bullet =
                        attribute(tag, "val").is_none_or(|format| format == "bullet" || format == "none");
                    numbering.bullets.insert((id.clone(), level), is_bullet);
                }
            }
            Node::Start("num", tag) => list = attribute(tag, "numId"),
            Node::Start("abstractnumid", tag) => {
                if let (Some(list), Some(definition)) = (&list, attribute(tag, "val")) {
                    numbering.lists.insert(list.clone(), definition);
                }
            }
            Node::End("num") => list = None,
            _ => {}
        });
        numbering
    }

    /// Whether items of this list and level have a number.
    pub(super) fn counts(&self, list: &str, level: usize) -> bool {
        self.lists
            .get(list)
            .and_then(|id| self.bullets.get(&(id.clone(), level)))
            .is_some_and(|is_bullet| !is_bullet)
    }
}
