//! The tokenizer's part of the metadata, and the chat template.

use crate::LmError;
use crate::chat::ChatTemplate;
use crate::gguf::Metadata;
use crate::tokenizer::{Tokenizer, TokenizerSpec};

/// Builds the tokenizer from `tokenizer.ggml.*`.
pub(super) fn tokenizer(metadata: &Metadata) -> Result<Tokenizer, LmError> {
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    let spec = TokenizerSpec {
        model: metadata.require_string("tokenizer.ggml.model")?.to_owned(),
        pre: metadata.string("tokenizer.ggml.pre")?.map(str::to_owned),
        tokens: owned(metadata.require_strings("tokenizer.ggml.tokens")?),
        token_types: metadata
            .integers("tokenizer.ggml.token_type")?
            .unwrap_or_default()
            .into_iter()
            .map(|kind| i32::try_from(kind).unwrap_or(-1))
            .collect(),
        merges: owned(metadata.strings("tokenizer.ggml.merges")?.unwrap_or_default()),
        bos: metadata.u32("tokenizer.ggml.bos_token_id")?,
        eos: metadata.u32("tokenizer.ggml.eos_token_id")?,
        eot: metadata.u32("tokenizer.ggml.eot_token_id")?,
        add_bos: metadata.bool("tokenizer.ggml.add_bos_token")?,
    };
    Tokenizer::new(spec).map_err(|source| LmError::Tokenizer { path: metadata.path().to_owned(), source })
}

/// Reads `tokenizer.chat_template`. A file without one speaks ChatML if its vocabulary can.
pub(super) fn chat_template(
    metadata: &Metadata,
    tokenizer: &Tokenizer,
) -> Result<Option<ChatTemplate>, LmError> {
    let source = metadata.string("tokenizer.chat_template")?;
    if source.is_none() && tokenizer.token_id("<|im_start|>").is_none() {
        return Ok(None);
    }
    ChatTemplate::new(source, tokenizer)
        .map(Some)
        .map_err(|source| LmError::ChatTemplate { path: metadata.path().to_owned(), source })
}
