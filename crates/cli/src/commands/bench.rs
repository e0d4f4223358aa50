//! `bench model`: how fast a model reads and writes at given depths of context, in the terms of llama.cpp's benchmarks.

use std::time::Instant;

use docent::{BenchFigures, BenchPlan, ModelChoice, bench};
use serde_json::json;

use super::{Context, models, profile};
use crate::args::{BenchCommand, BenchModelArgs, Kv};
use crate::exit::Outcome;
use crate::memory;

pub fn run(context: &Context, command: BenchCommand) -> anyhow::Result<Outcome> {
    match command {
        BenchCommand::Model(args) => model(context, &args),
        BenchCommand::Embed(args) => super::bench_embed::run(context, &args),
    }
}

fn model(context: &Context, args: &BenchModelArgs) -> anyhow::Result<Outcome> {
    let chosen = context.library.choose_model(&ModelChoice::Named(args.model.clone()))?;
    let loading = Instant::now();
    let engine = context.library.engine(&chosen, models::kv_type(args.kv))?;
    let load_s = loading.elapsed().as_secs_f64();
    let (prefills, depths) = (args.pp.clone(), args.depth.clone());
    let plan = BenchPlan { prefills, n_decode: args.tg, depths, n_repeats: args.reps };
    let done = bench::<anyhow::Error>(engine.model(), &plan, context.interrupt.cancel(), &mut |figures| {
        tell(context, args, load_s, &figures)?;
        profile::tell(context);
        Ok(())
    });
    if context.interrupt.requested() {
        return Ok(Outcome::Interrupted);
    }
    done.map(|()| Outcome::Done)
}

fn tell(context: &Context, args: &BenchModelArgs, load_s: f64, figures: &BenchFigures) -> anyhow::Result<()> {
    let rss_gib = memory::peak_resident_bytes().map(|bytes| rounded(bytes as f64 / (1u64 << 30) as f64));
    if !args.json {
        context.output.line(format!(
            "depth {:>7}: {:8.2} tokens/s read ({} at once), {:7.2} tokens/s written",
            figures.depth, figures.prefill_per_s, figures.n_prefill, figures.decode_per_s
        ));
        return Ok(());
    }
    let kv = match args.kv {
        Kv::F32 => "f32",
        Kv::F16 => "f16",
        Kv::Q8_0 => "q8_0",
    };
    let line = json!({
        "engine": "docent", "depth": figures.depth, "pp": figures.n_prefill, "pp_tok_s": rounded(figures.prefill_per_s),
        "tg_tok_s": rounded(figures.decode_per_s), "kv": kv, "threads": context.library.settings().n_threads,
        "load_s": rounded(load_s), "rss_gib": rss_gib, "fill_s": rounded(figures.fill_s),
    });
    context.output.line(serde_json::to_string(&line)?);
    Ok(())
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
