//! `debug logits`, `debug tokenize`: the numbers behind an answer, for comparison with other programs.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use docent::ModelChoice;
use docent_lm::Logits;
use docent_lm::npy::write_npy_f32;

use super::{Context, models};
use crate::args::DebugCommand;
use crate::exit::Outcome;

pub fn run(context: &Context, command: DebugCommand) -> anyhow::Result<Outcome> {
    match command {
        DebugCommand::Logits { model, tokens, out, kv, last, chunk } => {
            let chosen = context.library.choose_model(&ModelChoice::Named(model))?;
            let engine = context.library.engine(&chosen, models::kv_type(kv))?;
            let ids = read_ids(&tokens)?;
            let chunk = chunk.unwrap_or(ids.len()).max(1);
            logits(engine.model(), &ids, chunk, last, &out)
        }
        DebugCommand::Tokenize { model, file, special } => {
            let chosen = context.library.choose_model(&ModelChoice::Named(model))?;
            let engine = context.library.engine(&chosen, docent::KvType::F16)?;
            let text = read_text(file.as_deref())?;
            let tokenizer = engine.model().tokenizer();
            let ids = if special { tokenizer.encode_template(&text) } else { tokenizer.encode(&text) };
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            context.output.line(ids.join(" "));
            Ok(Outcome::Done)
        }
    }
}

/// Prefills `ids` in pieces of `chunk` and writes the logits of every position, or of the last.
fn logits(
    model: &docent_lm::Model,
    ids: &[u32],
    chunk: usize,
    last: bool,
    out: &Path,
) -> anyhow::Result<Outcome> {
    let mut state = model.new_state();
    let mut rows = Vec::new();
    let n_pieces = ids.len().div_ceil(chunk);
    for (idx, piece) in ids.chunks(chunk).enumerate() {
        let want = match (last, idx + 1 == n_pieces) {
            (false, _) => Logits::All,
            (true, true) => Logits::Last,
            (true, false) => Logits::None,
        };
        rows.extend(model.forward(&mut state, piece, want)?);
    }
    let n_vocab = model.config().n_vocab;
    write_npy_f32(out, rows.len() / n_vocab, n_vocab, &rows).with_context(|| format!("{}", out.display()))?;
    Ok(Outcome::Done)
}

fn read_ids(path: &Path) -> anyhow::Result<Vec<u32>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let ids: Vec<u32> = words
        .map(|word| word.parse().with_context(|| format!("{}: {word} is not a token id", path.display())))
        .collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(!ids.is_empty(), "{}: no token ids in it", path.display());
    Ok(ids)
}

fn read_text(path: Option<&Path>) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    match path {
        Some(path) => bytes = std::fs::read(path).with_context(|| format!("{}", path.display()))?,
        None => drop(std::io::stdin().read_to_end(&mut bytes).context("standard input")?),
    }
    String::from_utf8(bytes).map_err(|_| {
        let from = path.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        anyhow::anyhow!("{from} is not UTF-8 text")
    })
}
