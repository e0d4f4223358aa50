//! What a client is told when something is wrong: a status, and a body in the form that OpenAI's clients know.
//!
//! ```json
//! {"error": {"message": "…and the remedy", "type": "invalid_request_error", "code": "unknown_field", "param": null}}
//! ```

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use docent::{Error, IndexError, InferError};
use docent_models::StoreError;
use serde::Serialize;

/// A failure as a client sees it.
#[derive(Debug, Clone)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// One word for programs.
    pub code: &'static str,
    /// One sentence for people, with the remedy.
    pub message: String,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
}

/// The body of a failure.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// What is wrong.
    pub error: ProblemDetail,
}

/// What is wrong.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ProblemDetail {
    /// One sentence for people, with the remedy.
    pub message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `not_found_error`, `rate_limit_error` or `server_error`.
    pub r#type: &'static str,
    /// One word for programs.
    pub code: &'static str,
    /// Always `null`; OpenAI's clients expect it.
    pub param: Option<String>,
}

impl Problem {
    /// A failure of this status.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// The request is not one.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// What is named does not exist.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// There is no such route, or none for who asks.
    pub(crate) fn no_such_route() -> Self {
        Self::not_found("no_such_route", "nothing is here; GET /openapi.json lists what there is")
    }

    /// Too much at once.
    pub fn busy(code: &'static str, message: impl Into<String>, retry_after: u32) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, message);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// The server is being stopped, or a thread of it has died.
    pub fn stopped() -> Self {
        let message = "the server is being stopped, or gave this request up; ask again in a moment";
        Self { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message) }
    }

    /// The body that tells it.
    pub fn body(&self) -> ProblemBody {
        let r#type = match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let error = ProblemDetail { message: self.message.clone(), r#type, code: self.code, param: None };
        ProblemBody { error }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let (status, code) = kind(&error);
        Problem::new(status, code, message)
    }
}

/// Whose fault it is.
fn kind(error: &Error) -> (StatusCode, &'static str) {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    const MISSING: StatusCode = StatusCode::NOT_FOUND;
    match error {
        Error::Empty => (StatusCode::CONFLICT, "empty"),
        Error::OtherVectors { .. } => (StatusCode::CONFLICT, "other_vectors"),
        Error::NoCollection { .. } => (MISSING, "no_such_collection"),
        Error::NotIndexed { .. } => (MISSING, "not_indexed"),
        Error::NotARoot { .. } => (MISSING, "not_a_root"),
        Error::Path { .. } => (MISSING, "no_such_path"),
        Error::ModelMissing { .. } => (MISSING, "model_not_found"),
        Error::Models(
            StoreError::UnknownModel { .. } | StoreError::NotPulled { .. } | StoreError::NoSuchFile(_),
        ) => (MISSING, "model_not_found"),
        Error::NotAGenerator { .. } | Error::NotAReranker { .. } | Error::NotAnEmbedder { .. } => {
            (BAD, "wrong_kind_of_model")
        }
        Error::NoTemplate { .. } | Error::Template(_) => (BAD, "template"),
        Error::Infer(InferError::PromptTooLong { .. }) => (BAD, "context_length_exceeded"),
        Error::Infer(InferError::EmptyPrompt | InferError::Schema(_)) => (BAD, "cannot_generate"),
        Error::Pack(_) | Error::TooMuchToRead { .. } => (BAD, "context_length_exceeded"),
        Error::NothingToPack { .. } | Error::TooSmallToWarm { .. } => (BAD, "quotes_only"),
        Error::Index(IndexError::Pattern { .. }) => (BAD, "pattern"),
        Error::Index(IndexError::Busy { .. }) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        Error::NoSuchRecord { .. } => (MISSING, "no_such_record"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}
