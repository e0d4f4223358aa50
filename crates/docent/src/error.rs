//! What can go wrong, in sentences for the person at the other end.

use std::path::PathBuf;

/// Any failure of a [`Library`](crate::Library). Messages name the file or model and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that was given does not exist or cannot be looked at.
    #[error("{}: {reason}; check the spelling, or list what is indexed with `docent ls`", path.display())]
    Path {
        /// The path as it was given.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Nothing has been indexed yet.
    #[error(
        "nothing is indexed yet; add a folder with `docent add PATH`, or ask one directly with `--in PATH`"
    )]
    Empty,
    /// A collection that was named does not exist.
    #[error("there is no collection {name}; `docent collections` lists those that there are")]
    NoCollection {
        /// The name as it was given.
        name: String,
    },
    /// A document that was asked for is not in the index.
    #[error("{} is not in the index; list the documents with `docent ls`, or add it with `docent add`", path.display())]
    NotIndexed {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A path to forget was never added.
    #[error("{} was not added as such{}", path.display(), inside.as_ref().map_or_else(String::new, |root| format!(
        ": it lies in {}, which was; forget that, or name the path in a .docentignore file there", root.display())))]
    NotARoot {
        /// The path as it was given.
        path: PathBuf,
        /// The added folder that holds it.
        inside: Option<PathBuf>,
    },
    /// A model is needed and not here.
    #[error("the model {name} is not here; get it with `docent models pull {name}`")]
    ModelMissing {
        /// Its name in the catalogue.
        name: String,
    },
    /// The index's vectors are of another model than questions would be embedded with.
    #[error(
        "the passages here were embedded by another model than {name} as it is now: `docent update` embeds them again, and `docent search --mode lexical` needs no model"
    )]
    OtherVectors {
        /// The model questions are embedded with.
        name: String,
    },
    /// A model that cannot write answers was named for that.
    #[error("{name} does not write and cannot answer; `docent models list` shows the ones that can")]
    NotAGenerator {
        /// Its name in the catalogue.
        name: String,
    },
    /// A model that does not turn text into vectors was named for that.
    #[error("{name} does not turn text into vectors; `docent models list` shows the ones that do")]
    NotAnEmbedder {
        /// Its name in the catalogue.
        name: String,
    },
    /// A model that cannot put passages in order was named for that.
    #[error(
        "{name} does not put passages in order; `docent models list` shows the ones that do (ms-marco-…)"
    )]
    NotAReranker {
        /// Its name in the catalogue.
        name: String,
    },
    /// Finding a model.
    #[error(transparent)]
    Models(#[from] docent_models::StoreError),
    /// The kernels cannot run as asked.
    #[error(transparent)]
    Kernels(#[from] docent_kernels::KernelError),
    /// The index.
    #[error(transparent)]
    Index(#[from] docent_index::IndexError),
    /// Reading files into the index.
    #[error(transparent)]
    Ingest(#[from] docent_ingest::IngestError),
    /// Ranking.
    #[error(transparent)]
    Retrieve(#[from] docent_retrieve::RetrieveError),
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] docent_embed::EmbedError),
    /// A model that was not made for conversations.
    #[error("{} has no chat template and cannot answer; use a model made for chat (instruct)", path.display())]
    NoTemplate {
        /// Its file.
        path: PathBuf,
    },
    /// A model's chat template.
    #[error(transparent)]
    Template(#[from] docent_lm::chat::TemplateError),
    /// Running a model.
    #[error(transparent)]
    Infer(#[from] docent_infer::InferError),
    /// Documents that were to be read whole exceed the budget.
    #[error(
        "these documents have {bytes} bytes of text, which is nothing or more than the {budget} tokens an answer reads{}; name a folder \
         within that with --in PATH, or give a larger --budget N, here and in ask (at most {room} with this model)",
        beyond(*bytes, *budget)
    )]
    TooMuchToRead {
        /// Bytes of their text.
        bytes: u64,
        /// Tokens that an answer reads.
        budget: usize,
        /// Tokens that it could.
        room: usize,
    },
    /// A model that reads single sentences has nothing to read ahead.
    #[error(
        "{name} chooses sentences and reads no folder whole, so there is nothing to warm; name a larger model with --model"
    )]
    TooSmallToWarm {
        /// The model.
        name: String,
    },
    /// The history cannot be read or written.
    #[error("the history in {}: {source}; `--no-history` asks without it", path.display())]
    History {
        /// Its file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// No answer of this name is in the history, or more than one.
    #[error(
        "{} answer in the history has a name that begins with {id:?}; `docent history` lists them",
        if *several { "more than one" } else { "no" }
    )]
    NoSuchRecord {
        /// What was asked for.
        id: String,
        /// More than one has such a name.
        several: bool,
    },
    /// No conversation of this name was written down, or more than one.
    #[error(
        "{} conversation has a name that begins with {id:?}; `docent chat --list` lists them",
        if *several { "more than one" } else { "no" }
    )]
    NoSuchConversation {
        /// What was asked for.
        id: String,
        /// More than one has such a name.
        several: bool,
    },
    /// An answer that was not made from documents.
    #[error(
        "{id} was not made from a few passages: nothing was found for it, or all documents were read; ask again instead"
    )]
    NothingToReplay {
        /// Its name.
        id: String,
    },
    /// A model that reads single sentences packs nothing.
    #[error(
        "{name} chooses sentences and packs nothing, so there is nothing to explain; `docent ask --style write --dry-run` tells what it would read if it wrote"
    )]
    NothingToPack {
        /// The model.
        name: String,
    },
    /// Something in the prefix store cannot be removed.
    #[error("cannot remove what is kept in {}: {source}", dir.display())]
    Prefixes {
        /// Its folder.
        dir: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Building the prompt.
    #[error(transparent)]
    Pack(#[from] docent_pack::PackError),
}

/// Bytes of a token in English prose, for telling about how many too many there are.
const BYTES_PER_TOKEN: u64 = 4;

/// By how much a text is too long, roughly.
fn beyond(bytes: u64, budget: usize) -> String {
    match (bytes / BYTES_PER_TOKEN).saturating_sub(budget as u64) {
        0 => String::new(),
        n_tokens => format!(" (some {n_tokens} tokens too many)"),
    }
}

impl Error {
    /// Whether the index is there but cannot be written: it can still be searched.
    pub fn home_is_read_only(&self) -> bool {
        use docent_index::IndexError;
        let index = match self {
            Self::Index(error) | Self::Ingest(docent_ingest::IngestError::Index(error)) => error,
            _ => return false,
        };
        matches!(index, IndexError::NotWritable { .. })
    }
}
