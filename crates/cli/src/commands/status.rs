//! `status`: what is indexed, what is not and why, and what takes how much space.

use std::path::Path;

use docent::{Fate, FileRecord, Inventory, Root};
use serde_json::json;

use super::Context;
use crate::args::StatusArgs;
use crate::exit::Outcome;
use crate::output::{bytes, count, name};

/// How many skipped or failed files are listed without `--failed`.
const FEW: usize = 10;

pub fn run(context: &Context, args: &StatusArgs) -> anyhow::Result<Outcome> {
    let inventory = context.library.inventory()?;
    let settings = context.library.settings();
    let sizes =
        Sizes { index: folder_bytes(&settings.index_dir()), models: folder_bytes(&settings.models_dir()) };
    if args.json {
        context.output.json(&as_json(context, &inventory, &sizes))?;
    } else {
        print(context, &inventory, &sizes, args.failed);
    }
    Ok(Outcome::Done)
}

struct Sizes {
    index: u64,
    models: u64,
}

fn as_json(context: &Context, inventory: &Inventory, sizes: &Sizes) -> serde_json::Value {
    let settings = context.library.settings();
    let not_indexed: Vec<_> = not_indexed(inventory)
        .map(|(file, fate, reason)| {
            json!({
                "path": file.stat.path, "fate": fate, "reason": reason, "bytes": file.stat.size,
                "indexed_at": file.indexed_at,
            })
        })
        .collect();
    let roots: Vec<_> = inventory.roots.iter().map(root_json).collect();
    json!({
        "collection": settings.collection, "embedding_model": inventory.embedding_model,
        "reranking_model": inventory.reranking_model,
        "roots": roots,
        "documents": inventory.stats.n_indexed, "skipped": inventory.stats.n_skipped, "failed": inventory.stats.n_failed,
        "passages": inventory.stats.n_chunks, "text_bytes": inventory.stats.n_bytes_text,
        "index": { "path": settings.index_dir(), "bytes": sizes.index },
        "models": { "path": settings.models_dir(), "bytes": sizes.models },
        "not_indexed": not_indexed,
    })
}

/// A root as `status`, `ls` and `collections` tell it.
pub fn root_json(root: &Root) -> serde_json::Value {
    json!({
        "path": root.path, "remembered": root.remembered, "hidden": root.settings.hidden,
        "no_ignore": root.settings.no_ignore,
    })
}

/// ` (hidden files too)` where a root is not read as usual.
pub fn root_note(root: &Root) -> &'static str {
    match (root.settings.hidden, root.settings.no_ignore) {
        (false, false) => "",
        (true, false) => "  (hidden files too)",
        (false, true) => "  (ignored files too)",
        (true, true) => "  (hidden and ignored files too)",
    }
}

fn print(context: &Context, inventory: &Inventory, sizes: &Sizes, all: bool) {
    let output = &context.output;
    let settings = context.library.settings();
    let stats = &inventory.stats;
    for root in &inventory.roots {
        let kind = if root.remembered { "added" } else { "asked with --in" };
        output.line(format!("{:16} {}{}", kind, name(&root.path), root_note(root)));
    }
    output.line(format!(
        "{:16} {} documents, {} passages, {} of text",
        "indexed",
        count(stats.n_indexed),
        count(stats.n_chunks),
        bytes(stats.n_bytes_text)
    ));
    output.line(format!(
        "{:16} {} skipped, {} failed",
        "not indexed",
        count(stats.n_skipped),
        count(stats.n_failed)
    ));
    if let Some(model) = &inventory.reranking_model {
        output.line(format!("{:16} {model} reads the best candidates of every search again", "second stage"));
    }
    output.line(format!("{:16} {:>9}  {}", "index", bytes(sizes.index), settings.index_dir().display()));
    output.line(format!("{:16} {:>9}  {}", "models", bytes(sizes.models), settings.models_dir().display()));
    let files: Vec<_> = not_indexed(inventory).collect();
    let shown = if all { files.len() } else { files.len().min(FEW) };
    for (file, fate, reason) in &files[..shown] {
        let size = bytes(file.stat.size);
        output.line(format!("{fate:16} {}: {reason} ({size})", name(&file.stat.path)));
    }
    if shown < files.len() {
        output.line(format!("{} more: `docent status --failed`", count(files.len() - shown)));
    }
}

/// Failed files first, then skipped ones, each with its reason.
fn not_indexed(inventory: &Inventory) -> impl Iterator<Item = (&FileRecord, &'static str, &str)> {
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
