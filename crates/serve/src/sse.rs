//! Server-sent events (WHATWG HTML, section 9.2): what happens while something is worked on, piece by piece.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;

use crate::problem::Problem;
use crate::queue::Running;

/// So often a line without meaning is sent when nothing happens: proxies close what is silent, and a client that has gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// One event of a stream, as it is described to clients.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[allow(dead_code, reason = "only described: events are written as text")]
pub struct StreamEvent {
    /// What kind it is; `message` where none is named.
    event: String,
    /// JSON, or `[DONE]`.
    data: String,
}

/// One event as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event(String);

impl Event {
    /// An event of a kind.
    pub fn new(kind: &str, data: &impl Serialize) -> Self {
        Self(format!("event: {kind}\ndata: {}\n\n", json(data)))
    }

    /// An event without a kind, as OpenAI sends them.
    pub fn data(data: &impl Serialize) -> Self {
        Self(format!("data: {}\n\n", json(data)))
    }

    /// The end of a stream, as OpenAI sends it.
    pub fn done() -> Self {
        Self("data: [DONE]\n\n".to_owned())
    }

    /// What went wrong.
    pub fn problem(problem: &Problem) -> Self {
        Self::new("error", &problem.body())
    }
}

/// On one line: JSON has no line breaks of its own.
fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned())
}

/// What an event of the work becomes on the wire.
pub(crate) type Written<E> = Box<dyn FnMut(E) -> Vec<Event> + Send>;

/// `first`, then what `running` tells, each as `write` has it, then `last`.
pub(crate) fn response<E: Send + 'static>(
    first: Vec<Event>,
    running: Running<E>,
    write: Written<E>,
    last: Vec<Event>,
) -> Response {
    let begin = Bytes::from(first.into_iter().map(|event| event.0).collect::<String>());
    let state = Some((running, write, last));
    let rest = stream::unfold(state, |state| async move {
        let (mut running, mut write, last) = state?;
        match tokio::time::timeout(KEEP_ALIVE, running.next()).await {
            Err(_) => Some((Bytes::from_static(b": still here\n\n"), Some((running, write, last)))),
            Ok(Some(event)) => {
                let text: String = write(event).into_iter().map(|event| event.0).collect();
                Some((Bytes::from(text), Some((running, write, last))))
            }
            Ok(None) => Some((Bytes::from(last.into_iter().map(|event| event.0).collect::<String>()), None)),
        }
    });
    let all = futures_util::StreamExt::chain(stream::iter([begin]), rest);
    let all = futures_util::StreamExt::filter(all, |bytes| std::future::ready(!bytes.is_empty()));
    let body = Body::from_stream(futures_util::StreamExt::map(all, Ok::<_, Infallible>));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // A proxy that collects a response would make a stream of it useless (nginx, ngx_http_proxy_module).
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_a_text_does_not_end_its_event() {
        let Event(sent) = Event::new("answer", &serde_json::json!({ "text": "one\ntwo\r\n\n" }));
        assert_eq!(sent, "event: answer\ndata: {\"text\":\"one\\ntwo\\r\\n\\n\"}\n\n");
    }
}
