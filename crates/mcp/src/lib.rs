//! docent as a server of the Model Context Protocol (<https://modelcontextprotocol.io/specification/2025-06-18>).
//!
//! Tools: `search`, `ask`, `read_passage`, `list`. Resources: the documents, as docent reads them. All of it is confined to
//! documents that were added to the library's collection: nothing is read from a path that a client names, only what the index
//! holds of it. Nothing is written but what `ask` keeps of what it read and, if that is on, the history.
//!
//! Arguments are checked here and not left to the client: an unknown one is refused by name. What can be long is capped, and
//! says so with the way to the rest. One question is answered at a time, as there is one model; searches pass it.
//!
//! Cost: nothing until the first call; then what the library costs.

mod arguments;
mod ask;
mod documents;
mod find;
#[cfg(feature = "http")]
mod http;
mod places;
mod progress;
mod reply;
mod server;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use docent::{AskOptions, Library, Rerank};
use rmcp::ServiceExt as _;
use rmcp::transport::stdio;

#[cfg(feature = "http")]
pub use http::{HttpService, http};
pub use server::Server;
pub use turns::{Own, Turns, Work};

/// How a server answers.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How questions are answered where a call does not say: model, budget, lengths. Which documents may answer is the call's.
    pub ask: AskOptions,
    /// Whether a model reads the best candidates of a search again.
    pub rerank: Rerank,
}

/// Why a server ended before its input did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No thread or timer to work with.
    #[error("the server cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// The other end does not speak the protocol.
    #[error("the client did not begin as MCP does: {0}")]
    Handshake(String),
    /// The server's task failed.
    #[error("the server stopped: {0}")]
    Stopped(String),
}

/// An answer that is being generated when the input ends stops within a token; what it read is kept meanwhile.
const END: Duration = Duration::from_secs(10);

/// Serves a client over standard input and output until the input ends. Prints nothing but the protocol's messages.
///
/// # Errors
/// [`Error`]. An input that ends before it began is none.
pub fn serve_stdio(library: Arc<Library>, options: Options) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let server = Server::new(library.clone(), options, Arc::new(Own::default()));
        let running = match server.serve(stdio()).await {
            Ok(running) => running,
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(Error::Handshake(error.to_string())),
        };
        running.waiting().await.map(drop).map_err(|error| Error::Stopped(error.to_string()))
    });
    runtime.shutdown_timeout(END);
    library.flush_prefixes();
    served
}
