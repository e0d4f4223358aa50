//! What requests carry, read with limits and refused with a reason.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::problem::Problem;

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

/// The body, if it is there in time and not too large.
async fn read(request: Request, app: &App, most: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let message = format!("the request is larger than {most} bytes; send less");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    };
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|announced: u64| announced > most as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), most).collect();
    match tokio::time::timeout(app.limits().patience, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad("body", "the request broke off before its end; send it again")),
        Err(_) => {
            let message = "the request's body did not come in time; send it again";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", message))
        }
    }
}
