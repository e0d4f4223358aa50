//! How long the strings take that break programs, in one process with its model and index open: `any_query_time HOME`.
//!
//! Asks every string of `crates/retrieve/tests/nasty` and 200 random ones, in every mode, the question's embedding included, and prints
//! one JSON object a mode: the slowest in milliseconds with its beginning, the median, and how many were refused.

#[path = "../../retrieve/tests/nasty/mod.rs"]
mod nasty;

use std::time::Instant;

use docent::{Library, SearchMode, SearchOptions, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = std::env::args().nth(1).ok_or("any_query_time HOME")?;
    let library = Library::open(Settings::in_folder(home));
    let queries: Vec<String> = nasty::strings().into_iter().chain(nasty::random(200)).collect();
    for (name, mode) in
        [("lexical", SearchMode::Lexical), ("vector", SearchMode::Vector), ("hybrid", SearchMode::Hybrid)]
    {
        let options = SearchOptions { mode, ..SearchOptions::default() };
        library.search("anything", &options)?; // opens model and index
        let mut times: Vec<(f64, &str)> = Vec::new();
        let mut refused: Vec<String> = Vec::new();
        for query in &queries {
            let start = Instant::now();
            let found = library.search(query, &options);
            times.push((start.elapsed().as_secs_f64() * 1000.0, query));
            refused.extend(found.err().map(|error| error.to_string()));
        }
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (slowest, query) = times[times.len() - 1];
        let beginning: String = query.chars().take(12).collect();
        println!(
            "{{\"mode\": \"{name}\", \"queries\": {}, \"p50_ms\": {:.2}, \"slowest_ms\": {slowest:.2}, \"slowest\": {beginning:?}, \
             \"its_bytes\": {}, \"refused\": {}}}",
            times.len(),
            times[times.len() / 2].0,
            query.len(),
            refused.len()
        );
    }
    Ok(())
}
