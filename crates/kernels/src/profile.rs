//! Where the time of a forward pass goes: seconds, bytes and arithmetic for each kind of operation, reading a prompt and
//! writing an answer apart. Off unless [`Settings::profile`](crate::Settings::profile) asks for it; results never depend
//! on it.
//!
//! Bytes are those of weights, keys and values: what has to come from memory. Activations are in cache.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::BlockFormat;

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Rows of the embedding matrix read out.
    Embedding,
    /// Inputs of products rounded to int8.
    Quantise,
    /// Products with whole matrices of this format.
    Product(BlockFormat),
    /// Products with experts of this format.
    ExpertProduct(BlockFormat),
    /// Rows grouped by expert, and their results added up.
    ExpertRows,
    /// Attention to keys and values.
    Attention,
    /// Short convolution.
    Convolution,
    /// RMS norms.
    Norm,
    /// Rotary positions.
    Rope,
    /// silu(gate) * up.
    Gate,
    /// A layer's output added to the residual stream.
    Add,
}

/// What one kind of operation cost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// How often it ran.
    pub n_calls: u64,
    /// Wall time of all of them.
    pub seconds: f64,
    /// Weights, keys and values read.
    pub bytes: f64,
    /// Multiplications and additions, each counted.
    pub operations: f64,
}

/// Passes of one kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhaseProfile {
    /// Tokens that went through.
    pub n_tokens: u64,
    /// Wall time, what no operation counts for included.
    pub seconds: f64,
    /// What it was spent on, the most expensive first.
    pub operations: Vec<(Operation, Tally)>,
}

/// Where the time went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// Passes of several tokens.
    pub prefill: PhaseProfile,
    /// Passes of one token.
    pub decode: PhaseProfile,
}

/// Bytes and arithmetic of an operation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    pub(crate) bytes: f64,
    pub(crate) operations: f64,
}

impl Work {
    /// Both together.
    pub(crate) fn and(self, other: Work) -> Work {
        Work { bytes: self.bytes + other.bytes, operations: self.operations + other.operations }
    }
}

/// Collects, if it is on.
#[derive(Default)]
pub(crate) struct Profiler {
    running: Option<Mutex<Running>>,
}

#[derive(Default)]
struct Running {
    profile: Profile,
    is_decode: bool,
}

impl Running {
    fn phase(&mut self) -> &mut PhaseProfile {
        if self.is_decode { &mut self.profile.decode } else { &mut self.profile.prefill }
    }
}

impl Profiler {
    pub(crate) fn new(on: bool) -> Profiler {
        Profiler { running: on.then(Mutex::default) }
    }

    /// Times an operation until the guard goes.
    pub(crate) fn time(&self, operation: Operation, work: impl FnOnce() -> Work) -> Option<Timed<'_>> {
        let running = self.running.as_ref()?;
        Some(Timed { running, operation, work: work(), start: Instant::now() })
    }

    /// Times a pass of `n_tokens` tokens until the guard goes.
    pub(crate) fn pass(&self, n_tokens: usize) -> Option<PassTimer<'_>> {
        let running = self.running.as_ref()?;
        lock(running).is_decode = n_tokens == 1;
        Some(PassTimer { running, n_tokens, start: Instant::now() })
    }

    /// What was collected since the last call, or since the start.
    pub(crate) fn take(&self) -> Option<Profile> {
        let mut profile = std::mem::take(&mut lock(self.running.as_ref()?).profile);
        for phase in [&mut profile.prefill, &mut profile.decode] {
            phase.operations.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
        }
        Some(profile)
    }
}

fn lock(running: &Mutex<Running>) -> std::sync::MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts one operation when dropped.
pub(crate) struct Timed<'a> {
    running: &'a Mutex<Running>,
    operation: Operation,
    work: Work,
    start: Instant,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let seconds = self.start.elapsed().as_secs_f64();
        let mut running = lock(self.running);
        let operations = &mut running.phase().operations;
        let place = operations.iter().position(|(operation, _)| *operation == self.operation);
        let place = place.unwrap_or_else(|| {
            operations.push((self.operation, Tally::default()));
            operations.len() - 1
        });
        let tally = &mut operations[place].1;
        tally.n_calls += 1;
        tally.seconds += seconds;
        tally.bytes += self.work.bytes;
        tally.operations += self.work.operations;
    }
}

/// Counts one pass when dropped.
#[must_use = "the pass ends when this goes"]
pub struct PassTimer<'a> {
    running: &'a Mutex<Running>,
    n_tokens: usize,
    start: Instant,
}

impl Drop for PassTimer<'_> {
    fn drop(&mut self) {
        let seconds = self.start.elapsed().as_secs_f64();
        let mut running = lock(self.running);
        let phase = running.phase();
        phase.n_tokens += self.n_tokens as u64;
        phase.seconds += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_in_a_pass_of_one_token_counts_as_decoding() {
        let profiler = Profiler::new(true);
        for n_tokens in [5, 1, 1] {
            let _pass = profiler.pass(n_tokens);
            let work = || Work { bytes: 2.0, operations: 3.0 * n_tokens as f64 };
            drop(profiler.time(Operation::Norm, work));
        }
        let profile = profiler.take().unwrap();
        assert_eq!((profile.prefill.n_tokens, profile.decode.n_tokens), (5, 2));
        let (operation, tally) = profile.decode.operations[0];
        assert_eq!((operation, tally.n_calls, tally.bytes), (Operation::Norm, 2, 4.0));
        assert_eq!(profile.prefill.operations[0].1.operations, 15.0);
        assert_eq!(profiler.take(), Some(Profile::default()));
    }

    #[test]
    fn nothing_is_collected_unless_asked_for() {
        let profiler = Profiler::new(false);
        assert!(profiler.pass(1).is_none() && profiler.time(Operation::Norm, Work::default).is_none());
        assert_eq!(profiler.take(), None);
    }
}
