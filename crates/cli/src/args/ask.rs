//! Asking: `ask`, `pack`, `history`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::parse::parse_seconds;
use super::{IngestArgs, ModelArgs, NarrowArgs, Order, Over, RerankArgs, Style};

/// What is read to answer a question.
#[derive(Debug, Args)]
pub struct EvidenceArgs {
    /// Ask this file or folder alone; it is indexed on the way.
    #[arg(long = "in", value_name = "PATH")]
    pub within: Vec<PathBuf>,
    #[command(flatten)]
    pub narrow: NarrowArgs,
    #[command(flatten)]
    pub rerank: RerankArgs,
    #[command(flatten)]
    pub reading: ReadingArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub ingest: IngestArgs,
}

/// How much of what was found is read, and in which order.
#[derive(Debug, Args)]
pub struct ReadingArgs {
    /// The most tokens of evidence to read: a number; `auto`, as many as can be read within --wait; or `all`, every document, as far as
    /// the model's context goes [default: what suits the model].
    #[arg(long, value_name = "N|auto|all")]
    pub budget: Option<Budget>,
    /// Seconds after which an answer should begin when nothing was read before; for --budget auto.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = parse_seconds)]
    pub wait: f64,
    /// The order in which passages are put before the model [default: sticky; best first for very small models].
    #[arg(long, value_enum)]
    pub order: Option<Order>,
}

/// Whether questions and answers are written down.
#[derive(Debug, Args)]
pub struct HistoryKept {
    /// Do not write questions and their answers down.
    #[arg(long)]
    no_history: bool,
    /// For how many days questions and answers are kept in the history, or `off`.
    #[arg(long, value_name = "DAYS", env = "DOCENT_HISTORY", default_value = "90")]
    history: HistoryDays,
}

impl HistoryKept {
    /// For so many days; none: not at all.
    pub fn days(&self) -> Option<u32> {
        self.history.0.filter(|_| !self.no_history)
    }
}

/// How many tokens of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    Tokens(usize),
    Auto,
    All,
}

impl std::str::FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "all" => Ok(Self::All),
            number => number
                .replace(',', "")
                .parse()
                .map(Self::Tokens)
                .map_err(|_| "expected a number of tokens, `auto` or `all`".to_owned()),
        }
    }
}

/// For how many days questions and answers are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryDays(pub Option<u32>);

impl std::str::FromStr for HistoryDays {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            days => days
                .parse()
                .map(|days| Self(Some(days)))
                .map_err(|_| "expected a number of days, or `off`".to_owned()),
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent ask \"What is the notice period in my lease?\"
  docent ask --in ~/manuals/boiler.pdf \"Which pressure is normal?\"
  docent ask --path 'minutes/**' --after 2025-01 \"Who keeps the key?\"
  docent ask --budget all --in ~/lease \"Which rooms are let?\"     read the whole folder
  docent ask --over all --in ~/leases \"Which leases end in 2026?\"  read each document, then put together what they say
  docent ask --dry-run \"Who keeps the key?\"                     what would be read, and how long that takes
  docent ask --replay last                                        the last answer once more, to the byte
  docent ask --json \"Who wrote it?\" | jq -r '.citations[].path'")]
pub struct AskArgs {
    /// The question.
    #[arg(required_unless_present = "replay")]
    pub question: Option<String>,
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// Whose words the answer is in [default: write; quote with very small models].
    #[arg(long, value_enum)]
    pub style: Option<Style>,
    /// What to read: the best passages, or all documents one after the other, each of them whole [default: what the question's form asks
    /// for: "which documents …", "compare …", "summarise this folder" read all where that is not too much].
    #[arg(long, value_enum, conflicts_with_all = ["replay", "explain", "dry_run"])]
    pub over: Option<Over>,
    /// Say what is read and why, and what is left out, before the answer.
    #[arg(long)]
    pub explain: bool,
    /// Only say what would be read, and about how long that would take; the model answers nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Make the answer ID of the history again (`last`: the newest); what is no longer as it was is named.
    #[arg(long, value_name = "ID", conflicts_with_all = ["question", "explain", "dry_run"])]
    pub replay: Option<String>,
    #[command(flatten)]
    pub history: HistoryKept,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent pack \"What is the notice period in my lease?\"
  docent pack --budget 8000 --json \"Who keeps the key?\" | jq '.left_out[].path'")]
pub struct PackArgs {
    /// The question.
    pub question: String,
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent history
  docent history show last
  docent history --json | jq -r '.records[].question'
  docent history clear")]
pub struct HistoryArgs {
    #[command(subcommand)]
    pub command: Option<HistoryCommand>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// Show an answer as it was given, and what it was made from.
    Show {
        /// Its name, or the beginning of it; `last` for the newest.
        id: String,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Forget all questions and answers.
    Clear,
}
