//! `reset`: removes what docent has written, nothing else.

use std::path::Path;

use docent::json::folder_bytes;

use super::Context;
use crate::args::ResetArgs;
use crate::exit::Outcome;
use crate::output::bytes;

pub fn run(context: &Context, args: &ResetArgs) -> anyhow::Result<Outcome> {
    let settings = context.library.settings();
    // What the model computed for the documents is their content as well, and so is what was answered from them.
    let mut folders = vec![
        settings.index_dir(),
        settings.prefix_dir(),
        settings.history_path(),
        settings.conversations_path(),
    ];
    if args.all {
        folders.push(settings.models_dir());
    }
    let there: Vec<_> = folders.into_iter().filter(|folder| folder.exists()).collect();
    if there.is_empty() {
        context.output.line("nothing to remove");
        return Ok(Outcome::Done);
    }
    let list: Vec<String> = there
        .iter()
        .map(|folder| format!("{} ({})", folder.display(), bytes(folder_bytes(folder))))
        .collect();
    if !args.yes && !context.output.confirm(&format!("Remove {}?", list.join(" and "))) {
        anyhow::bail!("nothing was removed; say --yes to remove {}", list.join(" and "));
    }
    if let Some(holder) = docent::index_writer(&settings.index_dir()) {
        anyhow::bail!("the index is being written by {holder}: wait until it has finished, or stop it");
    }
    for folder in &there {
        remove(folder)?;
        context.output.line(format!("removed {}", folder.display()));
    }
    Ok(Outcome::Done)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}
