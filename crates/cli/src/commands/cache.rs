//! `cache`: what is kept of what the model read.

use std::path::Path;

use serde_json::json;

use super::Context;
use crate::args::CacheCommand;
use crate::exit::Outcome;
use crate::output::{bytes, count};

pub fn run(context: &Context, command: CacheCommand) -> anyhow::Result<Outcome> {
    match command {
        CacheCommand::Status { json } => status(context, json),
        CacheCommand::Purge { document: Some(document), .. } => purge_document(context, &document),
        CacheCommand::Purge { document: None, .. } => {
            let n_blocks = context.library.purge_prefixes()?;
            context.output.line(format!("{} blocks removed", count(n_blocks)));
            Ok(Outcome::Done)
        }
        CacheCommand::Verify { json } => verify(context, json),
    }
}

fn status(context: &Context, as_json: bool) -> anyhow::Result<Outcome> {
    let status = context.library.prefix_status();
    let dir = context.library.settings().prefix_dir();
    if as_json {
        let models: Vec<_> = status
            .namespaces
            .iter()
            .map(|n| {
                json!({
                    "model": n.about, "blocks": n.n_blocks, "tokens": n.n_tokens, "bytes": n.n_bytes,
                    "documents": n.n_owners,
                })
            })
            .collect();
        context.output.json(&json!({
            "path": dir, "bytes": status.n_bytes, "max_bytes": status.max_bytes, "models": models,
        }))?;
        return Ok(Outcome::Done);
    }
    let output = &context.output;
    for namespace in &status.namespaces {
        output.line(format!(
            "{:>9}  {} tokens in {} blocks, of {} documents  {}",
            bytes(namespace.n_bytes),
            count(namespace.n_tokens),
            count(namespace.n_blocks),
            count(namespace.n_owners),
            namespace.about
        ));
    }
    output.line(format!(
        "{:>9}  of {} at most  {}",
        bytes(status.n_bytes),
        bytes(status.max_bytes),
        dir.display()
    ));
    Ok(Outcome::Done)
}

fn purge_document(context: &Context, document: &Path) -> anyhow::Result<Outcome> {
    let n_blocks = context.library.purge_prefixes_of(document)?;
    context.output.line(format!("{} blocks removed", count(n_blocks)));
    Ok(Outcome::Done)
}

/// Damage is told, one line each, and has been dealt with: the exit status is that of a store in which something was found.
fn verify(context: &Context, as_json: bool) -> anyhow::Result<Outcome> {
    let verified = context.library.verify_prefixes();
    let is_clean = verified.damaged.is_empty() && verified.noted.is_empty();
    if as_json {
        let damaged: Vec<_> =
            verified.damaged.iter().map(|(file, why)| json!({ "file": file, "reason": why })).collect();
        context.output.json(&json!({
            "good": verified.n_good, "damaged": damaged, "noted": verified.noted, "orphans": verified.n_orphans,
            "stale": verified.n_stale, "clean": is_clean,
        }))?;
    } else {
        let output = &context.output;
        for (file, why) in &verified.damaged {
            output.line(format!("removed  {file} {why}"));
        }
        for note in &verified.noted {
            output.line(format!("missed   {note}"));
        }
        let mut sentence =
            format!("{} blocks are good, {} damaged", count(verified.n_good), count(verified.damaged.len()));
        for (n, what) in
            [(verified.n_orphans, "without the one before them"), (verified.n_stale, "unfinished")]
        {
            if n > 0 {
                sentence.push_str(&format!(", {} {what}", count(n)));
            }
        }
        output.line(sentence);
    }
    Ok(if is_clean { Outcome::Done } else { Outcome::NotFound })
}
