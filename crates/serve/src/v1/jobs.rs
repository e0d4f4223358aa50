//! `/v1/jobs`: indexing that was asked for, while it runs and after.

use axum::extract::{Path, State};
use serde::Serialize;

use crate::app::App;
use crate::jobs::JobStatus;
use crate::problem::Problem;

/// Jobs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct JobList {
    /// Oldest first.
    jobs: Vec<JobStatus>,
}

/// The jobs since the server's start; the last few of them.
#[utoipa::path(get, path = "/v1/jobs", tag = "docent", responses((status = 200, description = "Oldest first.", body = JobList)))]
pub(crate) async fn list(State(app): State<App>) -> axum::Json<JobList> {
    axum::Json(JobList { jobs: app.jobs().list() })
}

/// How far a job is.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "docent", params(("id" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The job.", body = JobStatus)))]
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<JobStatus>, Problem> {
    Ok(axum::Json(app.jobs().find(&id)?.status()))
}

/// Stops a job at the next safe place. What it has done is kept.
#[utoipa::path(delete, path = "/v1/jobs/{id}", tag = "docent", params(("id" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The job; it may take a moment until it has stopped.", body = JobStatus)))]
pub(crate) async fn stop(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<JobStatus>, Problem> {
    let job = app.jobs().find(&id)?;
    job.stop();
    Ok(axum::Json(job.status()))
}
