//! `/v1/models`: who can answer.

use axum::extract::{Path, State};
use docent::Library;
use docent_models::ModelKind;
use serde::Serialize;

use super::chat::LIBRARY_MODEL;
use crate::app::App;
use crate::problem::Problem;

/// Models.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelsBody {
    /// Always `list`.
    object: &'static str,
    /// The library first.
    data: Vec<ModelBody>,
}

/// A model.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ModelBody {
    /// Its name.
    id: String,
    /// Always `model`.
    object: &'static str,
    /// Seconds since 1970; 0, since nobody knows.
    created: u64,
    /// Always `docent`.
    owned_by: &'static str,
    /// What docent knows of it.
    docent: ModelNote,
}

/// What docent knows of a model.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ModelNote {
    /// `library`, `generation` or `embedding`.
    kind: &'static str,
    /// Tokens it reads at most; `null` for the library, whose model may be another tomorrow.
    context_length: Option<usize>,
    /// One line about it.
    description: String,
}

fn model(id: String, kind: &'static str, context_length: Option<usize>, description: &str) -> ModelBody {
    let docent = ModelNote { kind, context_length, description: description.to_owned() };
    ModelBody { id, object: "model", created: 0, owned_by: "docent", docent }
}

async fn all(app: &App) -> Result<Vec<ModelBody>, Problem> {
    let library = app.library(None)?;
    let own = app.own_model_name();
    app.search(move || {
        let mut models =
            vec![model(LIBRARY_MODEL.to_owned(), "library", None, "Answers from your documents.")];
        for collection in library.collections()? {
            if let Some(name) = &collection.name {
                let about = format!("Answers from the documents of the collection {name}.");
                models.push(model(format!("{LIBRARY_MODEL}/{name}"), "library", None, &about));
            }
        }
        models.extend(installed(&library));
        if let Some(own) = own.filter(|own| models.iter().all(|model| model.id != *own)) {
            models.push(model(own, "generation", None, "The model that the server was started with."));
        }
        Ok::<_, docent::Error>(models)
    })
    .await
}

fn installed(library: &Library) -> impl Iterator<Item = ModelBody> {
    library.models().list().into_iter().filter(|(_, here)| here.is_some()).filter_map(|(entry, _)| {
        let kind = match entry.kind {
            ModelKind::Generation => "generation",
            ModelKind::Embedding => "embedding",
            ModelKind::Reranking => return None,
        };
        Some(model(entry.name.to_owned(), kind, Some(entry.context_length), entry.description))
    })
}

/// The models that are here, and the library itself.
#[utoipa::path(get, path = "/v1/models", tag = "openai", responses((status = 200, description = "All of them.", body = ModelsBody)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<ModelsBody>, Problem> {
    Ok(axum::Json(ModelsBody { object: "list", data: all(&app).await? }))
}

/// A model.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "openai", params(("id" = String, Path, description = "Its name.")),
    responses((status = 200, description = "What is known of it.", body = ModelBody)))]
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<ModelBody>, Problem> {
    let known = all(&app).await?.into_iter().find(|model| model.id == id);
    known.map(axum::Json).ok_or_else(|| {
        Problem::not_found(
            "model_not_found",
            format!("there is no model {id:?} here; GET /v1/models lists those that there are"),
        )
    })
}
