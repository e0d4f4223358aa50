//! Hands out the files of a plan to worker threads, in order, and holds them back when too much is under way.
//!
//! A file is under way from when a worker gets it until the results of all files before it, and its own, have been taken over by
//! the thread that stores them. The next file in that order is always let through when nothing else is under way, so
//! a file larger than the bound is worked on alone and nothing waits for ever.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Most files under way: enough that one slow file does not starve the embedding of the others.
const MAX_FILES: usize = 256;

/// Most bytes of files under way. A document in memory takes a few times its file.
const MAX_BYTES: u64 = 128 << 20;

#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: usize,
    n_files: usize,
    n_bytes: u64,
    closed: bool,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), freed: Condvar::new() }
    }

    /// The index of the next of the files of these sizes, as soon as it may be worked on; none at the end.
    pub(crate) fn next(&self, sizes: &[u64]) -> Option<usize> {
        let mut state = self.lock();
        loop {
            let size = *sizes.get(state.next).filter(|_| !state.closed)?;
            if state.n_files == 0 || (state.n_files < MAX_FILES && state.n_bytes + size <= MAX_BYTES) {
                state.n_files += 1;
                state.n_bytes += size;
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A file of this size is no longer under way.
    pub(crate) fn free(&self, size: u64) {
        let mut state = self.lock();
        state.n_files -= 1;
        state.n_bytes -= size;
        drop(state);
        self.freed.notify_all();
    }

    /// Hands out no more files.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_larger_than_the_bound_is_worked_on_alone() {
        let gate = Gate::new();
        let sizes = [1, MAX_BYTES + 1, 1];
        assert_eq!(gate.next(&sizes), Some(0));
        std::thread::scope(|scope| {
            let large = scope.spawn(|| gate.next(&sizes));
            gate.free(1);
            assert_eq!(large.join().unwrap(), Some(1));
        });
        gate.free(MAX_BYTES + 1);
        assert_eq!(gate.next(&sizes), Some(2));
        assert_eq!(gate.next(&sizes), None);
    }

    #[test]
    fn closing_wakes_those_who_wait() {
        let gate = Gate::new();
        let sizes = [MAX_BYTES, MAX_BYTES];
        assert_eq!(gate.next(&sizes), Some(0));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.next(&sizes));
            gate.close();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
