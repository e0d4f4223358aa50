//! How fast texts become vectors: `cargo run --release -p docent-embed --example speed -- MODEL_DIR TEXT_FILE [THREADS]`.
//!
//! The file is cut into pieces of 180 words, about what the chunker makes. Prints the time to open the model, the time
//! of one short query, and tokens a second, best and median of five runs.

use docent_embed::Embedder;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(file)) = (args.next(), args.next()) else {
        return Err("usage: speed MODEL_DIR TEXT_FILE [THREADS]".into());
    };
    let n_threads = args.next().map_or(Ok(2), |n| n.parse())?;
    let text = std::fs::read_to_string(file)?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let pieces: Vec<String> = words.chunks(180).take(256).map(|words| words.join(" ")).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();

    let start = Instant::now();
    let embedder = Embedder::open(Path::new(&dir), n_threads)?;
    println!("open         {:8.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    embedder.embed(&["when does the museum open?"])?;
    println!("first query  {:8.1} ms", start.elapsed().as_secs_f64() * 1e3);

    let n_tokens: usize =
        pieces.iter().map(|p| embedder.count_tokens(p).min(embedder.max_tokens()) + 2).sum();
    let mut speeds = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        embedder.embed(&pieces)?;
        speeds.push(n_tokens as f64 / start.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    println!("{} texts, {n_tokens} tokens, {n_threads} threads", pieces.len());
    println!("best {:.0} tokens/s, median {:.0} tokens/s", speeds[4], speeds[2]);
    Ok(())
}
