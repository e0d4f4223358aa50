//! What templates expect of Python: how values are written, `tojson`, dates, and tags that only training needs.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind, Output, State};

use super::Date;

/// Starts the detail of an error that a template raised itself.
pub(super) const RAISED: &str = "raised by the template: ";

/// `raise_exception(message)`.
pub(super) fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, format!("{RAISED}{message}")))
}

/// Writes a value of `{{ … }}` as Python's `str` does.
pub(super) fn write_value(out: &mut Output, _state: &mut State, value: &Value) -> Result<(), Error> {
    Ok(out.write_str(&str_of(value))?)
}

/// The filter `string`.
pub(super) fn to_string(value: &Value) -> String {
    str_of(value)
}

fn str_of(value: &Value) -> String {
    match value.kind() {
        ValueKind::Bool | ValueKind::None | ValueKind::Seq | ValueKind::Map => repr_of(value),
        _ => value.to_string(),
    }
}

/// Python's `repr`, as far as JSON's values go.
fn repr_of(value: &Value) -> String {
    let items = |value: &Value| -> Vec<Value> { value.try_iter().map(Iterator::collect).unwrap_or_default() };
    match value.kind() {
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::None => "None".to_owned(),
        ValueKind::String => {
            let text = value.to_string();
            let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
            let mut escaped = String::new();
            for c in text.chars() {
                match c {
                    '\\' => escaped.push_str("\\\\"),
                    '\n' => escaped.push_str("\\n"),
                    '\r' => escaped.push_str("\\r"),
                    '\t' => escaped.push_str("\\t"),
                    c if c == quote => escaped.extend(['\\', c]),
                    c => escaped.push(c),
                }
            }
            format!("{quote}{escaped}{quote}")
        }
        ValueKind::Seq => {
            let parts: Vec<_> = items(value).iter().map(repr_of).collect();
            format!("[{}]", parts.join(", "))
        }
        ValueKind::Map => {
            let part = |key: &Value| {
                let field = value.get_item(key).unwrap_or_default();
                format!("{}: {}", repr_of(key), repr_of(&field))
            };
            let parts: Vec<_> = items(value).iter().map(part).collect();
            format!("{{{}}}", parts.join(", "))
        }
        _ => value.to_string(),
    }
}

/// The filter `tojson`: as `json.dumps(value, ensure_ascii=False, indent=indent)`, without the escapes for HTML that Jinja's own has.
pub(super) fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Accepted and already so; other settings of json.dumps would change the text unnoticed.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let json = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let mut out = String::new();
    write_json(&mut out, &json, indent, 0);
    Ok(out)
}

fn write_json(out: &mut String, value: &serde_json::Value, indent: Option<usize>, depth: usize) {
    use serde_json::Value;
    let line = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    let between = if indent.is_some() { "," } else { ", " };
    let (open, close, n_items) = match value {
        Value::Array(items) => ('[', ']', items.len()),
        Value::Object(fields) => ('{', '}', fields.len()),
        scalar => {
            let _ = write!(out, "{scalar}");
            return;
        }
    };
    out.push(open);
    let item = |out: &mut String, nth: usize, name: Option<&str>, item: &Value| {
        if nth > 0 {
            out.push_str(between);
        }
        line(out, depth + 1);
        if let Some(name) = name {
            let _ = write!(out, "{}: ", Value::from(name));
        }
        write_json(out, item, indent, depth + 1);
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(nth, v)| item(out, nth, None, v)),
        Value::Object(fields) => {
            fields.iter().enumerate().for_each(|(nth, (name, v))| item(out, nth, Some(name), v));
        }
        _ => {}
    }
    if n_items > 0 {
        line(out, depth);
    }
    out.push(close);
}

/// `strftime` of a day without a time: the letters that templates use.
pub(super) fn strftime(format: &str, date: Date) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let month = MONTHS[usize::from(date.month.clamp(1, 12)) - 1];
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let _ = match chars.next() {
            Some('Y') => write!(out, "{:04}", date.year),
            Some('m') => write!(out, "{:02}", date.month),
            Some('d') => write!(out, "{:02}", date.day),
            Some('B') => write!(out, "{month}"),
            Some('b') => write!(out, "{}", &month[..3]),
            Some('H' | 'M' | 'S') => write!(out, "00"),
            Some(other) => write!(out, "%{other}"),
            None => write!(out, "%"),
        };
    }
    out
}

/// `source` with `{% generation %}` … `{% endgeneration %}`, which mark what a trainer learns from and write nothing, as `if true` blocks.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(len) = rest[start..].find("%}") else { break };
        let (before, tag) = (&rest[..start], &rest[start..start + len]);
        let name = tag[2..].trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
        out.push_str(before);
        match name {
            "generation" => out.push_str(&tag.replace(name, "if true")),
            "endgeneration" => out.push_str(&tag.replace(name, "endif")),
            _ => out.push_str(tag),
        }
        rest = &rest[start + len..];
    }
    out.push_str(rest);
    out
}
