//! What hayro says about a file: for each page, its glyphs and where they stand. The only place that names it.
//!
//! hayro parses and interprets without unsafe code and mends what it can (broken cross-references, wrong lengths). It draws to a
//! device; ours notes each glyph's characters, place, size and direction, and looks at no outline, picture or path.
//!
//! Chosen for what it weighs and what it reads: pdf_oxide brings 570,000 lines and minutes of compiling; pdf-extract panics on
//! bad files and tears words apart in some producers' files. Against poppler's `pdftotext` on nine manuals of Debian's documentation packages
//! (LaTeX, groff, DocBook, Sphinx; English, Japanese, Russian) the median word F1 is 0.99 and the median bigram F1 0.98.

use std::collections::HashMap;

use hayro_interpret::font::{Glyph as Drawn, GlyphRun};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::hayro_syntax::object::{Array, DateTime, Dict, ObjectIdentifier, String as PdfString};
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, SoftMask, TransformExt, interpret_page,
};

use super::layout::{Direction, Glyph, Line, lines};
use crate::ExtractError;
use crate::document::{About, clean_title};

/// Pages read of one file: past this, it is no document.
const MAX_PAGES: usize = 20_000;

/// Glyphs taken of one page: a page of dense print has about ten thousand.
const MAX_GLYPHS: usize = 500_000;

/// Entries taken from a file's outline, and its depth.
const MAX_OUTLINE: usize = 5_000;
const MAX_OUTLINE_DEPTH: u8 = 9;

/// What a file holds, page by page.
pub(super) struct Raw {
    pub(super) title: Option<String>,
    pub(super) about: About,
    /// The lines of each page in reading order; empty where there is no text.
    pub(super) pages: Vec<Vec<Line>>,
    pub(super) outline: Vec<Bookmark>,
    /// Glyphs whose characters the file does not tell.
    pub(super) n_unreadable: usize,
}

/// One entry of the outline.
pub(super) struct Bookmark {
    pub(super) title: String,
    /// 1 is the outermost.
    pub(super) level: u8,
    /// The page it points to, where that can be told.
    pub(super) page_idx: Option<usize>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Raw, ExtractError> {
    let pdf = Pdf::new(bytes.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
            ExtractError::failed("encrypted: remove the password and run `docent update`")
        }
        LoadPdfError::Decryption(_) => {
            ExtractError::failed("encrypted in a way that is not supported: save it without a password")
        }
        LoadPdfError::Invalid => ExtractError::failed("broken PDF: no pages can be found in it"),
    })?;
    let title = pdf.metadata().title.as_deref().map(text_string).filter(|title| is_meant(title));
    let settings = InterpreterSettings::default();
    let cache = InterpreterCache::new();
    let mut raw =
        Raw { title, about: about(&pdf), pages: Vec::new(), outline: outline(&pdf), n_unreadable: 0 };
    for page in pdf.pages().iter().take(MAX_PAGES) {
        let mut notes = Notes::new(page);
        let area = page.intersected_crop_box();
        let area = Rect::new(area.x0, area.y0, area.x1, area.y1);
        let mut context = Context::new(Affine::IDENTITY, area, &cache, pdf.xref(), settings.clone());
        interpret_page(page, &mut context, &mut notes);
        raw.n_unreadable += notes.n_unreadable;
        raw.pages.push(lines(notes.glyphs));
    }
    Ok(raw)
}

/// Author and dates of the information dictionary (ISO 32000-1, 14.3.3) and the catalog's language (14.9.2).
fn about(pdf: &Pdf) -> About {
    let metadata = pdf.metadata();
    let mut about = About::default();
    about.add_author(&metadata.author.as_deref().map(text_string).unwrap_or_default());
    about.created = metadata.creation_date.as_ref().map(date);
    about.modified = metadata.modification_date.as_ref().map(date);
    let xref = pdf.xref();
    let language = xref.get::<Dict<'_>>(xref.root_id()).and_then(|root| root.get::<PdfString<'_>>("Lang"));
    about.language = clean_title(language.map(|tag| text_string(tag.as_bytes())));
    for (name, value) in [("subject", &metadata.subject), ("keywords", &metadata.keywords)] {
        let value = clean_title(value.as_deref().map(text_string));
        about.fields.extend(value.map(|value| (name.to_owned(), value)));
    }
    about
}

fn date(date: &DateTime) -> String {
    let zone = match (date.utc_offset_hour, date.utc_offset_minute) {
        (0, 0) => "Z".to_owned(),
        (hours, minutes) => {
            format!("{}{:02}:{:02}", if hours < 0 { '-' } else { '+' }, hours.unsigned_abs(), minutes)
        }
    };
    let (day, time) = ((date.year, date.month, date.day), (date.hour, date.minute, date.second));
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{zone}", day.0, day.1, day.2, time.0, time.1, time.2)
}

/// A device that notes glyphs and draws nothing.
struct Notes {
    glyphs: Vec<Glyph>,
    n_unreadable: usize,
    /// To the page as it is seen: turned as the page is, y growing downwards.
    to_view: Affine,
    view: Rect,
    last_type3_scale: f64,
}

impl Notes {
    fn new(page: &Page<'_>) -> Self {
        let (width, height) = page.render_dimensions();
        // Text just off the edge may be a sloppy crop; text far off it is not on the page.
        let view = Rect::new(0.0, 0.0, f64::from(width), f64::from(height)).inflate(20.0, 20.0);
        Self {
            glyphs: Vec::new(),
            n_unreadable: 0,
            to_view: page.initial_transform(true).to_kurbo(),
            view,
            last_type3_scale: 1.0,
        }
    }

    /// Notes one glyph. Glyph space has 1000 units to the em; `advance` is in it.
    fn note(&mut self, text: String, transform: Affine, advance: f64, is_vertical: bool) {
        let origin = transform * Point::ZERO;
        let end = transform * if is_vertical { Point::new(0.0, -1000.0) } else { Point::new(advance, 0.0) };
        let up = transform * Point::new(0.0, 1000.0) - origin;
        let size = up.hypot();
        let is_on_page = self.view.contains(origin)
            && size.is_finite()
            && size > 0.1
            && end.x.is_finite()
            && end.y.is_finite();
        if !is_on_page || self.glyphs.len() >= MAX_GLYPHS {
            return;
        }
        let direction = if is_vertical { Direction::Vertical } else { Direction::of(up.x, up.y) };
        self.glyphs.push(Glyph::placed(text, (origin.x, origin.y), (end.x, end.y), size, direction));
    }

    /// Scale of a Type 3 run: its em is whatever its font matrix says, which is not told. Half an em is taken to be the median step
    /// from glyph to glyph; a run of one glyph is taken to be like the one before it.
    fn type3_scale(&mut self, run: &GlyphRun<'_, '_>) -> f64 {
        let steps = run.glyphs().windows(2).map(|pair| {
            let (one, two) = (pair[0].transform(), pair[1].transform());
            let unit = (one * Point::new(1000.0, 0.0) - one * Point::ZERO).hypot();
            (two * Point::ZERO - one * Point::ZERO).hypot() / unit.max(1e-9)
        });
        let mut steps: Vec<f64> = steps.filter(|step| step.is_finite() && *step > 0.0).collect();
        steps.sort_by(f64::total_cmp);
        if let Some(median) = steps.get(steps.len() / 2) {
            self.last_type3_scale = (2.0 * median).max(1e-3);
        }
        self.last_type3_scale
    }
}

impl<'a> Device<'a> for Notes {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        let is_vertical = matches!(run.writing_mode(), WritingMode::Vertical);
        let is_type3 = run.glyphs().first().is_some_and(|glyph| matches!(**glyph, Drawn::Type3(_)));
        let scale = if is_type3 { self.type3_scale(run) } else { 1.0 };
        for glyph in run.glyphs() {
            let Some(text) = characters(glyph) else {
                self.n_unreadable += 1;
                continue;
            };
            let advance = match &**glyph {
                Drawn::Outline(outline) => f64::from(outline.advance_width().unwrap_or(500.0)),
                Drawn::Type3(_) => 450.0,
            };
            let transform = self.to_view * props.transform * glyph.transform() * Affine::scale(scale);
            self.note(text, transform, advance, is_vertical);
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

/// The characters a glyph stands for. TeX's bitmap fonts (Type 3) name their glyphs by number alone; their codes are ASCII, with the
/// ligatures where TeX's text encoding has them (The TeXbook, appendix F).
fn characters(glyph: &Drawn<'_>) -> Option<String> {
    match glyph.as_unicode() {
        Some(BfString::Char(c)) => return Some(c.to_string()),
        Some(BfString::String(text)) => return Some(text),
        None => {}
    }
    match (glyph, glyph.char_code()) {
        (Drawn::Type3(_), code @ 0x20..=0x7e) => char::from_u32(code).map(String::from),
        (Drawn::Type3(_), code @ 0x0b..=0x0f) => {
            Some(["ff", "fi", "fl", "ffi", "ffl"][code as usize - 0x0b].to_owned())
        }
        _ => None,
    }
}

/// The document outline (ISO 32000-1, 12.3.3), flattened in order. Walked with a list of what is left to do, not by recursion, and never
/// further than [`MAX_OUTLINE`] entries, since a broken file's entries may point in a circle.
fn outline(pdf: &Pdf) -> Vec<Bookmark> {
    let xref = pdf.xref();
    let root = xref.get::<Dict<'_>>(xref.root_id());
    let first = root
        .and_then(|root| root.get::<Dict<'_>>("Outlines"))
        .and_then(|outlines| outlines.get::<Dict<'_>>("First"));
    let pages: HashMap<ObjectIdentifier, usize> = pdf
        .pages()
        .iter()
        .enumerate()
        .filter_map(|(page_idx, page)| Some((page.raw().obj_id()?, page_idx)))
        .collect();
    let mut found = Vec::new();
    let mut left: Vec<(Dict<'_>, u8)> = first.into_iter().map(|first| (first, 1)).collect();
    for _ in 0..MAX_OUTLINE {
        let Some((item, level)) = left.pop() else { break };
        if let Some(title) = item.get::<PdfString<'_>>("Title") {
            found.push(Bookmark {
                title: text_string(title.as_bytes()),
                level,
                page_idx: target(&item, &pages),
            });
        }
        left.extend(item.get::<Dict<'_>>("Next").map(|next| (next, level)));
        left.extend(
            item.get::<Dict<'_>>("First")
                .filter(|_| level < MAX_OUTLINE_DEPTH)
                .map(|child| (child, level + 1)),
        );
    }
    found
}

/// The page an entry points to by number of its object; a destination by name is not looked up.
fn target(item: &Dict<'_>, pages: &HashMap<ObjectIdentifier, usize>) -> Option<usize> {
    let action = || item.get::<Dict<'_>>("A").and_then(|action| action.get::<Array<'_>>("D"));
    let destination = item.get::<Array<'_>>("Dest").or_else(action)?;
    let page = destination.raw_iter().next()?.as_obj_ref()?;
    pages.get(&ObjectIdentifier::from(page)).copied()
}

/// Whether a title was meant as one: programs write file names and the like there.
fn is_meant(title: &str) -> bool {
    let lower = title.trim().to_lowercase();
    let is_file = [".doc", ".docx", ".dvi", ".tex", ".indd", ".pdf", ".qxd", ".ps", ".eps", ".fm"]
        .iter()
        .any(|end| lower.ends_with(end));
    !(lower.is_empty()
        || is_file
        || lower.starts_with("untitled")
        || lower.starts_with("microsoft word - ")
        || lower.contains('\u{fffd}'))
}

/// A text string (ISO 32000-1, 7.9.2.2): UTF-16BE with a mark, UTF-8 with one (ISO 32000-2), else PDFDocEncoding, which
/// is Latin-1 but for a few dashes and quotes.
fn text_string(bytes: &[u8]) -> String {
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0.into_owned();
    }
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return String::from_utf8_lossy(rest).into_owned();
    }
    encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}
