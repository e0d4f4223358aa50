//! What the user typed. Turned into what the program needs by `settings`; nothing below reads a flag.

mod ask;
mod chat;
mod library;
mod mcp;
mod measure;
mod models;
mod parse;
mod program;
mod serve;
mod shared;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use parse::{parse_collection, parse_size};

pub use ask::*;
pub use chat::*;
pub use library::*;
pub use mcp::*;
pub use measure::*;
pub use models::*;
pub use program::*;
pub use serve::*;
pub use shared::*;

const EXAMPLES: &str = "\
Examples:
  docent ask --in ~/manuals \"How do I reset the boiler?\"
  docent add ~/notes ~/papers          remember two folders and index them
  docent ask \"What did we decide about the roof?\"
  docent search --json \"notice period\" | jq '.hits[0].path'

Settings that should last: `docent config show`, docs/configuration.md.
Exit codes: 0 found or done, 1 nothing found or not in the documents, 2 error,
3 some files failed (add, update), 130 interrupted.";

/// Answers questions about folders of documents, on your own machine.
#[derive(Debug, Parser)]
#[command(name = "docent", version, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// Keep index, models and caches together in DIR instead of the platform's own places.
    #[arg(long, value_name = "DIR", env = "DOCENT_HOME", global = true)]
    pub home: Option<PathBuf>,
    /// Read settings from FILE instead of the platform's own place, or of `config.toml` in --home.
    #[arg(long, value_name = "FILE", env = "DOCENT_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Work with the collection NAME: an index of its own, with its own folders and embedding model. Made by `add`; the one
    /// without a name is `.`. `search` looks into several: --collection work,home.
    #[arg(long = "collection", value_name = "NAME", env = "DOCENT_COLLECTION", global = true, value_delimiter = ',', value_parser = parse_collection)]
    pub collections: Vec<String>,
    /// Keep models in DIR, for several homes to share [default: with the caches].
    #[arg(long, value_name = "DIR", global = true)]
    pub models_dir: Option<PathBuf>,
    /// The embedding model of collections that are made from now on, by its name in `docent models list`; `add --embedding` changes one
    /// that there is [default: all-minilm-l6-v2].
    #[arg(long, value_name = "MODEL", global = true)]
    pub default_embedding: Option<String>,
    /// Threads for indexing and inference [default: the number of cores].
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Neither use nor keep what the model computed for documents before.
    #[arg(long, global = true)]
    pub no_cache: bool,
    /// The most that may take on disk, e.g. 5GB [default: the smaller of 20 GB and a tenth of the free disk].
    #[arg(long, value_name = "SIZE", env = "DOCENT_CACHE_SIZE", global = true, value_parser = parse_size)]
    pub cache_size: Option<u64>,
    /// Open the models and write to the index here, even where a server of this home would do it.
    #[arg(long, global = true)]
    pub alone: bool,
    /// Colours and links, where standard output is a terminal and NO_COLOR is not set, or regardless.
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    pub color: Color,
    /// Print no progress and no notes, only results and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Tell where a model's time goes: seconds, bytes and arithmetic for each kind of operation.
    #[arg(long, global = true)]
    pub profile: bool,
    /// The instruction set the kernels use, for tests and comparisons.
    #[arg(long, value_enum, env = "DOCENT_ISA", global = true, hide = true)]
    pub isa: Option<Isa>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a question and get an answer with citations.
    Ask(AskArgs),
    /// Say what would be read to answer a question, and why; nothing is generated.
    Pack(PackArgs),
    /// List what was asked, show an answer again, or forget it all.
    History(HistoryArgs),
    /// Find passages.
    Search(SearchArgs),
    /// Remember files and folders, and index them.
    Add(AddArgs),
    /// Look again at everything that was added, and index what changed.
    Update(UpdateArgs),
    /// Keep the index up to date while documents change, until Ctrl-C.
    Watch(WatchArgs),
    /// Answer over HTTP, for programs, OpenAI's clients and a browser, until Ctrl-C.
    Serve(ServeArgs),
    /// List the collections.
    Collections(CollectionsArgs),
    /// List the documents in the index.
    Ls(LsArgs),
    /// Forget a file or folder that was added. The files themselves stay.
    Rm(RmArgs),
    /// Print a document as docent reads it, whole or some lines of it.
    Show(ShowArgs),
    /// Show what docent understands of files: text, structure, what they say about themselves. Nothing is indexed.
    Extract(ExtractArgs),
    /// Say what is indexed, what was skipped or failed and why, and what takes how much space.
    Status(StatusArgs),
    /// List, pull, inspect and remove models.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Talk about documents (--in), or to a model without any.
    Chat(ChatArgs),
    /// Read a folder ahead of time, so that questions about it need not.
    Warm(WarmArgs),
    /// What is kept of what the model read: its state, never a question or an answer.
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Serve coding agents and chat programs over standard input and output (Model Context Protocol).
    Mcp(McpArgs),
    /// Check that everything docent needs is there and works.
    Doctor(DoctorArgs),
    /// Remove the index, what is kept of documents, and the history; with --all the models too.
    Reset(ResetArgs),
    /// Measure how well search finds, on a test collection.
    Eval(EvalArgs),
    /// Measure how fast models run here.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Look inside: logits, token ids, likelihoods, memory.
    #[command(subcommand)]
    Debug(DebugCommand),
    /// Show the settings, and the file they may stand in.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a script that completes commands and flags in a shell.
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them to a folder.
    Man(ManArgs),
    /// Extract one document after another for the parent process.
    #[command(hide = true)]
    ExtractWorker,
}

impl Command {
    /// Whether it works the same whatever is set.
    pub fn needs_no_settings(&self) -> bool {
        matches!(self, Self::ExtractWorker | Self::Completions(_) | Self::Man(_))
    }
}

/// How the collection without a name is called on the command line.
pub const UNNAMED: &str = ".";

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        crate::config::command().debug_assert();
    }
}
