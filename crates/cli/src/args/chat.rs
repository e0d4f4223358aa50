//! Talking: `chat`, with documents and without.

use std::path::PathBuf;

use clap::Args;

use super::parse::{parse_penalty, parse_probability};
use super::{EvidenceArgs, HistoryKept, Style};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent chat                                    talk to the model; Ctrl-C stops a reply, Ctrl-D ends
  docent chat --in ~/lease                       talk about documents: each answer is checked against them
  docent chat --in ~/lease \"Who pays for repairs?\" and then: docent chat --resume last \"And for the boiler?\"
  docent chat --list                             conversations about documents that were written down
  docent chat --thinking show \"Is 391 a prime?\"
  docent chat --schema person.json \"Invent a person.\" | jq .name")]
pub struct ChatArgs {
    /// Say this, print the reply and stop; without it, talk line by line.
    pub message: Option<String>,
    /// Talk about everything that was added.
    #[arg(long, conflicts_with = "within")]
    pub everything: bool,
    /// List the conversations about documents.
    #[arg(long, conflicts_with_all = ["message", "resume", "within", "everything"])]
    pub list: bool,
    /// Take the conversation ID up again (`last`: the one that was talked in last).
    #[arg(long, value_name = "ID", conflicts_with_all = ["within", "everything"])]
    pub resume: Option<String>,
    /// Whose words answers about documents are in [default: write; quote with very small models].
    #[arg(long, value_enum)]
    pub style: Option<Style>,
    #[command(flatten)]
    pub history: HistoryKept,
    /// Print JSON: the list as one object, each answer about documents as one object a line.
    #[arg(long)]
    pub json: bool,
    /// Replies are JSON of the JSON schema in FILE; without documents only.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["within", "everything", "resume"])]
    pub schema: Option<PathBuf>,
    /// Draw from the N likeliest tokens only; 0 draws from all [default: the model's own]. Without documents only, as the next three.
    #[arg(long, value_name = "N")]
    pub top_k: Option<usize>,
    /// Draw from the likeliest tokens that together reach probability P [default: the model's own].
    #[arg(long, value_name = "P", value_parser = parse_probability)]
    pub top_p: Option<f32>,
    /// Draw only from tokens at least P times as likely as the likeliest [default: the model's own].
    #[arg(long, value_name = "P", value_parser = parse_probability)]
    pub min_p: Option<f32>,
    /// Make tokens of the last words less likely; 1 does not [default: the model's own].
    #[arg(long, value_name = "X", value_parser = parse_penalty)]
    pub repeat_penalty: Option<f32>,
    #[command(flatten)]
    pub evidence: EvidenceArgs,
}

impl ChatArgs {
    /// Whether documents are talked about.
    pub fn is_about_documents(&self) -> bool {
        self.everything || self.resume.is_some() || !self.evidence.within.is_empty()
    }
}
