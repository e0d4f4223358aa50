//! `watch`: one line for each update, until Ctrl-C.

use std::time::Duration;

use docent::json::IngestSummary;
use docent::{Summary, WatchEvent, WatchOptions};
use serde::Serialize;

use super::models::ensure_embedding;
use super::{Context, ingest};
use crate::args::WatchArgs;
use crate::exit::Outcome;
use crate::output::{count, name};
use crate::progress::{Bar, Unit};

pub fn run(context: &Context, args: &WatchArgs) -> anyhow::Result<Outcome> {
    ensure_embedding(context, args.ingest.yes)?;
    let options = WatchOptions {
        quiet: Duration::from_secs_f64(args.quiet_for),
        sweep: Duration::from_secs_f64(args.sweep),
    };
    let mut bar: Option<Bar> = None;
    let mut is_first = true;
    let watched =
        context.library.watch(&options, &|| context.interrupt.requested(), &mut |event| match event {
            WatchEvent::Progress(progress) => {
                let bar = bar.get_or_insert_with(|| Bar::new(context.output.shows_progress(), Unit::Bytes));
                ingest::draw(context, bar, &progress);
            }
            WatchEvent::Watching(roots, unwatched) => {
                bar = None;
                context
                    .output
                    .note(format!("watching {} folders and files; Ctrl-C ends", count(roots.len())));
                for (root, why) in unwatched {
                    let root = name(&root);
                    context.output.warn(format!("{root} is looked at every {} s only: {why}", args.sweep));
                }
            }
            WatchEvent::Updated(summary) => {
                bar = None;
                tell(context, args.json, &summary, std::mem::take(&mut is_first));
            }
            WatchEvent::Failed(error) => {
                bar = None;
                context.output.warn(error.to_string());
            }
        });
    watched?;
    Ok(Outcome::Done)
}

/// A line of `watch --json`.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    summary: IngestSummary,
    time: String,
}

/// The first update, and every one that changed something.
fn tell(context: &Context, as_json: bool, summary: &Summary, is_first: bool) {
    if !is_first && summary.n_changes() == 0 {
        return;
    }
    let now = jiff::Zoned::now();
    if as_json {
        let told = Told { summary: summary.into(), time: now.timestamp().to_string() };
        context.output.line(serde_json::to_string(&told).unwrap_or_default());
    } else {
        context.output.line(format!("{}  {}", now.strftime("%H:%M:%S"), ingest::sentence(summary)));
    }
}
