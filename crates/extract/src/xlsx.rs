//! Excel workbooks (ECMA-376 part 1, chapter 18): each sheet is a page, its name a heading, its rows Markdown rows.
//!
//! Values are shown as stored, except dates, whose numbers would say nothing: a cell whose number format is a date becomes
//! `2024-03-01` or `2024-03-01 14:30`. Formulas are left out, their last results stand.

use std::borrow::Cow;

use crate::container::Container;
use crate::document::{BlockKind, Document, Writer};
use crate::html_tokens::Tag;
use crate::pptx::related;
use crate::table::{CellBudget, MAX_COLUMNS, SheetRow, write_sheet};
use crate::xml::{Node, about, attribute, walk};
use crate::{ExtractError, Format, Limits};

pub(crate) fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    let mut container = Container::open(bytes, "XLSX", limits)?;
    let workbook = container.required_text("xl/workbook.xml")?;
    let core = container.read_text("docProps/core.xml")?.unwrap_or_default();
    let strings = shared_strings(&container.read_text("xl/sharedStrings.xml")?.unwrap_or_default());
    let dates = DateFormats::read(&container.read_text("xl/styles.xml")?.unwrap_or_default());
    let targets = related(&mut container, "xl/workbook.xml", "/worksheet")?;
    let mut sheets = Vec::new();
    walk(&workbook, &mut |node| {
        if let Node::Start("sheet", tag) = node {
            let id = tag.attribute_by(|name| name.to_ascii_lowercase().ends_with(":id"));
            let path =
                targets.iter().find(|(target, _)| Some(target) == id.as_ref()).map(|(_, path)| path.clone());
            sheets.extend(path.map(|path| (attribute(tag, "name").unwrap_or_default(), path)));
        }
    });
    let mut writer = Writer::default();
    let mut budget = CellBudget::of(limits.max_bytes);
    for (name, path) in sheets {
        budget.begin_sheet();
        let rows = rows(&container.read_text(&path)?.unwrap_or_default(), &strings, &dates, &mut budget);
        writer.page(|writer| {
            if !rows.is_empty() {
                writer.push(&name, BlockKind::Heading { level: 1 });
                write_sheet(&rows, writer);
            }
        });
    }
    let (title, about) = about(&core);
    Ok(Document { about, warnings: budget.warnings(), ..writer.finish(Format::Xlsx, title) })
}

fn shared_strings(xml: &str) -> Vec<String> {
    let mut strings: Vec<String> = Vec::new();
    let (mut in_text, mut n_phonetic) = (false, 0usize);
    walk(xml, &mut |node| match node {
        Node::Start("si", _) => strings.push(String::new()),
        Node::Start("rph", _) => n_phonetic += 1,
        Node::End("rph") => n_phonetic = n_phonetic.saturating_sub(1),
        Node::Start("t", _) => in_text = n_phonetic == 0,
        Node::End("t") => in_text = false,
        Node::Text(text) if in_text => {
            strings.iter_mut().next_back().into_iter().for_each(|s| s.push_str(text))
        }
        _ => {}
    });
    strings
}

fn rows(xml: &str, strings: &[String], dates: &DateFormats, budget: &mut CellBudget) -> Vec<SheetRow> {
    let mut rows: Vec<SheetRow> = Vec::new();
    let (mut column, mut kind, mut style, mut value, mut in_value) =
        (0, String::new(), 0, String::new(), false);
    walk(xml, &mut |node| match node {
        Node::Start("row", tag) => {
            // Rows without anything in them may be missing, and numbers may be: then it is the next.
            let next = rows.last().map_or(1, |row| row.number.saturating_add(1));
            let number = attribute(tag, "r").and_then(|r| r.parse().ok()).unwrap_or(next);
            // A row without cells was nothing but its number.
            rows.pop_if(|row| row.cells.is_empty());
            rows.push(SheetRow { number, cells: Vec::new() });
        }
        Node::Start("c", tag) => {
            column = column_of(tag).unwrap_or_else(|| rows.last().map_or(0, |row| row.cells.len()));
            kind = attribute(tag, "t").unwrap_or_default();
            style = attribute(tag, "s").and_then(|s| s.parse().ok()).unwrap_or(0);
            value.clear();
        }
        Node::Start("v" | "t", _) => in_value = true,
        Node::End("v" | "t") => in_value = false,
        Node::Text(text) if in_value => value.push_str(text),
        Node::End("c") if column < MAX_COLUMNS => {
            if let Some(row) = rows.last_mut().map(|row| &mut row.cells).filter(|row| row.len() <= column) {
                let text = shown(&kind, style, &value, strings, dates);
                if budget.take(column + 1 - row.len(), text.len() as u64) {
                    row.resize(column, String::new());
                    row.push(text.into_owned());
                }
            }
        }
        _ => {}
    });
    rows.retain(|row| row.cells.iter().any(|cell| !cell.is_empty()));
    rows
}

fn shown<'a>(
    kind: &str,
    style: usize,
    value: &'a str,
    strings: &'a [String],
    dates: &DateFormats,
) -> Cow<'a, str> {
    let value = value.trim();
    match kind {
        "s" => value
            .parse()
            .ok()
            .and_then(|i: usize| strings.get(i))
            .map(String::as_str)
            .unwrap_or_default()
            .into(),
        "b" => if value == "1" { "TRUE" } else { "FALSE" }.into(),
        "" | "n" if dates.is_date(style) => {
            value.parse().ok().and_then(date).map_or(Cow::Borrowed(value), Cow::Owned)
        }
        _ => value.into(),
    }
}

/// `BC12` is column 54, counted from 0.
fn column_of(tag: &Tag<'_>) -> Option<usize> {
    let reference = attribute(tag, "r")?;
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic).take(4);
    let column = letters.fold(0usize, |n, b| n * 26 + usize::from(b.to_ascii_uppercase() - b'A') + 1);
    column.checked_sub(1)
}

/// Which cell formats show dates.
struct DateFormats(Vec<bool>);

impl DateFormats {
    fn read(xml: &str) -> Self {
        let mut custom = std::collections::HashSet::new();
        let mut formats = Vec::new();
        let mut in_cells = false;
        walk(xml, &mut |node| match node {
            Node::Start("numfmt", tag) => {
                let code = attribute(tag, "formatCode").unwrap_or_default().to_lowercase();
                // Quoted words and colours in brackets say nothing; years and days do.
                let bare: String = code
                    .split('"')
                    .step_by(2)
                    .collect::<String>()
                    .split('[')
                    .map(|p| p.rsplit(']').next().unwrap_or(p))
                    .collect();
                if bare.contains('y') || (bare.contains('d') && bare.contains('m')) || bare.contains("h:mm") {
                    custom.extend(attribute(tag, "numFmtId"));
                }
            }
            Node::Start("cellxfs", _) => in_cells = true,
            Node::End("cellxfs") => in_cells = false,
            Node::Start("xf", tag) if in_cells => {
                let id = attribute(tag, "numFmtId").unwrap_or_default();
                // The built-in date formats (ECMA-376 part 1, 18.8.30).
                let is_built_in = id.parse::<u32>().is_ok_and(|id| matches!(id, 14..=22 | 45..=47));
                formats.push(is_built_in || custom.contains(&id));
            }
            _ => {}
        });
        Self(formats)
    }

    fn is_date(&self, style: usize) -> bool {
        self.0.get(style).copied().unwrap_or(false)
    }
}

/// A serial number of days since 1899-12-30 (the 1900 system, right from March 1900 on) as date, with the time if there is one.
fn date(serial: f64) -> Option<String> {
    if !(0.0..2_958_466.0).contains(&serial) {
        return None;
    }
    let minutes = (serial * 1440.0).round() as i64;
    let (days, minutes) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    let time = format!("{:02}:{:02}", minutes / 60, minutes % 60);
    if days == 0 {
        return Some(time);
    }
    // Days to civil date, counted from 0000-03-01 in eras of 400 years (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let from_march_0 = days - 25_569 + 719_468;
    let (era, day_of_era) = (from_march_0.div_euclid(146_097), from_march_0.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{day:02}");
    Some(if minutes == 0 { date } else { format!("{date} {time}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_dates() {
        assert_eq!(date(45352.0).as_deref(), Some("2024-03-01"));
        assert_eq!(date(45_351.604_167).as_deref(), Some("2024-02-29 14:30"));
        assert_eq!(date(0.25).as_deref(), Some("06:00"));
        assert_eq!(date(61.0).as_deref(), Some("1900-03-01"));
        assert_eq!(date(-1.0), None);
    }
}
