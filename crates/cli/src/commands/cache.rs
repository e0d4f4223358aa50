//! `cache`: what is kept of what the model read.

use std::path::Path;

use docent::json::{CacheStatus, CacheVerified, DamagedBlock};

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
    let status = CacheStatus::of(&context.library);
    if as_json {
        context.output.json(&status)?;
        return Ok(Outcome::Done);
    }
    let output = &context.output;
    for model in &status.models {
        output.line(format!(
            "{:>9}  {} tokens in {} blocks, of {} documents  {}",
            bytes(model.bytes),
            count(model.tokens),
            count(model.blocks),
            count(model.documents),
            model.model
        ));
    }
    let (used, most) = (bytes(status.bytes), bytes(status.max_bytes));
    output.line(format!("{used:>9}  of {most} at most  {}", status.path));
    Ok(Outcome::Done)
}

fn purge_document(context: &Context, document: &Path) -> anyhow::Result<Outcome> {
    let n_blocks = context.library.purge_prefixes_of(document)?;
    context.output.line(format!("{} blocks removed", count(n_blocks)));
    Ok(Outcome::Done)
}

/// Damage is told, one line each, and has been dealt with: the exit status is that of a store in which something was found.
fn verify(context: &Context, as_json: bool) -> anyhow::Result<Outcome> {
    let verified = CacheVerified::from(&context.library.verify_prefixes());
    if as_json {
        context.output.json(&verified)?;
    } else {
        let output = &context.output;
        for DamagedBlock { file, reason } in &verified.damaged {
            output.line(format!("removed  {file} {reason}"));
        }
        for note in &verified.noted {
            output.line(format!("missed   {note}"));
        }
        let mut sentence =
            format!("{} blocks are good, {} damaged", count(verified.good), count(verified.damaged.len()));
        for (n, what) in [(verified.orphans, "without the one before them"), (verified.stale, "unfinished")] {
            if n > 0 {
                sentence.push_str(&format!(", {} {what}", count(n)));
            }
        }
        output.line(sentence);
    }
    Ok(if verified.clean { Outcome::Done } else { Outcome::NotFound })
}
