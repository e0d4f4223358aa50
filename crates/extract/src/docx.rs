//! Word documents (Office Open XML, ECMA-376 part 1, chapter 17).
//!
//! `word/styles.xml` says which paragraphs are headings, `word/numbering.xml` which list items count, `word/document.xml` holds
//! the text, `word/footnotes.xml` and `endnotes.xml` the notes, which go to the end as `[^1] …`. Deleted and moved-away text, fields' codes, the fallback
//! copy of text boxes, page headers and footers, and the table of contents are left out.

mod body;
mod styles;

use crate::container::Container;
use crate::document::{Document, Writer};
use crate::xml::about;
use crate::{ExtractError, Format, Limits};
use body::Body;
use styles::{Numbering, Styles};

pub(crate) fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    let mut container = Container::open(bytes, "DOCX", limits)?;
    let document = container.required_text("word/document.xml")?;
    let styles = Styles::read(&container.read_text("word/styles.xml")?.unwrap_or_default());
    let numbering = Numbering::read(&container.read_text("word/numbering.xml")?.unwrap_or_default());
    let core = container.read_text("docProps/core.xml")?.unwrap_or_default();

    let mut body = Body::new(&styles, &numbering, Writer::default());
    body.read(&document);
    for notes in ["word/footnotes.xml", "word/endnotes.xml"] {
        if let Some(notes) = container.read_text(notes)? {
            body.read(&notes);
        }
    }
    let (writer, first_title) = body.finish();
    let (title, about) = about(&core);
    Ok(Document { about, ..writer.finish(Format::Docx, title.or(first_title)) })
}
