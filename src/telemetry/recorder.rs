//! Where every request is told of when it has ended, once. What is made of that (lines, numbers, spans, pages) is
//! decided here, so that all of them agree.

use super::metrics::Metrics;
use super::request_line;
use super::ring::Ring;
use super::told::Told;

/// What a process tells of its requests.
#[derive(Debug)]
pub struct Recorder {
    ring: Ring,
    metrics: Option<Metrics>,
}

impl Recorder {
    /// Keeps so many of the latest requests.
    pub fn new(kept: usize) -> Self {
        Self {
            ring: Ring::new(kept),
            metrics: None,
        }
    }

    /// And counts.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// A request has ended.
    pub fn tell(&self, told: Told) {
        request_line::emit(&told);
        if let Some(metrics) = &self.metrics {
            metrics.tell(&told);
        }
        self.ring.push(told);
    }

    /// A request was refused at the door: nothing was decided, so that a flood of them does not wash away the others'
    /// stories.
    pub fn turned_away(&self, told: &Told) {
        request_line::emit(told);
        if let Some(metrics) = &self.metrics {
            metrics.turned_away(told);
        }
    }

    /// What is counted, where anything is.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// The latest requests.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }
}
