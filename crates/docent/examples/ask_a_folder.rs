//! Indexes a folder and answers a question from it: docent as a part of another program.
//!
//!     cargo run --release --example ask_a_folder -- HOME FOLDER "QUESTION"
//!
//! HOME keeps index, models and caches: `docent --home HOME models pull all-minilm-l6-v2 smollm2-135m-instruct` puts the models there.

use std::path::PathBuf;
use std::sync::Arc;

use docent::{AskEvent, AskOptions, Library, Progress, SearchOptions, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(home), Some(folder), Some(question)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: ask_a_folder HOME FOLDER QUESTION".into());
    };
    let library = Arc::new(Library::open(Settings::in_folder(std::path::absolute(home)?)));

    // Only what is new or has changed is read. The first closure says when to stop.
    let summary = library.add(&[PathBuf::from(folder)], &|| false, &mut |progress| {
        if let Progress::Working { files_done, files_total, .. } = progress {
            eprint!("\r{files_done} of {files_total} files");
        }
    })?;
    eprintln!("\r{} new, {} unchanged, {} failed", summary.added, summary.unchanged, summary.failed);

    for found in library.search(&question, &SearchOptions { k: 3, ..SearchOptions::default() })?.hits {
        let chunk = &found.hit.chunk;
        println!("{:.3}  {}:{}", found.hit.score, chunk.path.display(), chunk.lines.0);
    }

    let mut asking = library.start_asking(&question, AskOptions::default());
    for event in asking.by_ref() {
        if let AskEvent::Answer(text) = event {
            print!("{text}");
        }
    }
    println!();
    let answer = asking.answer()?;
    for citation in &answer.citations {
        let place = &citation.place;
        println!(
            "[{}] {}:{}  \"{}\"",
            citation.n,
            place.path.display(),
            place.line_start,
            place.quote.trim()
        );
    }
    Ok(())
}
