//! Ingests a folder into an index and says how long each part took: what to run before and after a change that is meant to
//! make ingestion faster.
//!
//! ```text
//! cargo run --release -p docent-ingest --example ingest_folder -- FOLDER INDEX_DIR [MODEL_DIR]
//! ```
//!
//! Without a model directory (all-MiniLM-L6-v2 as `docent models path all-minilm-l6-v2` gives it) nothing is embedded.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use docent_embed::Embedder;
use docent_index::{EmbeddingSpec, Index, IndexOptions};
use docent_ingest::{Embed, IngestOptions, Progress, ingest};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, index_dir, model_dir @ ..] = args.as_slice() else {
        return Err("usage: ingest_folder FOLDER INDEX_DIR [MODEL_DIR]".into());
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let embedder = model_dir.first().map(|dir| Embedder::open(Path::new(dir), n_threads)).transpose()?;
    let spec =
        embedder.as_ref().map(|e| EmbeddingSpec { fingerprint: e.fingerprint().to_owned(), dim: e.dim() });

    let started = Instant::now();
    let mut writer = Index::open(index_dir, &IndexOptions { read_only: false })?.writer(spec)?;
    writer.add_root(folder, true)?;
    println!("opened in {:.3} s", started.elapsed().as_secs_f64());

    let started = Instant::now();
    let mut last = 0;
    let mut bytes = 0;
    let mut progress = |progress: Progress| {
        if let Progress::Working { files_done, files_total, bytes_done, bytes_total, .. } = progress {
            bytes = bytes_done;
            let seconds = started.elapsed().as_secs();
            if seconds >= last + 10 {
                last = seconds;
                println!("{seconds} s: {files_done}/{files_total} files, {bytes_done}/{bytes_total} bytes");
            }
        }
    };
    let embed = embedder.as_ref().map(|embedder| embedder as &dyn Embed);
    let roots = [folder.clone()];
    let summary = ingest(&mut writer, embed, &roots, &IngestOptions::default(), &|| false, &mut progress)?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{summary:?}");
    println!(
        "{seconds:.2} s: {:.0} files/s, {:.2} MB/s, {:.0} passages/s",
        summary.n_read as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        summary.n_embedded as f64 / seconds
    );
    Ok(())
}
