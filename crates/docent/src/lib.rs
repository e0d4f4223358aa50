//! Ask questions about folders of documents: the library people embed.
//!
//! ```no_run
//! use docent::{AskEvent, AskOptions, Cancel, Library, Settings};
//!
//! # fn main() -> Result<(), docent::Error> {
//! let library = Library::open(Settings::in_folder("/var/lib/my-program"));
//! library.add(&["/srv/manuals".into()], &|| false, &mut |_progress| ())?;
//! let answer = library.ask("How is the pump primed?", &AskOptions::default(), &Cancel::new(), &mut |event| {
//!     if let AskEvent::Answer(text) = event {
//!         print!("{text}");
//!     }
//! })?;
//! for citation in &answer.citations {
//!     println!("[{}] {}:{}", citation.n, citation.place.path.display(), citation.place.line_start);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Where a program wants to take the answer piece by piece, [`Library::start_asking`] gives an iterator, with the model on a thread of
//! its own; `examples/ask_a_folder.rs` is a whole program. Failures say what to do about them:
//!
//! ```
//! use docent::{Error, Library, Narrow, SearchOptions, Settings};
//!
//! # let home = tempfile::tempdir().unwrap();
//! let settings = Settings { n_threads: 2, ignore: vec!["*.log".into()], ..Settings::in_folder(home.path()) };
//! let library = Library::open(settings);
//! assert!(library.documents(&Narrow::default()).unwrap().is_empty());
//! assert!(matches!(library.search("roof", &SearchOptions::default()), Err(Error::Empty)));
//! ```
//!
//! A [`Library`] is an index and the models that read it. [`Library::add`] brings documents in, [`Library::search`] finds
//! passages, [`Library::ask`] answers from them; what an answer claims is held against the documents ([`cite`]). [`json`] has what
//! programs are told, as the commands print it with `--json`.
//! Nothing here prints, reads the environment, or goes to the network; models are pulled through [`Library::models`].

pub mod answer;
mod ask;
mod asking;
pub mod chat;
pub mod cite;
mod converse;
mod documents;
mod error;
mod evaluate;
mod explain;
mod found;
mod history;
mod integrity;
mod journal;
pub mod json;
mod kept;
mod library;
mod locate;
mod models;
mod narrow;
mod over;
mod prompt;
mod quote;
mod replay;
mod search;
mod settings;
mod warm;
mod watch;
mod write;

pub use answer::{Answer, Check, Citation, Place, Status, Timing, Usage};
pub use ask::{AskEvent, AskOptions, Evidence, Style};
pub use asking::{Asking, Next};
pub use cite::Kind;
pub use converse::{ConversationInfo, Talk, Turn, standing_alone};
pub use docent_extract::Ocr;
pub use docent_index::{DocumentText, Fate, FileRecord, IndexError, PathGlob, Root, RootSettings, Stats};
pub use docent_infer::{
    BenchFigures, BenchPlan, Cancel, Engine, InferError, Prefixes, Prompt, Reading, Session, SyncEvent,
    Synced, bench, mean_nll,
};
pub use docent_ingest::{Progress, Summary, check_pattern, language as language_of};
pub use docent_kernels::{Isa, Operation, PhaseProfile, Profile};
pub use docent_pack::Order;
pub use docent_prefix::{NamespaceStatus, Status as PrefixStatus, Verified, Written};
pub use docent_retrieve::Hit;
pub use docent_retrieve::evaluation::{Progress as EvaluationProgress, Report as EvaluationReport};
pub use error::Error;
pub use evaluate::{EmbeddingRun, Evaluated};
pub use explain::{LeftOutPlace, PackedPlace, Packing, PromptTokens, Why};
pub use found::{Held, Signals, Weighed, WeighedPassage, WeighedSentence, WeighedWord};
pub use history::{How, Made, MadeBy, MadeFrom, Record};
pub use integrity::{Fault, IndexCheck};
pub use library::index_writer;
pub use library::{CollectionInfo, Embedded, Inventory, Library, TextRole};
pub use models::{
    BEST_MODEL, ChosenModel, EMBEDDING_MODEL, KvType, ModelChoice, RERANKING_MODEL, STARTER_MODEL,
};
pub use narrow::{Narrow, parse_date, parse_type};
pub use over::{Coverage, Form, Reach};
pub use replay::{Difference, Replayed};
pub use search::{Around, Found, FoundHit, Rerank, Reranked, SearchMode, SearchOptions};
pub use settings::Settings;
pub use warm::{WarmOptions, Warmed};
pub use watch::{WatchEvent, WatchOptions};
