//! `/v1/documents`: what is in a collection, and what comes into it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use docent::json::{DocumentEntry, DocumentList, RootEntry};
use docent::{DocumentText, Library};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::body::{Json, Query, Upload};
use crate::jobs::{Job, JobStatus, Work};
use crate::paths::{admitted, file_name};
use crate::problem::Problem;

/// The most paths in a request, documents in a list, and bytes around a passage.
const MOST_PATHS: usize = 100;
const MOST_DOCUMENTS: usize = 1_000;
const MOST_AROUND: usize = 100_000;

/// Which documents to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// `.` is the one without a name; left out: the one the server was started with.
    collection: Option<String>,
    /// Only documents at or below this absolute path.
    within: Option<String>,
    /// Only documents whose path has this in it, in any case.
    contains: Option<String>,
    /// How many.
    #[serde(default = "most_documents")]
    #[param(minimum = 1, maximum = 1000)]
    limit: usize,
    /// How many to leave out before them.
    #[serde(default)]
    offset: usize,
}

fn most_documents() -> usize {
    MOST_DOCUMENTS
}

/// Documents by path.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ListBody {
    /// What was added.
    roots: Vec<RootEntry>,
    /// So many of them as were asked for.
    documents: Vec<DocumentEntry>,
    /// How many there are.
    total: usize,
}

/// What to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddRequest {
    /// Files and folders: absolute paths, below what the server was told with `--root` or what the library has already.
    #[schema(min_items = 1, max_items = 100)]
    paths: Vec<String>,
    /// The collection; it is made where there is none.
    collection: Option<String>,
    /// Answer when it is done.
    #[serde(default)]
    wait: bool,
}

/// What to look at again.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateRequest {
    /// The collection.
    collection: Option<String>,
    /// Answer when it is done.
    wait: bool,
}

/// Where an uploaded document goes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// Its name: one word such as `notes.md`. A document of the same name is replaced.
    #[param(min_length = 1, max_length = 200)]
    name: String,
    /// The collection; it is made where there is none.
    collection: Option<String>,
    /// Answer when it is indexed.
    #[serde(default)]
    wait: bool,
}

/// What to forget.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemoveQuery {
    /// A file or folder that was added, or a document that was uploaded.
    path: String,
    /// Its collection.
    collection: Option<String>,
}

/// What was forgotten.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Removed {
    /// Documents that are no longer in the index. Files that were added stay where they are; an uploaded one is gone.
    removed: usize,
}

/// Which text to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TextQuery {
    /// The document.
    path: String,
    /// Its collection.
    collection: Option<String>,
    /// First byte of a span of its text; left out: all of it.
    byte_start: Option<usize>,
    /// One past the last byte.
    byte_end: Option<usize>,
    /// Bytes to show before and after the span.
    #[serde(default = "around")]
    #[param(maximum = 100000)]
    around: usize,
}

fn around() -> usize {
    2_000
}

/// A document as docent reads it, or a span of it with what stands around it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct TextBody {
    /// The file, absolute.
    path: String,
    /// Its own title.
    title: Option<String>,
    /// Its format.
    format: String,
    /// Bytes of its text.
    text_bytes: usize,
    /// First byte of `text` in it.
    byte_start: usize,
    /// One past the last.
    byte_end: usize,
    /// Line of the first, from 1.
    line_start: usize,
    /// Page of the first, from 1, for formats with pages.
    page: Option<usize>,
    /// What stands before the span.
    before: String,
    /// The span.
    text: String,
    /// What stands behind it.
    after: String,
}

/// The documents of a collection.
#[utoipa::path(get, path = "/v1/documents", tag = "docent", params(ListQuery),
    responses((status = 200, description = "By path.", body = ListBody)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<ListBody>, Problem> {
    if !(1..=MOST_DOCUMENTS).contains(&query.limit) {
        return Err(Problem::bad("limit", format!("`limit` is a number from 1 to {MOST_DOCUMENTS}")));
    }
    let library = app.library(query.collection.as_deref())?;
    let body = app.search(move || {
        let within = query.within.as_ref().map(PathBuf::from);
        let DocumentList { roots, mut documents } =
            DocumentList::new(&library.inventory()?, within.as_deref());
        if let Some(contains) = query.contains.map(|text| text.to_lowercase()) {
            documents.retain(|document| document.path.to_lowercase().contains(&contains));
        }
        let total = documents.len();
        let documents = documents.into_iter().skip(query.offset).take(query.limit).collect();
        Ok::<_, docent::Error>(ListBody { roots, documents, total })
    });
    Ok(axum::Json(body.await?))
}

/// Adds files and folders, and indexes them in the background: the answer is the job that does it.
#[utoipa::path(post, path = "/v1/documents", tag = "docent", request_body = AddRequest,
    responses((status = 200, description = "It is done, or has failed; only with `wait`.", body = JobStatus),
        (status = 202, description = "It is begun; GET /v1/jobs/{id} tells how far it is.", body = JobStatus)))]
pub(crate) async fn add(
    State(app): State<App>,
    Json(request): Json<AddRequest>,
) -> Result<Response, Problem> {
    if request.paths.is_empty() || request.paths.len() > MOST_PATHS {
        return Err(Problem::bad("paths", format!("`paths` names 1 to {MOST_PATHS} files and folders")));
    }
    let library = app.library_to_fill(request.collection.as_deref())?;
    let (checks, checked_library) = (app.clone(), library.clone());
    let paths = app
        .search(move || {
            let paths = request.paths.iter().map(|path| admitted(&checks, &checked_library, path));
            paths.collect::<Result<Vec<PathBuf>, Problem>>()
        })
        .await?;
    let adds = library.clone();
    let work: Work = Box::new(move |cancel, progress| adds.add(&paths, cancel, progress));
    begin(&app, "add", &library, work, request.wait).await
}

/// Looks again at everything that was added.
#[utoipa::path(post, path = "/v1/documents/update", tag = "docent", request_body = UpdateRequest,
    responses((status = 200, description = "It is done, or has failed; only with `wait`.", body = JobStatus),
        (status = 202, description = "It is begun.", body = JobStatus)))]
pub(crate) async fn update(
    State(app): State<App>,
    Json(request): Json<UpdateRequest>,
) -> Result<Response, Problem> {
    let library = app.library(request.collection.as_deref())?;
    if !library.exists() {
        return Err(docent::Error::Empty.into());
    }
    let updates = library.clone();
    let work: Work = Box::new(move |cancel, progress| updates.update(cancel, progress));
    begin(&app, "update", &library, work, request.wait).await
}

/// Takes a document that is sent (the body is the file), keeps it and indexes it.
#[utoipa::path(put, path = "/v1/documents/upload", tag = "docent", params(UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "It is indexed, or has failed; only with `wait`.", body = JobStatus),
        (status = 202, description = "It is kept and will be indexed.", body = JobStatus)))]
pub(crate) async fn upload(
    State(app): State<App>,
    Query(query): Query<UploadQuery>,
    Upload(bytes): Upload,
) -> Result<Response, Problem> {
    let name = file_name(&query.name)?.to_owned();
    let library = app.library_to_fill(query.collection.as_deref())?;
    let dir = app.uploads_dir(&library);
    let (folder, file) = (dir.clone(), dir.join(name));
    app.search(move || store(&folder, &file, &bytes)).await?;
    let adds = library.clone();
    let work: Work = Box::new(move |cancel, progress| adds.add(&[dir], cancel, progress));
    begin(&app, "upload", &library, work, query.wait).await
}

/// Writes an uploaded document: whole or not at all, readable by its owner alone.
fn store(dir: &Path, file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let failed = |error: std::io::Error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            format!("the document cannot be kept: {error}"),
        )
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    private(dir, 0o700).map_err(failed)?;
    let unfinished = dir.join(format!(".{}.part", std::process::id()));
    let written = std::fs::File::create(&unfinished).and_then(|mut to| {
        private(&unfinished, 0o600)?;
        to.write_all(bytes)?;
        to.sync_all()
    });
    written.and_then(|()| std::fs::rename(&unfinished, file)).map_err(failed)
}

#[cfg(unix)]
fn private(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn private(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(()) // what lies in a user's own folders is the user's alone
}

async fn begin(
    app: &App,
    kind: &'static str,
    library: &Library,
    work: Work,
    wait: bool,
) -> Result<Response, Problem> {
    let job: Arc<Job> = app.jobs().submit(kind, library.settings().collection.clone(), work)?;
    Ok(match wait {
        true => axum::Json(job.end().await).into_response(),
        false => (StatusCode::ACCEPTED, axum::Json(job.status())).into_response(),
    })
}

/// Forgets a file or folder that was added, with everything indexed from it; removes a document that was uploaded.
#[utoipa::path(delete, path = "/v1/documents", tag = "docent", params(RemoveQuery),
    responses((status = 200, description = "It is forgotten.", body = Removed)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Query(query): Query<RemoveQuery>,
) -> Result<axum::Json<Removed>, Problem> {
    let library = app.library(query.collection.as_deref())?;
    if !library.exists() {
        return Err(docent::Error::Empty.into());
    }
    // A request does not wait for as long as an indexing may take.
    if let Some(holder) = docent::index_writer(&library.settings().index_dir()) {
        let message =
            format!("the index is being written by {holder}; ask again when that is done (GET /v1/jobs)");
        let busy = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
        return Err(Problem { retry_after: Some(5), ..busy });
    }
    let uploads = app.uploads_dir(&library);
    let removed = app.search(move || forget(&library, Path::new(&query.path), &uploads)).await?;
    Ok(axum::Json(Removed { removed }))
}

fn forget(library: &Library, path: &Path, uploads: &Path) -> Result<usize, docent::Error> {
    let uploads = uploads.canonicalize().unwrap_or_else(|_| uploads.to_owned());
    let is_upload = path.parent() == Some(uploads.as_path());
    if is_upload && library.document(path).is_ok() {
        std::fs::remove_file(path)
            .map_err(|error| docent::Error::Path { path: path.to_owned(), reason: error.to_string() })?;
        return Ok(library.update(&|| false, &mut |_| ())?.removed);
    }
    library.remove(&[path.to_owned()], &|| false, &mut |_| ())
}

/// A document's text as docent reads it: all of it, or a span with what stands around it.
#[utoipa::path(get, path = "/v1/documents/text", tag = "docent", params(TextQuery),
    responses((status = 200, description = "The text.", body = TextBody)))]
pub(crate) async fn text(
    State(app): State<App>,
    Query(query): Query<TextQuery>,
) -> Result<axum::Json<TextBody>, Problem> {
    let library = app.library(query.collection.as_deref())?;
    let body = app.search(move || {
        let document = library.document(Path::new(&query.path))?;
        span_of(&document, &query)
    });
    Ok(axum::Json(body.await?))
}

fn span_of(document: &DocumentText, query: &TextQuery) -> Result<TextBody, Problem> {
    let text = &document.text;
    let (start, end) = (query.byte_start.unwrap_or(0), query.byte_end.unwrap_or(text.len()));
    let Some(span) = text.get(start..end) else {
        let message = format!(
            "the text has {} bytes, and {start} to {end} is no span of whole characters in it",
            text.len()
        );
        return Err(Problem::bad("span", message));
    };
    let is_whole = query.byte_start.is_none() && query.byte_end.is_none();
    let around = if is_whole { 0 } else { query.around.min(MOST_AROUND) };
    let before_start = text.floor_char_boundary(start.saturating_sub(around));
    let after_end = text.ceil_char_boundary((end + around).min(text.len()));
    let page = document.pages.iter().position(|page| page.contains(&start)).map(|idx| idx + 1);
    Ok(TextBody {
        path: document.record.stat.path.to_string_lossy().into_owned(),
        title: document.record.title.clone(),
        format: document.record.format.clone(),
        text_bytes: text.len(),
        byte_start: start,
        byte_end: end,
        line_start: text[..start].matches('\n').count() + 1,
        page,
        before: text[before_start..start].to_owned(),
        text: span.to_owned(),
        after: text[end..after_end].to_owned(),
    })
}
