//! `collections`: which there are.

use serde_json::json;

use super::Context;
use super::search::UNNAMED;
use super::status::{root_json, root_note};
use crate::args::CollectionsArgs;
use crate::exit::Outcome;
use crate::output::{count, name};

pub fn run(context: &Context, args: &CollectionsArgs) -> anyhow::Result<Outcome> {
    let collections = context.library.collections()?;
    if args.json {
        let all: Vec<_> = collections
            .iter()
            .map(|collection| {
                let roots: Vec<_> = collection.roots.iter().map(root_json).collect();
                json!({
                    "name": collection.name, "documents": collection.stats.n_indexed,
                    "passages": collection.stats.n_chunks, "embedding_model": collection.embedding_model,
                    "reranking_model": collection.reranking_model, "roots": roots,
                })
            })
            .collect();
        context.output.json(&json!({ "collections": all }))?;
    } else {
        for collection in &collections {
            let title = collection.name.as_deref().unwrap_or(UNNAMED);
            context.output.line(format!(
                "{}  {} documents, {} passages, {}",
                context.output.bold(title),
                count(collection.stats.n_indexed),
                count(collection.stats.n_chunks),
                collection.embedding_model
            ));
            for root in collection.roots.iter().filter(|root| root.remembered) {
                context.output.line(format!("    {}{}", name(&root.path), root_note(root)));
            }
        }
    }
    Ok(if collections.is_empty() { Outcome::NotFound } else { Outcome::Done })
}
