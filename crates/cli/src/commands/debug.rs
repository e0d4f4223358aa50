//! `debug`: the numbers behind an answer, for comparison with other programs.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use docent::{AskOptions, Engine, ModelChoice, Prompt, Style, SyncEvent, WarmOptions};
use docent_lm::npy::write_npy_f32;
use docent_lm::{Block, Logits, Model};
use serde_json::json;

use super::{Context, ask, models};
use crate::args::{DebugCommand, Kv};
use crate::exit::Outcome;
use crate::memory;

/// Tokens that `debug memory` computes with the weights alone.
const SHORT_CONTEXT: usize = 512;

pub fn run(context: &Context, command: DebugCommand) -> anyhow::Result<Outcome> {
    match command {
        DebugCommand::Logits { model, tokens, out, kv, last, chunk } => {
            let engine = engine(context, model, kv)?;
            let ids = read_ids(Some(&tokens))?;
            let chunk = chunk.unwrap_or(ids.len()).max(1);
            match last {
                true => last_logits(context, &engine, &ids, chunk, &out),
                false => all_logits(engine.model(), &ids, chunk, &out),
            }
        }
        DebugCommand::Tokenize { model, file, special, json } => {
            let engine = engine(context, model, Kv::F16)?;
            let text = read_text(file.as_deref())?;
            let tokenizer = engine.model().tokenizer();
            let ids =
                |text: &str| if special { tokenizer.encode_template(text) } else { tokenizer.encode(text) };
            if json {
                let texts: Vec<String> =
                    serde_json::from_str(&text).context("expected a JSON array of strings")?;
                let ids: Vec<Vec<u32>> = texts.iter().map(|text| ids(text)).collect();
                context.output.line(serde_json::to_string(&ids)?);
            } else {
                let ids: Vec<String> = ids(&text).iter().map(u32::to_string).collect();
                context.output.line(ids.join(" "));
            }
            Ok(Outcome::Done)
        }
        DebugCommand::Likelihood { model, file, tokens, kv } => {
            let engine = engine(context, model, kv)?;
            let ids = match tokens {
                true => read_ids(file.as_deref())?,
                false => engine.model().tokenizer().encode(&read_text(file.as_deref())?),
            };
            let nll = docent::mean_nll(engine.model(), &ids)?;
            context
                .output
                .line(json!({ "tokens": ids.len(), "nll": nll, "perplexity": nll.exp() }).to_string());
            Ok(Outcome::Done)
        }
        DebugCommand::Warm { model, within, budget } => {
            let model = ModelChoice::Named(model);
            let options = WarmOptions { within, model, budget, ..WarmOptions::default() };
            let ids = context.library.warm_tokens(&options)?;
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            context.output.line(ids.join(" "));
            Ok(Outcome::Done)
        }
        DebugCommand::Prompt { question, evidence } => {
            let Some(mut options) = ask::prepare(context, &question, &evidence)? else {
                return Ok(Outcome::Interrupted);
            };
            options.style = Style::Write;
            context.output.json(&context.library.prompt(&question, &options, &mut |_| ())?)?;
            Ok(Outcome::Done)
        }
        DebugCommand::Held { file, within } => {
            let options = AskOptions { within, ..AskOptions::default() };
            for question in read_text(file.as_deref())?.lines().filter(|line| !line.trim().is_empty()) {
                let weighed = context.library.weighed(question, &options)?;
                context.output.line(serde_json::to_string(&weighed)?);
            }
            Ok(Outcome::Done)
        }
        DebugCommand::Memory { model, context: n_tokens, kv } => memory(context, model, n_tokens, kv),
    }
}

fn engine(context: &Context, model: String, kv: Kv) -> anyhow::Result<Arc<Engine>> {
    let chosen = context.library.choose_model(&ModelChoice::Named(model))?;
    Ok(context.library.engine(&chosen, models::kv_type(kv))?)
}

/// Prefills `ids` in pieces of `chunk` and writes the logits of every position. The prefix store is not touched.
fn all_logits(model: &Model, ids: &[u32], chunk: usize, out: &Path) -> anyhow::Result<Outcome> {
    let mut state = model.new_state();
    let mut rows = Vec::new();
    for piece in ids.chunks(chunk) {
        rows.extend(model.forward(&mut state, piece, Logits::All)?);
    }
    write_rows(model, &rows, out)
}

/// Writes the logits of the last position, with the beginning taken from the prefix store as far as it is there; what is computed is
/// kept there as each block fills.
fn last_logits(
    context: &Context,
    engine: &Arc<Engine>,
    ids: &[u32],
    chunk: usize,
    out: &Path,
) -> anyhow::Result<Outcome> {
    let model = engine.model();
    let prefixes = context.library.prefixes(engine, &mut |_| ());
    let mut session = engine.session();
    let (mut n_cached, mut n_prefilled, mut logits) = (None, 0, Vec::new());
    for end in (chunk..ids.len()).step_by(chunk).chain([ids.len()]) {
        // Of a piece in the middle only whole blocks are worth keeping.
        let n_kept = if end == ids.len() { end } else { end / docent_lm::KV_BLOCK * docent_lm::KV_BLOCK };
        let prompt = Prompt { n_kept, ..Prompt::passing(&ids[..end]) };
        let synced = session.sync_kept(model, &prompt, prefixes.as_ref(), &mut |event| {
            if let (SyncEvent::Filled(block), Some(prefixes)) = (event, &prefixes) {
                prefixes.store().keep(block);
            }
            match context.interrupt.requested() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        let synced = match synced {
            Err(_) if context.interrupt.requested() => return Ok(Outcome::Interrupted),
            synced => synced?,
        };
        n_cached.get_or_insert(synced.n_cached);
        n_prefilled += synced.n_prefilled;
        logits = synced.logits;
    }
    eprintln!("cached={} prefilled={n_prefilled}", n_cached.unwrap_or(0));
    write_rows(model, &logits, out)
}

fn write_rows(model: &Model, rows: &[f32], out: &Path) -> anyhow::Result<Outcome> {
    let n_vocab = model.config().n_vocab;
    write_npy_f32(out, rows.len() / n_vocab, n_vocab, rows).with_context(|| format!("{}", out.display()))?;
    Ok(Outcome::Done)
}

/// Opens a model, gives it a state of `n_tokens` every page of which is written, and computes a token behind it.
fn memory(context: &Context, model: String, n_tokens: Option<usize>, kv: Kv) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let engine = engine(context, model, kv)?;
    let open_s = started.elapsed().as_secs_f64();
    let model = engine.model();
    let mut short = model.new_state();
    // Tokens from all over the vocabulary, so that every expert is chosen and its weights are read.
    let n_vocab = model.config().n_vocab as u32;
    let n_short = SHORT_CONTEXT.min(model.config().context_length);
    let varied: Vec<u32> = (0..n_short as u32).map(|i| i.wrapping_mul(7919) % n_vocab).collect();
    model.forward(&mut short, &varied, Logits::Last)?;
    drop(short);
    let short_context_s = started.elapsed().as_secs_f64() - open_s;
    let resident_short = memory::resident_bytes();

    let layout = model.layout();
    let context_length = model.config().context_length;
    let n_tokens = n_tokens.unwrap_or(context_length);
    anyhow::ensure!(
        n_tokens <= context_length,
        "the model's context is {context_length} tokens, {n_tokens} were asked for"
    );
    let mut state = model.new_state();
    // Room for the token that is computed at the end.
    let n_blocks = n_tokens.min(context_length - 1) / docent_lm::KV_BLOCK;
    for _ in 0..n_blocks {
        // 0x2c2c is a small number in f16 and in f32.
        let bytes: Arc<Vec<u8>> = Arc::new(vec![0x2c; layout.block_bytes()]);
        state.push_block(Arc::new(Block::from_parts(layout, bytes, vec![0.0; layout.conv_len()])?))?;
    }
    let started = Instant::now();
    model.forward(&mut state, &[0], Logits::Last)?;
    context.output.json(&json!({
        "open_s": open_s, "short_context": n_short, "short_context_s": short_context_s,
        "short_context_resident_bytes": resident_short, "context": state.n_tokens(),
        "context_state_bytes": state.n_bytes(), "context_token_s": started.elapsed().as_secs_f64(),
        "context_resident_bytes": memory::resident_bytes(),
    }))?;
    Ok(Outcome::Done)
}

fn read_ids(path: Option<&Path>) -> anyhow::Result<Vec<u32>> {
    let text = read_text(path)?;
    let from = name_of(path);
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let ids: Vec<u32> = words
        .map(|word| word.parse().with_context(|| format!("{from}: {word} is not a token id")))
        .collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(!ids.is_empty(), "{from}: no token ids in it");
    Ok(ids)
}

fn name_of(path: Option<&Path>) -> String {
    path.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
}

fn read_text(path: Option<&Path>) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    match path {
        Some(path) => bytes = std::fs::read(path).with_context(|| format!("{}", path.display()))?,
        None => drop(std::io::stdin().read_to_end(&mut bytes).context("standard input")?),
    }
    String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{} is not UTF-8 text", name_of(path)))
}
