//! The interface that OpenAI's clients speak: chat and text completions, embeddings, models
//! (<https://platform.openai.com/docs/api-reference>). What is asked for and not there is refused, not passed over.
//!
//! The model `docent` (or `docent/COLLECTION`) answers the last question from the library's documents, and so does every model where the
//! request has the field `docent`; otherwise a model talks without documents.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
pub(crate) mod models;

mod conversations;
mod generating;
mod grounded;
mod request;
mod stops;
mod tools;
mod wire;

pub(crate) use conversations::Conversations;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/chat/completions", post(chat::chat))
        .route("/v1/completions", post(completions::completions))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::show))
}
