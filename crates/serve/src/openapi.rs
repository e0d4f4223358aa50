//! The description of all routes (OpenAPI 3.1), written from the code that answers. `docs/openapi.json` is a copy; a test holds it against this.

use axum::Router;
use axum::routing::get;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::app::App;
use crate::problem::{ProblemBody, ProblemDetail};
use crate::{openai, v1};

#[derive(OpenApi)]
#[openapi(
    info(title = "docent", description = "Questions about folders of documents, answered on this machine."),
    paths(
        v1::search::search,
        v1::ask::ask,
        v1::ask::pack,
        v1::documents::list,
        v1::documents::add,
        v1::documents::remove,
        v1::documents::text,
        v1::documents::upload,
        v1::documents::update,
        v1::jobs::list,
        v1::jobs::show,
        v1::jobs::stop,
        v1::service::collections,
        v1::service::status,
        v1::cache::status,
        v1::cache::purge,
        v1::cache::verify,
        openai::chat::chat,
        openai::completions::completions,
        openai::embeddings::embeddings,
        openai::models::list,
        openai::models::show,
        v1::service::health,
        v1::service::metrics,
    ),
    components(schemas(ProblemBody, ProblemDetail)),
    modifiers(&Everywhere),
    tags(
        (name = "docent", description = "docent's own interface; its keys are those of the commands' --json."),
        (name = "openai", description = "What OpenAI's clients speak."),
        (name = "service", description = "How the server is."),
    )
)]
struct Document;

/// What every route may answer.
const PROBLEMS: [(&str, &str); 12] = [
    ("400", "The request is not one; the message says what is wrong."),
    ("401", "A token is needed, or another one."),
    ("403", "A page of another site asks, or a path lies outside."),
    ("404", "What is named does not exist."),
    ("408", "The request did not come in time."),
    ("409", "The collection is empty, or was embedded by another model."),
    ("413", "The request is too large."),
    ("415", "The request is not JSON, or does not say so."),
    ("421", "The server is not called that."),
    ("429", "Too much at once; Retry-After says when to try again."),
    ("500", "A fault of docent's, or of a file of its own."),
    ("503", "The server is being stopped, or the index is being written."),
];

struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The server's token, if it has one."))
            .build();
        if let Some(components) = &mut document.components {
            components.add_security_scheme("token", SecurityScheme::Http(scheme));
        }
        document.security =
            Some(vec![SecurityRequirement::default(), SecurityRequirement::new("token", [""; 0])]);
        for path in document.paths.paths.values_mut() {
            for operation in
                [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().flatten()
            {
                for (status, description) in PROBLEMS {
                    let problem = || RefOr::T(problem(description));
                    operation.responses.responses.entry(status.to_owned()).or_insert_with(problem);
                }
            }
        }
    }
}

fn problem(description: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build();
    ResponseBuilder::new().description(description).content("application/json", body).build()
}

/// The description, as `/openapi.json` gives it.
pub fn document() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

pub(crate) fn routes() -> Router<App> {
    let headers = [(axum::http::header::CONTENT_TYPE, "application/json")];
    Router::new().route("/openapi.json", get(move || async move { (headers, document()) }))
}

#[cfg(test)]
mod tests {
    use super::document;

    #[test]
    fn the_copy_in_docs_is_what_the_server_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let copy = std::fs::read_to_string(path).unwrap_or_default();
        let now = document();
        let remedy = "docs/openapi.json is not current: start `docent serve` and `curl -s localhost:7437/openapi.json > docs/openapi.json`";
        assert!(copy == now, "{remedy}");
    }
}
