//! Long work, and the interpreter meanwhile: other threads run, Ctrl-C is heard, and progress is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use pyo3::prelude::*;

use crate::error::failure;

/// How long Ctrl-C may go unnoticed.
pub const LOOK_UP: Duration = Duration::from_millis(50);

/// What work tells: how far it is, and in the end what came of it.
enum Told<T> {
    Progress(u64, u64),
    Done(T),
}

/// Does `work` on a thread of its own. It gets a question, whether to stop, and a way to tell how far it is, which `on_progress` hears. An
/// exception, Ctrl-C above all, stops it and is raised once it has stopped.
pub fn run<T: Send + 'static>(
    python: Python<'_>,
    on_progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&dyn Fn() -> bool, &mut dyn FnMut(u64, u64)) -> T + Send + 'static,
) -> PyResult<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    let (tell, told) = channel();
    let thread = std::thread::spawn(move || {
        let telling: Sender<Told<T>> = tell.clone();
        let mut on_progress = move |done, total| drop(telling.send(Told::Progress(done, total)));
        let result = work(&|| asked.load(Ordering::Relaxed), &mut on_progress);
        let _ = tell.send(Told::Done(result));
    });
    let mut raised: Option<PyErr> = None;
    let mut told = told;
    let result = loop {
        let (next, back) = python.detach(move || (told.recv_timeout(LOOK_UP), told));
        told = back;
        let heard = match next {
            Ok(Told::Done(result)) => break Ok(result),
            Ok(Told::Progress(done, total)) => match on_progress {
                Some(hear) if raised.is_none() => hear.call1((done, total)).map(drop),
                _ => Ok(()),
            },
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => break Err(failure("docent could not finish this")),
        };
        if let Err(error) = heard.and_then(|()| python.check_signals()) {
            stop.store(true, Ordering::Relaxed);
            raised.get_or_insert(error);
        }
    };
    let _ = thread.join();
    match raised {
        Some(error) => Err(error),
        None => result,
    }
}
