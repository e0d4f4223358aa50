//! What ingestion asks of an embedding model.

use std::error::Error;

use docent_embed::Embedder;

/// A model that turns passages into vectors. Implemented by [`Embedder`] and, without weights, by the tests.
pub trait Embed: Sync {
    /// One unit vector for each text, in the same order.
    ///
    /// # Errors
    /// Whatever keeps the model from running.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>>;

    /// Tokens of `text`, without the model's own marks.
    fn count_tokens(&self, text: &str) -> usize;
}

impl Embed for Embedder {
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        Ok(Embedder::embed(self, texts)?)
    }

    fn count_tokens(&self, text: &str) -> usize {
        Embedder::count_tokens(self, text)
    }
}
