//! Beside a server: commands of the same home ask it instead of opening the models themselves.
//!
//! The server listens on a Unix socket in the data folder, `server.sock`, for the user who runs it and nobody else. What is told there is
//! what is told over TCP, without a token.
//!
//! 1. A server takes the home's lock, removes the socket that a killed one left, and makes its own. Only the lock's holder ever removes one.
//! 2. A command connects. No socket, or nobody behind it: there is no server, and the command works alone. It does not remove the socket:
//!    the server that makes it listens a moment later.
//! 3. It asks how the server was started. Another version, other folders, or a history where the command keeps none: alone.
//! 4. It asks what any client asks, in HTTP/1.0, where an answer simply goes on until the connection ends.
//! 5. A refusal before the first word is no failure: the command works alone, and tells what is wrong as it always does.
//! 6. A command that is stopped hangs up, and the server stops with the next token. A server that is stopped removes its socket.
//! 7. `add`, `update` and `rm` have a job done. Stopped once, they have the job stopped and wait until it says what it has done; killed, they
//!    hang up, which stops it, too. A job that fails, or a server that ends in the middle of it: the command does what is left alone.
//!
//! A home whose path is too long for a socket (some 100 bytes), or a system that has none, is a home without one.

mod client;
mod door;
mod indexing;
mod request;

use std::path::{Path, PathBuf};

use axum::extract::State;
use docent::Settings;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::problem::Problem;

pub use client::{Neighbour, Told, Unanswered};
pub(crate) use door::{Door, Stream};
pub use indexing::Indexing;

/// Where it is told how the server was started, on the socket alone.
const ROUTE: &str = "/beside";

/// Where a home's server listens for its own user.
fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("server.sock")
}

/// What has to be the same for a server to answer as the command would.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Terms {
    version: String,
    cache_dir: PathBuf,
    models_dir: PathBuf,
    isa: Option<String>,
    keep_prefixes: bool,
    prefix_bytes: Option<u64>,
}

/// How a server was started.
#[derive(Debug, Serialize, Deserialize)]
struct Started {
    #[serde(flatten)]
    terms: Terms,
    n_threads: usize,
    history_days: Option<u32>,
}

impl Terms {
    fn of(settings: &Settings) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cache_dir: settings.cache_dir.clone(),
            models_dir: settings.models_dir(),
            isa: settings.isa.map(|isa| format!("{isa:?}")),
            keep_prefixes: settings.keep_prefixes,
            prefix_bytes: settings.prefix_bytes,
        }
    }
}

/// How the server was started, for commands of the same user: the folders are nobody else's business.
async fn started(State(app): State<App>) -> Result<axum::Json<Started>, Problem> {
    let library = app.library(None)?;
    let settings = library.settings();
    let (n_threads, history_days) = (settings.n_threads, settings.history_days);
    Ok(axum::Json(Started { terms: Terms::of(settings), n_threads, history_days }))
}

/// Whether a route is on the socket alone. Over TCP nobody is told that it is here.
pub(crate) fn is_own(route: &str) -> bool {
    route == ROUTE || route == indexing::ROUTE
}

pub(crate) fn routes() -> axum::Router<App> {
    axum::Router::new()
        .route(ROUTE, axum::routing::get(started))
        .route(indexing::ROUTE, axum::routing::post(indexing::begin))
}
