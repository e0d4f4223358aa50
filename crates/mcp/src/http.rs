//! The protocol over HTTP, for a server that has other routes too: a tower service for one of them.
//!
//! There are no sessions: every request says all that it needs, and what one answers is forgotten with it. Who may ask (Host, Origin,
//! token) is for the server to decide, before this.

use std::sync::Arc;

use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use crate::Server;

/// The service. Each request is one of the protocol's messages; long answers come as server-sent events.
pub type HttpService = StreamableHttpService<Server, NeverSessionManager>;

/// Serves clients over HTTP.
pub fn http(server: Server, max_body_bytes: usize) -> HttpService {
    let mut config =
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).disable_allowed_hosts();
    config.max_request_body_bytes = max_body_bytes;
    StreamableHttpService::new(move || Ok(server.clone()), Arc::new(NeverSessionManager::default()), config)
}
