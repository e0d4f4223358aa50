//! How far an answer is, as the protocol tells it: a number that grows, its end where that is known, and a sentence.

use std::time::{Duration, Instant};

use docent::{AskEvent, Reading};
use rmcp::model::{ProgressNotificationParam, ProgressToken};

/// The shortest time between two tellings.
const BETWEEN: Duration = Duration::from_millis(250);

/// Progress of one answer, in tokens of the prompt and then of what is generated.
pub struct Progress {
    token: ProgressToken,
    at: f64,
    total: Option<f64>,
    /// What the next telling says.
    message: String,
    /// Pieces of the answer since the last telling.
    new_text: String,
    told: Option<Instant>,
}

impl Progress {
    pub fn new(token: ProgressToken) -> Self {
        Self { token, at: 0.0, total: None, message: String::new(), new_text: String::new(), told: None }
    }

    /// Takes note of an event; gives what is to be told now, if anything is.
    pub fn see(&mut self, event: AskEvent, now: Instant) -> Option<ProgressNotificationParam> {
        let is_milestone = self.note(event)?;
        if !is_milestone && self.told.is_some_and(|told| now - told < BETWEEN) {
            return None;
        }
        self.told = Some(now);
        let mut message = self.message.clone();
        message.push_str(&std::mem::take(&mut self.new_text));
        let told = ProgressNotificationParam::new(self.token.clone(), self.at).with_message(message);
        Some(match self.total {
            Some(total) => told.with_total(total),
            None => told,
        })
    }

    /// Whether this must be told at once; none if there is nothing to tell.
    fn note(&mut self, event: AskEvent) -> Option<bool> {
        match event {
            AskEvent::Packed { prompt_tokens, n_passages, .. } => {
                self.total = Some(prompt_tokens as f64);
                self.message = format!("reading {n_passages} passages");
                self.at += 1.0;
                Some(true)
            }
            AskEvent::Reading(Reading::Found { cached, total, estimate_s }) => {
                let to_go = estimate_s.filter(|s| *s >= 2.0);
                let to_go = to_go.map_or_else(String::new, |s| format!("; about {s:.0} s to go"));
                self.message = format!("{cached} of {total} tokens were read before{to_go}");
                self.reach(cached, total);
                Some(true)
            }
            AskEvent::Reading(Reading::Prefill { done, total }) => {
                self.message = format!("read {done} of {total} tokens");
                self.reach(done, total);
                Some(false)
            }
            AskEvent::Thinking(_) => {
                self.generate("thinking");
                Some(false)
            }
            AskEvent::Answer(text) => {
                self.generate("");
                self.new_text.push_str(&text);
                Some(false)
            }
            _ => None,
        }
    }

    fn reach(&mut self, done: usize, total: usize) {
        self.at = (self.at + 1e-3).max(done as f64);
        self.total = Some(total as f64);
    }

    fn generate(&mut self, message: &str) {
        self.at += 1.0;
        self.total = None;
        message.clone_into(&mut self.message);
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::NumberOrString;

    use super::*;

    #[test]
    fn progress_grows_and_every_word_of_the_answer_is_told_once() {
        let mut progress = Progress::new(ProgressToken(NumberOrString::Number(1)));
        let start = Instant::now();
        let mut events = vec![
            AskEvent::Packed { prompt_tokens: 100, n_passages: 3, n_left_out: 0 },
            AskEvent::Reading(Reading::Found { cached: 40, total: 100, estimate_s: Some(3.0) }),
            AskEvent::Reading(Reading::Prefill { done: 70, total: 100 }),
            AskEvent::Reading(Reading::Prefill { done: 100, total: 100 }),
            AskEvent::Thinking("hm".to_owned()),
        ];
        events.extend(["one ", "two ", "three"].map(|word| AskEvent::Answer(word.to_owned())));
        let told: Vec<_> = events
            .into_iter()
            .zip(1..)
            .filter_map(|(event, step)| progress.see(event, start + step * Duration::from_millis(130)))
            .collect();
        assert!(told.windows(2).all(|pair| pair[0].progress < pair[1].progress));
        assert!(told[0].message.as_ref().unwrap().contains("3 passages"));
        assert_eq!((told[1].progress, told[1].total), (40.0, Some(100.0)));
        assert!(told.len() < 8, "not every token is told by itself: {}", told.len());
        let words: String =
            told.iter().filter(|told| told.total.is_none()).filter_map(|t| t.message.clone()).collect();
        assert!("one two three".starts_with(words.trim_start_matches("thinking")), "{words}");
    }
}
