//! Measuring and looking inside: `eval`, `bench`, `debug`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::parse::parse_positive;
use super::{EvidenceArgs, Kv, Mode, RerankArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent eval scifact                            corpus.jsonl, queries.jsonl and qrels.tsv, as BEIR has them
  docent eval scifact --mode lexical --json | jq '.\"ndcg@10\"'")]
pub struct EvalArgs {
    /// The collection's folder.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Which rankings to use.
    #[arg(long, value_enum, default_value_t = Mode::Hybrid)]
    pub mode: Mode,
    #[command(flatten)]
    pub rerank: RerankArgs,
    /// Write the rankings to FILE, as trec_eval reads them.
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// Pull a missing embedding model without asking.
    #[arg(long, short)]
    pub yes: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Time reading and writing of tokens at given depths of context.
    Model(BenchModelArgs),
    /// Time the embedding of texts.
    Embed(BenchEmbedArgs),
}

#[derive(Debug, Args)]
pub struct BenchEmbedArgs {
    /// Texts: one JSON object a line, with `text` and perhaps `title`.
    pub texts: PathBuf,
    /// Only the first N texts.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub limit: usize,
    /// How often.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub reps: usize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  docent bench model -m lfm2.5-8b-a1b --pp 512 --tg 32 --depth 0,8192 --json"
)]
pub struct BenchModelArgs {
    /// Model name or GGUF path.
    #[arg(long, short)]
    pub model: String,
    /// Tokens to read at once; each of several is measured by itself.
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "512")]
    pub pp: Vec<usize>,
    /// Tokens to write one by one.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub tg: usize,
    /// Tokens of context before them; several, separated by commas.
    #[arg(long, value_name = "N", default_value = "0", value_delimiter = ',')]
    pub depth: Vec<usize>,
    /// How keys and values are kept.
    #[arg(long, value_enum, default_value_t = Kv::F16)]
    pub kv: Kv,
    /// Time each N times and print medians.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub reps: usize,
    /// Print one JSON object a line instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Write the logits a model gives for a sequence of token ids, as a float32 NumPy array.
    Logits {
        /// Model name or GGUF path.
        #[arg(long, short)]
        model: String,
        /// File of token ids, separated by commas or white space; nothing is added to them.
        #[arg(long, value_name = "FILE")]
        tokens: PathBuf,
        /// Where to write: (n_tokens, n_vocab), or (1, n_vocab) with --last.
        #[arg(long, value_name = "X.npy")]
        out: PathBuf,
        /// How keys and values are kept.
        #[arg(long, value_enum, default_value_t = Kv::F16)]
        kv: Kv,
        /// Only the last position.
        #[arg(long)]
        last: bool,
        /// Prefill in pieces of N tokens.
        #[arg(long, value_name = "N", value_parser = parse_positive)]
        chunk: Option<usize>,
    },
    /// Print the token ids of a text read from a file or standard input, one line.
    Tokenize {
        /// Model name or GGUF path.
        #[arg(long, short)]
        model: String,
        /// File to read [default: standard input].
        file: Option<PathBuf>,
        /// Recognise special tokens, as in the chat template.
        #[arg(long)]
        special: bool,
        /// The text is a JSON array of strings; print an array with the ids of each.
        #[arg(long)]
        json: bool,
    },
    /// Print how well a model predicts a text: the mean negative log-likelihood of its tokens, each given those before it.
    Likelihood {
        /// Model name or GGUF path.
        #[arg(long, short)]
        model: String,
        /// File to read [default: standard input].
        file: Option<PathBuf>,
        /// The file holds token ids, separated by commas or white space.
        #[arg(long)]
        tokens: bool,
        /// How keys and values are kept.
        #[arg(long, value_enum, default_value_t = Kv::F16)]
        kv: Kv,
    },
    /// Print the token ids that `warm` reads: instructions and documents.
    Warm {
        /// Model name or GGUF path.
        #[arg(long, short)]
        model: String,
        /// Only files at or below PATH, which must be indexed; may be repeated [default: all that were added].
        #[arg(long = "in", value_name = "PATH")]
        within: Vec<PathBuf>,
        /// The most tokens of evidence [default: what suits the model].
        #[arg(long, value_name = "TOKENS")]
        budget: Option<usize>,
    },
    /// Print the token ids that `ask` would read, where the documents stand among them, and the places of special tokens; a JSON object.
    Prompt {
        /// The question.
        question: String,
        #[command(flatten)]
        evidence: Box<EvidenceArgs>,
    },
    /// Print what the verdict "This is not in your documents." on each question is taken from: words, passages, sentences and signals; one
    /// JSON object a line.
    Held {
        /// File of questions, one a line [default: standard input].
        file: Option<PathBuf>,
        /// Only files at or below PATH, which must be indexed; may be repeated [default: all that were added].
        #[arg(long = "in", value_name = "PATH")]
        within: Vec<PathBuf>,
    },
    /// Load a model, fill a context of a given length, compute one token behind it, and print time and memory.
    Memory {
        /// Model name or GGUF path.
        #[arg(long, short)]
        model: String,
        /// Tokens of context; rounded down to whole blocks of 256 [default: the model's].
        #[arg(long, value_name = "N")]
        context: Option<usize>,
        /// How keys and values are kept.
        #[arg(long, value_enum, default_value_t = Kv::F16)]
        kv: Kv,
    },
}
