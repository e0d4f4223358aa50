//! How the server is: `/healthz`, `/metrics`, `/v1/status`, `/v1/collections`.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use docent::json::{CollectionEntry, CollectionList, LibraryStatus};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::body::Query;
use crate::metrics::Spared;
use crate::problem::Problem;
use crate::watching::WatchState;

/// Which collection.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichCollection {
    /// `.` is the one without a name; left out: the one the server was started with.
    pub collection: Option<String>,
}

/// The server lives.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    status: &'static str,
    /// Version of docent.
    version: &'static str,
}

/// How a collection is, and how the server is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct StatusBody {
    #[serde(flatten)]
    library: LibraryStatus,
    /// The server.
    server: ServerStatus,
}

/// How the server is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ServerStatus {
    /// Version of docent.
    version: &'static str,
    /// Seconds since its start.
    uptime_s: u64,
    /// Questions that wait for the model.
    questions_waiting: usize,
    /// A question is being answered.
    model_busy: bool,
    /// Name of the model that answers where a request names none; `null` where none is here.
    model: Option<String>,
    /// Folders from which documents may be added, besides those that the library has.
    addable: Vec<String>,
    /// What the watch is at.
    watch: WatchState,
    /// What was read and what was spared since the start.
    spared: Spared,
}

/// Whether the server lives. Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, description = "It does.", body = Health)))]
pub(crate) async fn health() -> axum::Json<Health> {
    axum::Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Counts and durations for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, description = "The text format, version 0.0.4.", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let text = app.metrics().text(app.load().0);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// What is indexed, what is not and why, and how the server is.
#[utoipa::path(get, path = "/v1/status", tag = "docent", params(WhichCollection),
    responses((status = 200, description = "A collection and the server.", body = StatusBody)))]
pub(crate) async fn status(
    State(app): State<App>,
    Query(which): Query<WhichCollection>,
) -> Result<axum::Json<StatusBody>, Problem> {
    let library = app.library(which.collection.as_deref())?;
    let about = app.clone();
    let (library, model) = app
        .search(move || {
            let model = about.model(None).ok().and_then(|choice| library.choose_model(&choice).ok());
            Ok::<_, docent::Error>((LibraryStatus::of(&library)?, model))
        })
        .await?;
    let (questions_waiting, model_busy) = app.load();
    let server = ServerStatus {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: app.uptime_s(),
        questions_waiting,
        model_busy,
        model: model.map(|model| model.name),
        addable: app.settings().roots.iter().map(|root| root.to_string_lossy().into_owned()).collect(),
        watch: app.watching().state(),
        spared: app.metrics().spared(),
    };
    Ok(axum::Json(StatusBody { library, server }))
}

/// The collections that there are.
#[utoipa::path(get, path = "/v1/collections", tag = "docent",
    responses((status = 200, description = "The one without a name first.", body = CollectionList)))]
pub(crate) async fn collections(State(app): State<App>) -> Result<axum::Json<CollectionList>, Problem> {
    let library = app.library(None)?;
    let collections = app.search(move || library.collections()).await?;
    Ok(axum::Json(CollectionList { collections: collections.iter().map(CollectionEntry::from).collect() }))
}
