//! `bench embed`: how fast texts become vectors.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Context;
use crate::args::BenchEmbedArgs;
use crate::exit::Outcome;
use crate::output::name;

pub fn run(context: &Context, args: &BenchEmbedArgs) -> anyhow::Result<Outcome> {
    let place = || format!("cannot read the texts in {}", name(&args.texts));
    let lines = std::fs::read_to_string(&args.texts).with_context(place)?;
    let texts: Vec<String> =
        lines.lines().take(args.limit).map(text_of).collect::<Result<_, _>>().with_context(place)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let runs = context.library.time_embedding(&texts, args.reps.max(1))?;
    let mut speeds: Vec<f64> = runs.iter().map(|run| run.n_tokens as f64 / run.seconds).collect();
    speeds.sort_by(f64::total_cmp);
    let (median, n_tokens) = (speeds[speeds.len() / 2], runs[0].n_tokens);
    let threads = context.library.settings().n_threads;
    if args.json {
        let line = json!({ "texts": texts.len(), "tokens": n_tokens, "threads": threads, "tok_s": median.round(),
            "all_tok_s": speeds.iter().map(|speed| speed.round()).collect::<Vec<_>>() });
        context.output.line(serde_json::to_string(&line)?);
    } else {
        context.output.line(format!(
            "{} texts, {n_tokens} tokens: {median:.0} tokens/s on {threads} threads",
            texts.len()
        ));
    }
    Ok(Outcome::Done)
}

/// Title and text of a line, as test collections have them.
fn text_of(line: &str) -> anyhow::Result<String> {
    let value: Value = serde_json::from_str(line)?;
    let part = |key: &str| value[key].as_str().unwrap_or_default();
    Ok(format!("{} {}", part("title"), part("text")).trim().to_owned())
}
