//! `search`.

use docent::{FoundHit, Library, SearchOptions};
use serde_json::{Value, json};

use crate::Options;
use crate::arguments::Search;
use crate::places::location;
use crate::reply::{Replied, Reply, capped};

/// The most characters shown of a passage. A passage is seldom longer; `read_passage` shows the rest.
const SNIPPET: usize = 1_200;

pub fn search(library: &Library, options: &Options, wanted: &Search) -> Replied {
    wanted.check()?;
    let options = SearchOptions {
        k: wanted.limit,
        narrow: wanted.narrow()?,
        rerank: options.rerank.clone(),
        ..SearchOptions::default()
    };
    let found = library.search(&wanted.query, &options).map_err(|error| error.to_string())?;
    let hits: Vec<Value> = found.hits.iter().map(as_json).collect();
    let text = match hits.len() {
        0 => "Nothing found.".to_owned(),
        _ => found
            .hits
            .iter()
            .enumerate()
            .map(|(idx, hit)| as_text(idx + 1, hit))
            .collect::<Vec<_>>()
            .join("\n\n"),
    };
    Ok(Reply { text, json: json!({ "query": wanted.query, "hits": hits }) })
}

fn as_text(n: usize, found: &FoundHit) -> String {
    let chunk = &found.hit.chunk;
    let lines = (chunk.lines.0 as usize, chunk.lines.1 as usize);
    let place = location(&chunk.path, lines, chunk.page, &chunk.heading_path);
    let (text, is_cut) = capped(&chunk.text, SNIPPET);
    let changed = if found.hit.changed() { "\n(The file has changed since it was indexed.)" } else { "" };
    let more = if is_cut { " […]" } else { "" };
    format!("{n}. {place}{changed}\n{}{more}", text.trim_end())
}

fn as_json(found: &FoundHit) -> Value {
    let (hit, chunk) = (&found.hit, &found.hit.chunk);
    let (text, is_cut) = capped(&chunk.text, SNIPPET);
    json!({
        "path": chunk.path.to_string_lossy(), "line_start": chunk.lines.0, "line_end": chunk.lines.1, "page": chunk.page,
        "title": chunk.title, "heading_path": chunk.heading_path, "score": hit.score, "text": text, "cut": is_cut,
        "changed": hit.changed(),
    })
}
