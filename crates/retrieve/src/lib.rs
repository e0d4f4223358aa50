//! Lexical and vector hits fused into one ranking.
//!
//! [`search`] asks the index twice, by words and by vector, and fuses the two lists ([`fusion`]); copies of the same
//! text are shown once, and one document does not fill the page ([`variety`]). [`search_all`] does so over several indexes.
//! [`rerank()`] has a model read the best of them again, [`in_context`] shows what stands around them. [`evaluation`] measures
//! the result on test collections ([`beir`], [`metrics`]).
//!
//! Works on numbers and texts alone: it knows neither the embedding model nor the stores behind the index.

mod around;
pub mod beir;
mod error;
pub mod evaluation;
pub mod fusion;
pub mod metrics;
mod query_vectors;
pub mod rerank;
mod search;
mod several;
pub mod variety;

pub use around::{InContext, in_context};
pub use error::{Result, RetrieveError};
pub use rerank::{ScoreHits, rerank};
pub use search::{Background, Hit, Mode, SearchOptions, Source, search, search_all};
