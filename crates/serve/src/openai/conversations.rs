//! The states of conversations that were read lately, in memory: a chat that goes on repeats all that was said before, and that need not be
//! computed again. Nothing of it goes to disk.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use docent::{Engine, Session};

/// The most conversations, and the most tokens of all of them: with LFM2.5-8B-A1B 400 MB.
const MOST: usize = 8;
const MOST_TOKENS: usize = 32_768;

/// The states that are kept, the one used last at the end.
#[derive(Default)]
pub(crate) struct Conversations(Mutex<Vec<(Weak<Engine>, Session)>>);

impl Conversations {
    /// A session that has the longest beginning of `prompt`; sharing it costs nothing, its blocks are shared.
    pub fn session(&self, engine: &Arc<Engine>, prompt: &[u32]) -> Session {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_engine = kept.iter().filter(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(engine)));
        let best = of_engine.max_by_key(|(_, session)| common(session.tokens(), prompt));
        match best {
            Some((_, session)) if common(session.tokens(), prompt) > 0 => session.clone(),
            _ => engine.session(),
        }
    }

    /// Keeps a session; those that are its beginnings go, and so do the oldest.
    pub fn keep(&self, engine: &Arc<Engine>, session: Session) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(of, known)| of.strong_count() > 0 && !session.tokens().starts_with(known.tokens()));
        kept.push((Arc::downgrade(engine), session));
        let is_too_much = |kept: &[(Weak<Engine>, Session)]| {
            kept.len() > MOST
                || kept.iter().map(|(_, session)| session.tokens().len()).sum::<usize>() > MOST_TOKENS
        };
        while is_too_much(&kept) {
            kept.remove(0);
        }
    }
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
