//! The configuration file: TOML of one level, each key a setting.

use std::path::Path;

use anyhow::{Context as _, bail};
use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key};

/// What the file says of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The setting's name.
    pub key: &'static str,
    pub value: Value,
    /// From 1.
    pub line: usize,
}

/// A value as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `true`, `false`.
    Switch(bool),
    /// A text, or a number as it is written.
    One(String),
    /// A list of them.
    Several(Vec<String>),
}

/// A file larger than this is none that somebody wrote as settings.
const MAX_BYTES: u64 = 1 << 20;
/// A name that so many changes of single letters make of another may have been meant as that.
const MISTYPED: usize = 3;

/// Reads the file; none if there is none.
pub fn read(path: &Path) -> anyhow::Result<Option<Vec<Entry>>> {
    let text = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            bail!("{} has {} bytes, which is no configuration file of docent", path.display(), metadata.len())
        }
        _ => std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?,
    };
    parse(&text).map(Some).map_err(|fault| anyhow::anyhow!("{}:{fault}", path.display()))
}

/// `LINE: what is wrong`, where something is.
fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let line = |at: usize| 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|&&b| b == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        format!("{}: {}", line(at), error.message().trim_end().replace('\n', ", "))
    })?;
    let mut entries = Vec::new();
    for (name, value) in table.get_ref() {
        let line = line(name.span().start);
        let key = find(name.get_ref()).map_err(|fault| format!("{line}: {fault}"))?;
        let value = read_value(value.get_ref()).map_err(|fault| format!("{line}: {} {fault}", key.name))?;
        entries.push(Entry { key: key.name, value, line });
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

/// The setting of this name, or which it may have been meant to be.
fn find(name: &str) -> Result<&'static Key, String> {
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return Ok(key);
    }
    let spelled = name.replace('_', "-").to_lowercase();
    let distance = |key: &&Key| strsim::osa_distance(key.name, &spelled);
    let nearest =
        KEYS.iter().min_by_key(distance).filter(|key| distance(key) <= MISTYPED.min(key.name.len() - 1));
    Err(match nearest {
        Some(key) => format!("there is no setting {name}; did you mean {}?", key.name),
        None => format!("there is no setting {name}; `docent config show` lists those that there are"),
    })
}

fn read_value(value: &DeValue<'_>) -> Result<Value, &'static str> {
    match value {
        DeValue::Boolean(is_on) => Ok(Value::Switch(*is_on)),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| one(item.get_ref())).collect::<Result<_, _>>()?;
            Ok(Value::Several(items))
        }
        other => one(other).map(Value::One),
    }
}

fn one(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Table(_) => Err("is a table; settings are of one level: name = value"),
        _ => Err("takes a text, a number, or true or false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_with_the_line_they_stand_in() {
        let read =
            parse("# mine\nthreads = 2\n\nhidden = true\nignore = [\n  \"*.log\",\n]\nmodel = 'a.gguf'\n");
        let value = |key, value, line| Entry { key, value, line };
        assert_eq!(
            read.unwrap(),
            [
                value("threads", Value::One("2".into()), 2),
                value("hidden", Value::Switch(true), 4),
                value("ignore", Value::Several(vec!["*.log".into()]), 5),
                value("model", Value::One("a.gguf".into()), 8),
            ]
        );
    }

    #[test]
    fn what_is_no_setting_is_refused_with_its_line_and_the_nearest_one() {
        for (text, fault) in [
            ("\nmodle = 'x'", "2: there is no setting modle; did you mean model?"),
            ("cache_size = '1GB'", "1: there is no setting cache_size; did you mean cache-size?"),
            ("frobnicate = 1", "1: there is no setting frobnicate; `docent config show` lists"),
            ("[ask]\nmodel = 'x'", "1: there is no setting ask"),
            ("threads = 2\nthreads = 3", "2: duplicate key"),
            ("threads = {n = 2}", "1: threads is a table"),
            ("threads = 2020-01-01", "1: threads takes a text, a number"),
            ("threads = ", "1: "),
            ("threads", "1: "),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.starts_with(fault), "{text:?}: {told}");
        }
    }
}
