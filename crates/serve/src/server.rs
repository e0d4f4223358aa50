//! A server from its first to its last moment.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use docent::{Cancel, Library};

use crate::app::{App, Threads};
use crate::beside::{self, Door};
use crate::connection::{self, Entrances};
use crate::guard::guard;
use crate::home::{HomeError, HomeLock};
use crate::problem::Problem;
use crate::settings::ServeSettings;
use crate::{mcp, openai, openapi, page, v1};

/// How often the flag is looked at that ends the server.
const STOP_POLL: Duration = Duration::from_millis(50);
/// Threads that handle connections; the work is done on others.
const N_IO_THREADS: usize = 2;

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Other machines could reach it, and it would not ask them who they are.
    #[error(
        "{0} can be reached from other machines, so a token is needed: write one into a file that only you can read and name it with --token-file"
    )]
    TokenNeeded(SocketAddr),
    /// A token that anybody could guess, or that no header can carry.
    #[error(
        "the token must have at least 16 characters, all of them printable ASCII without blanks; `openssl rand -hex 32` prints a good one"
    )]
    WeakToken,
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}; name another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Another server has this home, or it cannot be written.
    #[error("{0}")]
    Home(String),
    /// Threads or the network's event loop cannot be set up.
    #[error("cannot start the server: {0}")]
    Start(#[from] io::Error),
}

impl From<HomeError> for ServeError {
    fn from(error: HomeError) -> Self {
        Self::Home(error.to_string())
    }
}

type Mount = Box<dyn FnOnce(&App) -> Router + Send>;

/// A server that listens and does not answer yet: [`run`](Self::run) does.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    threads: Threads,
    mounts: Vec<Mount>,
    door: Option<Door>,
    lock: HomeLock,
}

impl Server {
    /// Takes the address and the home.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn bind(library: Library, settings: ServeSettings) -> Result<Self, ServeError> {
        if !settings.listen.ip().is_loopback() && settings.token.is_none() {
            return Err(ServeError::TokenNeeded(settings.listen));
        }
        let is_printable =
            |token: &String| token.len() >= 16 && token.bytes().all(|byte| byte.is_ascii_graphic());
        if settings.token.as_ref().is_some_and(|token| !is_printable(token)) {
            return Err(ServeError::WeakToken);
        }
        let mut lock = HomeLock::take(&library.settings().data_dir)?;
        let listen = |source| ServeError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).map_err(listen)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        lock.tell(address)?;
        let door = Door::make(&library.settings().data_dir);
        let door =
            door.inspect_err(|error| tracing::warn!(%error, "commands beside this server work alone")).ok();
        let (app, threads) = App::new(library, settings)?;
        Ok(Self { listener, address, app, threads, mounts: Vec::new(), door, lock })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds routes: `routes` is called with the server's inside, within its event loop. Host, origin and token are checked for them, too.
    #[must_use]
    pub fn mount(mut self, routes: impl FnOnce(&App) -> Router + Send + 'static) -> Self {
        self.mounts.push(Box::new(routes));
        self
    }

    /// Answers until `stop` is raised; then what runs has a moment to finish, and what the model computed is written to disk.
    ///
    /// # Errors
    /// An event loop that cannot be set up.
    pub fn run(self, stop: &Cancel) -> Result<(), ServeError> {
        let Self { listener, address, app, threads, mounts, door, lock } = self;
        let n_blocking = app.limits().n_searching + 4; // and a few for lists and status
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(N_IO_THREADS)
            .max_blocking_threads(n_blocking)
            .enable_all()
            .thread_name("http")
            .build()?;
        tracing::info!(%address, "listening");
        let served = runtime.block_on(async {
            let tcp = tokio::net::TcpListener::from_std(listener)?;
            let door = door.map(Door::opened).transpose()?;
            let router = router(&app, mounts);
            connection::serve(Entrances { tcp, door }, router, &app, raised(stop)).await;
            Ok(())
        });
        tracing::info!("stopping");
        app.close();
        runtime.shutdown_timeout(Duration::from_secs(1)); // drops what still runs, and with it raises its flag
        threads.join();
        if let Ok(library) = app.library(None) {
            library.flush_prefixes();
        }
        drop(lock);
        served
    }
}

async fn raised(stop: &Cancel) {
    while !stop.is_cancelled() {
        tokio::time::sleep(STOP_POLL).await;
    }
}

/// All routes, behind the guard.
fn router(app: &App, mounts: Vec<Mount>) -> Router {
    let ours = Router::new()
        .merge(v1::routes())
        .merge(openai::routes())
        .merge(page::routes())
        .merge(openapi::routes())
        .merge(beside::routes())
        .fallback(|| async { Problem::no_such_route() })
        .method_not_allowed_fallback(|| async {
            let message = "this route does not take that method; GET /openapi.json lists those it does";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", message)
        })
        .with_state(app.clone());
    // The collection and the model that the server was started with are always had.
    let ours = ours.merge(mcp::routes(app).unwrap_or_default());
    let all = mounts.into_iter().fold(ours, |routes, mount| routes.merge(mount(app)));
    all.layer(from_fn_with_state(app.clone(), guard))
}
