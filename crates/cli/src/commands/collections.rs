//! `collections`: which there are.

use docent::json::{CollectionEntry, CollectionList};

use super::Context;
use super::search::UNNAMED;
use super::status::root_note;
use crate::args::CollectionsArgs;
use crate::exit::Outcome;
use crate::output::{count, name};

pub fn run(context: &Context, args: &CollectionsArgs) -> anyhow::Result<Outcome> {
    let collections = context.library.collections()?;
    if args.json {
        let collections = collections.iter().map(CollectionEntry::from).collect();
        context.output.json(&CollectionList { collections })?;
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
