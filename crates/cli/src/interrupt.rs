//! Ctrl-C: the first asks the running work to stop at the next safe place, the second stops at once.

use std::time::{Duration, Instant};

use docent::Cancel;

use crate::exit;

/// Signals closer together than this are one: `timeout` and some shells send theirs to the process and to its group.
const ONE_SIGNAL: Duration = Duration::from_millis(300);

/// Set when the user has asked to stop.
#[derive(Debug, Clone)]
pub struct Interrupt(Cancel);

impl Interrupt {
    /// Starts listening for SIGINT and SIGTERM.
    pub fn listen() -> anyhow::Result<Self> {
        let cancel = Cancel::new();
        let raised = cancel.clone();
        let mut first: Option<Instant> = None;
        ctrlc::set_handler(move || {
            if first.get_or_insert_with(Instant::now).elapsed() > ONE_SIGNAL {
                std::process::exit(i32::from(exit::INTERRUPTED));
            }
            raised.cancel();
        })?;
        Ok(Self(cancel))
    }

    /// Whether the user has asked to stop.
    pub fn requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// The flag that stops a generation.
    pub fn cancel(&self) -> &Cancel {
        &self.0
    }
}
