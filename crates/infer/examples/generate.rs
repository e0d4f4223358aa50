//! Streams one answer: `generate MODEL.gguf QUESTION [--tokens N] [--threads N] [--system TEXT] [--schema FILE]`.

use std::io::Write as _;
use std::path::PathBuf;

use docent_infer::{Cancel, Engine, EngineOptions, Event, GenerateOptions, Sampling};
use docent_kernels::{KvType, Numerics, Settings};
use docent_lm::chat::{ChatOptions, Message};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut places = Vec::new();
    let (mut max_tokens, mut n_threads, mut messages) = (256, 2, Vec::new());
    let mut json_schema = None;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--tokens" => max_tokens = value()?.parse()?,
            "--threads" => n_threads = value()?.parse()?,
            "--schema" => json_schema = Some(serde_json::from_str(&std::fs::read_to_string(value()?)?)?),
            "--system" => messages.push(Message::system(value()?)),
            _ => places.push(argument),
        }
    }
    let [model, question] = places.as_slice() else {
        return Err("usage: generate MODEL.gguf QUESTION".into());
    };
    messages.push(Message::user(question));

    let kernels = Settings { n_threads, isa: None, numerics: Numerics::default(), profile: false };
    let engine = Engine::open(&PathBuf::from(model), &EngineOptions { kv_type: KvType::F16, kernels })?;
    let template = engine.model().chat_template().ok_or("the model has no chat template")?;
    let prompt = template.tokens(engine.model().tokenizer(), &messages, &ChatOptions::default())?;
    let options = GenerateOptions {
        max_tokens,
        json_schema,
        sampling: Sampling::default(),
        ..GenerateOptions::default()
    };
    let mut out = std::io::stdout();
    let done = engine.generate(&prompt, &options, &Cancel::new(), &mut |event| {
        if let Event::Thinking(text) | Event::Answer(text) = event {
            let _ = write!(out, "{text}").and_then(|()| out.flush());
        }
    })?;
    println!("\n{:?} {:?} {:?}", done.finish, done.usage, done.timing);
    Ok(())
}
