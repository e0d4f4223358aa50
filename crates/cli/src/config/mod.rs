//! Where a setting comes from: flag > environment > configuration file > default.
//!
//! What the environment and the file say becomes the default of the flag (see [`keys`]), so that the command line's own parser reads
//! all of it and a flag that is typed wins.

mod file;
pub mod keys;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command as Subcommand, ConfigCommand};
use crate::settings;
use file::{Entry, Value};
use keys::{KEYS, Key};

/// The settings as they hold.
#[derive(Debug, Default)]
pub struct Configuration {
    /// The file, whether it is there or not.
    pub path: PathBuf,
    pub is_there: bool,
    /// One for each key; none where the command does not ask.
    pub settings: Vec<Setting>,
}

/// A setting and where it comes from.
#[derive(Debug)]
pub struct Setting {
    pub key: &'static Key,
    /// None where the flag has no default.
    pub values: Vec<String>,
    pub is_list: bool,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag,
    /// The variable's name.
    Environment(String),
    /// The line, from 1.
    File(usize),
    Default,
}

/// The command line of docent as it is before any setting.
pub fn command() -> Command {
    keys::with_switches(Cli::command())
}

/// Reads command line, environment and file. Leaves the program where the command line asks for help or is wrong.
pub fn parse(args: Vec<OsString>) -> anyhow::Result<(Cli, Configuration)> {
    let plain = command();
    let typed = plain.clone().try_get_matches_from(&args).unwrap_or_else(|error| error.exit());
    let cli = from_matches(&typed);
    if cli.command.needs_no_settings() {
        return Ok((cli, Configuration::default()));
    }
    let path = settings::config_path(&cli.common)?;
    if matches!(cli.command, Subcommand::Config(ConfigCommand::Path)) {
        let is_there = path.exists();
        return Ok((cli, Configuration { path, is_there, settings: Vec::new() }));
    }
    let entries = file::read(&path)?;
    let is_there = entries.is_some();
    anyhow::ensure!(
        is_there || cli.common.config.is_none(),
        "{}: no such file; --config names the configuration file",
        path.display()
    );
    let given = given(&plain, &path, &entries.unwrap_or_default())?;
    let settings = match cli.command {
        Subcommand::Config(_) => told(&plain, &typed, &given),
        _ => Vec::new(),
    };
    let configuration = Configuration { path, is_there, settings };
    if given.is_empty() {
        return Ok((cli, configuration));
    }
    let set = given.into_iter().fold(plain, |command, (key, values, _)| with_default(command, key, values));
    let matches = set.try_get_matches_from(&args).unwrap_or_else(|error| error.exit());
    Ok((from_matches(&matches), configuration))
}

fn from_matches(matches: &ArgMatches) -> Cli {
    Cli::from_arg_matches(matches).unwrap_or_else(|error| error.exit())
}

type Given = (&'static Key, Vec<String>, Origin);

/// What environment and file say, each checked by the flag's parser.
fn given(command: &Command, path: &std::path::Path, entries: &[Entry]) -> anyhow::Result<Vec<Given>> {
    let mut given = Vec::new();
    for key in KEYS {
        let Some(arg) = key.arg(command) else { continue };
        let variable = key.variable();
        let (values, origin, place) = match environment(&variable)? {
            Some(text) if keys::is_list(arg) => {
                let lines = text.lines().map(str::to_owned).collect();
                (Ok(lines), Origin::Environment(variable.clone()), variable)
            }
            Some(text) => (Ok(vec![text]), Origin::Environment(variable.clone()), variable),
            None => match entries.iter().find(|entry| entry.key == key.name) {
                None => continue,
                Some(Entry { value, line, .. }) => {
                    (as_values(arg, value), Origin::File(*line), format!("{}:{line}", path.display()))
                }
            },
        };
        let values = values.map_err(|fault| anyhow::anyhow!("{place}: {} {fault}", key.name))?;
        let values: Vec<String> = values.into_iter().map(|value| expanded(key, value)).collect();
        check(arg, &values).map_err(|fault| anyhow::anyhow!("{place}: {fault}"))?;
        given.push((key, values, origin));
    }
    Ok(given)
}

/// A variable that is set to something.
fn environment(name: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(anyhow::anyhow!("{name}: {error}")),
    }
}

fn as_values(arg: &Arg, value: &Value) -> Result<Vec<String>, &'static str> {
    match value {
        Value::Switch(is_on) if keys::is_switch(arg) => Ok(vec![is_on.to_string()]),
        Value::Switch(_) => Err("is no switch: it takes a text or a number"),
        Value::One(_) if keys::is_switch(arg) => Err("is a switch: true or false"),
        Value::Several(values) if keys::is_list(arg) => Ok(values.clone()),
        Value::Several(_) => Err("takes one value, not a list"),
        Value::One(value) => Ok(vec![value.clone()]),
    }
}

/// `~/models/x.gguf` as the shell would have it.
fn expanded(key: &Key, value: String) -> String {
    match value.strip_prefix("~/").filter(|_| key.is_path) {
        Some(rest) => etcetera::home_dir()
            .map_or_else(|_| value.clone(), |home| home.join(rest).to_string_lossy().into_owned()),
        None => value,
    }
}

/// Whether the flag's own parser takes the values.
fn check(arg: &Arg, values: &[String]) -> Result<(), String> {
    let name = arg.get_long().unwrap_or_default();
    let alone = Command::new("docent").no_binary_name(true).arg(arg.clone().global(false));
    let typed = values.iter().map(|value| format!("--{name}={value}"));
    alone.try_get_matches_from(typed).map(drop).map_err(|error| {
        let told = error.render().to_string();
        let told = told.split("\n\nFor more").next().unwrap_or_default();
        let told = told.strip_prefix("error: ").unwrap_or(told);
        told.split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

/// The value as the default of the flag, in every command whose flag takes it: `warm` has no budget `auto`.
fn with_default(command: Command, key: &Key, values: Vec<String>) -> Command {
    // What clap keeps of a default lives as long as the program, and so does a setting.
    let kept: Vec<&'static str> =
        values.iter().map(|value| &*Box::leak(value.clone().into_boxed_str())).collect();
    key.change(command, &|arg| match check(&arg, &values) {
        Ok(()) => arg.default_values(kept.clone()),
        Err(_) => arg,
    })
}

/// Every setting as it holds for the commands that have it.
fn told(command: &Command, typed: &ArgMatches, given: &[Given]) -> Vec<Setting> {
    let told = |key: &'static Key| {
        let arg = key.arg(command)?;
        let is_list = keys::is_list(arg);
        let setting = |values, origin| Some(Setting { key, values, is_list, origin });
        let id = arg.get_id().as_str();
        if key.is_everywhere() && typed.value_source(id) == Some(ValueSource::CommandLine) {
            let raw = typed.get_raw(id).into_iter().flatten();
            return setting(raw.map(|value| value.to_string_lossy().into_owned()).collect(), Origin::Flag);
        }
        if let Some((_, values, origin)) = given.iter().find(|(other, ..)| other.name == key.name) {
            return setting(values.clone(), origin.clone());
        }
        let default = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
        setting(default.collect(), Origin::Default)
    };
    KEYS.iter().filter_map(told).collect()
}
