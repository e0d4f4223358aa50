//! `search`: passages, best first.

use docent::{Hit, Narrow, PathGlob, SearchMode, SearchOptions};
use serde_json::json;

use super::models::ensure_embedding;
use super::{Context, ingest};
use crate::args::{Mode, NarrowArgs, SearchArgs};
use crate::exit::Outcome;
use crate::output::{self, printable};

/// How much of a passage is shown, in characters.
const SNIPPET: usize = 280;

pub fn run(context: &Context, args: &SearchArgs) -> anyhow::Result<Outcome> {
    if args.mode != Mode::Lexical || !args.within.is_empty() {
        ensure_embedding(context, args.ingest.yes)?;
    }
    if !args.within.is_empty() && ingest::look_into(context, &args.within)? == Outcome::Interrupted {
        return Ok(Outcome::Interrupted);
    }
    let mode = match args.mode {
        Mode::Hybrid => SearchMode::Hybrid,
        Mode::Lexical => SearchMode::Lexical,
        Mode::Vector => SearchMode::Vector,
    };
    let narrow = narrow(&args.narrow)?;
    let options = SearchOptions { k: args.limit as usize, within: args.within.clone(), narrow, mode };
    let hits = context.library.search(&args.query, &options)?;
    if args.json {
        let hits: Vec<_> = hits.iter().map(as_json).collect();
        context.output.json(&json!({ "query": args.query, "hits": hits }))?;
    } else {
        print(context, &hits);
    }
    Ok(if hits.is_empty() { Outcome::NotFound } else { Outcome::Done })
}

/// What narrows the search, from what was typed.
pub fn narrow(args: &NarrowArgs) -> anyhow::Result<Narrow> {
    Ok(Narrow {
        paths: args.paths.iter().map(|glob| PathGlob::new(glob)).collect::<Result<_, _>>()?,
        types: args.types.iter().map(|name| name.trim().trim_start_matches('.').to_lowercase()).collect(),
        changed_from_ns: args.after,
        changed_before_ns: args.before,
    })
}

fn as_json(hit: &Hit) -> serde_json::Value {
    let chunk = &hit.chunk;
    json!({
        "path": chunk.path, "score": hit.score, "title": chunk.title, "heading_path": chunk.heading_path,
        "byte_start": chunk.span.start, "byte_end": chunk.span.end,
        "line_start": chunk.lines.0, "line_end": chunk.lines.1, "page": chunk.page,
        "format": chunk.format, "text": chunk.text, "changed": hit.changed(),
    })
}

fn print(context: &Context, hits: &[Hit]) {
    let output = &context.output;
    if hits.is_empty() {
        output.note("nothing found");
    }
    for (idx, hit) in hits.iter().enumerate() {
        let chunk = &hit.chunk;
        let at = chunk.page.map_or_else(|| format!(":{}", chunk.lines.0), |page| format!(" page {page}"));
        let changed = if hit.changed() { "  (changed since it was indexed)" } else { "" };
        output.line(format!("{}{at}{changed}", output.bold(&output::place(&chunk.path))));
        if !chunk.heading_path.is_empty() {
            output.line(output.dim(&format!("  {}", printable(&chunk.heading_path.join(" > ")))));
        }
        output.line(format!("  {}", snippet(&chunk.text)));
        if idx + 1 < hits.len() {
            output.line("");
        }
    }
}

/// The start of a passage on one line.
fn snippet(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SNIPPET) {
        Some((end, _)) => printable(&format!("{}…", &line[..end])),
        None => printable(&line),
    }
}
