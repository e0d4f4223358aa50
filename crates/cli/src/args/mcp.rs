//! `mcp`.

use clap::Args;

use super::{HistoryKept, ModelArgs, ReadingArgs, RerankArgs, Style};

#[derive(Debug, Args)]
#[command(after_help = "\
A client starts this command by itself. Its configuration names it like so:

  { \"mcpServers\": { \"docent\": { \"command\": \"docent\", \"args\": [\"mcp\"] } } }

Examples:
  docent mcp --collection work                   another collection than the one without a name
  docent mcp -m lfm2.5-8b-a1b --budget 8000      shorter answers to wait for")]
pub struct McpArgs {
    #[command(flatten)]
    pub rerank: RerankArgs,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Whose words answers are in [default: write; quote with very small models].
    #[arg(long, value_enum)]
    pub style: Option<Style>,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub history: HistoryKept,
}
