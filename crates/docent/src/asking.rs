//! A question that is answered on a thread of its own, for a program that wants to take the answer piece by piece.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use docent_infer::Cancel;

use crate::{Answer, AskEvent, AskOptions, Error, Library};

/// An answer in the making: an iterator over what happens, and the checked answer behind it. Dropping it stops the model within a
/// token.
#[derive(Debug)]
pub struct Asking {
    events: Receiver<AskEvent>,
    cancel: Cancel,
    thread: Option<JoinHandle<Result<Answer, Error>>>,
}

/// What [`Asking::wait`] saw.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Something happened.
    Event(AskEvent),
    /// Nothing did, so far.
    Nothing,
    /// The answer is there: [`Asking::answer`].
    Done,
}

impl Library {
    /// [`Library::ask`] on a thread of its own. What was read is kept before the answer is told to be there.
    ///
    /// Questions of one library use one model: ask the next one when this one is answered.
    pub fn start_asking(self: &Arc<Self>, question: &str, options: AskOptions) -> Asking {
        let (library, question) = (self.clone(), question.to_owned());
        let (tell, events) = channel();
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let thread = std::thread::spawn(move || {
            // Whoever no longer listens has cancelled as well.
            let answer = library.ask(&question, &options, &stop, &mut |event| drop(tell.send(event)));
            library.flush_prefixes();
            answer
        });
        Asking { events, cancel, thread: Some(thread) }
    }
}

impl Asking {
    /// What happens next, if it does so in this time. For a program that has to look at something else meanwhile.
    pub fn wait(&self, longest: Duration) -> Next {
        match self.events.recv_timeout(longest) {
            Ok(event) => Next::Event(event),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Done,
        }
    }

    /// The whole answer, checked; waits until it is there.
    ///
    /// # Errors
    /// As [`Library::ask`].
    pub fn answer(mut self) -> Result<Answer, Error> {
        let thread = self.thread.take().expect("only `answer` takes it, once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Stops the model within a token. What was generated so far is the answer.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Iterator for Asking {
    type Item = AskEvent;

    fn next(&mut self) -> Option<AskEvent> {
        self.events.recv().ok()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.cancel.cancel();
        }
    }
}
