//! `warm`: reads a folder's packed context ahead of time.

use docent::json::WarmResult;
use docent::{Reading, Rerank, SearchOptions, WarmOptions};

use super::{Context, ingest, models, profile};
use crate::args::WarmArgs;
use crate::exit::Outcome;
use crate::output::{count, duration};
use crate::progress::{Bar, Unit};

pub fn run(context: &Context, args: &WarmArgs) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        context.library.settings().keep_prefixes,
        "--no-cache keeps nothing, so there is nothing to warm"
    );
    let no_search = SearchOptions { rerank: Rerank::Off, ..SearchOptions::default() };
    let model = models::ensure_for_ask(context, args.model.as_deref(), &no_search, args.ingest.yes)?;
    if !args.within.is_empty() && ingest::look_into(context, &args.within)? == Outcome::Interrupted {
        return Ok(Outcome::Interrupted);
    }
    let options = WarmOptions {
        within: args.within.clone(),
        model,
        kv_type: models::kv_type(args.kv),
        budget: args.budget,
    };
    let hashing = Bar::new(context.output.shows_progress(), Unit::Bytes);
    let bar = Bar::new(context.output.shows_progress(), Unit::Tokens);
    let warmed = context.library.warm(&options, context.interrupt.cancel(), &mut |event| match event {
        Reading::Hashed { done, total } => hashing.set(done, total, "first use of this model"),
        Reading::Found { cached, total, estimate_s } => {
            hashing.clear();
            let to_go = estimate_s.map_or_else(String::new, |s| format!("; about {} to go", duration(s)));
            let told = format!("{} of {} tokens cached{to_go}", count(cached), count(total));
            bar.above(|| context.output.note(context.output.dim_note(&told)));
        }
        Reading::Prefill { done, total } => bar.set(done as u64, total as u64, "reading"),
    })?;
    bar.clear();
    profile::tell(context);
    if let Some(failure) = &warmed.written.failure {
        context.output.warn(format!("not all of it could be kept: {failure}"));
    }
    if args.json {
        context.output.json(&WarmResult::from(&warmed))?;
    } else {
        let stopped = if warmed.interrupted { " (stopped; run it again to go on)" } else { "" };
        context.output.line(format!(
            "{} documents, {} tokens: {} were kept already, {} read in {}{stopped}",
            count(warmed.n_documents),
            count(warmed.n_tokens),
            count(warmed.n_cached),
            count(warmed.n_prefilled),
            duration(warmed.seconds)
        ));
    }
    Ok(if warmed.interrupted { Outcome::Interrupted } else { Outcome::Done })
}
