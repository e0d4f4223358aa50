//! What requests carry, read with limits and refused with a reason.

use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::problem::Problem;

/// How long, and how many times more than is taken, a request that is too large is read on.
const LINGER: Duration = Duration::from_secs(5);
const LARGER: usize = 8;

/// A request's JSON. Unknown keys are refused by the types that are read.
pub(crate) struct Json<T>(pub T);

/// What stands behind the `?` of a request.
pub(crate) struct Query<T>(pub T);

/// A document that is sent.
pub(crate) struct Upload(pub Bytes);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
            });
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "send JSON, and say so: Content-Type: application/json",
            ));
        }
        let bytes = read(request, app, app.limits().body_bytes).await?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::bad("json", format!("the request's JSON: {error}")))
    }
}

impl FromRequest<App> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        read(request, app, app.limits().upload_bytes).await.map(Self)
    }
}

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| Problem::bad("query", format!("behind the `?`: {}", rejection.body_text())))
    }
}

/// Reads on for a while: a connection that is closed while somebody writes to it is reset, and the answer is lost with it (RFC 9112, section 9.6).
async fn discarded(mut body: axum::body::Body, most: usize) {
    let mut n_bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        n_bytes += frame.data_ref().map_or(0, Bytes::len);
        if n_bytes > most.saturating_mul(LARGER) {
            return;
        }
    }
}

fn larger_than(most: usize) -> Problem {
    let message = format!("the request is larger than {most} bytes; send less");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

/// The body, if it is there in time and not too large.
async fn read(request: Request, app: &App, most: usize) -> Result<Bytes, Problem> {
    let body = request.into_body();
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        let _ = tokio::time::timeout(LINGER, discarded(body, most)).await;
        return Err(larger_than(most));
    }
    match tokio::time::timeout(app.limits().patience, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(larger_than(most)),
        Ok(Err(_)) => Err(Problem::bad("body", "the request broke off before its end; send it again")),
        Err(_) => {
            let message = "the request's body did not come in time; send it again";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", message))
        }
    }
}
