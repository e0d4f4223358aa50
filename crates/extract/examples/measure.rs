//! Extracts every file under the given paths and says what came of it: `cargo run --release -p docent-extract --example measure -- PATH…`.
//!
//! One line a file (milliseconds, fate, name, then bytes of text and blocks or the reason), then the sums. With `--text` before the
//! paths, the text of each file is printed instead; with `--here`, PDFs are read on a thread of this process and not in a worker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use docent_extract::{ExtractError, Limits, Worker, extract, run_worker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--worker") {
        return Ok(run_worker(std::io::stdin().lock(), std::io::stdout())?);
    }
    let mut take = |flag: &str| args.iter().position(|arg| arg == flag).map(|i| args.remove(i)).is_some();
    let (only_text, here) = (take("--text"), take("--here"));
    let worker = Worker::new(std::env::current_exe()?, vec!["--worker".into()], 4 << 30);
    let worker = (!here).then(|| Arc::new(worker));
    let limits = Limits { timeout: Duration::from_secs(30), worker, ..Limits::default() };
    let mut files = Vec::new();
    for path in &args {
        collect(Path::new(path), &mut files)?;
    }
    let (mut n_ok, mut n_skipped, mut n_failed, mut n_bytes) = (0, 0, 0, 0);
    let start = Instant::now();
    for path in &files {
        let bytes = std::fs::read(path)?;
        n_bytes += bytes.len();
        let begin = Instant::now();
        let result = extract(path, &bytes, &limits);
        let took = begin.elapsed().as_millis();
        let name = path.display();
        match result {
            Ok(document) => {
                n_ok += 1;
                document.check()?;
                if only_text {
                    println!("{}", document.text);
                } else {
                    println!(
                        "{took:6} ok {name} {} bytes, {} blocks, {} pages",
                        document.text.len(),
                        document.blocks.len(),
                        document.pages.len()
                    );
                }
            }
            Err(error) => {
                let fate = if matches!(error, ExtractError::Skipped { .. }) { "skipped" } else { "failed" };
                n_skipped += usize::from(fate == "skipped");
                n_failed += usize::from(fate == "failed");
                if !only_text {
                    println!("{took:6} {fate} {name}: {error}");
                }
            }
        }
    }
    if !only_text {
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{n_ok} ok, {n_skipped} skipped, {n_failed} failed; {:.1} MB in {seconds:.1} s",
            n_bytes as f64 / 1e6
        );
    }
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries.iter().filter(|entry| !entry.is_symlink()).try_for_each(|entry| collect(entry, files))
}
