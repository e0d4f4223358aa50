//! Counts and durations in the text format of Prometheus (version 0.0.4,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>). Labels are routes and statuses, never anything a client wrote.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use docent::Usage;

/// Upper bounds of the durations' buckets, in seconds: a search takes milliseconds, an answer minutes.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0];

/// What happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Route, Durations>>,
    in_flight: AtomicUsize,
    connections: AtomicUsize,
    model_runs: AtomicBool,
    answers: AtomicU64,
    cancelled: AtomicU64,
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    completion_tokens: AtomicU64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Default)]
struct Durations {
    /// Not yet summed up: each counts its own bucket only.
    buckets: [u64; BUCKETS.len()],
    n: u64,
    seconds: f64,
}

/// What reading documents cost, and what was spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, utoipa::ToSchema)]
pub struct Spared {
    /// Answers given.
    pub answers: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Those of them that were not computed again.
    pub cached_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}

impl Metrics {
    /// A request has ended: its head was sent.
    pub fn request(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let durations = requests.entry(Route { route: route.to_owned(), method, status }).or_default();
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            durations.buckets[bucket] += 1;
        }
        durations.n += 1;
        durations.seconds += seconds;
    }

    /// A request has begun.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is over, however.
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Connections now.
    pub fn connections(&self, n: usize) {
        self.connections.store(n, Ordering::Relaxed);
    }

    /// The model works, or has stopped.
    pub fn model_runs(&self, runs: bool) {
        self.model_runs.store(runs, Ordering::Relaxed);
    }

    /// An answer was given.
    pub fn answer(&self, usage: &Usage) {
        let add = |to: &AtomicU64, n: usize| to.fetch_add(n as u64, Ordering::Relaxed);
        add(&self.answers, 1);
        add(&self.prompt_tokens, usage.prompt_tokens);
        add(&self.cached_tokens, usage.cached_tokens);
        add(&self.completion_tokens, usage.completion_tokens);
    }

    /// Somebody went before the answer was there.
    pub fn cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    /// What was read and what was spared.
    pub fn spared(&self) -> Spared {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Spared {
            answers: of(&self.answers),
            prompt_tokens: of(&self.prompt_tokens),
            cached_tokens: of(&self.cached_tokens),
            completion_tokens: of(&self.completion_tokens),
        }
    }

    /// Everything, as Prometheus reads it; `n_waiting` questions wait for the model.
    pub fn text(&self, n_waiting: usize) -> String {
        let mut text = String::new();
        let spared = self.spared();
        for (name, kind, help, value) in [
            (
                "docent_requests_in_flight",
                "gauge",
                "Requests being worked on.",
                self.in_flight.load(Ordering::Relaxed) as u64,
            ),
            (
                "docent_connections",
                "gauge",
                "Open connections.",
                self.connections.load(Ordering::Relaxed) as u64,
            ),
            ("docent_questions_waiting", "gauge", "Questions that wait for the model.", n_waiting as u64),
            (
                "docent_model_busy",
                "gauge",
                "1 while the model computes.",
                u64::from(self.model_runs.load(Ordering::Relaxed)),
            ),
            ("docent_answers_total", "counter", "Answers given.", spared.answers),
            (
                "docent_answers_cancelled_total",
                "counter",
                "Answers nobody waited for.",
                self.cancelled.load(Ordering::Relaxed),
            ),
            ("docent_prompt_tokens_total", "counter", "Tokens of prompts.", spared.prompt_tokens),
            (
                "docent_cached_tokens_total",
                "counter",
                "Tokens of prompts that were not computed again.",
                spared.cached_tokens,
            ),
            ("docent_completion_tokens_total", "counter", "Tokens written.", spared.completion_tokens),
        ] {
            head(&mut text, name, kind, help);
            let _ = writeln!(text, "{name} {value}");
        }
        let name = "docent_request_seconds";
        head(&mut text, name, "histogram", "Time until a response's head was sent.");
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for (Route { route, method, status }, durations) in requests.iter() {
            let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
            let mut n = 0;
            for (bound, in_bucket) in BUCKETS.iter().zip(durations.buckets) {
                n += in_bucket;
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {n}");
            }
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", durations.n);
            let _ = writeln!(text, "{name}_sum{{{labels}}} {}", durations.seconds);
            let _ = writeln!(text, "{name}_count{{{labels}}} {}", durations.n);
        }
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_as_prometheus_wants_them() {
        let metrics = Metrics::default();
        for ms in [1, 7, 7, 40, 3_600_000] {
            metrics.request("/v1/search", "POST", 200, Duration::from_millis(ms));
        }
        let text = metrics.text(3);
        let labels = "route=\"/v1/search\",method=\"POST\",status=\"200\"";
        for (bound, n) in [("0.005", 1), ("0.01", 3), ("0.05", 4), ("1800", 4), ("+Inf", 5)] {
            let line = format!("docent_request_seconds_bucket{{{labels},le=\"{bound}\"}} {n}\n");
            assert!(text.contains(&line), "{line}\n{text}");
        }
        assert!(text.contains("docent_questions_waiting 3\n"));
        assert!(text.contains(&format!("docent_request_seconds_count{{{labels}}} 5\n")));
    }
}
