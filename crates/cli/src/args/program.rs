//! The program itself: `config`, `completions`, `man`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  docent config show --origin                    every setting, and which of file, environment and default it comes from
  docent config show > \"$(docent config path)\"   a file to begin with
  docent config path")]
pub enum ConfigCommand {
    /// Print every setting and its value, as the configuration file would have it.
    Show {
        /// Say where each value comes from.
        #[arg(long)]
        origin: bool,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Print where the configuration file is, or would be.
    Path,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent completions bash > ~/.local/share/bash-completion/completions/docent
  docent completions zsh > \"${fpath[1]}/_docent\"
  docent completions fish > ~/.config/fish/completions/docent.fish")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent man | man -l -                          read it
  docent man search | man -l -
  docent man --out ~/.local/share/man/man1       install all of them: then `man docent-search`")]
pub struct ManArgs {
    /// The command whose page is printed, e.g. `search` or `models pull` [default: docent itself].
    #[arg(conflicts_with = "out")]
    pub command: Vec<String>,
    /// Write the pages of all commands to this folder instead.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
