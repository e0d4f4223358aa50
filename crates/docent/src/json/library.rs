//! What a library holds and what was done to it.

use std::path::Path;

use docent_models::ModelKind;
use serde::{Deserialize, Serialize};

use super::text_of;
use crate::{CollectionInfo, Error, Fate, FileRecord, Inventory, Library, Root, Summary};

/// A file or folder that was added or looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RootEntry {
    /// Absolute.
    pub path: String,
    /// Added to stay, not only asked with `--in`.
    pub remembered: bool,
    /// Hidden files are read too.
    pub hidden: bool,
    /// What ignore files exclude is read too.
    pub no_ignore: bool,
}

/// A document in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentEntry {
    /// The file, absolute.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its format.
    pub format: String,
    /// Its own title.
    pub title: Option<String>,
    /// Its language (ISO 639).
    pub language: Option<String>,
    /// Passages of it.
    pub passages: usize,
    /// When it was last read, seconds since 1970.
    pub indexed_at: i64,
}

/// `ls --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentList {
    /// What was added.
    pub roots: Vec<RootEntry>,
    /// By path.
    pub documents: Vec<DocumentEntry>,
}

/// A file that was seen and is not in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotIndexedFile {
    /// The file, absolute.
    pub path: String,
    /// `failed` or `skipped`.
    pub fate: String,
    /// Why.
    pub reason: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last looked at, seconds since 1970.
    pub indexed_at: i64,
}

/// A folder and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FolderSize {
    /// The folder.
    pub path: String,
    /// Bytes of all files below it.
    pub bytes: u64,
}

/// `status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LibraryStatus {
    /// `null` for the one without a name.
    pub collection: Option<String>,
    /// Name of the embedding model.
    pub embedding_model: String,
    /// The model that reads a search's best candidates again, if one does.
    pub reranking_model: Option<String>,
    /// What was added.
    pub roots: Vec<RootEntry>,
    /// Documents in the index.
    pub documents: usize,
    /// Files left out for cause.
    pub skipped: usize,
    /// Files that could not be read.
    pub failed: usize,
    /// Passages in the index.
    pub passages: usize,
    /// Bytes of text.
    pub text_bytes: u64,
    /// The index's folder.
    pub index: FolderSize,
    /// The models' folder.
    pub models: FolderSize,
    /// Failed files first, then skipped ones.
    pub not_indexed: Vec<NotIndexedFile>,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CollectionEntry {
    /// `null` for the one without.
    pub name: Option<String>,
    /// Documents in it.
    pub documents: usize,
    /// Passages in it.
    pub passages: usize,
    /// Its embedding model.
    pub embedding_model: String,
    /// Its second stage, if it has one.
    pub reranking_model: Option<String>,
    /// What was added to it.
    pub roots: Vec<RootEntry>,
}

/// `collections --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CollectionList {
    /// The one without a name first.
    pub collections: Vec<CollectionEntry>,
}

/// `add --json`, `update --json`: numbers of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IngestSummary {
    /// Indexed for the first time.
    pub added: usize,
    /// Indexed again.
    pub changed: usize,
    /// Recognised under a new name.
    pub renamed: usize,
    /// Gone.
    pub removed: usize,
    /// Still the same.
    pub unchanged: usize,
    /// Left out for cause.
    pub skipped: usize,
    /// Could not be read.
    pub failed: usize,
    /// Whose content was read.
    pub read: usize,
    /// Passages embedded.
    pub embedded_passages: usize,
    /// Stopped before everything was done.
    pub interrupted: bool,
}

/// A model of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// `generation`, `embedding` or `reranking`.
    pub kind: String,
    /// It is here.
    pub installed: bool,
    /// Its folder, if it is here.
    pub path: Option<String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Its licence.
    pub licence: String,
    /// Tokens it reads at most.
    pub context_length: usize,
    /// One line about it.
    pub description: String,
}

/// `models list --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelList {
    /// In the catalogue's order.
    pub models: Vec<ModelInfo>,
}

impl From<&Root> for RootEntry {
    fn from(root: &Root) -> Self {
        Self {
            path: text_of(&root.path),
            remembered: root.remembered,
            hidden: root.settings.hidden,
            no_ignore: root.settings.no_ignore,
        }
    }
}

impl From<&FileRecord> for DocumentEntry {
    fn from(file: &FileRecord) -> Self {
        Self {
            path: text_of(&file.stat.path),
            bytes: file.stat.size,
            format: file.format.clone(),
            title: file.title.clone(),
            language: file.language.clone(),
            passages: file.n_chunks,
            indexed_at: file.indexed_at,
        }
    }
}

impl DocumentList {
    /// The documents of `inventory` at or below `within`, by path.
    pub fn new(inventory: &Inventory, within: Option<&Path>) -> Self {
        let is_listed = |file: &&FileRecord| {
            file.fate == Fate::Indexed && within.is_none_or(|within| file.stat.path.starts_with(within))
        };
        let mut files: Vec<&FileRecord> = inventory.files.iter().filter(is_listed).collect();
        files.sort_by(|a, b| a.stat.path.cmp(&b.stat.path));
        Self {
            roots: inventory.roots.iter().map(RootEntry::from).collect(),
            documents: files.into_iter().map(DocumentEntry::from).collect(),
        }
    }
}

impl LibraryStatus {
    /// What `library` holds and takes.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn of(library: &Library) -> Result<Self, Error> {
        let inventory = library.inventory()?;
        let settings = library.settings();
        let not_indexed = not_indexed(&inventory).map(|(file, fate, reason)| NotIndexedFile {
            path: text_of(&file.stat.path),
            fate: fate.to_owned(),
            reason: reason.to_owned(),
            bytes: file.stat.size,
            indexed_at: file.indexed_at,
        });
        Ok(Self {
            collection: settings.collection.clone(),
            roots: inventory.roots.iter().map(RootEntry::from).collect(),
            documents: inventory.stats.n_indexed,
            skipped: inventory.stats.n_skipped,
            failed: inventory.stats.n_failed,
            passages: inventory.stats.n_chunks,
            text_bytes: inventory.stats.n_bytes_text,
            index: FolderSize::of(&settings.index_dir()),
            models: FolderSize::of(&settings.models_dir()),
            not_indexed: not_indexed.collect(),
            embedding_model: inventory.embedding_model.clone(),
            reranking_model: inventory.reranking_model.clone(),
        })
    }
}

impl FolderSize {
    /// What `folder` takes.
    pub fn of(folder: &Path) -> Self {
        Self { path: text_of(folder), bytes: folder_bytes(folder) }
    }
}

impl From<&CollectionInfo> for CollectionEntry {
    fn from(collection: &CollectionInfo) -> Self {
        Self {
            name: collection.name.clone(),
            documents: collection.stats.n_indexed,
            passages: collection.stats.n_chunks,
            embedding_model: collection.embedding_model.clone(),
            reranking_model: collection.reranking_model.clone(),
            roots: collection.roots.iter().map(RootEntry::from).collect(),
        }
    }
}

impl From<&Summary> for IngestSummary {
    fn from(summary: &Summary) -> Self {
        Self {
            added: summary.added,
            changed: summary.changed,
            renamed: summary.renamed,
            removed: summary.removed,
            unchanged: summary.unchanged,
            skipped: summary.skipped,
            failed: summary.failed,
            read: summary.n_read,
            embedded_passages: summary.n_embedded,
            interrupted: summary.interrupted,
        }
    }
}

impl From<IngestSummary> for Summary {
    fn from(told: IngestSummary) -> Self {
        Self {
            added: told.added,
            changed: told.changed,
            renamed: told.renamed,
            removed: told.removed,
            unchanged: told.unchanged,
            skipped: told.skipped,
            failed: told.failed,
            n_read: told.read,
            n_embedded: told.embedded_passages,
            interrupted: told.interrupted,
        }
    }
}

impl ModelList {
    /// The catalogue, and what of it is here.
    pub fn of(library: &Library) -> Self {
        let models = library.models().list().into_iter().map(|(entry, here)| ModelInfo {
            name: entry.name.to_owned(),
            kind: match entry.kind {
                ModelKind::Generation => "generation",
                ModelKind::Embedding => "embedding",
                ModelKind::Reranking => "reranking",
            }
            .to_owned(),
            installed: here.is_some(),
            path: here.map(|here| text_of(&here.dir)),
            bytes: entry.bytes(),
            licence: entry.licence.name.to_owned(),
            context_length: entry.context_length,
            description: entry.description.to_owned(),
        });
        Self { models: models.collect() }
    }
}

/// Failed files first, then skipped ones, each with its fate's name and its reason.
pub fn not_indexed(inventory: &Inventory) -> impl Iterator<Item = (&FileRecord, &'static str, &str)> {
    let failed = inventory.files.iter().filter_map(|file| match &file.fate {
        Fate::Failed(reason) => Some((file, "failed", reason.as_str())),
        _ => None,
    });
    let skipped = inventory.files.iter().filter_map(|file| match &file.fate {
        Fate::Skipped(reason) => Some((file, "skipped", reason.as_str())),
        _ => None,
    });
    failed.chain(skipped)
}

/// Bytes of all files below `folder`; 0 if it is not there.
pub fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => folder_bytes(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
            _ => 0,
        })
        .sum()
}
