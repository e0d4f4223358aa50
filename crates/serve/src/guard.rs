//! Who may ask, before anything is looked at.
//!
//! A page of a foreign site can make the browser of somebody who runs docent send requests to `127.0.0.1`. Three things stand against that:
//!
//! 1. `Origin` and `Sec-Fetch-Site`, which the browser sets and a page cannot, have to be the server's own.
//! 2. `Host` has to be an address, `localhost`, or a name that the server was told of. A site may let its own name point to `127.0.0.1` after
//!    its page was loaded (DNS rebinding); then everything is of the same origin, but `Host` still has the site's name.
//! 3. Requests that change something carry JSON and say so, or are `PUT` or `DELETE`: a browser asks first, and is told nothing.
//!
//! Where there is a token, everything but the page's own files and `/healthz` needs it; not on the home's socket, which the server's own
//! user alone can open.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::beside;
use crate::problem::Problem;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer {
    /// An address, this machine's or another one's.
    Address(SocketAddr),
    /// The server's own user, through the socket of the home.
    Own,
}

/// Who asks, as far as taking turns goes: the header `X-Client-Id` if there is one, otherwise address and program. In every request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client(pub String);

/// Characters of a client's name that count.
const CLIENT_CHARS: usize = 120;

/// Counts a request until it is over, or given up.
struct InFlight(App);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.metrics().end();
    }
}

/// Looks at a request, hands it on, and writes down what became of it: method, route, status and time, and nothing that anybody wrote.
pub(crate) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    app.metrics().begin();
    let _in_flight = InFlight(app.clone());
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let client = client(&request);
    request.extensions_mut().insert(client);
    let mut response = match check(&app, &request, &route) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    harden(response.headers_mut());
    let (status, took) = (response.status().as_u16(), started.elapsed());
    app.metrics().request(&route, method, status, took);
    tracing::info!(method, route, status, ms = took.as_millis() as u64, "request");
    response
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

fn client(request: &Request) -> Client {
    let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let name = match text(HeaderName::from_static("x-client-id")) {
        Some(id) => format!("id {id}"),
        None => {
            let address = match request.extensions().get::<Peer>() {
                Some(Peer::Address(address)) => address.ip().to_string(),
                Some(Peer::Own) => "own".to_owned(),
                None => String::new(),
            };
            format!("{address} {}", text(header::USER_AGENT).unwrap_or_default())
        }
    };
    Client(name.chars().take(CLIENT_CHARS).collect())
}

fn check(app: &App, request: &Request, route: &str) -> Result<(), Problem> {
    let headers = request.headers();
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| headers.get(header::HOST).and_then(|value| value.to_str().ok()));
    let host = host.ok_or_else(|| Problem::bad("host", "the request has no Host header"))?;
    if !is_our_name(host, &app.settings().hosts) {
        let message = "this server is not called that; use its address or `localhost`, or start it with `docent serve --host NAME`";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host", message));
    }
    check_origin(headers, host, is_of_the_page(route))?;
    let is_own = matches!(request.extensions().get::<Peer>(), Some(Peer::Own));
    if !is_own && route != "/healthz" && !is_of_the_page(route) {
        check_token(app.settings().token.as_deref(), headers)?;
    }
    if !is_own && beside::is_own(route) {
        return Err(Problem::no_such_route());
    }
    Ok(())
}

/// What anybody may look at: it holds nothing but the page's own words.
fn is_of_the_page(route: &str) -> bool {
    matches!(route, "/" | "/page/{file}" | "/favicon.ico")
}

/// Whether `host`, with or without a port, is an address, `localhost`, or one of `hosts`.
fn is_our_name(host: &str, hosts: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    bare.parse::<IpAddr>().is_ok()
        || bare.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|own| own.eq_ignore_ascii_case(bare))
}

/// Whether a browser that sends this was told to by a page of ours, or by the person before it.
fn check_origin(headers: &HeaderMap, host: &str, is_page: bool) -> Result<(), Problem> {
    let foreign = || {
        let message =
            "pages of other sites may not use this server; open its own page, or ask without a browser";
        Problem::new(StatusCode::FORBIDDEN, "origin", message)
    };
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().map_err(|_| foreign())?;
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
            return Err(foreign());
        }
    }
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    match site {
        Some("cross-site" | "same-site") if !is_page => Err(foreign()),
        _ => Ok(()),
    }
}

fn check_token(token: Option<&str>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = token else { return Ok(()) };
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown =
        shown.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    match shown {
        Some((_, shown)) if is_same(shown.trim().as_bytes(), token.as_bytes()) => Ok(()),
        Some(_) => Err(unauthorized("this is not the server's token")),
        None => Err(unauthorized("this server wants a token: Authorization: Bearer TOKEN")),
    }
}

fn unauthorized(message: &str) -> Problem {
    let message = format!("{message}; it is in the file that `docent serve --token-file` names");
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
}

/// Compares without telling by its time where the first difference is.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// What browsers are told about everything that comes from here.
fn harden(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_points_here_is_not_ours() {
        let hosts = ["docs.example".to_owned()];
        for host in
            ["127.0.0.1:7437", "localhost", "LocalHost:80", "[::1]:7437", "192.168.1.5", "docs.example:443"]
        {
            assert!(is_our_name(host, &hosts), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7437", "", "docs.example.evil"]
        {
            assert!(!is_our_name(host, &hosts), "{host}");
        }
    }

    #[test]
    fn only_pages_of_the_same_origin_may_ask() {
        let with = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        let host = "127.0.0.1:7437";
        for origin in ["http://127.0.0.1:7437", "https://127.0.0.1:7437"] {
            check_origin(&with("origin", origin), host, false).unwrap();
        }
        for origin in ["null", "http://evil.example", "http://127.0.0.1:9999", "http://localhost:7437"] {
            assert_eq!(
                check_origin(&with("origin", origin), host, false).unwrap_err().status,
                StatusCode::FORBIDDEN,
                "{origin}"
            );
        }
        assert!(check_origin(&with("sec-fetch-site", "cross-site"), host, false).is_err());
        check_origin(&with("sec-fetch-site", "cross-site"), host, true).unwrap();
        check_origin(&with("sec-fetch-site", "same-origin"), host, false).unwrap();
        check_origin(&HeaderMap::new(), host, false).unwrap();
    }

    #[test]
    fn a_token_is_asked_for_and_compared_whole() {
        let with = |value: &'static str| {
            HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
        };
        check_token(Some("secret"), &with("Bearer secret")).unwrap();
        check_token(Some("secret"), &with("bearer secret")).unwrap();
        check_token(None, &HeaderMap::new()).unwrap();
        for wrong in ["Bearer secre", "Bearer secret1", "Basic secret", "secret", "Bearer"] {
            assert_eq!(
                check_token(Some("secret"), &with(wrong)).unwrap_err().status,
                StatusCode::UNAUTHORIZED,
                "{wrong}"
            );
        }
        assert!(check_token(Some("secret"), &HeaderMap::new()).is_err());
    }
}
