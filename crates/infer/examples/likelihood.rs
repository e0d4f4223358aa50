//! Mean negative log-likelihood of a text, and its token ids for another implementation:
//! `likelihood MODEL.gguf TEXT [--ids IDS] [--kv f32|f16]`.

use std::path::PathBuf;

use docent_infer::{Engine, EngineOptions, mean_nll};
use docent_kernels::{KvType, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut places, mut ids_to, mut kv_type) = (Vec::new(), None, KvType::F16);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--ids" => ids_to = arguments.next(),
            "--kv" if arguments.next().as_deref() == Some("f32") => kv_type = KvType::F32,
            "--kv" => {}
            _ => places.push(argument),
        }
    }
    let [model, text] = places.as_slice() else {
        return Err("usage: likelihood MODEL.gguf TEXT [--ids IDS] [--kv f32|f16]".into());
    };
    let engine =
        Engine::open(&PathBuf::from(model), &EngineOptions { kv_type, kernels: Settings::default() })?;
    let ids = engine.model().tokenizer().encode(&std::fs::read_to_string(text)?);
    if let Some(path) = ids_to {
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        std::fs::write(path, ids.join(","))?;
    }
    println!("{} tokens, mean negative log-likelihood {:.6}", ids.len(), mean_nll(engine.model(), &ids)?);
    Ok(())
}
