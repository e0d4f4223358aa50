//! PowerPoint presentations (ECMA-376 part 1, chapter 19): slides in order, a page each; titles are headings, tables Markdown rows,
//! speaker notes follow as quotes.

use crate::container::Container;
use crate::document::{BlockKind, Document, Writer};
use crate::table::Table;
use crate::xml::{Node, about, attribute, walk};
use crate::{ExtractError, Format, Limits};

pub(crate) fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    let mut container = Container::open(bytes, "PPTX", limits)?;
    let core = container.read_text("docProps/core.xml")?.unwrap_or_default();
    let slides = slide_paths(&mut container)?;
    let mut writer = Writer::default();
    for path in slides {
        let slide = container.read_text(&path)?.unwrap_or_default();
        let notes = match related(&mut container, &path, "/notesSlide")?.first() {
            Some((_, notes)) => container.read_text(notes)?,
            None => None,
        };
        writer.page(|writer| {
            write_shapes(&slide, false, writer);
            write_shapes(&notes.unwrap_or_default(), true, writer);
        });
    }
    let first_heading = writer.first_heading();
    let (title, about) = about(&core);
    Ok(Document { about, ..writer.finish(Format::Pptx, title.or(first_heading)) })
}

/// Slides in the order they are shown.
fn slide_paths(container: &mut Container<'_>) -> Result<Vec<String>, ExtractError> {
    let presentation = container.required_text("ppt/presentation.xml")?;
    let targets = related(container, "ppt/presentation.xml", "/slide")?;
    let mut paths = Vec::new();
    walk(&presentation, &mut |node| {
        if let Node::Start("sldid", tag) = node {
            // `r:id` names the slide; the bare `id` is a number of its own.
            let id = tag.attribute_by(|name| name.to_ascii_lowercase().ends_with(":id"));
            paths.extend(
                targets.iter().find(|(target, _)| Some(target) == id.as_ref()).map(|(_, path)| path.clone()),
            );
        }
    });
    Ok(paths)
}

/// Ids and paths of the parts that `part` refers to by a relationship type of this ending.
pub(crate) fn related(
    container: &mut Container<'_>,
    part: &str,
    type_ending: &str,
) -> Result<Vec<(String, String)>, ExtractError> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let relations = container.read_text(&format!("{folder}/_rels/{name}.rels"))?.unwrap_or_default();
    let mut found = Vec::new();
    walk(&relations, &mut |node| {
        let Node::Start("relationship", tag) = node else { return };
        if !attribute(tag, "Type").is_some_and(|t| t.ends_with(type_ending)) {
            return;
        }
        if let (Some(id), Some(target)) = (attribute(tag, "Id"), attribute(tag, "Target")) {
            found.push((id, crate::container::joined_path(folder, &target)));
        }
    });
    Ok(found)
}

/// Text of a slide's shapes, or of its notes.
fn write_shapes(xml: &str, are_notes: bool, writer: &mut Writer) {
    let mut placeholder = String::new();
    let mut text = String::new();
    let mut level = 0usize;
    let mut in_text = false;
    let mut table: Option<Table> = None;
    walk(xml, &mut |node| match node {
        Node::Start(name, tag) => match name {
            "sp" => placeholder.clear(),
            "ph" => placeholder = attribute(tag, "type").unwrap_or_else(|| "body".into()),
            "p" => {
                text.clear();
                level = 0;
            }
            "ppr" => level = attribute(tag, "lvl").and_then(|v| v.parse().ok()).unwrap_or(0).min(9),
            "t" => in_text = true,
            "br" => text.push('\n'),
            "tbl" => table = Some(Table::default()),
            "tr" => table.iter_mut().for_each(Table::begin_row),
            "tc" => table.iter_mut().for_each(|table| table.begin_cell(false)),
            _ => {}
        },
        Node::Text(part) if in_text => text.push_str(part),
        Node::End("t") => in_text = false,
        Node::End("p") => {
            let text = std::mem::take(&mut text);
            match &mut table {
                Some(table) if !text.trim().is_empty() => drop(table.add(text.trim())),
                Some(_) => {}
                None => match placeholder.as_str() {
                    // Slide numbers, dates and running texts.
                    "sldNum" | "dt" | "ftr" | "hdr" | "sldImg" => {}
                    _ if are_notes => writer.push(&text, BlockKind::Quote),
                    "title" | "ctrTitle" => {
                        writer.push(&text.replace('\n', " "), BlockKind::Heading { level: 1 })
                    }
                    "body" | "obj" if !text.trim().is_empty() => {
                        writer.push_indented(2 * level, &format!("- {}", text.trim()), BlockKind::ListItem);
                    }
                    _ => writer.push(&text, BlockKind::Paragraph),
                },
            }
        }
        Node::End("tbl") => {
            if let Some(table) = table.take() {
                writer.push(&table.markdown(), BlockKind::Table);
            }
        }
        _ => {}
    });
}
