//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The port, where none is named. Nobody has registered it (IANA, Service Name and Transport Protocol Port Number Registry).
pub const DEFAULT_PORT: u16 = 7437;

/// Where and for whom a server is there.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What a client has to show (`Authorization: Bearer …`). Needed for every address that other machines can reach.
    pub token: Option<String>,
    /// Names by which the server may be called, besides `localhost` and addresses: those of a proxy before it.
    pub hosts: Vec<String>,
    /// Folders from which documents may be added; those that the library has may be added again in any case.
    pub roots: Vec<PathBuf>,
    /// The model that answers where a request names none; none: the best that is here.
    pub model: Option<String>,
    /// Keep the index up to date while documents change.
    pub watch: bool,
    /// What one request may cost.
    pub limits: Limits,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            token: None,
            hosts: Vec::new(),
            roots: Vec::new(),
            model: None,
            watch: false,
            limits: Limits::default(),
        }
    }
}

/// What clients may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's JSON.
    pub body_bytes: usize,
    /// Bytes of an uploaded document.
    pub upload_bytes: usize,
    /// Time until a request's head is there, and until its body is.
    pub patience: Duration,
    /// Time that a client may leave what it is sent lying.
    pub stalled: Duration,
    /// Connections at once; more wait until one is free.
    pub n_connections: usize,
    /// Questions that wait for the model, and those of one client among them.
    pub n_waiting: usize,
    /// Of one client.
    pub n_waiting_each: usize,
    /// Searches at once.
    pub n_searching: usize,
    /// Searches that wait for their turn.
    pub n_searches_waiting: usize,
    /// Time until a search's turn comes.
    pub search_wait: Duration,
    /// Characters of a question or query.
    pub question_chars: usize,
    /// Time that requests have to end when the server is stopped.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            upload_bytes: 64 << 20,
            patience: Duration::from_secs(30),
            stalled: Duration::from_secs(60),
            n_connections: 512,
            n_waiting: 64,
            n_waiting_each: 16,
            n_searching: std::thread::available_parallelism().map_or(2, usize::from),
            n_searches_waiting: 256,
            search_wait: Duration::from_secs(30),
            question_chars: 20_000,
            farewell: Duration::from_secs(5),
        }
    }
}
