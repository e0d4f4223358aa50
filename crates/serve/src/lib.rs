//! docent over HTTP: an interface of its own, one compatible with OpenAI's, and a page to look at.
//!
//! ```text
//! connection ──▶ guard ──▶ router ──▶ v1       search, ask, documents, jobs, collections, status, cache
//!  limits        Host,                openai   chat/completions, completions, embeddings, models
//!                Origin,              page     the page at /
//!                token,               mcp      the Model Context Protocol
//!                log, metrics         what others mounted (Server::mount)
//!                                      │ searches: a few threads        (searches)
//!                                      │ model:    one thread, in turn  (queue)
//!                                      └ indexing: one thread           (jobs)
//! ```
//!
//! Connections come over TCP, and over a socket in the home from commands of the same user (beside).
//!
//! The library is synchronous and stays so; threads of its own do the work and tell of it through channels. Who hangs up is no longer
//! worked for: what a request started stops with the next token.
//!
//! Logs and metrics hold counts and durations, never a question, an answer, or a document's text or name. The crate reads no environment:
//! [`ServeSettings`] has everything.

mod app;
mod beside;
mod body;
mod connection;
mod guard;
mod home;
mod jobs;
mod mcp;
mod metrics;
mod openai;
mod openapi;
mod page;
mod paths;
mod problem;
mod queue;
mod searches;
mod server;
mod settings;
mod sse;
mod v1;
mod watching;

pub use app::App;
pub use beside::{Indexing, Neighbour, Told, Unanswered};
pub use guard::Client;
pub use openapi::document as openapi;
pub use problem::Problem;
pub use queue::Running;
pub use server::{ServeError, Server};
pub use settings::{Limits, ServeSettings};
