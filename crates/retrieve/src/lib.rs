//! Lexical and vector hits fused into one ranking.
//!
//! [`search`] asks the index twice, by words and by vector, and fuses the two lists ([`fusion`]); copies of the same
//! text are shown once, and one document does not fill the page ([`variety`]). [`evaluation`] measures the result on
//! test collections ([`beir`], [`metrics`]).
//!
//! Works on numbers and texts alone: it knows neither the embedding model nor the stores behind the index.

pub mod beir;
mod error;
pub mod evaluation;
pub mod fusion;
pub mod metrics;
mod query_vectors;
mod search;
pub mod variety;

pub use error::{Result, RetrieveError};
pub use search::{Hit, Mode, SearchOptions, search};
