//! A child process that extracts files which may crash, hang or exhaust whoever reads them.
//!
//! The child is any program that calls [`run_worker`] with its stdin and stdout; it serves file after file, so that a run
//! over a thousand files starts it once. What can go wrong, and what it costs:
//!
//! 1. The parser panics: the child answers with a failure and goes on.
//! 2. The parser overflows its stack or aborts: the child dies, its stdout closes, the file fails, the next file gets a new child.
//! 3. The parser hangs: after [`crate::Limits::timeout`] the child is killed; as 2.
//! 4. The parser allocates without end: on Unix the child runs under `ulimit -v`, its allocation fails, it aborts; as 2.
//! 5. Something in the child prints to stdout: the frame's magic does not match, the child is killed; as 2.
//! 6. The child answers with spans that are no spans of its text: the answer is checked and refused.
//!
//! A frame, both ways, integers little-endian:
//!
//! ```text
//! +--------+-----------------+---------------------------+
//! | "dxw1" | u64 payload len | payload                   |
//! +--------+-----------------+---------------------------+
//! request payload: u32 header len, header (JSON: path and limits), the file
//! reply payload:   JSON of Result<Document, ExtractError>
//! ```

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Document, ExtractError, Limits};

const MAGIC: &[u8; 4] = b"dxw1";

/// A child is replaced after this many files, so that what its parsers leak or cache does not add up.
const FILES_PER_CHILD: usize = 200;

/// Stack of the thread that parses: page trees and forms nest, and parsers follow them by recursion.
pub(crate) const STACK_BYTES: usize = 256 << 20;

/// Starts and keeps worker processes: one for each thread that extracts at the same time. Dropping it ends them.
#[derive(Debug)]
pub struct Worker {
    program: PathBuf,
    args: Vec<OsString>,
    max_memory_bytes: u64,
    idle: Mutex<Vec<Process>>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    replies: Receiver<io::Result<Vec<u8>>>,
    n_served: usize,
}

/// Why a process gave no answer.
enum Lost {
    TimedOut,
    Died,
}

#[derive(Serialize, Deserialize)]
struct Header {
    path: PathBuf,
    max_bytes: u64,
    max_unpacked_bytes: u64,
    max_entries: usize,
}

impl Worker {
    /// Describes the child: `program` (its whole path) with `args` must call [`run_worker`]. Nothing is started yet. A child may use
    /// `max_memory_bytes` of address space (on Unix; elsewhere it is not capped); 4 GiB suits.
    pub fn new(program: PathBuf, args: Vec<OsString>, max_memory_bytes: u64) -> Self {
        Self { program, args, max_memory_bytes, idle: Mutex::new(Vec::new()) }
    }

    /// Has a child extract one file. `None` if no child can be started.
    pub(crate) fn extract(
        &self,
        path: &Path,
        bytes: &[u8],
        limits: &Limits,
    ) -> Option<Result<Document, ExtractError>> {
        let idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        let mut process = match idle {
            Some(process) => process,
            None => Process::start(self).ok()?,
        };
        let reply = process.serve(path, bytes, limits);
        match reply {
            Ok(reply) => {
                if process.n_served < FILES_PER_CHILD {
                    self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(process);
                }
                Some(reply)
            }
            Err(Lost::TimedOut) => Some(Err(timed_out(limits.timeout))),
            Err(Lost::Died) => Some(Err(ExtractError::failed(
                "its parser crashed or ran out of memory: the file is probably broken; open and save it again",
            ))),
        }
    }

    fn command(&self) -> Command {
        let mut command = capped(&self.program, self.max_memory_bytes);
        command.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// A command that runs `program` with so much address space, where there is a shell to cap it.
///
/// The shell does so because it would need unsafe code here. `exec` leaves one process to kill; a program that is not there is
/// the shell's exit status 127.
pub(crate) fn capped(program: &Path, max_memory_bytes: u64) -> Command {
    if !cfg!(unix) {
        return Command::new(program);
    }
    let mut command = Command::new("sh");
    let kib = (max_memory_bytes >> 10).to_string();
    command.arg("-c").arg(r#"ulimit -v "$0" 2>/dev/null; exec "$@""#).arg(kib).arg(program);
    command
}

impl Process {
    fn start(worker: &Worker) -> io::Result<Self> {
        if !worker.program.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut child = worker.command().spawn()?;
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().ok_or_else(|| io::Error::other("no stdout"))?;
        // The thread ends when the child's stdout closes, or when nobody waits for its next frame.
        let (sender, replies) = sync_channel(1);
        std::thread::Builder::new().name("docent-worker-replies".into()).spawn(move || {
            loop {
                let frame = read_frame(&mut stdout);
                let is_end = frame.is_err();
                if sender.send(frame).is_err() || is_end {
                    return;
                }
            }
        })?;
        Ok(Self { child, stdin, replies, n_served: 0 })
    }

    fn serve(
        &mut self,
        path: &Path,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Result<Document, ExtractError>, Lost> {
        let header = Header {
            path: path.to_owned(),
            max_bytes: limits.max_bytes,
            max_unpacked_bytes: limits.max_unpacked_bytes,
            max_entries: limits.max_entries,
        };
        // A path that is no Unicode cannot be sent; only its extension matters.
        let header = serde_json::to_vec(&header).or_else(|_| {
            let path = PathBuf::from(path.to_string_lossy().into_owned());
            serde_json::to_vec(&Header { path, ..header })
        });
        let header = header.map_err(|_| Lost::Died)?;
        let stdin = self.stdin.as_mut().ok_or(Lost::Died)?;
        let n_header = (header.len() as u32).to_le_bytes();
        write_frame(stdin, &[&n_header, &header, bytes]).map_err(|_| Lost::Died)?;
        let reply = match self.replies.recv_timeout(limits.timeout) {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => return Err(Lost::Died),
            Err(RecvTimeoutError::Timeout) => return Err(Lost::TimedOut),
        };
        self.n_served += 1;
        let reply: Result<Document, ExtractError> = serde_json::from_slice(&reply).map_err(|_| Lost::Died)?;
        match reply {
            Ok(document) if document.check().is_err() => Err(Lost::Died),
            reply => Ok(reply),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        // It may have ended already; either way it is gone after this, and leaves no zombie.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn timed_out(timeout: Duration) -> ExtractError {
    ExtractError::failed(format!(
        "its parser was stopped after {} s: the file is probably broken; open and save it again",
        timeout.as_secs()
    ))
}

/// The worker's side: answers requests from `input` on `output` until `input` ends. Meant to be all that its process does: it
/// silences the process's panic messages, and `output` must be written by nobody else.
///
/// # Errors
/// When a frame cannot be read or written: the parent is gone.
pub fn run_worker(input: impl Read, output: impl Write + Send) -> io::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let (mut input, mut output) = (input, output);
    let (requests, to_do) = sync_channel::<Vec<u8>>(1);
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(
            scope,
            move || -> io::Result<()> {
                for request in to_do {
                    let reply = answer(&request);
                    let reply = serde_json::to_vec(&reply).map_err(io::Error::other)?;
                    write_frame(&mut output, &[&reply])?;
                }
                Ok(())
            },
        )?;
        loop {
            match read_frame(&mut input) {
                Ok(request) => {
                    if requests.send(request).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        drop(requests);
        parser.join().unwrap_or_else(|_| Err(io::Error::other("the parser thread panicked")))
    })
}

fn answer(request: &[u8]) -> Result<Document, ExtractError> {
    let malformed = || ExtractError::failed("malformed request to the worker");
    let (n_header, rest) = request.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (header, bytes) =
        rest.split_at_checked(u32::from_le_bytes(*n_header) as usize).ok_or_else(malformed)?;
    let header: Header = serde_json::from_slice(header).map_err(|_| malformed())?;
    let limits = Limits {
        max_bytes: header.max_bytes,
        max_unpacked_bytes: header.max_unpacked_bytes,
        max_entries: header.max_entries,
        ..Limits::default()
    };
    std::panic::catch_unwind(|| crate::extract_here(&header.path, bytes, &limits)).unwrap_or_else(|_| {
        Err(ExtractError::failed(
            "its parser gave up on it: the file is probably broken; open and save it again",
        ))
    })
}

fn write_frame(output: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    let n_bytes: usize = parts.iter().map(|part| part.len()).sum();
    output.write_all(MAGIC)?;
    output.write_all(&(n_bytes as u64).to_le_bytes())?;
    for part in parts {
        output.write_all(part)?;
    }
    output.flush()
}

fn read_frame(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0u8; 12];
    input.read_exact(&mut head)?;
    let (magic, n_bytes) = head.split_at(4);
    if magic != MAGIC {
        return Err(io::Error::other("not a frame"));
    }
    let n_bytes = u64::from_le_bytes(n_bytes.try_into().map_err(io::Error::other)?);
    // Grows as bytes arrive: a length that lies cannot make this allocate.
    let mut payload = Vec::new();
    input.take(n_bytes).read_to_end(&mut payload)?;
    if payload.len() as u64 != n_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(payload)
}
