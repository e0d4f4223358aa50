//! Scores of pairs of question and text: a cross-encoder (Nogueira and Cho 2019, arXiv:1901.04085), which reads both together and
//! so sees what two vectors made apart cannot. It costs a forward pass a pair; for a first page, not for a whole index.

use std::path::Path;

use docent_kernels::{Activation, PackedMatrix};

use crate::adapter::Adapter;
use crate::bert::{Bert, Sequence};
use crate::error::EmbedError;
use crate::lanes::Lanes;
use crate::tokens::Tokens;
use crate::weights::{self, ModelFiles, Tensors};

/// A model that says how well texts answer a question. Opened once, used from any thread.
pub struct CrossEncoder {
    tokens: Tokens,
    lanes: Lanes,
    scorer: Scorer,
}

/// A model with the layers behind it that make a score of a pair.
pub(crate) struct Scorer {
    bert: Bert,
    /// From the first token's hidden state to as many numbers, through a hyperbolic tangent.
    pooler: PackedMatrix,
    /// From those to the score.
    classifier: PackedMatrix,
}

impl CrossEncoder {
    /// Opens the model in `dir`: `config.json`, `tokenizer.json` and `model.safetensors` of a BERT or RoBERTa with a head of
    /// one output (`bert.pooler` and `classifier`, or `classifier.dense` and `classifier.out_proj`). `n_threads` cores are
    /// used; 0 counts as 1.
    ///
    /// # Errors
    /// [`EmbedError`] naming the file that is missing, unreadable or not what a model of this kind has in it.
    pub fn open(dir: &Path, n_threads: usize) -> Result<CrossEncoder, EmbedError> {
        let model = weights::open(dir)?;
        let tokens = Tokens::open(dir, model.config.max_tokens)?;
        if tokens.n_vocab() > model.config.vocab_size {
            let what = "it has more tokens than the model's embedding matrix has rows";
            return Err(EmbedError::malformed(dir.join("tokenizer.json"), what));
        }
        let scorer = Scorer::load(model, None)?;
        Ok(CrossEncoder { tokens, lanes: Lanes::new(n_threads), scorer })
    }

    /// How well each text answers the question: a logit, any number; higher is better. Of a long text the beginning is read.
    ///
    /// A text has the same score, bit for bit, whatever it is scored with.
    ///
    /// # Errors
    /// [`EmbedError::Compute`] if the tensor library fails, for instance out of memory.
    pub fn scores(&self, question: &str, texts: &[&str]) -> Result<Vec<f32>, EmbedError> {
        self.scorer.scores(&self.tokens, &self.lanes, question, texts)
    }
}

impl Scorer {
    /// With the weights as an adapter changes them, if there is one.
    pub(crate) fn load(model: ModelFiles, adapter: Option<&Adapter<'_>>) -> Result<Scorer, EmbedError> {
        let hidden = model.config.hidden_size;
        let (pooler, classifier) = {
            let tensors = Tensors::open(&model.path, &model.weights)?.adapted(adapter);
            let layer = |name: &str, n_out| tensors.linear(&[name.to_owned()], n_out, hidden);
            match layer("pooler.dense", hidden) {
                Ok(pooler) => (pooler, layer("classifier", 1)?),
                Err(_) => (layer("classifier.dense", hidden)?, layer("classifier.out_proj", 1)?),
            }
        };
        Ok(Scorer { bert: Bert::load(model, adapter)?, pooler, classifier })
    }

    /// As [`CrossEncoder::scores`].
    pub(crate) fn scores(
        &self,
        tokens: &Tokens,
        lanes: &Lanes,
        question: &str,
        texts: &[&str],
    ) -> Result<Vec<f32>, EmbedError> {
        let pairs = tokens.encode_pairs(question, texts)?;
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(pairs[i].len()));
        let batches = crate::cut(&order, &pairs);
        let done = lanes.map(batches.len(), |b| {
            let batch: Vec<&Sequence> = batches[b].iter().map(|&i| &pairs[i]).collect();
            self.scores_of(&batch)
        });
        let mut scores = vec![0.0; texts.len()];
        for (batch, result) in batches.iter().zip(done) {
            for (&i, score) in batch.iter().zip(result?) {
                scores[i] = score;
            }
        }
        Ok(scores)
    }

    fn scores_of(&self, pairs: &[&Sequence]) -> Result<Vec<f32>, EmbedError> {
        let (x, spans) = self.bert.forward(pairs)?;
        let (dense, hidden) = (self.bert.dense(), self.bert.dim());
        let first: Vec<f32> =
            spans.iter().flat_map(|span| &x[span.start * hidden..][..hidden]).copied().collect();
        let mut pooled = vec![0.0; first.len()];
        dense.linear(&first, &self.pooler, Activation::Tanh, &mut pooled);
        let mut scores = vec![0.0; spans.len()];
        dense.linear(&pooled, &self.classifier, Activation::None, &mut scores);
        Ok(scores)
    }
}
