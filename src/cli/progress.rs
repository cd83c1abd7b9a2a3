//! How far a command is: a bar on a terminal's standard error, and nothing where nobody looks.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

/// How a bar looks.
const LOOK: &str = "{wide_bar} {pos} of {len} {msg}";

/// A bar, or none.
pub(super) struct ProgressLine(Option<ProgressBar>);

impl ProgressLine {
    /// For so many steps; none with `quiet`, or where standard error is no terminal.
    pub(super) fn new(steps: usize, quiet: bool) -> Self {
        if quiet || !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(u64::try_from(steps).unwrap_or(u64::MAX));
        let look = ProgressStyle::with_template(LOOK);
        let bar = bar.with_style(look.unwrap_or_else(|_| ProgressStyle::default_bar()));
        // Who waits for the first step sees that something goes on.
        bar.tick();
        Self(Some(bar))
    }

    /// One step further.
    pub(super) fn step(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
