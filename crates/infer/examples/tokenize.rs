//! Token ids of texts, for comparison with another tokenizer: `tokenize MODEL.gguf` reads a JSON array of strings from standard input
//! and writes a JSON array of arrays of ids.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Instant;

use docent_infer::{Engine, EngineOptions};
use docent_kernels::{KvType, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = std::env::args().nth(1).ok_or("usage: tokenize MODEL.gguf <texts.json >ids.json")?;
    let kernels = Settings { n_threads: 1, ..Settings::default() };
    let started = Instant::now();
    let engine = Engine::open(&PathBuf::from(model), &EngineOptions { kv_type: KvType::F16, kernels })?;
    let opened = started.elapsed();
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let texts: Vec<String> = serde_json::from_str(&input)?;
    let started = Instant::now();
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| engine.model().tokenizer().encode(text)).collect();
    let n_bytes: usize = texts.iter().map(String::len).sum();
    eprintln!("opened in {opened:?}; {n_bytes} bytes in {:?}", started.elapsed());
    let n_changed =
        texts.iter().zip(&ids).filter(|(text, ids)| engine.model().tokenizer().decode(ids) != **text);
    eprintln!("{} texts do not survive the round trip", n_changed.count());
    println!("{}", serde_json::to_string(&ids)?);
    Ok(())
}
