//! `status`: what is indexed, what is not and why, and what takes how much space.

use docent::json::{LibraryStatus, folder_bytes, not_indexed};
use docent::{Inventory, Root};

use super::Context;
use crate::args::StatusArgs;
use crate::exit::Outcome;
use crate::output::{bytes, count, name};

/// How many skipped or failed files are listed without `--failed`.
const FEW: usize = 10;

pub fn run(context: &Context, args: &StatusArgs) -> anyhow::Result<Outcome> {
    if args.json {
        context.output.json(&LibraryStatus::of(&context.library)?)?;
    } else {
        print(context, &context.library.inventory()?, args.failed);
    }
    Ok(Outcome::Done)
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

fn print(context: &Context, inventory: &Inventory, all: bool) {
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
    for (what, folder) in [("index", settings.index_dir()), ("models", settings.models_dir())] {
        output.line(format!("{what:16} {:>9}  {}", bytes(folder_bytes(&folder)), folder.display()));
    }
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
