//! `chat`: talk to a model without documents. The conversation stays in one session, so that each turn reads only what
//! is new.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;

use docent::chat::{Conversation, Reply, ReplyEvent};
use docent::{ChosenModel, Engine};

use super::ask::Screen;
use super::{Context, models};
use crate::args::ChatArgs;
use crate::exit::Outcome;
use crate::output::count;

pub fn run(context: &Context, args: &ChatArgs) -> anyhow::Result<Outcome> {
    let choice = models::ensure_generation(context, args.model.model.as_deref(), false)?;
    let model = context.library.choose_model(&choice)?;
    let engine = context.library.engine(&model, models::kv_type(args.model.kv))?;
    let mut conversation = start(engine, &model, args)?;
    match &args.message {
        Some(message) => say(context, args, &mut conversation, message),
        None => talk(context, args, &mut conversation),
    }
}

fn start(engine: Arc<Engine>, model: &ChosenModel, args: &ChatArgs) -> anyhow::Result<Conversation> {
    let mut options = model.generation();
    options.sampling.temperature = args.model.temperature.unwrap_or(options.sampling.temperature);
    options.sampling.seed = args.model.seed;
    options.max_tokens = args.model.max_tokens.unwrap_or(options.max_tokens);
    options.max_thinking = args.model.max_thinking.or(options.max_thinking);
    Ok(Conversation::new(engine, options)?)
}

/// Line by line until the input ends.
fn talk(context: &Context, args: &ChatArgs, conversation: &mut Conversation) -> anyhow::Result<Outcome> {
    let mut lines = std::io::stdin().lock().lines();
    loop {
        if context.output.interactive {
            eprint!("> ");
            std::io::stderr().flush()?;
        }
        let Some(line) = lines.next().transpose()? else { return Ok(Outcome::Done) };
        if line.trim().is_empty() {
            continue;
        }
        if say(context, args, conversation, &line)? == Outcome::Interrupted {
            return Ok(Outcome::Interrupted);
        }
    }
}

fn say(
    context: &Context,
    args: &ChatArgs,
    conversation: &mut Conversation,
    message: &str,
) -> anyhow::Result<Outcome> {
    let mut screen = Screen::new(context, false, args.model.thinking);
    let reply: Reply = conversation.say(message, context.interrupt.cancel(), &mut |event| match event {
        ReplyEvent::Prefill { .. } => (),
        ReplyEvent::Thinking(text) => screen.thought(&text),
        ReplyEvent::Answer(text) => screen.answer(&text),
    })?;
    screen.finish();
    context.output.note(context.output.dim(&format!(
        "{} tokens read ({} of them before), {} written in {:.1} s",
        count(reply.usage.prompt_tokens),
        count(reply.usage.cached_tokens),
        count(reply.usage.completion_tokens),
        reply.timing.prefill_s + reply.timing.decode_s
    )));
    Ok(if context.interrupt.requested() { Outcome::Interrupted } else { Outcome::Done })
}
