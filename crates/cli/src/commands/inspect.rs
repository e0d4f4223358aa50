//! `models inspect`: what a GGUF file holds and what memory it needs.

use docent::{KvType, ModelChoice};
use serde_json::json;

use super::Context;
use crate::exit::Outcome;
use crate::output::{bytes, count, printable};

pub fn run(context: &Context, model: &str, json: bool) -> anyhow::Result<Outcome> {
    let chosen = context.library.choose_model(&ModelChoice::Named(model.to_owned()))?;
    let engine = context.library.engine(&chosen, KvType::F16)?;
    let summary = engine.model().summary();
    let config = engine.model().config();
    if json {
        let types: Vec<_> = summary
            .types
            .iter()
            .map(|t| json!({ "type": t.tensor_type.to_string(), "tensors": t.n_tensors, "parameters": t.n_parameters, "bytes": t.n_bytes }))
            .collect();
        let states: Vec<_> =
            summary.state_bytes.iter().map(|(n, b)| json!({ "tokens": n, "bytes": b })).collect();
        context.output.json(&json!({
            "path": chosen.path, "architecture": summary.architecture, "name": summary.name,
            "parameters": summary.n_parameters, "bytes": summary.file_bytes, "layers": config.n_layers,
            "attention_layers": summary.n_attention_layers, "convolution_layers": summary.n_conv_layers,
            "context_length": summary.context_length, "vocabulary": config.n_vocab, "types": types, "state": states,
        }))?;
        return Ok(Outcome::Done);
    }
    let output = &context.output;
    output.line(format!("{:14} {}", "file", chosen.path.display()));
    output.line(format!(
        "{:14} {} ({})",
        "architecture",
        summary.architecture,
        printable(summary.name.as_deref().unwrap_or("unnamed"))
    ));
    output.line(format!(
        "{:14} {}, {}",
        "parameters",
        count(summary.n_parameters as usize),
        bytes(summary.file_bytes)
    ));
    output.line(format!(
        "{:14} {}: {} of attention, {} of convolution; {} wide",
        "layers",
        config.n_layers,
        summary.n_attention_layers,
        summary.n_conv_layers,
        count(config.n_embd)
    ));
    output.line(format!(
        "{:14} {} tokens, vocabulary {}",
        "context",
        count(summary.context_length),
        count(config.n_vocab)
    ));
    for t in &summary.types {
        output.line(format!(
            "{:14} {} {}, {} parameters, {}",
            t.tensor_type,
            t.n_tensors,
            if t.n_tensors == 1 { "tensor" } else { "tensors" },
            count(t.n_parameters as usize),
            bytes(t.n_bytes)
        ));
    }
    for (n_tokens, n_bytes) in &summary.state_bytes {
        let all = summary.file_bytes + n_bytes;
        output.line(format!(
            "{:14} {} tokens: {} of state in f16, {} with the weights",
            "memory",
            count(*n_tokens),
            bytes(*n_bytes),
            bytes(all)
        ));
    }
    Ok(Outcome::Done)
}
