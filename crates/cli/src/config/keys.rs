//! The settings that may be constant. Each is a flag of some commands: `--cache-size 5GB` is `cache-size = "5GB"` in the file and
//! `DOCENT_CACHE_SIZE=5GB` in the environment, and is read by the flag's own parser wherever it comes from.

use clap::{Arg, ArgAction, Command, builder::BoolishValueParser};

/// A setting.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file; that of the flag.
    pub name: &'static str,
    /// The commands whose flag it is; none where it is every command's.
    commands: &'static [&'static str],
    /// Whether the value may be a path, in which `~/` is the user's folder.
    pub is_path: bool,
    /// What holds where nothing is set, for a flag without a default.
    pub otherwise: &'static str,
}

const EVERYWHERE: &[&str] = &[];
const ASKING: &[&str] = &["ask", "pack", "chat", "mcp"];
const FINDING: &[&str] = &["search"];
const READING: &[&str] = &["add", "update", "watch", "ask", "pack", "chat", "search", "warm", "serve"];

/// All of them, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    path("model", &["ask", "pack", "chat", "warm", "mcp", "serve"], "the best that is pulled"),
    key("kv", &["ask", "pack", "chat", "warm", "mcp"], ""),
    key("budget", &["ask", "pack", "chat", "warm", "mcp"], "what suits the model"),
    key("wait", ASKING, ""),
    key("order", ASKING, "sticky; best first for very small models"),
    key("style", &["ask", "chat", "mcp"], "write; quote with very small models"),
    key("thinking", ASKING, ""),
    key("temperature", ASKING, "the model's own"),
    key("max-tokens", ASKING, "what suits the model"),
    key("max-thinking", ASKING, "what suits the model"),
    key("history", &["ask", "chat", "mcp", "serve"], ""),
    path("rerank", &["ask", "pack", "chat", "search", "mcp"], "as the collection is set"),
    key("mode", FINDING, ""),
    key("limit", FINDING, ""),
    key("context", FINDING, ""),
    key("max-size", &["add", "update", "watch", "ask", "pack", "search", "warm", "extract"], ""),
    key(
        "ocr",
        &["add", "update", "watch", "ask", "pack", "chat", "search", "warm", "serve", "extract"],
        "pictures are not read",
    ),
    key("hidden", READING, ""),
    key("no-ignore", READING, ""),
    key("ignore", READING, "nothing more"),
    key("quiet-for", &["watch"], ""),
    key("sweep", &["watch"], ""),
    key("collection", EVERYWHERE, "the one without a name"),
    path("models-dir", EVERYWHERE, "with the caches"),
    key("default-embedding", EVERYWHERE, "all-minilm-l6-v2"),
    key("threads", EVERYWHERE, "the number of cores"),
    key("isa", EVERYWHERE, "the best that the processor has"),
    key("no-cache", EVERYWHERE, ""),
    key("cache-size", EVERYWHERE, "the smaller of 20 GB and a tenth of the free disk"),
    key("alone", EVERYWHERE, ""),
    key("color", EVERYWHERE, ""),
    key("quiet", EVERYWHERE, ""),
];

const fn key(name: &'static str, commands: &'static [&'static str], otherwise: &'static str) -> Key {
    Key { name, commands, is_path: false, otherwise }
}

const fn path(name: &'static str, commands: &'static [&'static str], otherwise: &'static str) -> Key {
    Key { name, commands, is_path: true, otherwise }
}

impl Key {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("DOCENT_{}", self.name.replace('-', "_").to_uppercase())
    }

    /// The flag, of the first command that has it.
    pub fn arg<'a>(&self, command: &'a Command) -> Option<&'a Arg> {
        match self.commands.first() {
            None => flag(command, self.name),
            Some(name) => flag(command.find_subcommand(name)?, self.name),
        }
    }

    /// Whether the flag of every command is meant.
    pub fn is_everywhere(&self) -> bool {
        self.commands.is_empty()
    }

    /// Changes the flag, in each command that has it.
    pub fn change(&self, command: Command, change: &dyn Fn(Arg) -> Arg) -> Command {
        if self.is_everywhere() {
            return changed(command, self.name, change);
        }
        self.commands.iter().fold(command, |command, name| {
            command.mut_subcommand(name, |inner| changed(inner, self.name, change))
        })
    }
}

/// Whether a flag takes several values.
pub fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Whether a flag is on or off.
pub fn is_switch(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == std::any::TypeId::of::<bool>()
}

/// Gives switches that may be on in the file a way to be turned off: `--hidden=no`.
pub fn with_switches(command: Command) -> Command {
    KEYS.iter().fold(command, |command, key| match key.arg(&command).map(is_switch) {
        Some(true) => key.change(command, &switch),
        _ => command,
    })
}

fn switch(arg: Arg) -> Arg {
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .value_name("yes|no")
        .value_parser(BoolishValueParser::new())
        .default_value("false")
        .default_missing_value("true")
        .hide_default_value(true)
        .hide_possible_values(true)
}

fn flag<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(name))
}

fn changed(command: Command, name: &str, change: &dyn Fn(Arg) -> Arg) -> Command {
    match flag(&command, name).map(|arg| arg.get_id().clone()) {
        Some(id) => command.mut_arg(id, change),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_a_flag_of_each_command_that_it_names() {
        let command = <crate::args::Cli as clap::CommandFactory>::command();
        for key in KEYS {
            assert!(key.arg(&command).is_some(), "{}", key.name);
            for name in key.commands {
                let inner = command.find_subcommand(name).unwrap();
                assert!(flag(inner, key.name).is_some(), "{name} --{}", key.name);
            }
            let has_default = key.arg(&command).is_some_and(|arg| !arg.get_default_values().is_empty());
            let arg = key.arg(&command).unwrap();
            assert!(has_default || is_switch(arg) || !key.otherwise.is_empty(), "{}", key.name);
        }
    }
}
