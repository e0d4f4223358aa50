//! `completions` and `man`: made from the command line's own description.

use std::path::Path;

use anyhow::Context as _;
use clap::Command;

use crate::args::{CompletionsArgs, ManArgs};
use crate::config;
use crate::exit::Outcome;
use crate::output::Output;

pub fn completions(output: &Output, args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut config::command(), "docent", &mut script);
    output.write(&String::from_utf8_lossy(&script));
    Outcome::Done
}

pub fn man(output: &Output, args: &ManArgs) -> anyhow::Result<Outcome> {
    let mut command = config::command().disable_help_subcommand(true);
    command.build();
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).with_context(|| format!("{}", dir.display()))?;
        let n_pages = write(&command, dir)?;
        output.line(format!("{n_pages} pages written to {}", dir.display()));
        return Ok(Outcome::Done);
    }
    let mut wanted = &command;
    for name in &args.command {
        let inner = wanted.find_subcommand(name).filter(|inner| !inner.is_hide_set());
        wanted = inner
            .with_context(|| format!("{} has no command {name}; see `docent --help`", wanted.get_name()))?;
    }
    output.write(&String::from_utf8_lossy(&page(wanted)?));
    Ok(Outcome::Done)
}

/// One page for the command and each below it.
fn write(command: &Command, dir: &Path) -> anyhow::Result<usize> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let path = dir.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?).with_context(|| format!("{}", path.display()))?;
    let below = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    below.map(|inner| write(inner, dir)).sum::<anyhow::Result<usize>>().map(|n_below| 1 + n_below)
}

fn page(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
