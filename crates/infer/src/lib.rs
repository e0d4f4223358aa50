//! Engine and sessions: prefill, generation, sampling, cancellation.
