//! Ctrl-C: the first asks the running work to stop at the next safe place, the second stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use docent::Cancel;

use crate::exit;

/// Signals closer together than this are one: `timeout` and some shells send theirs to the process and to its group.
const ONE_SIGNAL: Duration = Duration::from_millis(300);

/// Set when the user has asked to stop.
#[derive(Debug, Clone)]
pub struct Interrupt {
    cancel: Cancel,
    /// Nothing is at work: the program waits for the user.
    idle: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts listening for SIGINT and SIGTERM.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupt = Self { cancel: Cancel::new(), idle: Arc::default() };
        let raised = interrupt.clone();
        let mut last: Option<Instant> = None;
        ctrlc::set_handler(move || {
            let again = Instant::now();
            if last.replace(again).is_some_and(|last| again - last < ONE_SIGNAL) {
                return;
            }
            if raised.idle.load(Ordering::Relaxed) || raised.cancel.is_cancelled() {
                eprintln!();
                std::process::exit(i32::from(exit::INTERRUPTED));
            }
            raised.cancel.cancel();
        })?;
        Ok(interrupt)
    }

    /// Whether the user has asked to stop.
    pub fn requested(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// The flag that stops a generation.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// What was asked for has stopped, and the program goes on.
    pub fn done(&self) {
        self.cancel.reset();
    }

    /// Waits for the user in `wait`; Ctrl-C leaves the program at once meanwhile.
    pub fn while_idle<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.idle.store(true, Ordering::Relaxed);
        let result = wait();
        self.idle.store(false, Ordering::Relaxed);
        result
    }
}
