//! `search`: passages, best first.

use std::path::Path;

use docent::json::{HitContext, SearchHit, SearchResult, SecondStage};
use docent::{Narrow, PathGlob, Rerank, SearchMode, SearchOptions};
use docent_serve::Unanswered;

use super::models::{ensure_embedding, ensure_for_search};
use super::{Context, beside, ingest};
use crate::args::{Mode, NarrowArgs, RerankArgs, SearchArgs};
use crate::exit::Outcome;
use crate::output::{self, count, printable};
use crate::progress::{Bar, Unit};
use crate::settings;

/// How much of a passage is shown, in characters.
const SNIPPET: usize = 280;
/// What the collection without a name is called in a list.
pub const UNNAMED: &str = "(no name)";

pub fn run(context: &Context, args: &SearchArgs, collections: &[String]) -> anyhow::Result<Outcome> {
    let library = &context.library;
    let collections: Vec<Option<String>> = match args.all_collections {
        true => library.collections()?.into_iter().map(|collection| collection.name).collect(),
        false => collections.iter().map(|name| settings::named(name)).collect(),
    };
    anyhow::ensure!(
        args.within.is_empty() || collections.len() < 2,
        "--in indexes what it names into one collection: name one; --path narrows a search in several"
    );
    let several = collections.len() > 1;
    let options = SearchOptions {
        k: args.limit as usize,
        within: args.within.clone(),
        narrow: narrow(&args.narrow)?,
        mode: search_mode(args.mode),
        collections: if args.within.is_empty() { collections } else { Vec::new() },
        rerank: rerank(&args.rerank),
        context: usize::from(args.context),
    };
    if !args.within.is_empty() {
        ensure_embedding(context, args.ingest.yes)?;
    }
    ensure_for_search(context, &options, args.ingest.yes)?;
    if !args.within.is_empty() && ingest::look_into(context, &args.within)? == Outcome::Interrupted {
        return Ok(Outcome::Interrupted);
    }
    let bar = Bar::new(context.output.shows_progress(), Unit::Items);
    bar.say("searching");
    let found = found(context, &args.query, &options);
    bar.clear();
    let Some(found) = found? else { return Ok(Outcome::Interrupted) };
    if args.json {
        context.output.json(&found)?;
    } else {
        print(context, &found.hits, several);
        if let Some(SecondStage { model, passages, seconds, .. }) = &found.rerank {
            let told = format!("{model} read {} passages in {seconds:.1} s", count(*passages));
            context.output.note(context.output.dim_note(&told));
        }
    }
    Ok(if found.hits.is_empty() { Outcome::NotFound } else { Outcome::Done })
}

/// What a server of this home finds, or this program alone; none where the user stopped it.
fn found(context: &Context, query: &str, options: &SearchOptions) -> anyhow::Result<Option<SearchResult>> {
    match beside::search(context, query, options) {
        Ok(found) => Ok(Some(found)),
        Err(Unanswered::Stopped) => Ok(None),
        Err(Unanswered::Refused | Unanswered::Failed(_)) => {
            Ok(Some(SearchResult::new(query, &context.library.search(query, options)?)))
        }
    }
}

/// Which rankings, from what was typed.
pub fn search_mode(mode: Mode) -> SearchMode {
    match mode {
        Mode::Hybrid => SearchMode::Hybrid,
        Mode::Lexical => SearchMode::Lexical,
        Mode::Vector => SearchMode::Vector,
    }
}

/// The second stage, from what was typed.
pub fn rerank(args: &RerankArgs) -> Rerank {
    args.rerank.as_deref().map_or(Rerank::AsSet, Rerank::named)
}

/// What narrows the search, from what was typed.
pub fn narrow(args: &NarrowArgs) -> anyhow::Result<Narrow> {
    Ok(Narrow {
        paths: args.paths.iter().map(|glob| PathGlob::new(glob)).collect::<Result<_, _>>()?,
        types: args.types.iter().map(|name| docent::parse_type(name)).collect(),
        changed_from_ns: args.after,
        changed_before_ns: args.before,
    })
}

fn print(context: &Context, hits: &[SearchHit], several: bool) {
    let output = &context.output;
    if hits.is_empty() {
        output.note("nothing found");
    }
    for (idx, hit) in hits.iter().enumerate() {
        let lines = match &hit.context {
            Some(around) => format!(":{}-{}", around.line_start, around.line_end),
            None => format!(":{}", hit.line_start),
        };
        let at = hit.page.map_or(lines, |page| format!(" page {page}"));
        let changed = if hit.changed { "  (changed since it was indexed)" } else { "" };
        let name = hit.collection.as_deref().unwrap_or(UNNAMED);
        let from = if several { format!("  [{name}]") } else { String::new() };
        output.line(format!("{}{at}{from}{changed}", output.bold(&output::place(Path::new(&hit.path)))));
        if !hit.heading_path.is_empty() {
            output.line(output.dim(&format!("  {}", printable(&hit.heading_path.join(" > ")))));
        }
        match &hit.context {
            Some(around) => print_around(context, hit, around),
            None => output.line(format!("  {}", snippet(&hit.text))),
        }
        if idx + 1 < hits.len() {
            output.line("");
        }
    }
}

/// All lines of a stretch; those in which no hit stands are dimmed.
fn print_around(context: &Context, hit: &SearchHit, around: &HitContext) {
    let mut start = around.byte_start;
    for line in around.text.split('\n') {
        let end = start + line.len();
        let others = around.other_hits.iter().map(|other| (other.byte_start, other.byte_end));
        let mut hits = std::iter::once((hit.byte_start, hit.byte_end)).chain(others);
        let is_in_hit = hits.any(|(hit_start, hit_end)| start < hit_end && hit_start <= end);
        let line = format!("  {}", printable(line.trim_end_matches('\r')));
        context.output.line(if is_in_hit { line } else { context.output.dim(&line) });
        start = end + 1;
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
