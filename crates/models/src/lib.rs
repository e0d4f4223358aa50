//! The catalogue of models: what each is, where it comes from, and pulling it.
//!
//! A model is a few files with known sizes and sha256 sums. [`catalogue`] names them; a [`Store`] is the folder they are
//! pulled into:
//!
//! ```text
//!     <cache>/models/
//!       smollm2-135m-instruct/
//!         SmolLM2-135M-Instruct.Q4_1.gguf
//!         model.json                 source, sha256 sums, licence, time: written last, before the rename
//!       .pulling/smollm2-135m-instruct/
//!         lock                       held by the process that pulls
//!         files/ hub/ package/       what has arrived so far; kept when a pull is interrupted, used by the next
//! ```
//!
//! A folder without the dot is complete: it is filled under `.pulling`, every sum is checked there, and one rename makes
//! it visible. Nothing here reads an environment variable or prints; the two programs it talks to (the Hugging Face hub
//! through `hf-hub`, and `pip`) have their own settings for proxies and mirrors.

mod catalogue;
mod error;
mod hub;
mod package;
mod pull;
mod store;
pub mod testing;
mod verify;

pub use catalogue::{
    HubSource, Licence, ModelEntry, ModelFile, ModelKind, PackageSource, Sampling, catalogue, find,
};
pub use error::{PullError, StoreError};
pub use pull::{PullOptions, PullProgress, PullSource, Source};
pub use store::{Installed, Located, Record, RecordedFile, Store, available_memory};
