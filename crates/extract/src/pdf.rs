//! PDF. The parser is walled off: it runs in a [`crate::Worker`] process, or without one on a thread of its own.
//!
//! On a thread a panic, a deep recursion and a hang cost the file too, with two differences: a thread that hangs is left
//! behind, burning a core until the process ends, and a panic prints its message. There is no memory cap. The
//! worker is what a program should use; the thread is for tests and small tools.

mod columns;
mod layout;
mod reader;
mod structure;

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};

use crate::worker::{STACK_BYTES, timed_out};
use crate::{Document, ExtractError, Limits};

/// Extracts behind the wall the limits name.
pub(crate) fn extract(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    if let Some(worker) = &limits.worker
        && let Some(reply) = worker.extract(path, bytes, limits)
    {
        return reply;
    }
    on_a_thread(bytes.to_vec(), limits)
}

fn on_a_thread(bytes: Vec<u8>, limits: &Limits) -> Result<Document, ExtractError> {
    let (sender, reply) = sync_channel(1);
    let thread =
        std::thread::Builder::new().name("docent-pdf".into()).stack_size(STACK_BYTES).spawn(move || {
            // Nobody waits for it any more after a timeout.
            let _ = sender.send(extract_here(&bytes));
        });
    if thread.is_err() {
        return Err(ExtractError::failed("no thread could be started to read it"));
    }
    match reply.recv_timeout(limits.timeout) {
        Ok(reply) => reply,
        Err(RecvTimeoutError::Timeout) => Err(timed_out(limits.timeout)),
        Err(RecvTimeoutError::Disconnected) => Err(ExtractError::failed(
            "its parser gave up on it: the file is probably broken; open and save it again",
        )),
    }
}

/// Extracts on this very thread: for the worker, which is the wall.
pub(crate) fn extract_here(bytes: &[u8]) -> Result<Document, ExtractError> {
    structure::document(reader::read(bytes)?)
}
