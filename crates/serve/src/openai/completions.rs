//! `/v1/completions`: a model goes on with a text.

use axum::extract::{Extension, State};
use axum::response::Response;

use super::chat::{number, respond};
use super::generating::{self, Input, Plan};
use super::grounded::Manner;
use super::request::{CompletionRequest, Wishes, refuse};
use super::wire::{CompletionBody, Header, Kind};
use crate::app::App;
use crate::body::Json;
use crate::guard::Client;
use crate::problem::Problem;
use crate::sse::StreamEvent;

/// The most tokens where a request names none; OpenAI's own number.
const DEFAULT_TOKENS: usize = 16;

impl CompletionRequest {
    fn wishes(&self) -> Result<Wishes, Problem> {
        let is_wanted =
            |value: &Option<serde_json::Value>| value.as_ref().is_some_and(|value| !value.is_null());
        refuse(&[
            ("n", self.n.is_some_and(|n| n != 1)),
            ("best_of", self.best_of.is_some_and(|n| n != 1)),
            ("echo", self.echo == Some(true)),
            ("logprobs", is_wanted(&self.logprobs)),
            ("suffix", is_wanted(&self.suffix)),
            ("frequency_penalty", self.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
            ("presence_penalty", self.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
            ("logit_bias", self.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
        ])?;
        let wishes = Wishes {
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed,
            max_tokens: Some(self.max_tokens.unwrap_or(DEFAULT_TOKENS)),
            stop: self.stop.clone().map(|stop| stop.into_vec()).unwrap_or_default(),
        };
        wishes.check()?;
        Ok(wishes)
    }
}

/// What a model writes behind a text.
#[utoipa::path(post, path = "/v1/completions", tag = "openai", request_body = CompletionRequest,
    responses((status = 200, description = "The text.", content((CompletionBody = "application/json"), (StreamEvent = "text/event-stream")))))]
pub(crate) async fn completions(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(request): Json<CompletionRequest>,
) -> Result<Response, Problem> {
    let wishes = request.wishes()?;
    let library = app.library(None)?;
    let model = library.choose_model(&app.model(Some(&request.model))?)?;
    let manner = Manner {
        streams: request.stream == Some(true),
        with_usage: request.stream_options.is_some_and(|options| options.include_usage),
        sources_in_text: false,
    };
    let header = Header::new(Kind::Text, &request.model, number());
    let mut prompts = request.prompt.into_vec();
    let (Some(prompt), true) = (prompts.pop(), prompts.is_empty()) else {
        return Err(Problem::bad("prompt", "`prompt` is one text; send several requests for several"));
    };
    let plan = Plan { library, model, input: Input::Text(prompt), wishes, schema: None };
    respond(generating::begin(&app, &client, plan)?, header, &manner).await
}
