//! Takes the record of every request when it has ended, once. Log lines, metrics, spans and pages
//! are made from it here, so that all of them agree.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cache_totals::CacheTotals;
use super::history::History;
use super::metrics::Metrics;
use super::recent::{NumberedRequest, RecentRequests};
use super::request_line;
use super::request_record::RequestRecord;
use super::totals::Totals;
use super::traces::Traces;
use crate::domain::gcra::Gcra;
use crate::domain::time::Time;
use crate::wire::content::RequestContent;

/// Records the requests of a process.
#[derive(Debug)]
pub struct Recorder {
    recent: RecentRequests,
    history: History,
    totals: Totals,
    cache: CacheTotals,
    traces: Option<Traces>,
    /// Whether callers' traces are listened to.
    propagates: bool,
    metrics: Option<Metrics>,
    /// Until when the stories of requests that budgets refused are paid for, in nanoseconds.
    refused: AtomicU64,
}

/// The stories of requests that a budget refused that are kept in a minute: a client that goes on asking does not displace
/// all others.
const REFUSED: Gcra = Gcra::per_minute(NonZeroU64::new(12).unwrap());

impl Recorder {
    /// Keeps this many of the latest requests.
    pub fn new(kept: usize) -> Self {
        Self {
            recent: RecentRequests::new(kept),
            history: History::default(),
            totals: Totals::default(),
            cache: CacheTotals::default(),
            metrics: None,
            refused: AtomicU64::new(0),
            traces: None,
            propagates: true,
        }
    }

    /// Also counts metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// Also sends traces. `propagates`: callers' trace contexts are taken over.
    #[must_use]
    pub fn with_traces(self, traces: Option<Traces>, propagates: bool) -> Self {
        Self {
            traces,
            propagates,
            ..self
        }
    }

    /// Records a request that has ended; `content` are its texts, where traces contain them.
    pub fn record(&self, record: RequestRecord, content: Option<Box<RequestContent>>) {
        if !record.is_admitted() {
            return self.turned_away(record);
        }
        request_line::emit(&record);
        self.history.ended(&record);
        self.totals.ended(&record);
        self.cache.ended(&record);
        if let Some(metrics) = &self.metrics {
            metrics.record(&record);
        }
        let traces = self.traces.as_ref();
        let sent = traces.and_then(|traces| Some((traces, traces.reason(&record)?)));
        let record = self.recent.push(record);
        if let Some((traces, why)) = sent {
            traces.send(record, why, content);
        }
    }

    /// Records a request that was refused on arrival: it is not kept among the latest requests, so that a flood of them
    /// does not displace the others; of those that a budget refused some are. Its trace is sent only if it was sampled.
    pub fn turned_away(&self, record: RequestRecord) {
        request_line::emit(&record);
        self.history.ended(&record);
        if let Some(metrics) = &self.metrics {
            metrics.turned_away(&record);
        }
        let sampled = record.trace.as_ref().is_some_and(|trace| trace.sampled);
        let traces = self.traces.as_ref().filter(|_| sampled);
        let sent = traces.and_then(|traces| Some((traces, traces.reason(&record)?)));
        let record = match record.is_refused_by_budget() && self.keeps_refused(record.ended) {
            true => self.recent.push(record),
            false => Arc::new(NumberedRequest { number: 0, record }),
        };
        if let Some((traces, why)) = sent {
            traces.send(record, why, None);
        }
    }

    /// Whether there is room for the story of one more that a budget refused.
    fn keeps_refused(&self, now: Time) -> bool {
        let taken = self.refused.fetch_update(Relaxed, Relaxed, |paid| {
            let next = REFUSED.take(Time::from_nanos(paid), now, 1).ok()?;
            Some(next.as_nanos())
        });
        taken.is_ok()
    }

    /// The last quarter of an hour as numbers.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What each upstream did since the process began.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What came of the looks for kept answers.
    pub fn cache(&self) -> &CacheTotals {
        &self.cache
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

    /// Whether traces contain the texts of prompts and answers.
    pub fn tells_content(&self) -> bool {
        let traces = self.traces.as_ref();
        traces.is_some_and(Traces::tells_content)
    }

    /// Whether callers' traces are listened to.
    pub fn propagates(&self) -> bool {
        self.propagates
    }
}
