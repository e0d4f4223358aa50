//! A conversation with a model, without documents.

use std::sync::Arc;

use docent_infer::{Cancel, Engine, Session};
use docent_lm::chat::ChatTemplate;

use crate::Error;

/// What happens while the model replies.
pub use docent_infer::Event as ReplyEvent;
/// Why a reply ended.
pub use docent_infer::Finish;
/// Sampling, lengths, and the schema that a reply is held to.
pub use docent_infer::GenerateOptions;
/// A finished reply.
pub use docent_infer::Generated as Reply;
pub use docent_lm::chat::{ChatOptions, Message, Role};
pub use docent_lm::tools::{ToolCall, ToolCallError};

/// A conversation: what was said, and the model's state after it. A turn computes only what is new, as far as the chat
/// template repeats earlier turns word for word.
pub struct Conversation {
    engine: Arc<Engine>,
    template: ChatTemplate,
    options: GenerateOptions,
    messages: Vec<Message>,
    session: Session,
}

impl Conversation {
    /// A conversation before its first turn.
    ///
    /// # Errors
    /// A chat template that cannot be read.
    pub fn new(engine: Arc<Engine>, options: GenerateOptions) -> Result<Self, Error> {
        let template = template_of(&engine)?.clone();
        let session = engine.session();
        Ok(Self { engine, template, options, messages: Vec::new(), session })
    }

    /// Says `message` and generates the reply, piece by piece to `on_event`.
    ///
    /// # Errors
    /// A conversation longer than the model's context. What was said before stays said; `message` does not.
    pub fn say(
        &mut self,
        message: &str,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(ReplyEvent),
    ) -> Result<Reply, Error> {
        self.messages.push(Message::user(message));
        match self.reply(cancel, on_event) {
            Ok(reply) => {
                self.messages.push(Message::assistant(reply.text.clone()));
                Ok(reply)
            }
            Err(error) => {
                self.messages.pop();
                Err(error)
            }
        }
    }

    fn reply(&mut self, cancel: &Cancel, on_event: &mut dyn FnMut(ReplyEvent)) -> Result<Reply, Error> {
        let tokenizer = self.engine.model().tokenizer();
        let prompt = self.template.tokens(tokenizer, &self.messages, &ChatOptions::default())?;
        Ok(self.engine.generate_in(&mut self.session, &prompt, &self.options, cancel, on_event)?)
    }
}

/// The tokens of a conversation that somebody else keeps, up to where the model speaks next. What messages say is never taken for the
/// template's own words.
///
/// # Errors
/// [`Error::NoTemplate`]; a conversation that the model's template refuses.
pub fn prompt(engine: &Engine, messages: &[Message], options: &ChatOptions) -> Result<Vec<u32>, Error> {
    Ok(template_of(engine)?.tokens(engine.model().tokenizer(), messages, options)?)
}

/// The tool calls in a reply, in order.
///
/// # Errors
/// Text between a call's marks that is no call.
pub fn tool_calls(engine: &Engine, reply: &Reply) -> Result<Vec<ToolCall>, ToolCallError> {
    docent_lm::tools::calls_in(engine.model().tokenizer(), &reply.tokens)
}

/// The model's chat template.
///
/// # Errors
/// [`Error::NoTemplate`].
pub(crate) fn template_of(engine: &Engine) -> Result<&ChatTemplate, Error> {
    let path = engine.model().file().path();
    engine.model().chat_template().ok_or_else(|| Error::NoTemplate { path: path.to_owned() })
}
