//! Which files a client may name: those below folders that the person who started the server named, or that the library has already.
//! Whether anything else exists is not told.

use std::path::{Component, Path, PathBuf};

use axum::http::StatusCode;
use docent::Library;

use crate::app::App;
use crate::problem::Problem;

/// `path`, links resolved, if it may be added to `library`.
///
/// # Errors
/// 400 for a path that is not absolute, 403 for one outside, 404 for one inside that is not there.
pub(crate) fn admitted(app: &App, library: &Library, path: &str) -> Result<PathBuf, Problem> {
    let given = Path::new(path);
    let is_plain = given.components().all(|part| !matches!(part, Component::ParentDir));
    if !given.is_absolute() || !is_plain || path.contains('\0') {
        return Err(Problem::bad(
            "path",
            format!("{path:?} is not an absolute path without `..`; name one, as in /srv/manuals"),
        ));
    }
    let mut roots: Vec<PathBuf> =
        app.settings().roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    roots.extend(library.inventory()?.roots.into_iter().map(|root| root.path));
    let is_inside = |path: &Path| roots.iter().any(|root| path.starts_with(root));
    match given.canonicalize() {
        Ok(path) if is_inside(&path) => Ok(path),
        Err(_) if is_inside(given) => {
            Err(Problem::not_found("no_such_path", format!("{path}: no such file or folder")))
        }
        _ => Err(outside(path)),
    }
}

fn outside(path: &str) -> Problem {
    let message = format!(
        "{path} lies outside the folders that may be added from here; start the server with `docent serve --root DIR` to allow one, \
         or add it with `docent add`"
    );
    Problem::new(StatusCode::FORBIDDEN, "outside", message)
}

/// A file's name as a client may give it to what it uploads: one part, nothing hidden.
///
/// # Errors
/// 400 for any other.
pub(crate) fn file_name(name: &str) -> Result<&str, Problem> {
    let is_one = Path::new(name).components().count() == 1 && !name.contains(['/', '\\', ':', '\0']);
    let is_plain = name.chars().all(|c| !c.is_control()) && name.len() <= 200 && !name.starts_with('.');
    if is_one && is_plain && !name.trim().is_empty() {
        return Ok(name);
    }
    Err(Problem::bad(
        "name",
        format!("{name:?} cannot be a document's name: one word such as notes.md, without folders"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uploaded_document_stays_in_its_folder() {
        for name in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a\nb", "c:x", " "] {
            assert!(file_name(name).is_err(), "{name:?}");
        }
        assert_eq!(file_name("Meeting notes 3.pdf").unwrap(), "Meeting notes 3.pdf");
    }
}
