//! `config`: the settings as they hold, and the file they may stand in.

use serde_json::{Value, json};

use crate::args::ConfigCommand;
use crate::config::{Configuration, Origin, Setting};
use crate::exit::Outcome;
use crate::output::Output;

pub fn run(
    output: &Output,
    configuration: &Configuration,
    command: &ConfigCommand,
) -> anyhow::Result<Outcome> {
    match command {
        ConfigCommand::Path => output.line(configuration.path.display().to_string()),
        ConfigCommand::Show { json: true, .. } => output.json(&as_json(configuration))?,
        ConfigCommand::Show { origin, .. } => {
            if *origin {
                let note = if configuration.is_there { "" } else { " (not there)" };
                output.line(format!("# {}{note}", configuration.path.display()));
            }
            configuration.settings.iter().for_each(|setting| output.line(line(setting, *origin)));
        }
    }
    Ok(Outcome::Done)
}

/// A line of the configuration file.
fn line(setting: &Setting, with_origin: bool) -> String {
    let name = setting.key.name;
    if setting.values.is_empty() {
        return format!("# {name}: {}", setting.key.otherwise);
    }
    // A JSON value without objects is a TOML value.
    let line = format!("{name} = {}", value(setting));
    match &setting.origin {
        // What holds anyway need not be said, and may be another in a later version.
        Origin::Default if !with_origin => format!("# {line}"),
        Origin::Default => format!("{:<32} # default", format!("# {line}")),
        _ if !with_origin => line,
        Origin::Flag => format!("{line:<32} # --{name}"),
        Origin::Environment(variable) => format!("{line:<32} # {variable}"),
        Origin::File(number) => format!("{line:<32} # file, line {number}"),
    }
}

fn as_json(configuration: &Configuration) -> Value {
    let told = |setting: &Setting| {
        let (origin, place) = match &setting.origin {
            Origin::Flag => ("flag", json!(format!("--{}", setting.key.name))),
            Origin::Environment(variable) => ("environment", json!(variable)),
            Origin::File(line) => ("file", json!(line)),
            Origin::Default => ("default", Value::Null),
        };
        json!({ "key": setting.key.name, "value": value(setting), "origin": origin, "place": place })
    };
    json!({
        "path": configuration.path, "exists": configuration.is_there,
        "settings": configuration.settings.iter().map(told).collect::<Vec<_>>(),
    })
}

fn value(setting: &Setting) -> Value {
    match setting.values.as_slice() {
        [] => Value::Null,
        values if setting.is_list => json!(values),
        [one] => typed(one),
        values => json!(values),
    }
}

/// Numbers and switches as such, where they read the same again.
fn typed(text: &str) -> Value {
    match text {
        "true" => json!(true),
        "false" => json!(false),
        _ => match text.parse::<serde_json::Number>() {
            Ok(number) if number.to_string() == text => Value::Number(number),
            _ => json!(text),
        },
    }
}
