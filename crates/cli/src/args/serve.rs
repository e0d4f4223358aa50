//! `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::parse::parse_size;
use super::{HistoryKept, IngestArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent serve                                     then open http://127.0.0.1:7437
  docent serve --watch --root ~/notes              folders below ~/notes may be added from the page
  docent serve --listen 0.0.0.0:7437 --token-file ~/.docent-token
  curl -s localhost:7437/v1/search -H 'Content-Type: application/json' -d '{\"query\": \"notice period\"}'

docs/serve.md has the rest: streams, OpenAI's clients, limits, metrics.")]
pub struct ServeArgs {
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7437")]
    pub listen: SocketAddr,
    /// A file whose first line clients have to show (Authorization: Bearer …). Needed for addresses that other machines can reach.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A name by which the server may be called, besides localhost and addresses: that of a proxy before it.
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// A folder from which documents may be added over HTTP.
    #[arg(long = "root", value_name = "DIR")]
    pub roots: Vec<PathBuf>,
    /// Keep the index up to date while documents change.
    #[arg(long)]
    pub watch: bool,
    /// The model that answers where a request names none: a name, or the path of a GGUF file [default: the best that is pulled].
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
    /// The largest document that may be uploaded.
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = parse_size)]
    pub max_upload: u64,
    /// How the log is written, to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
    #[command(flatten)]
    pub history: HistoryKept,
    #[command(flatten)]
    pub ingest: IngestArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
    /// Nothing.
    Off,
}
