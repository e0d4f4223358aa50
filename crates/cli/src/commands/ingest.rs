//! `add`, `update`, and the ingestion that `ask --in` and `search --in` do on the way.

use std::path::PathBuf;
use std::time::Instant;

use docent::json::IngestSummary;
use docent::{Progress, Rerank, Summary};
use docent_serve::Indexing;

use super::models::{ensure_embedding, ensure_reranking};
use super::{Context, beside};
use crate::args::{AddArgs, UpdateArgs};
use crate::exit::Outcome;
use crate::output::count;
use crate::progress::{Bar, Unit};

pub fn add(context: &Context, args: &AddArgs) -> anyhow::Result<Outcome> {
    ensure_embedding(context, args.ingest.yes)?;
    let summary = ingesting(context, |cancel, progress| {
        match beside::index(context, Indexing::Add, &args.paths, progress) {
            Some(summary) => Ok(summary),
            None => context.library.add(&args.paths, cancel, progress),
        }
    })?;
    report(context, &summary, args.json)
}

pub fn update(context: &Context, args: &UpdateArgs) -> anyhow::Result<Outcome> {
    ensure_embedding(context, args.ingest.yes)?;
    let summary = ingesting(context, |cancel, progress| {
        match beside::index(context, Indexing::Update, &[], progress) {
            Some(summary) => Ok(summary),
            None => context.library.update(cancel, progress),
        }
    })?;
    report(context, &summary, args.json)
}

/// Sets which model reads a search's best candidates again in this collection, if one was named.
pub fn use_reranking(context: &mut Context, name: Option<&str>, yes: bool) -> anyhow::Result<()> {
    if let Some(name) = name {
        ensure_reranking(context, name, yes)?;
        context.library.use_reranking(&Rerank::named(name))?;
    }
    Ok(())
}

/// Brings the index up to date for `--in`. Says something only if there was something to do.
pub fn look_into(context: &Context, paths: &[PathBuf]) -> anyhow::Result<Outcome> {
    let looked = ingesting(context, |cancel, progress| context.library.look_into(paths, cancel, progress));
    let summary = match looked {
        // A home that cannot be written can still be searched, as it is.
        Err(error) if error.home_is_read_only() => {
            context.output.note(format!("note: {error}; searching what was indexed before"));
            return Ok(Outcome::Done);
        }
        looked => looked?,
    };
    if summary.n_changes() > 0 || summary.failed > 0 {
        context.output.note(sentence(&summary));
    }
    Ok(if summary.interrupted { Outcome::Interrupted } else { Outcome::Done })
}

/// Brings the index up to date in `work`, and says how long it took where that was long.
fn ingesting(
    context: &Context,
    work: impl FnOnce(&dyn Fn() -> bool, &mut dyn FnMut(Progress)) -> Result<Summary, docent::Error>,
) -> Result<Summary, docent::Error> {
    let started = Instant::now();
    let summary = with_progress(context, work);
    let seconds = started.elapsed().as_secs_f64();
    if seconds >= 2.0 && summary.as_ref().is_ok_and(|summary| summary.n_changes() > 0) {
        context.output.note(format!("indexed in {seconds:.1} s"));
    }
    summary
}

/// Does `work`, which hears of Ctrl-C, with a bar that shows how far it is.
pub fn with_progress<T>(
    context: &Context,
    work: impl FnOnce(&dyn Fn() -> bool, &mut dyn FnMut(Progress)) -> T,
) -> T {
    let bar = Bar::new(context.output.shows_progress(), Unit::Bytes);
    let done = work(&|| context.interrupt.requested(), &mut |progress| draw(context, &bar, &progress));
    bar.clear();
    done
}

/// Shows how far an ingestion is.
pub fn draw(context: &Context, bar: &Bar, progress: &Progress) {
    match progress {
        Progress::Waiting { holder } => {
            bar.above(|| context.output.note(format!("waiting for {holder}, which writes to the index")));
            bar.say("waiting");
        }
        Progress::Renewing { bytes_done, bytes_total } => {
            bar.set(*bytes_done, *bytes_total, "bringing the index to the present format");
        }
        Progress::Sorting { percent } => bar.say(format!("sorting vectors: {percent} %")),
        Progress::Scanning { found } => bar.say(format!("looking: {} files", count(*found))),
        Progress::Working { files_done, files_total, bytes_done, bytes_total, path } => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            bar.set(
                *bytes_done,
                *bytes_total,
                format!("{}/{} {name}", count(*files_done), count(*files_total)),
            );
        }
    }
}

fn report(context: &Context, summary: &Summary, json: bool) -> anyhow::Result<Outcome> {
    if json {
        context.output.json(&IngestSummary::from(summary))?;
    } else {
        context.output.line(sentence(summary));
        if summary.skipped + summary.failed > 0 {
            context.output.note("see `docent status` for the reasons");
        }
    }
    Ok(match () {
        () if summary.interrupted => Outcome::Interrupted,
        () if summary.failed > 0 => Outcome::SomeFailed,
        () => Outcome::Done,
    })
}

/// `12 indexed, 3 unchanged, 1 skipped`.
pub fn sentence(summary: &Summary) -> String {
    let parts = [
        (summary.added, "added"),
        (summary.changed, "changed"),
        (summary.renamed, "renamed"),
        (summary.removed, "removed"),
        (summary.unchanged, "unchanged"),
        (summary.skipped, "skipped"),
        (summary.failed, "failed"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n))).collect();
    let stopped = if summary.interrupted { " (stopped; run it again to go on)" } else { "" };
    if told.is_empty() { format!("no files{stopped}") } else { format!("{}{stopped}", told.join(", ")) }
}
