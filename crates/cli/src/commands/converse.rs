//! `chat --in`: questions about documents that follow each other.

use docent::{AskOptions, ModelChoice, Talk};
use serde_json::json;

use super::ask::{Screen, outcome, print_sources, style, tell_written, with_store};
use super::history::when;
use super::{Context, ask, chat, ingest, models, profile};
use crate::args::ChatArgs;
use crate::exit::Outcome;
use crate::output::{self, count, printable};

pub fn run(context: &Context, args: &ChatArgs) -> anyhow::Result<Outcome> {
    if args.list {
        return list(context, args.json);
    }
    if let Some(message) = &args.message {
        anyhow::ensure!(!message.trim().is_empty(), "the message is empty");
    }
    let Some(options) = options(context, args)? else { return Ok(Outcome::Interrupted) };
    let mut screen = Screen::new(context, args.json, args.evidence.model.thinking);
    let mut talk = match &args.resume {
        Some(id) => {
            let (talk, differences) =
                context.library.resume(id, &options, &mut |event| screen.show(event))?;
            for difference in differences {
                context.output.warn(format!("left out of what was read: {difference}"));
            }
            talk
        }
        None => context.library.talk(&options, &mut |event| screen.show(event))?,
    };
    screen.finish();
    let last = match &args.message {
        Some(message) => say(context, args, &mut talk, message),
        None => chat::line_by_line(context, &mut |line| say(context, args, &mut talk, line)),
    };
    tell_written(context, &context.library.flush_prefixes());
    if args.history.days().is_some() && !args.json {
        let name = format!("docent chat --resume {} takes this conversation up again", talk.id());
        context.output.note(context.output.dim_note(&name));
    }
    last
}

/// What the conversation is about, and with which model: that of a conversation that is taken up again unless another is named.
fn options(context: &Context, args: &ChatArgs) -> anyhow::Result<Option<AskOptions>> {
    let turns = match &args.resume {
        Some(id) => context.library.conversation(id)?,
        None => Vec::new(),
    };
    if let Some(turn) = turns.last() {
        anyhow::ensure!(
            turn.collection == context.library.settings().collection,
            "that conversation is about the collection {}: name it with --collection",
            turn.collection.as_deref().unwrap_or(crate::args::UNNAMED)
        );
    }
    let Some(mut options) = ask::prepare(context, "a conversation", &args.evidence)? else { return Ok(None) };
    options.style = style(args.style);
    if let Some(turn) = turns.last() {
        options.within.clone_from(&turn.within);
        if !turn.within.is_empty() && ingest::look_into(context, &turn.within)? == Outcome::Interrupted {
            return Ok(None);
        }
        if args.evidence.model.model.is_none() {
            models::ensure_generation(context, Some(&turn.model), args.evidence.ingest.yes)?;
            options.model = ModelChoice::Named(turn.model.clone());
        }
    }
    Ok(Some(options))
}

fn say(context: &Context, args: &ChatArgs, talk: &mut Talk<'_>, question: &str) -> anyhow::Result<Outcome> {
    let mut screen = Screen::new(context, args.json, args.evidence.model.thinking);
    let answer = talk.ask(question, context.interrupt.cancel(), &mut |event| screen.show(event))?;
    screen.finish();
    profile::tell(context);
    if args.json {
        let mut value = serde_json::to_value(with_store(&answer, &context.library.flush_prefixes()))?;
        value["conversation"] = json!(talk.id());
        context.output.line(value.to_string());
    } else {
        print_sources(context, &answer, screen.printed);
        if args.message.is_none() {
            context.output.line("");
        }
    }
    Ok(outcome(context, &answer))
}

fn list(context: &Context, as_json: bool) -> anyhow::Result<Outcome> {
    let conversations = context.library.conversations()?;
    if as_json {
        context.output.json(&json!({ "conversations": conversations }))?;
    } else {
        for info in &conversations {
            let (id, turns) = (&info.id, count(info.n_turns));
            let about = match info.within.as_slice() {
                [] => String::new(),
                paths => {
                    let paths: Vec<String> = paths.iter().map(|path| output::place(path)).collect();
                    format!("  ({})", paths.join(", "))
                }
            };
            let question = printable(&info.question);
            context
                .output
                .line(format!("{id}  {}  {turns:>3} questions  {question}{about}", when(info.asked_at)));
        }
    }
    if conversations.is_empty() {
        context.output.note("no conversation about documents was written down yet");
        return Ok(Outcome::NotFound);
    }
    Ok(Outcome::Done)
}
