//! `chat`: talk to a model without documents. The conversation stays in one session, so that each turn reads only what
//! is new.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use docent::chat::{Conversation, Finish, Reply, ReplyEvent};
use docent::{ChosenModel, Engine};

use super::ask::Screen;
use super::{Context, models, profile};
use crate::args::ChatArgs;
use crate::exit::Outcome;
use crate::output::count;

/// The most tokens of a reply, where the model's own limit is lower.
const REPLY_TOKENS: usize = 1024;

pub fn run(context: &Context, args: &ChatArgs) -> anyhow::Result<Outcome> {
    let choice = models::ensure_generation(context, args.evidence.model.model.as_deref(), false)?;
    let model = context.library.choose_model(&choice)?;
    let engine = context.library.engine(&model, models::kv_type(args.evidence.model.kv))?;
    let mut conversation = start(engine, &model, args)?;
    match &args.message {
        Some(message) => {
            anyhow::ensure!(!message.trim().is_empty(), "the message is empty");
            say(context, args, &mut conversation, message)
        }
        None => line_by_line(context, &mut |line| say(context, args, &mut conversation, line)),
    }
}

fn start(engine: Arc<Engine>, model: &ChosenModel, args: &ChatArgs) -> anyhow::Result<Conversation> {
    let mut options = model.generation();
    options.sampling.temperature = args.evidence.model.temperature.unwrap_or(options.sampling.temperature);
    options.sampling.top_k = args.top_k.unwrap_or(options.sampling.top_k);
    options.sampling.top_p = args.top_p.unwrap_or(options.sampling.top_p);
    options.sampling.min_p = args.min_p.unwrap_or(options.sampling.min_p);
    options.sampling.repetition_penalty = args.repeat_penalty.unwrap_or(options.sampling.repetition_penalty);
    options.sampling.seed = args.evidence.model.seed;
    // A conversation may take more words than an answer from documents.
    let room = options.max_tokens.max(REPLY_TOKENS.min(model.context_length / 2));
    options.max_tokens = args.evidence.model.max_tokens.unwrap_or(room);
    options.max_thinking = args.evidence.model.max_thinking.or(options.max_thinking);
    options.json_schema = args.schema.as_deref().map(read_schema).transpose()?;
    Ok(Conversation::new(engine, options)?)
}

fn read_schema(path: &Path) -> anyhow::Result<serde_json::Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// Line by line until the input ends. Ctrl-C stops a reply, and at the prompt the program.
pub fn line_by_line(
    context: &Context,
    say: &mut dyn FnMut(&str) -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    let mut lines = std::io::stdin().lock().lines();
    loop {
        if context.output.interactive {
            eprint!("> ");
            std::io::stderr().flush()?;
        }
        let line = context.interrupt.while_idle(|| lines.next());
        let Some(line) = line.transpose().context("standard input")? else {
            if context.output.interactive {
                eprintln!();
            }
            return Ok(Outcome::Done);
        };
        if line.trim().is_empty() {
            continue;
        }
        match say(&line) {
            Ok(Outcome::Interrupted) if context.output.interactive => context.interrupt.done(),
            Ok(Outcome::Interrupted) => return Ok(Outcome::Interrupted),
            Ok(_) => {}
            // Too long a message, say: the conversation before it is as it was.
            Err(error) if context.output.interactive => context.output.warn(format!("{error:#}")),
            Err(error) => return Err(error),
        }
    }
}

fn say(
    context: &Context,
    args: &ChatArgs,
    conversation: &mut Conversation,
    message: &str,
) -> anyhow::Result<Outcome> {
    let mut screen = Screen::new(context, false, args.evidence.model.thinking);
    let reply: Reply = conversation.say(message, context.interrupt.cancel(), &mut |event| match event {
        ReplyEvent::Reading(_) => (),
        ReplyEvent::Thinking(text) => screen.thought(&text),
        ReplyEvent::Answer(text) => screen.answer(&text),
    })?;
    screen.finish();
    tell(context, &reply);
    profile::tell(context);
    Ok(if context.interrupt.requested() { Outcome::Interrupted } else { Outcome::Done })
}

/// Tokens and seconds, and why a reply ends in the middle.
fn tell(context: &Context, reply: &Reply) {
    let (usage, timing) = (&reply.usage, &reply.timing);
    let thought = match usage.thinking_tokens {
        0 => String::new(),
        n => format!(" ({} of them thinking)", count(n)),
    };
    let cut = match reply.finish {
        Finish::Length => "; cut off there: --max-tokens N lets it go on",
        Finish::Cancelled => "; stopped",
        Finish::Stop => "",
    };
    context.output.note(context.output.dim_note(&format!(
        "{} tokens read ({} of them before), {} written{thought} in {:.1} s{cut}",
        count(usage.prompt_tokens),
        count(usage.cached_tokens),
        count(usage.completion_tokens),
        timing.prefill_s + timing.decode_s
    )));
}
