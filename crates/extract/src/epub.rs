//! EPUB books: the chapters in reading order (EPUB 3.3, sections 3.4 and 5): `META-INF/container.xml` names the package file, whose
//! spine lists the chapters. Each chapter is read as a web page. Chapters are not pages: a reader shows no page numbers.

use std::collections::HashMap;

use crate::container::{Container, joined_path};
use crate::document::{Document, Writer};
use crate::xml::{Node, about, attribute, walk};
use crate::{ExtractError, Format, Limits, html};

pub(crate) fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    let mut container = Container::open(bytes, "EPUB", limits)?;
    let package_path = package_path(&container.required_text("META-INF/container.xml")?)
        .ok_or_else(|| ExtractError::failed("broken EPUB: its container names no package"))?;
    let package = container.required_text(&package_path)?;
    let folder = package_path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut writer = Writer::default();
    for chapter in chapters(&package) {
        if let Some(page) = container.read_text(&joined_path(folder, &chapter))? {
            html::read(&page).write(&mut writer);
        }
    }
    if writer.is_empty() && container.read("META-INF/encryption.xml")?.is_some() {
        return Err(ExtractError::failed("encrypted: its publisher's copy protection must be removed"));
    }
    let (title, mut about) = about(metadata(&package));
    // A package's `dc:date` is that of its publication (EPUB 3.3, 5.5.4.1).
    about.created = about.created.or(about.modified.take());
    Ok(Document { about, ..writer.finish(Format::Epub, title) })
}

/// The metadata of a package alone: what follows holds titles, too.
fn metadata(package: &str) -> &str {
    let end =
        ["</metadata>", "</opf:metadata>", "<manifest"].iter().filter_map(|end| package.find(end)).min();
    &package[..end.unwrap_or(package.len())]
}

fn package_path(container: &str) -> Option<String> {
    let mut path = None;
    walk(container, &mut |node| {
        if let Node::Start("rootfile", tag) = node
            && path.is_none()
        {
            path = attribute(tag, "full-path");
        }
    });
    path
}

/// Files of the spine, in order, as the package names them.
fn chapters(package: &str) -> Vec<String> {
    let mut files = HashMap::new();
    let mut spine = Vec::new();
    walk(package, &mut |node| match node {
        Node::Start("item", tag) => {
            // The navigation document lists chapters that are all there anyway.
            let is_nav =
                attribute(tag, "properties").is_some_and(|p| p.split_whitespace().any(|word| word == "nav"));
            if let (Some(id), Some(href), false) = (attribute(tag, "id"), attribute(tag, "href"), is_nav) {
                files.insert(id, href);
            }
        }
        Node::Start("itemref", tag) => spine.extend(attribute(tag, "idref")),
        _ => {}
    });
    // A chapter listed twice is read once.
    spine.iter().filter_map(|id| files.remove(id)).collect()
}
