//! How long searches take, in one process with many clients: `search_latency HOME MODE CLIENTS SEARCHES < questions`.
//!
//! Prints one JSON object: milliseconds of a whole search, the question's embedding included where the mode needs it.

use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use docent::{Library, SearchMode, SearchOptions, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, mode, n_clients, n_searches] = arguments.as_slice() else {
        return Err("search_latency HOME lexical|vector|hybrid CLIENTS SEARCHES < questions".into());
    };
    let mode = match mode.as_str() {
        "lexical" => SearchMode::Lexical,
        "vector" => SearchMode::Vector,
        _ => SearchMode::Hybrid,
    };
    let (n_clients, n_searches): (usize, usize) = (n_clients.parse()?, n_searches.parse()?);
    let mut questions = String::new();
    std::io::stdin().read_to_string(&mut questions)?;
    let questions: Vec<&str> = questions.lines().filter(|line| !line.trim().is_empty()).collect();
    let library = Library::open(Settings::in_folder(home));
    let options = SearchOptions { mode, ..SearchOptions::default() };
    library.search(questions.first().ok_or("no questions")?, &options)?; // opens model and index
    let next = AtomicUsize::new(0);
    let times = Mutex::new(Vec::new());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..n_clients {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= n_searches {
                        return;
                    }
                    let start = Instant::now();
                    let hits = library.search(questions[i % questions.len()], &options);
                    let ms = start.elapsed().as_secs_f64() * 1000.0;
                    assert!(hits.is_ok(), "a search failed");
                    if let Ok(mut times) = times.lock() {
                        times.push(ms);
                    }
                }
            });
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    let mut times = times.into_inner()?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{{\"mode\": \"{}\", \"clients\": {n_clients}, \"searches\": {n_searches}, \"p50_ms\": {:.2}, \"p99_ms\": {:.2}, \"per_s\": {:.1}}}",
        arguments[1],
        at(0.5),
        at(0.99),
        n_searches as f64 / seconds
    );
    Ok(())
}
