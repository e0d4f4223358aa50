//! `doctor`: is everything there that docent needs, and does it work? Exit code 1 if something is amiss.

use docent::{BEST_MODEL, EMBEDDING_MODEL, Fault};
use docent_models::{ModelKind, available_memory, catalogue};
use serde::Serialize;
use serde_json::json;

use super::{Context, ingest};
use crate::args::DoctorArgs;
use crate::exit::Outcome;
use crate::output::{bytes, count, printable};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    detail: String,
}

pub fn run(context: &Context, args: &DoctorArgs) -> anyhow::Result<Outcome> {
    if args.index {
        return check_index(context, args);
    }
    let mut findings = vec![folder(context), processor(context), memory()];
    findings.extend(models(context));
    findings.push(index(context));
    let ok = findings.iter().all(|finding| finding.ok);
    if args.json {
        context.output.json(&json!({ "ok": ok, "findings": findings }))?;
    } else {
        for finding in &findings {
            let mark = if finding.ok { "ok   " } else { "FAULT" };
            context.output.line(format!("{mark} {:12} {}", finding.what, finding.detail));
        }
    }
    Ok(if ok { Outcome::Done } else { Outcome::NotFound })
}

/// The index against itself and the files; faults are told, one line each. Exit code 1 if there were any, mended or not.
fn check_index(context: &Context, args: &DoctorArgs) -> anyhow::Result<Outcome> {
    let check = ingest::with_progress(context, |cancel, progress| {
        context.library.check_index(!args.dry_run, cancel, progress)
    })?;
    // An index that is damaged and was not mended may have no counts to tell.
    let stats = context.library.inventory().map(|inventory| inventory.stats).unwrap_or_default();
    if args.json {
        let told = |faults: &[Fault]| -> Vec<serde_json::Value> {
            faults.iter().map(|fault| json!({ "store": fault.store, "what": fault.what })).collect()
        };
        context.output.json(&json!({
            "clean": check.faults.is_empty() && !check.interrupted, "faults": told(&check.faults), "left": told(&check.left),
            "documents": stats.n_indexed, "passages": stats.n_chunks, "files_compared": check.n_files,
            "update": check.update.as_ref().map(docent::json::IngestSummary::from), "interrupted": check.interrupted,
        }))?;
    } else {
        for fault in &check.faults {
            context.output.line(format!("FAULT {:9} {}", fault.store, printable(&fault.what)));
        }
        let found = match (check.faults.len(), check.left.len()) {
            (0, _) => "nothing wrong".to_owned(),
            (n, 0) => format!("{} faults, all mended", count(n)),
            (n, left) => format!("{} faults, {} left", count(n), count(left)),
        };
        context.output.line(format!(
            "{} documents, {} passages, {} files compared: {found}",
            count(stats.n_indexed),
            count(stats.n_chunks),
            count(check.n_files)
        ));
    }
    Ok(match () {
        () if check.interrupted => Outcome::Interrupted,
        () if check.faults.is_empty() => Outcome::Done,
        () => Outcome::NotFound,
    })
}

/// Whether index and models can be written where they belong.
fn folder(context: &Context) -> Finding {
    let settings = context.library.settings();
    let unwritable = [&settings.data_dir, &settings.cache_dir].into_iter().find_map(|dir| {
        let probe = dir.join(".docent-probe");
        let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&probe, b""));
        let _ = std::fs::remove_file(&probe);
        written.err().map(|error| format!("{}: {error}; choose another place with --home", dir.display()))
    });
    Finding {
        what: "folders",
        ok: unwritable.is_none(),
        detail: unwritable.unwrap_or_else(|| {
            format!("{} and {}", settings.data_dir.display(), settings.cache_dir.display())
        }),
    }
}

fn processor(context: &Context) -> Finding {
    match context.library.kernels() {
        Ok(kernels) => Finding {
            what: "processor",
            ok: true,
            detail: format!(
                "kernels for {:?}, {} threads",
                kernels.isa(),
                context.library.settings().n_threads
            ),
        },
        Err(error) => Finding { what: "processor", ok: false, detail: error.to_string() },
    }
}

fn memory() -> Finding {
    let needed = catalogue().iter().find(|entry| entry.name == BEST_MODEL).map_or(0, |entry| entry.memory);
    let detail = match available_memory() {
        Some(free) if free >= needed => format!("{} free, enough for {BEST_MODEL}", bytes(free)),
        Some(free) => format!("{} free; {BEST_MODEL} likes {}", bytes(free), bytes(needed)),
        None => "unknown on this system".to_owned(),
    };
    Finding { what: "memory", ok: true, detail }
}

/// Every model that is here is compared with its sha256; the embedding model and one that answers must be here.
fn models(context: &Context) -> Vec<Finding> {
    let store = context.library.models();
    let mut findings = Vec::new();
    for (entry, here) in store.list() {
        if here.is_none() {
            continue;
        }
        let verified = store.verify(entry, &|| context.interrupt.requested(), &mut |_| ());
        let (ok, detail) = match verified {
            Ok(_) => (true, format!("{} is here and whole", entry.name)),
            Err(error) => (false, error.to_string()),
        };
        findings.push(Finding { what: "model", ok, detail });
    }
    if store.installed(EMBEDDING_MODEL).is_none() {
        let detail = format!("{EMBEDDING_MODEL} is missing: `docent models pull {EMBEDDING_MODEL}`");
        findings.push(Finding { what: "model", ok: false, detail });
    }
    if store.best_installed(ModelKind::Generation).is_none() {
        let detail = format!("no model that answers is here: `docent models pull {BEST_MODEL}`");
        findings.push(Finding { what: "model", ok: false, detail });
    }
    findings
}

fn index(context: &Context) -> Finding {
    match context.library.inventory() {
        Ok(inventory) => Finding {
            what: "index",
            ok: true,
            detail: format!("{} documents, {} passages", inventory.stats.n_indexed, inventory.stats.n_chunks),
        },
        Err(error) => Finding { what: "index", ok: false, detail: error.to_string() },
    }
}
