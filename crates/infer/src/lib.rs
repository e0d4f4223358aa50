//! Engine and sessions: prefill, generation, sampling, cancellation.
//!
//! ```text
//! engine      a model ready to generate
//! session     tokens and the state after them: goes to a prompt with as little work as possible
//! prompt      token ids, and what of their state may be kept
//! prefixes    the states of beginnings that were computed before, on disk
//! generate    the loop: prompt, tokens, thinking and answer, why it ended
//! sampling    logits to a token          thinking   <think> apart from the answer
//! constraint  answers that are JSON of a schema
//! likelihood  how well a model predicts a text
//! bench       how fast a model is at given depths
//! ```
//!
//! Prompts are token ids: who writes them decides what is template and what is text. Nothing here touches a file but the model's
//! and the store's, reads a setting, or prints; a clock is read for the timing alone.

mod bench;
mod cancel;
mod constraint;
mod engine;
mod error;
mod generate;
mod likelihood;
mod prefixes;
mod prompt;
mod rng;
mod sampling;
mod session;
mod thinking;

pub use bench::{BenchFigures, BenchPlan, bench};
pub use cancel::Cancel;
pub use engine::{Engine, EngineOptions};
pub use error::InferError;
pub use generate::{Event, Finish, GenerateOptions, Generated, Reading, Timing, Usage};
pub use likelihood::mean_nll;
pub use prefixes::Prefixes;
pub use prompt::Prompt;
pub use sampling::{Sampler, Sampling};
pub use session::{Session, SyncEvent, Synced};
