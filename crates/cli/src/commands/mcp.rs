//! `mcp`: the library for coding agents and chat programs, over standard input and output.

use std::sync::Arc;

use docent::AskOptions;
use docent_mcp::Options;

use super::{Context, ask, models, search};
use crate::args::McpArgs;
use crate::exit::Outcome;

/// Serves until the input ends. Standard output is the protocol's: what else is to be told goes to standard error.
pub fn run(mut context: Context, args: &McpArgs) -> anyhow::Result<Outcome> {
    context.library.keep_history(args.history.days());
    let rerank = search::rerank(&args.rerank);
    let options = Options {
        ask: AskOptions {
            model: models::choice(args.model.model.as_deref()),
            style: ask::style(args.style),
            rerank: rerank.clone(),
            ..ask::options(&args.reading, &args.model)
        },
        rerank,
    };
    let library = Arc::new(context.library);
    // An answer is stopped by the client or the end of its input, so Ctrl-C may end the program at once.
    context.interrupt.while_idle(|| docent_mcp::serve_stdio(library, options))?;
    Ok(Outcome::Done)
}
