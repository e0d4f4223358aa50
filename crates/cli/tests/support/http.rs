//! A server of one's own, and a client that says exactly what it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::Home;

/// A running `docent serve`, stopped when it is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

/// What a server answered.
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Server {
    /// Starts a server on a free port of this machine.
    pub fn start(home: &Home, args: &[&str]) -> Self {
        let all = [&["serve", "--listen", "127.0.0.1:0", "--log", "off"], args].concat();
        let mut child = home.command(&all).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.trim().strip_prefix("http://").expect("the server tells its address").parse().unwrap();
        Self { child, address }
    }

    /// Asks the process to end, and gives its exit code.
    pub fn stop(mut self) -> i32 {
        self.terminate();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Ends the process at once, as a machine that loses its power does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        let _ = std::process::Command::new("kill").args(["-TERM", &id]).status();
    }

    /// Sends a request as it is given, and leaves the connection open.
    pub fn open(&self, request: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
        stream.write_all(request).unwrap();
        stream
    }

    /// Sends a request with these lines in its head, and reads the answer.
    pub fn send(&self, method: &str, path: &str, head: &[&str], body: &[u8]) -> Answered {
        let has_host = head.iter().any(|line| line.to_lowercase().starts_with("host:"));
        let host = if has_host { String::new() } else { format!("Host: {}\r\n", self.address) };
        let lines: String = head.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\n{host}{lines}Connection: close\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend(body);
        let mut answer = Vec::new();
        self.open(&request).read_to_end(&mut answer).unwrap();
        Answered::read(&answer)
    }

    pub fn get(&self, path: &str) -> Answered {
        self.send("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answered {
        self.send("POST", path, &["Content-Type: application/json"], body.to_string().as_bytes())
    }

    /// A number of `/metrics`.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").is(200).body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .unwrap_or_else(|| panic!("no {name}\n{text}"));
        line.parse().unwrap()
    }

    /// Waits until a number of `/metrics` is `wanted`.
    pub fn wait_for(&self, name: &str, wanted: u64) {
        for _ in 0..3_000 {
            if self.metric(name) == wanted {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{name} is not {wanted}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.terminate();
            let _ = self.child.wait();
        }
    }
}

impl Answered {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("answers are UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_owned() };
        Self { status, head: head.to_owned(), body }
    }

    /// Checks the status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n\n{}", self.head, self.body);
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.head, self.body))
    }

    /// The word for programs in a failure's body; its sentence has to be one.
    #[track_caller]
    pub fn code(&self) -> String {
        let body = self.json();
        assert!(body["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Kind and data of each event.
    #[track_caller]
    pub fn events(&self) -> Vec<(String, Value)> {
        let field = |event: &str, name: &str| {
            event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
        };
        let event = |event: &str| {
            let data = field(event, "data")?;
            let data = if data == "[DONE]" { Value::Null } else { serde_json::from_str(&data).unwrap() };
            Some((field(event, "event").unwrap_or_default(), data))
        };
        self.body.split("\n\n").filter_map(event).collect()
    }
}

/// A body without the lengths of its chunks (RFC 9112, section 7.1).
fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 || after.len() < length {
            break;
        }
        body.push_str(&after[..length]);
        rest = after[length..].trim_start_matches("\r\n");
    }
    body
}
