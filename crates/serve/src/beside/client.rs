//! A command's end of the socket.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use docent::json::{AskResult, IngestProgress, IngestSummary, SearchResult};
use docent::{
    Answer, AskEvent, AskOptions, Cancel, Library, Progress, Reading, SearchOptions, Settings, Summary,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::indexing::{self, Indexing};
use super::{ROUTE, Started, Terms, request, socket};

/// So often a command that waits looks whether it was stopped.
const TICK: Duration = Duration::from_millis(50);
/// A server that does not say within this time how it was started is none: it hangs, or was suspended.
const LISTENS: Duration = Duration::from_secs(1);
/// One that says nothing for so long has been stopped meanwhile. It says that it is still there every ten seconds (`sse::KEEP_ALIVE`).
const SILENT: Duration = Duration::from_secs(60);

/// The server of a home, which answers as the command itself would.
#[derive(Debug)]
pub struct Neighbour {
    socket: PathBuf,
    started: Started,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// Nothing was told yet: whoever asked can do it alone.
    Refused,
    /// Whoever asked was stopped.
    Stopped,
    /// It broke off in the middle.
    Failed(String),
}

impl Neighbour {
    /// The server of the home with these settings, if there is one that was started with the same; with so many threads, where that is said.
    pub fn find(settings: &Settings, n_threads: Option<usize>) -> Option<Self> {
        let socket = socket(&settings.data_dir);
        let never = Cancel::new();
        let response = Response::to(&socket, "GET", ROUTE, None, LISTENS, &never).ok()?;
        let started: Started = response.json(&never).ok()?;
        let suits = started.terms == Terms::of(settings)
            && n_threads.is_none_or(|n_threads| n_threads == started.n_threads);
        suits.then_some(Self { socket, started })
    }

    /// What [`Library::search`] finds.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub fn search(
        &self,
        query: &str,
        options: &SearchOptions,
        own: &Library,
        cancel: &Cancel,
    ) -> Result<SearchResult, Unanswered> {
        let body = request::search(query, options, own.settings()).ok_or(Unanswered::Refused)?;
        Response::to(&self.socket, "POST", "/v1/search", Some(&body), SILENT, cancel)?.json(cancel)
    }

    /// What [`Library::ask`] answers. Events come as from there; a question that has to wait is told with the number of those before it.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub fn ask(
        &self,
        question: &str,
        options: &AskOptions,
        own: &Library,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(Told),
    ) -> Result<AskResult, Unanswered> {
        if self.started.history_days != own.settings().history_days {
            return Err(Unanswered::Refused);
        }
        let body = request::ask(question, options, own).ok_or(Unanswered::Refused)?;
        let mut response = Response::to(&self.socket, "POST", "/v1/ask", Some(&body), SILENT, cancel)?;
        let mut answer = None::<Answer>;
        let mut was_told = false;
        let broken = |was_told: bool, why: &str| match was_told {
            true => Unanswered::Failed(why.to_owned()),
            false => Unanswered::Refused,
        };
        const BROKEN_OFF: &str = "the server broke off; ask again, or with --alone";
        loop {
            let event = match response.event(cancel) {
                Err(Unanswered::Refused) => return Err(broken(was_told, BROKEN_OFF)),
                event => event?,
            };
            let Some((kind, data)) = event else { return Err(broken(was_told, BROKEN_OFF)) };
            match kind.as_str() {
                "result" => answer = serde_json::from_value(data).ok(),
                "kept" => {
                    let kept = serde_json::from_value(data).ok();
                    let whole =
                        answer.zip(kept).map(|(answer, prefix_store)| AskResult { answer, prefix_store });
                    return whole.ok_or_else(|| broken(was_told, BROKEN_OFF));
                }
                "error" => {
                    return Err(broken(was_told, data["error"]["message"].as_str().unwrap_or(BROKEN_OFF)));
                }
                "queued" => on_event(Told::Queued { ahead: number(&data, "ahead") }),
                _ => {
                    if let Some(event) = event_of(&kind, &data) {
                        was_told |= matches!(event, AskEvent::Answer(_) | AskEvent::Thinking(_));
                        on_event(Told::Event(event));
                    }
                }
            }
        }
    }

    /// Has `what` done, and gives what it did; a summary that says so where the user stopped it. `paths` are absolute.
    ///
    /// # Errors
    /// [`Unanswered::Refused`]: whoever asked does it alone, or what is left of it.
    pub fn index(
        &self,
        what: Indexing,
        paths: Vec<PathBuf>,
        own: &Library,
        cancel: &Cancel,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Summary, Unanswered> {
        const OTHERS: &str = "another command or client of the server";
        let collection = request::name(own.settings().collection.as_deref());
        let request = indexing::Request::new(what, paths, collection, own.settings());
        // A path that is no text cannot be told.
        let body = serde_json::to_value(request).map_err(|_| Unanswered::Refused)?;
        let nothing_done = || Ok(Summary { interrupted: true, ..Summary::default() });
        let mut response =
            match Response::to(&self.socket, "POST", indexing::ROUTE, Some(&body), SILENT, cancel) {
                Err(Unanswered::Stopped) => return nothing_done(),
                response => response?,
            };
        let never = Cancel::new();
        let mut running = None::<String>;
        let mut was_stopped = false;
        loop {
            let event = match response.event(if was_stopped { &never } else { cancel }) {
                Err(Unanswered::Stopped) => match &running {
                    // It hangs up, and the job is not begun.
                    None => return nothing_done(),
                    Some(id) => {
                        was_stopped = true;
                        self.stop(id);
                        continue;
                    }
                },
                event => event?,
            };
            let (_, data) = event.ok_or(Unanswered::Refused)?;
            match data["state"].as_str() {
                Some("waiting") => on_progress(Progress::Waiting { holder: OTHERS.to_owned() }),
                Some("running") => {
                    running = data["id"].as_str().map(str::to_owned);
                    let progress = serde_json::from_value::<Option<IngestProgress>>(data["progress"].clone());
                    if let Ok(Some(progress)) = progress {
                        on_progress(progress.into());
                    }
                }
                Some("done" | "cancelled") => {
                    let summary = serde_json::from_value::<IngestSummary>(data["summary"].clone());
                    return summary.map(Summary::from).map_err(|_| Unanswered::Refused);
                }
                _ => return Err(Unanswered::Refused),
            }
        }
    }

    /// Has a job stopped; it says itself when it has.
    fn stop(&self, job: &str) {
        let route = format!("/v1/jobs/{job}");
        let _ = Response::to(&self.socket, "DELETE", &route, None, LISTENS, &Cancel::new());
    }
}

/// What is told while a question is answered.
#[derive(Debug)]
pub enum Told {
    /// It waits for so many others.
    Queued {
        /// Questions before it.
        ahead: usize,
    },
    /// It is answered.
    Event(AskEvent),
}

fn number(data: &Value, key: &str) -> usize {
    data[key].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

/// The event that was written as `kind` and `data` (`v1::ask` writes them).
fn event_of(kind: &str, data: &Value) -> Option<AskEvent> {
    let text = |key: &str| data[key].as_str().map(str::to_owned);
    let n = |key| number(data, key);
    Some(match kind {
        "retrieved" => {
            AskEvent::Retrieved { n_hits: n("hits"), seconds: data["seconds"].as_f64().unwrap_or(0.0) }
        }
        "packed" => AskEvent::Packed {
            prompt_tokens: n("prompt_tokens"),
            n_passages: n("passages"),
            n_left_out: n("left_out"),
        },
        "hashing" => AskEvent::Reading(Reading::Hashed { done: n("done") as u64, total: n("total") as u64 }),
        "reading" => AskEvent::Reading(Reading::Found {
            cached: n("cached_tokens"),
            total: n("prompt_tokens"),
            estimate_s: data["estimate_s"].as_f64(),
        }),
        "prefill" => AskEvent::Reading(Reading::Prefill { done: n("done"), total: n("total") }),
        "thinking" => AskEvent::Thinking(text("text")?),
        "answer" => AskEvent::Answer(text("text")?),
        "note" => AskEvent::NotWrittenDown(text("message")?),
        _ => return None,
    })
}

#[cfg(unix)]
type Local = std::os::unix::net::UnixStream;
#[cfg(not(unix))]
type Local = io::Cursor<Vec<u8>>;

#[cfg(unix)]
fn connect(socket: &Path) -> io::Result<Local> {
    let stream = Local::connect(socket)?;
    stream.set_read_timeout(Some(TICK))?;
    Ok(stream)
}

#[cfg(not(unix))]
fn connect(_socket: &Path) -> io::Result<Local> {
    Err(io::ErrorKind::Unsupported.into())
}

/// An answer whose head has been read.
struct Response {
    stream: Local,
    /// Of the body, what was received and not yet used.
    received: Vec<u8>,
    patience: Duration,
}

impl Response {
    /// Sends a request and waits for the head of an answer that is none but 200.
    fn to(
        socket: &Path,
        method: &str,
        route: &str,
        body: Option<&Value>,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<Self, Unanswered> {
        let refused = |_| Unanswered::Refused;
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!("{method} {route} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json");
        let mut stream = connect(socket).map_err(refused)?;
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).map_err(refused)?;
        let mut response = Self { stream, received: Vec::new(), patience };
        let head = response.until(b"\r\n\r\n", cancel)?.ok_or(Unanswered::Refused)?;
        match head.split(' ').nth(1) {
            Some("200") => Ok(response),
            _ => Err(Unanswered::Refused),
        }
    }

    /// The rest of it, which is one value.
    fn json<T: DeserializeOwned>(mut self, cancel: &Cancel) -> Result<T, Unanswered> {
        while self.receive(cancel)? {}
        serde_json::from_slice(&self.received).map_err(|_| Unanswered::Refused)
    }

    /// The next server-sent event; none at the end.
    fn event(&mut self, cancel: &Cancel) -> Result<Option<(String, Value)>, Unanswered> {
        while let Some(text) = self.until(b"\n\n", cancel)? {
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            let data = field("data: ").and_then(|data| serde_json::from_str(data).ok());
            // What has none is said so that the line stays open.
            if let (Some(kind), Some(data)) = (field("event: "), data) {
                return Ok(Some((kind.to_owned(), data)));
            }
        }
        Ok(None)
    }

    /// What comes before `mark`; none where it does not come any more.
    fn until(&mut self, mark: &[u8], cancel: &Cancel) -> Result<Option<String>, Unanswered> {
        loop {
            if let Some(at) = self.received.windows(mark.len()).position(|window| window == mark) {
                let rest = self.received.split_off(at + mark.len());
                let taken = std::mem::replace(&mut self.received, rest);
                return Ok(Some(String::from_utf8_lossy(&taken[..at]).into_owned()));
            }
            if !self.receive(cancel)? {
                return Ok(None);
            }
        }
    }

    /// Receives some more; false at the end.
    fn receive(&mut self, cancel: &Cancel) -> Result<bool, Unanswered> {
        let mut buffer = [0; 16 << 10];
        let start = Instant::now();
        loop {
            if cancel.is_cancelled() {
                return Err(Unanswered::Stopped);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.received.extend_from_slice(&buffer[..n]);
                    return Ok(true);
                }
                Err(error) if is_nothing_yet(&error) && start.elapsed() < self.patience => {}
                Err(_) => return Err(Unanswered::Refused),
            }
        }
    }
}

fn is_nothing_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
