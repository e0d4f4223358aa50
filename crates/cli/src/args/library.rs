//! Documents: adding, looking, searching, keeping the index in order.

use std::path::PathBuf;

use clap::Args;

use super::parse::{parse_seconds, parse_size};
use super::{IngestArgs, Mode, NarrowArgs, OcrArgs, RerankArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent search \"boiler pressure\"
  docent search --type pdf,md --after 2025-03-01 \"boiler pressure\"
  docent search --path 'notes/**' --path '*.eml' roof
  docent search --in ~/code -n 20 '\"retry with backoff\"'     words in quotes must stand together
  docent search --context 2 \"boiler pressure\"                two passages before and after each hit
  docent search --rerank \"which pressure is normal?\"         a model reads the best 30 again
  docent search --collection work,home \"notice period\"       or --all-collections")]
pub struct SearchArgs {
    /// What to look for.
    pub query: String,
    /// Search this file or folder alone; it is indexed on the way.
    #[arg(long = "in", value_name = "PATH")]
    pub within: Vec<PathBuf>,
    #[command(flatten)]
    pub narrow: NarrowArgs,
    /// How many passages to list.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Which rankings to use.
    #[arg(long, value_enum, default_value_t = Mode::Hybrid)]
    pub mode: Mode,
    #[command(flatten)]
    pub rerank: RerankArgs,
    /// Show N neighbouring passages before and after each hit; hits that come together are shown as one.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=50))]
    pub context: u8,
    /// Look into every collection.
    #[arg(long)]
    pub all_collections: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub ingest: IngestArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent add ~/notes ~/papers
  docent add --hidden ~/dotfiles                 remembered: `update` reads hidden files there, too
  docent add --collection work ~/work            an index of its own: docent search --collection work ...
  docent add --embedding multilingual-e5-small ~/brieven")]
pub struct AddArgs {
    /// Files and folders.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The collection's embedding model from now on, by its name in `docent models list`; with another than before everything is
    /// embedded again.
    #[arg(long, value_name = "MODEL")]
    pub embedding: Option<String>,
    /// Searches in the collection have a model read the best 30 candidates again, from now on, as `search --rerank` does for one;
    /// `none`: no longer. MODEL is a name from `docent models list` or the folder of a cross-encoder [default: ms-marco-minilm-l6-v2].
    #[arg(long, value_name = "MODEL", num_args = 0..=1, require_equals = true, default_missing_value = docent::RERANKING_MODEL)]
    pub rerank: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub ingest: IngestArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent update
  docent update --embedding all-minilm-l6-v2     another embedding model: everything is embedded again
  docent update --rerank                         the best candidates of every search are read again by a model
  docent update --retry-failed                   after a password was taken off, docent learnt a format, ...")]
pub struct UpdateArgs {
    /// Read files that failed or were skipped before once more, even if they have not changed.
    #[arg(long)]
    pub retry_failed: bool,
    /// The collection's embedding model from now on, by its name in `docent models list`; with another than before everything is
    /// embedded again.
    #[arg(long, value_name = "MODEL")]
    pub embedding: Option<String>,
    /// Searches in the collection have a model read the best 30 candidates again, from now on, as `search --rerank` does for one;
    /// `none`: no longer. MODEL is a name from `docent models list` or the folder of a cross-encoder [default: ms-marco-minilm-l6-v2].
    #[arg(long, value_name = "MODEL", num_args = 0..=1, require_equals = true, default_missing_value = docent::RERANKING_MODEL)]
    pub rerank: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub ingest: IngestArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent watch
  docent watch --sweep 60                        look at everything each minute, e.g. on a network drive
  docent watch --json | jq .changed              one JSON object a line for each update")]
pub struct WatchArgs {
    /// Seconds of quiet after a change before it is taken in.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = parse_seconds)]
    pub quiet_for: f64,
    /// Seconds after which everything is looked at even if no change was told.
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0, value_parser = parse_seconds)]
    pub sweep: f64,
    /// Print one JSON object a line instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub ingest: IngestArgs,
}

#[derive(Debug, Args)]
pub struct CollectionsArgs {
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only documents below this file or folder.
    pub within: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RmArgs {
    /// What was added.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  docent show notes/roof.md\n  docent show notes/roof.md:10-20")]
pub struct ShowArgs {
    /// A document's path, with `:LINE` or `:FIRST-LAST` for some lines of it.
    #[arg(value_name = "DOC[:LINES]")]
    pub document: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent extract report.pdf                      what it says about itself, and a line for each block
  docent extract --markdown talk.pptx > talk.md
  docent extract --ocr=deu scan.pdf              a scan, by tesseract
  docent extract --json mails.mbox | jq -r '.blocks[] | select(.kind == \"heading\")'
  docent extract --json *.pdf | jq -r 'select(.outcome != \"text\") | .path + \": \" + .reason'

Exit codes: 0 every file gave text, 1 some have none (the reason is told), 2 some failed.")]
pub struct ExtractArgs {
    /// Files, indexed or not.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print the documents as Markdown.
    #[arg(long)]
    pub markdown: bool,
    /// Print one JSON object a line, one for each file.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Files larger than this are not read.
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = parse_size)]
    pub max_size: u64,
    #[command(flatten)]
    pub ocr: OcrArgs,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// List every file that was skipped or failed, not just the first few.
    #[arg(long)]
    pub failed: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent doctor
  docent doctor --index                          catalog, postings, vectors and files against each other; mends what is wrong
  docent doctor --index --dry-run --json | jq .faults")]
pub struct DoctorArgs {
    /// Check the index alone, all of it: its three stores against each other and against the files on disk; and mend it.
    #[arg(long)]
    pub index: bool,
    /// Only look: mend nothing.
    #[arg(long, requires = "index")]
    pub dry_run: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Remove the models and caches too.
    #[arg(long)]
    pub all: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}
