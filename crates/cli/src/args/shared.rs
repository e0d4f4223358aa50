//! What several commands take.

use clap::{Args, ValueEnum};
use docent::parse_date;
use docent_extract::Ocr;

use super::parse::{parse_languages, parse_pattern, parse_positive, parse_size, parse_temperature};

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
    /// Leave out files and folders that GLOB names, as a line of a .gitignore would; may be repeated.
    #[arg(long, value_name = "GLOB", value_parser = parse_pattern)]
    pub ignore: Vec<String>,
    #[command(flatten)]
    pub ocr: OcrArgs,
    /// Pull missing models without asking.
    #[arg(long, short)]
    pub yes: bool,
}

/// Recognition of text in pictures.
#[derive(Debug, Args)]
pub struct OcrArgs {
    /// Recognise text in pictures and in PDFs that have none, by the programs tesseract and pdftoppm, which must be installed: seconds
    /// a page. LANGUAGES as tesseract names them: deu+eng [default: eng]; `none` goes before what is set.
    #[arg(long, value_name = "LANGUAGES", num_args = 0..=1, require_equals = true, default_missing_value = "eng", value_parser = parse_languages)]
    pub ocr: Option<String>,
}

impl OcrArgs {
    /// What is to be recognised how, if anything is.
    pub fn wanted(&self) -> Option<Ocr> {
        self.ocr.as_deref().filter(|languages| *languages != "none").map(Ocr::of)
    }
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

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
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
pub enum Over {
    /// The best passages.
    Best,
    /// All documents, each whole.
    All,
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
