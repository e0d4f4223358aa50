//! Decoding while tokens arrive: a character whose bytes are not all there yet is held back.

use super::Tokenizer;

/// Turns tokens into text as they come; see [`Tokenizer::decode_stream`].
///
/// What [`push`](Self::push) and [`finish`](Self::finish) give, joined, is what [`Tokenizer::decode`] gives for all tokens.
#[derive(Debug)]
pub struct DecodeStream<'t> {
    tokenizer: &'t Tokenizer,
    held: Vec<u8>,
}

impl<'t> DecodeStream<'t> {
    pub(super) fn new(tokenizer: &'t Tokenizer) -> Self {
        DecodeStream { tokenizer, held: Vec::new() }
    }

    /// The text that `token` completes; empty while a character is still incomplete. Bytes that can no longer become a character
    /// come out as U+FFFD.
    pub fn push(&mut self, token: u32) -> String {
        self.held.extend_from_slice(self.tokenizer.token_bytes(token));
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.held) {
                Ok(valid) => {
                    text.push_str(valid);
                    self.held.clear();
                    return text;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.held[..valid]));
                    let Some(broken) = error.error_len() else {
                        self.held.drain(..valid);
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.held.drain(..valid + broken);
                }
            }
        }
    }

    /// What is still held at the end: nothing, or U+FFFD for a character that was never completed.
    pub fn finish(&mut self) -> String {
        let rest = String::from_utf8_lossy(&self.held).into_owned();
        self.held.clear();
        rest
    }
}
