//! `/v1/embeddings`.

use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use docent::{Embedded, TextRole};
use serde::Serialize;

use super::chat::LIBRARY_MODEL;
use super::request::{EmbeddingRequest, Encoding, InputType};
use crate::app::App;
use crate::body::Json;
use crate::problem::Problem;

/// The most texts of a request (OpenAI's own number).
const MOST_TEXTS: usize = 2_048;

/// Vectors.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EmbeddingsBody {
    /// Always `list`.
    object: &'static str,
    /// One for each text, in order.
    data: Vec<EmbeddingBody>,
    /// The model that made them.
    model: String,
    /// Tokens that were read.
    usage: EmbeddingUsage,
}

/// A vector.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EmbeddingBody {
    /// Always `embedding`.
    object: &'static str,
    /// Place of the text, from 0.
    index: usize,
    /// Of length 1.
    embedding: Vector,
}

/// A vector, as it was asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Vector {
    /// Numbers.
    Float(Vec<f32>),
    /// Base64 of little-endian 32-bit floats.
    Base64(String),
}

/// Tokens that were read.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens of the texts.
    prompt_tokens: usize,
    /// The same.
    total_tokens: usize,
}

fn vector(values: Vec<f32>, encoding: Encoding) -> Vector {
    match encoding {
        Encoding::Float => Vector::Float(values),
        Encoding::Base64 => {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Vector::Base64(BASE64_STANDARD.encode(bytes))
        }
    }
}

/// Texts as vectors, by the model that the documents were embedded with, or another.
#[utoipa::path(post, path = "/v1/embeddings", tag = "openai", request_body = EmbeddingRequest,
    responses((status = 200, description = "One for each text.", body = EmbeddingsBody)))]
pub(crate) async fn embeddings(
    State(app): State<App>,
    Json(request): Json<EmbeddingRequest>,
) -> Result<axum::Json<EmbeddingsBody>, Problem> {
    let texts = request.input.into_vec();
    if texts.is_empty() || texts.len() > MOST_TEXTS || texts.iter().any(String::is_empty) {
        return Err(Problem::bad("input", format!("`input` is 1 to {MOST_TEXTS} texts, none of them empty")));
    }
    let library = app.library(request.docent.collection.as_deref())?;
    let model = (request.model != LIBRARY_MODEL).then_some(request.model);
    let role = match request.docent.input_type {
        InputType::Passage => TextRole::Passage,
        InputType::Query => TextRole::Question,
    };
    let embedding = app.search(move || {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        library.embed(model.as_deref(), &texts, role)
    });
    let Embedded { model, vectors, n_tokens } = embedding.await?;
    let dim = vectors.first().map_or(0, Vec::len);
    if request.dimensions.is_some_and(|wanted| wanted != dim) {
        return Err(Problem::bad(
            "dimensions",
            format!("vectors of {model} have {dim} numbers; leave `dimensions` out"),
        ));
    }
    let body = |(index, values)| EmbeddingBody {
        object: "embedding",
        index,
        embedding: vector(values, request.encoding_format),
    };
    Ok(axum::Json(EmbeddingsBody {
        object: "list",
        data: vectors.into_iter().enumerate().map(body).collect(),
        model,
        usage: EmbeddingUsage { prompt_tokens: n_tokens, total_tokens: n_tokens },
    }))
}
