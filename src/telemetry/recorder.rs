//! Where every request is told of when it has ended, once. What is made of that (lines, numbers, spans, pages) is
//! decided here, so that all of them agree.

use std::sync::Arc;

use super::history::History;
use super::metrics::Metrics;
use super::recent::{NumberedRequest, RecentRequests};
use super::request_line;
use super::request_record::RequestRecord;
use super::traces::Traces;
use crate::wire::content::RequestContent;

/// What a process tells of its requests.
#[derive(Debug)]
pub struct Recorder {
    recent: RecentRequests,
    history: History,
    traces: Option<Traces>,
    /// Whether callers' traces are listened to.
    propagates: bool,
    metrics: Option<Metrics>,
}

impl Recorder {
    /// Keeps so many of the latest requests.
    pub fn new(kept: usize) -> Self {
        Self {
            recent: RecentRequests::new(kept),
            history: History::default(),
            metrics: None,
            traces: None,
            propagates: true,
        }
    }

    /// And counts.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// And sends traces. Callers' own are heard of when it `propagates`.
    #[must_use]
    pub fn with_traces(self, traces: Option<Traces>, propagates: bool) -> Self {
        Self {
            traces,
            propagates,
            ..self
        }
    }

    /// A request has ended; `content` is what was said in it, where that is told.
    pub fn record(&self, told: RequestRecord, content: Option<Box<RequestContent>>) {
        if !told.is_admitted() {
            return self.turned_away(told);
        }
        request_line::emit(&told);
        self.history.ended(&told);
        if let Some(metrics) = &self.metrics {
            metrics.record(&told);
        }
        let traces = self.traces.as_ref();
        let sent = traces.and_then(|traces| Some((traces, traces.reason(&told)?)));
        let told = self.recent.push(told);
        if let Some((traces, why)) = sent {
            traces.send(told, why, content);
        }
    }

    /// A request was refused at the door, or for what it asked: nothing was decided, so that a flood of them does not wash away the others'
    /// stories, nor, but for those that are sampled, their traces.
    pub fn turned_away(&self, told: RequestRecord) {
        request_line::emit(&told);
        self.history.ended(&told);
        if let Some(metrics) = &self.metrics {
            metrics.turned_away(&told);
        }
        let sampled = told.trace.as_ref().is_some_and(|trace| trace.sampled);
        let traces = self.traces.as_ref().filter(|_| sampled);
        if let Some((traces, why)) = traces.and_then(|traces| Some((traces, traces.reason(&told)?)))
        {
            traces.send(
                Arc::new(NumberedRequest {
                    number: 0,
                    record: told,
                }),
                why,
                None,
            );
        }
    }

    /// The last quarter of an hour as numbers.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What is counted, where anything is.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// The latest requests.
    pub fn recent(&self) -> &RecentRequests {
        &self.recent
    }

    /// What decides about traces, where there are any.
    pub fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// Whether prompts and answers are told, with traces.
    pub fn tells_content(&self) -> bool {
        let traces = self.traces.as_ref();
        traces.is_some_and(Traces::tells_content)
    }

    /// Whether callers' traces are listened to.
    pub fn propagates(&self) -> bool {
        self.propagates
    }
}
