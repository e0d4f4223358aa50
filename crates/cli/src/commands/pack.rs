//! `pack`, `ask --dry-run` and `ask --explain`: what is read to answer a question, and why.

use docent::{AskOptions, LeftOutPlace, PackedPlace, Packing, Why};

use super::Context;
use super::ask::{location, prepare};
use crate::args::PackArgs;
use crate::exit::Outcome;
use crate::output::{count, duration};

/// What was left out is listed to this length; --json lists all.
const LISTED: usize = 10;

pub fn run(context: &Context, args: &PackArgs) -> anyhow::Result<Outcome> {
    match prepare(context, &args.question, &args.evidence)? {
        Some(options) => show(context, &args.question, &options, args.json),
        None => Ok(Outcome::Interrupted),
    }
}

/// Prints what would be read to standard output.
pub fn show(
    context: &Context,
    question: &str,
    options: &AskOptions,
    as_json: bool,
) -> anyhow::Result<Outcome> {
    let packing = context.library.packing(question, options, &mut |_| ())?;
    if as_json {
        context.output.json(&packing)?;
    } else {
        table(&packing).iter().for_each(|line| context.output.line(line));
    }
    Ok(if packing.passages.is_empty() { Outcome::NotFound } else { Outcome::Done })
}

/// Tells it on standard error, before an answer.
pub fn explain(context: &Context, question: &str, options: &AskOptions) -> anyhow::Result<()> {
    let packing = context.library.packing(question, options, &mut |_| ())?;
    table(&packing).iter().for_each(|line| context.output.note(line));
    Ok(())
}

fn table(packing: &Packing) -> Vec<String> {
    let mut lines = vec![format!("{:>4} {:>7} {:>7}  {:<12} passage", "", "tokens", "cached", "why")];
    lines.extend(packing.passages.iter().map(row));
    if !packing.left_out.is_empty() {
        lines.push(format!("left out: {}", count(packing.left_out.len())));
        lines.extend(packing.left_out.iter().take(LISTED).map(left_out));
        if packing.left_out.len() > LISTED {
            lines.push(format!("     and {} more", count(packing.left_out.len() - LISTED)));
        }
    }
    let to_read = packing.prompt_tokens - packing.cached_tokens;
    let takes = match packing.estimate_s {
        Some(seconds) => format!("about {}", duration(seconds.max(1.0))),
        None => "nobody knows how long yet: nothing was read with this model".to_owned(),
    };
    lines.push(format!(
        "{}: {} tokens, {} of them cached; {} to read, {takes} (budget {})",
        packing.model,
        count(packing.prompt_tokens),
        count(packing.cached_tokens),
        count(to_read),
        count(packing.budget)
    ));
    lines
}

fn row(packed: &PackedPlace) -> String {
    let why = match (packed.why, packed.rank) {
        (Why::Found, Some(rank)) => format!("found {rank}."),
        (Why::Found, None) => "found".to_owned(),
        (Why::Around, _) => "around it".to_owned(),
        (Why::Kept, _) => "read before".to_owned(),
    };
    let number = format!("[{}]", packed.n);
    let (tokens, cached) = (count(packed.tokens), count(packed.cached_tokens));
    format!("{number:>4} {tokens:>7} {cached:>7}  {why:<12} {}", location(&packed.place))
}

fn left_out(left_out: &LeftOutPlace) -> String {
    let why = match left_out.reason {
        "repeated" => "its text is there already",
        _ => "no room",
    };
    let rank = left_out.rank.map_or_else(String::new, |rank| format!("{rank}."));
    format!("     {rank:>4} {}: {why}", location(&left_out.place))
}
