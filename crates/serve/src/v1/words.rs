//! What several requests have in common, as clients write it.

use std::path::{Path, PathBuf};

use docent::{Narrow, PathGlob, Rerank, parse_date, parse_type};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::problem::Problem;

/// Which documents may answer; applied before ranking. Each key narrows what the others leave.
#[derive(Debug, Clone, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Only files at or below these absolute paths.
    #[schema(max_items = 100)]
    pub within: Vec<String>,
    /// Only files that one of these patterns matches: `*.md`, `notes/**`.
    #[schema(max_items = 100)]
    pub paths: Vec<String>,
    /// Only files of these formats or endings: `pdf`, `md`.
    #[schema(max_items = 100)]
    pub types: Vec<String>,
    /// Only files changed at this date or later: `2025-03-01`, `2025-03`, `2025`, `2025-03-01T12:00`.
    #[schema(example = "2025-03-01")]
    pub after: Option<String>,
    /// Only files changed before this date.
    #[schema(example = "2026")]
    pub before: Option<String>,
}

/// The most entries of a list in a filter.
const MOST: usize = 100;

impl Filter {
    /// What the library takes.
    ///
    /// # Errors
    /// 400 for a path that is not absolute, a pattern or a date that is none.
    pub fn resolve(&self) -> Result<(Vec<PathBuf>, Narrow), Problem> {
        if [&self.within, &self.paths, &self.types].iter().any(|list| list.len() > MOST) {
            return Err(Problem::bad("filter", format!("a filter has at most {MOST} entries of a kind")));
        }
        if let Some(path) = self.within.iter().find(|path| !Path::new(path).is_absolute()) {
            return Err(Problem::bad(
                "path",
                format!("{path:?} is not an absolute path; name one, as in /srv/manuals"),
            ));
        }
        let date = |text: &Option<String>| {
            text.as_deref().map(parse_date).transpose().map_err(|what| Problem::bad("date", what))
        };
        let globs = self.paths.iter().map(|glob| PathGlob::new(glob)).collect::<Result<_, _>>();
        let narrow = Narrow {
            paths: globs.map_err(docent::Error::from)?,
            types: self.types.iter().map(|name| parse_type(name)).collect(),
            changed_from_ns: date(&self.after)?,
            changed_before_ns: date(&self.before)?,
        };
        Ok((self.within.iter().map(PathBuf::from).collect(), narrow))
    }
}

/// Whether a model reads the best candidates again: a name from `docent models list`, or `none`; left out, as the collection is set.
#[derive(Debug, Clone, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct RerankName(pub Option<String>);

impl RerankName {
    /// What the library takes. Names only: a folder's path would let clients open files.
    ///
    /// # Errors
    /// 404 for a name that is not in the catalogue.
    pub fn resolve(&self) -> Result<Rerank, Problem> {
        let Some(name) = &self.0 else { return Ok(Rerank::AsSet) };
        match Rerank::named(name) {
            Rerank::With(name) => {
                docent_models::find(&name).map_err(docent::Error::from)?;
                Ok(Rerank::With(name))
            }
            rerank => Ok(rerank),
        }
    }
}

/// A question or query that is one.
///
/// # Errors
/// 400 where it is empty or too long.
pub(crate) fn checked_text<'a>(app: &App, what: &str, text: &'a str) -> Result<&'a str, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::bad("empty_text", format!("`{what}` is empty")));
    }
    let most = app.limits().question_chars;
    if text.chars().count() > most {
        return Err(Problem::bad(
            "too_long",
            format!("`{what}` has more than {most} characters; shorten it"),
        ));
    }
    Ok(text)
}
