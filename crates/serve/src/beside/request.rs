//! The library's options as a request's body.

use std::path::{Path, PathBuf};

use docent::{
    AskOptions, Evidence, KvType, Library, ModelChoice, Narrow, Order, PathGlob, Rerank, SearchMode,
    SearchOptions, Settings, Style,
};
use serde_json::{Value, json};

use crate::app::UNNAMED;

/// None where a request cannot say it.
pub(super) fn search(query: &str, options: &SearchOptions, own: &Settings) -> Option<Value> {
    let collections: Vec<&str> = match options.collections.as_slice() {
        [] => vec![name(own.collection.as_deref())],
        several => several.iter().map(|collection| name(collection.as_deref())).collect(),
    };
    Some(json!({
        "query": query,
        "limit": options.k,
        "collections": collections,
        "filter": filter(&options.within, &options.narrow)?,
        "mode": match options.mode {
            SearchMode::Hybrid => "hybrid",
            SearchMode::Lexical => "lexical",
            SearchMode::Vector => "vector",
        },
        "rerank": rerank(&options.rerank),
        "context": options.context,
    }))
}

/// None where a request cannot say it.
pub(super) fn ask(question: &str, options: &AskOptions, own: &Library) -> Option<Value> {
    if options.kv_type != KvType::F16 {
        return None;
    }
    // Named in any case: the server may have been started with another.
    let model = match &options.model {
        // A path that begins here begins elsewhere for the server.
        ModelChoice::Named(name) if docent_models::find(name).is_err() && !Path::new(name).is_absolute() => {
            return None;
        }
        ModelChoice::Named(name) => name.clone(),
        ModelChoice::Best => own.choose_model(&options.model).ok()?.name,
    };
    let (budget, wait) = match options.budget {
        Evidence::Suits => (Value::Null, None),
        Evidence::Tokens(n_tokens) => (n_tokens.into(), None),
        Evidence::Seconds(seconds) => ("auto".into(), Some(seconds)),
        Evidence::Everything => ("all".into(), None),
    };
    Some(json!({
        "question": question,
        "collection": name(own.settings().collection.as_deref()),
        "filter": filter(&options.within, &options.narrow)?,
        "rerank": rerank(&options.rerank),
        "model": model,
        "style": match options.style {
            Style::Auto => None,
            Style::Write => Some("write"),
            Style::Quote => Some("quote"),
        },
        "budget": budget,
        "wait": wait,
        "order": options.order.map(|order| match order {
            Order::Sticky => "sticky",
            Order::Canonical => "canonical",
            Order::Relevance => "relevance",
        }),
        "temperature": options.temperature,
        "seed": options.seed,
        "max_tokens": options.max_tokens,
        "max_thinking": options.max_thinking,
        "stream": true,
    }))
}

pub(super) fn name(collection: Option<&str>) -> &str {
    collection.unwrap_or(UNNAMED)
}

fn rerank(rerank: &Rerank) -> Option<&str> {
    match rerank {
        Rerank::AsSet => None,
        Rerank::Off => Some("none"),
        Rerank::With(name) => Some(name),
    }
}

/// None where a path is no text.
fn filter(within: &[PathBuf], narrow: &Narrow) -> Option<Value> {
    let absolute = |path: &PathBuf| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    let text = |path: &PathBuf| absolute(path)?.to_str().map(str::to_owned);
    Some(json!({
        "within": within.iter().map(text).collect::<Option<Vec<String>>>()?,
        "paths": narrow.paths.iter().map(PathGlob::pattern).collect::<Vec<_>>(),
        "types": narrow.types,
        "after": narrow.changed_from_ns.map(date),
        "before": narrow.changed_before_ns.map(date),
    }))
}

/// A time as `parse_date` reads it.
fn date(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(ns.into()).map_or_else(|_| ns.to_string(), |time| time.to_string())
}
