//! `ls`, `rm`, `show`: what is in the library.

use std::path::{Path, PathBuf};

use docent::json::DocumentList;
use docent::{Fate, FileRecord};
use docent_serve::Indexing;

use super::{Context, beside, ingest};
use crate::args::{LsArgs, RmArgs, ShowArgs};
use crate::exit::Outcome;
use crate::output::{bytes, count, name, printable};

pub fn ls(context: &Context, args: &LsArgs) -> anyhow::Result<Outcome> {
    let inventory = context.library.inventory()?;
    let under = args.within.as_ref().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()));
    let mut files: Vec<&FileRecord> = inventory
        .files
        .iter()
        .filter(|file| file.fate == Fate::Indexed)
        .filter(|file| under.as_ref().is_none_or(|under| file.stat.path.starts_with(under)))
        .collect();
    files.sort_by(|a, b| a.stat.path.cmp(&b.stat.path));
    if args.json {
        context.output.json(&DocumentList::new(&inventory, under.as_deref()))?;
    } else {
        for file in &files {
            let path = name(&file.stat.path);
            let about = format!(
                "{:>10}  {:>5} passages  {:9}",
                bytes(file.stat.size),
                count(file.n_chunks),
                file.format
            );
            context.output.line(format!("{}  {path}", context.output.dim(&about)));
        }
    }
    Ok(if files.is_empty() { Outcome::NotFound } else { Outcome::Done })
}

pub fn rm(context: &Context, args: &RmArgs) -> anyhow::Result<Outcome> {
    let n_removed = ingest::with_progress(context, |cancel, progress| {
        match beside::index(context, Indexing::Remove, &args.paths, progress) {
            Some(summary) => Ok(summary.removed),
            None => context.library.remove(&args.paths, cancel, progress),
        }
    })?;
    if context.interrupt.requested() {
        return Ok(Outcome::Interrupted);
    }
    context.output.line(format!("{} documents removed from the index", count(n_removed)));
    Ok(Outcome::Done)
}

pub fn show(context: &Context, args: &ShowArgs) -> anyhow::Result<Outcome> {
    let (path, lines) = split_lines(&args.document)?;
    let document = context.library.document(&path)?;
    let wanted = lines.unwrap_or((1, usize::MAX));
    let n_lines = document.text.lines().count();
    anyhow::ensure!(
        wanted.0 <= n_lines.max(1),
        "{} has {n_lines} lines; line {} is past its end",
        path.display(),
        wanted.0
    );
    for line in document.text.lines().skip(wanted.0 - 1).take(wanted.1.saturating_sub(wanted.0 - 1)) {
        context.output.line(printable(line));
    }
    Ok(Outcome::Done)
}

/// Splits `notes.md:10-20` into path and lines; a file whose own name ends like that is taken as it is.
fn split_lines(document: &str) -> anyhow::Result<(PathBuf, Option<(usize, usize)>)> {
    let whole = PathBuf::from(document);
    let Some((path, lines)) = document.rsplit_once(':').filter(|_| !Path::new(document).exists()) else {
        return Ok((whole, None));
    };
    let parsed = match lines.split_once('-') {
        Some((first, last)) => first.parse().ok().zip(last.parse().ok()),
        None => lines.parse().ok().map(|line| (line, line)),
    };
    match parsed {
        Some((first, last)) if first >= 1 && first <= last => Ok((PathBuf::from(path), Some((first, last)))),
        Some(_) => anyhow::bail!("{lines}: lines count from 1 and run upwards, as in notes.md:10-20"),
        None => Ok((whole, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_follow_the_last_colon() {
        assert_eq!(split_lines("a/b.md:3").unwrap(), (PathBuf::from("a/b.md"), Some((3, 3))));
        assert_eq!(split_lines("a:b.md:3-9").unwrap(), (PathBuf::from("a:b.md"), Some((3, 9))));
        assert_eq!(split_lines("c:b.md").unwrap(), (PathBuf::from("c:b.md"), None));
        assert!(split_lines("a.md:9-3").is_err());
        assert!(split_lines("a.md:0").is_err());
    }
}
