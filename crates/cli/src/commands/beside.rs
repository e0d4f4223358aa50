//! Asking the server that has this home's models open, where one runs: nothing is loaded twice, and one process writes to the index.

use std::path::{Path, PathBuf};

use docent::json::{AskResult, SearchResult};
use docent::{AskOptions, Progress, SearchOptions, Summary};
use docent_serve::{Indexing, Told, Unanswered};

use super::Context;
use super::ask::{Screen, outcome, print_sources, tell_stored};
use crate::args::AskArgs;
use crate::exit::Outcome;
use crate::output::count;

/// Answers as `ask` does; none where it has to do so itself.
pub fn ask(
    context: &Context,
    args: &AskArgs,
    question: &str,
    options: &AskOptions,
) -> anyhow::Result<Option<Outcome>> {
    let Some(server) = context.server() else { return Ok(None) };
    let mut screen = Screen::new(context, args.json, args.evidence.model.thinking);
    let cancel = context.interrupt.cancel();
    let answered = server.ask(question, options, &context.library, cancel, &mut |told| match told {
        Told::Queued { ahead: 0 } => (),
        Told::Queued { ahead } => screen.note(&format!("asked before this one: {}", count(ahead))),
        Told::Event(event) => screen.show(event),
    });
    screen.finish();
    let AskResult { answer, prefix_store } = match answered {
        Ok(result) if args.json => {
            context.output.json(&result)?;
            return Ok(Some(outcome(context, &result.answer)));
        }
        Ok(result) => result,
        Err(Unanswered::Refused) => return Ok(None),
        Err(Unanswered::Stopped) => return Ok(Some(Outcome::Interrupted)),
        Err(Unanswered::Failed(why)) => anyhow::bail!(why),
    };
    print_sources(context, &answer, screen.printed);
    tell_stored(context, &prefix_store);
    Ok(Some(outcome(context, &answer)))
}

/// Finds as `search` does.
///
/// # Errors
/// Why not: it has to do so itself, as a rule.
pub fn search(context: &Context, query: &str, options: &SearchOptions) -> Result<SearchResult, Unanswered> {
    let server = context.server().ok_or(Unanswered::Refused)?;
    server.search(query, options, &context.library, context.interrupt.cancel())
}

/// Has `what` done with `paths`; none where the command has to do it itself, or what is left of it.
pub fn index(
    context: &Context,
    what: Indexing,
    paths: &[PathBuf],
    progress: &mut dyn FnMut(Progress),
) -> Option<Summary> {
    let server = context.server()?;
    let absolute = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    let paths = paths.iter().map(|path| absolute(path)).collect::<Option<Vec<PathBuf>>>()?;
    server.index(what, paths, &context.library, context.interrupt.cancel(), progress).ok()
}
