//! `ask --replay`: an answer of the history, made again.

use docent::{Library, Rerank, SearchOptions, Settings};
use serde_json::json;

use super::ask::{Screen, outcome, print_sources};
use super::{Context, models};
use crate::args::AskArgs;
use crate::exit::Outcome;

pub fn run(context: &Context, args: &AskArgs, id: &str) -> anyhow::Result<Outcome> {
    let record = context.library.record(id)?;
    if let Some(made) = &record.made {
        let no_search = SearchOptions { rerank: Rerank::Off, ..SearchOptions::default() };
        models::ensure_for_ask(context, Some(&made.model.name), &no_search, args.evidence.ingest.yes)?;
    }
    // The collection it was asked of, whichever is meant now.
    let settings = Settings { collection: record.collection.clone(), ..context.library.settings().clone() };
    let library = Library::open(settings);
    let mut screen = Screen::new(context, args.json, args.evidence.model.thinking);
    let cancel = context.interrupt.cancel();
    let replayed = library.replay(&record, cancel, &mut |event| screen.show(event))?;
    screen.finish();
    library.flush_prefixes();
    let differences: Vec<String> = replayed.differences.iter().map(ToString::to_string).collect();
    if args.json {
        context.output.json(&json!({
            "id": record.id, "question": record.question, "same": replayed.same, "differences": differences,
            "answer": replayed.answer, "answer_then": record.answer,
        }))?;
    } else {
        for difference in &differences {
            context.output.warn(format!("cannot be made again: {difference}"));
        }
        if let Some(answer) = &replayed.answer {
            print_sources(context, answer, screen.printed);
            let same = if replayed.same { "the same text" } else { "ANOTHER text" };
            context.output.note(format!("{same} as answer {}", record.id));
        }
    }
    Ok(match &replayed.answer {
        Some(answer) if replayed.same => match outcome(context, answer) {
            Outcome::Interrupted => Outcome::Interrupted,
            _ => Outcome::Done,
        },
        _ if context.interrupt.requested() => Outcome::Interrupted,
        _ => Outcome::NotFound,
    })
}
