//! `eval`: how well and how fast search finds, measured on a test collection.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Context as _;
use docent::{EvaluationProgress, EvaluationReport, Rerank};
use serde_json::json;

use super::models::{ensure_embedding, ensure_reranking};
use super::search::search_mode;
use super::{Context, Interrupted};
use crate::args::{EvalArgs, Mode};
use crate::exit::Outcome;
use crate::output::{count, duration, name};
use crate::progress::{Bar, Unit};

pub fn run(context: &Context, args: &EvalArgs) -> anyhow::Result<Outcome> {
    if args.mode != Mode::Lexical {
        ensure_embedding(context, args.yes)?;
    }
    let reranking = args.rerank.rerank.as_deref().filter(|name| Rerank::named(name) != Rerank::Off);
    if let Some(name) = reranking {
        ensure_reranking(context, name, args.yes)?;
    }
    let mode = search_mode(args.mode);
    let start = Instant::now();
    let bar = Bar::new(context.output.shows_progress(), Unit::Items);
    let cancel = context.interrupt.cancel();
    let evaluated = context.library.evaluate(&args.dir, mode, reranking, cancel, &mut |event| {
        let (done, total, what) = match event {
            EvaluationProgress::Indexed(done, total) => (done, total, "documents indexed"),
            EvaluationProgress::Embedded(done, total) => (done, total, "questions embedded"),
            EvaluationProgress::Answered(done, total) => (done, total, "questions answered"),
        };
        bar.set(done as u64, total as u64, what);
    });
    bar.clear();
    if context.interrupt.requested() {
        context.output.note("stopped; run it again to go on where it stopped");
        return Err(Interrupted.into());
    }
    let evaluated = evaluated?;
    let report = &evaluated.report;
    if let Some(path) = &args.run {
        let place = || format!("cannot write the rankings to {}", name(path));
        std::fs::write(path, trec_run(report)).with_context(place)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let means = &report.means;
    if args.json {
        context.output.json(&json!({
            "collection": args.dir, "mode": mode_name(args.mode), "rerank": reranking,
            "documents": report.n_documents, "queries": report.n_queries,
            "ndcg@10": rounded(means.ndcg_at_10), "recall@100": rounded(means.recall_at_100),
            "mrr@10": rounded(means.mrr_at_10), "latency_ms": rounded(report.latency_ms.0),
            "latency_p99_ms": rounded(report.latency_ms.1), "embed_ms": rounded(evaluated.embed_ms),
            "seconds": rounded(seconds),
        }))?;
        return Ok(Outcome::Done);
    }
    let output = &context.output;
    output.line(format!(
        "{} documents, {} questions, {}{}, {}",
        count(report.n_documents),
        count(report.n_queries),
        mode_name(args.mode),
        reranking.map_or_else(String::new, |name| format!(", then {name}")),
        duration(seconds)
    ));
    output.line(format!("nDCG@10     {:.4}", means.ndcg_at_10));
    output.line(format!("recall@100  {:.4}", means.recall_at_100));
    output.line(format!("MRR@10      {:.4}", means.mrr_at_10));
    let (median, slow) = report.latency_ms;
    output.line(format!(
        "latency     {median:.2} ms (99 of 100 within {slow:.2}), and {:.1} ms to embed the question",
        evaluated.embed_ms
    ));
    Ok(Outcome::Done)
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Hybrid => "hybrid",
        Mode::Lexical => "lexical",
        Mode::Vector => "vector",
    }
}

/// The rankings as `trec_eval` reads them: query, `Q0`, document, place, score, name of the run.
fn trec_run(report: &EvaluationReport) -> String {
    let mut run = String::new();
    for (query, ranking) in &report.rankings {
        for (at, (document, score)) in ranking.iter().enumerate() {
            // Writing into a string cannot fail.
            let _ = writeln!(run, "{query}\tQ0\t{document}\t{}\t{score}\tdocent", at + 1);
        }
    }
    run
}

/// Four digits behind the point.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
