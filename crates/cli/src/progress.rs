//! Progress on standard error: a bar with the time to go on a terminal, nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One bar, shown only on a terminal and only once the work has taken a moment.
pub struct Bar {
    bar: ProgressBar,
    unit: Unit,
}

/// What a bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Tokens,
    Items,
}

impl Bar {
    /// A bar that stays hidden unless `visible` and standard error is a terminal.
    pub fn new(visible: bool, unit: Unit) -> Self {
        let target =
            if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(spinner());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, unit }
    }

    /// Shows `done` of `total` and what is being worked on.
    pub fn set(&self, done: u64, total: u64, message: impl Into<String>) {
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
            self.bar.set_style(match self.unit {
                Unit::Bytes => bytes(),
                Unit::Tokens => tokens(),
                Unit::Items => items(),
            });
        }
        self.bar.set_position(done);
        self.bar.set_message(message.into());
    }

    /// Shows work whose size is not known yet.
    pub fn say(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Prints something above the bar.
    pub fn above(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Removes the bar from the terminal.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn bytes() -> ProgressStyle {
    style("{bar:24} {bytes:>10}/{total_bytes:10} {eta:>4} to go  {wide_msg}")
}

fn tokens() -> ProgressStyle {
    style("{bar:24} {human_pos:>8}/{human_len} tokens  {eta:>4} to go  {wide_msg}")
}

fn items() -> ProgressStyle {
    style("{bar:24} {human_pos:>8}/{human_len}  {eta:>4} to go  {wide_msg}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━╌")
}
