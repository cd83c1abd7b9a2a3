//! Traces: which requests are sent as spans, and the queue to the one thread that makes the spans and sends them.
//!
//! A request's record has all that its spans need. So nothing is recorded while it runs, a request
//! that is not sent costs a comparison, and failures can be sent whatever was decided at their beginning. A full queue
//! drops, and counts what it drops: no request ever waits for a receiver.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::sync::watch;

use super::events;
use super::recent::NumberedRequest;
use super::request_record::RequestRecord;
use super::spans::{self, ProviderLocation, SpanDetails};
use crate::domain::attempt_record::AttemptReason;
use crate::domain::ids::ProviderName;
use crate::domain::sampling::{Keep, Sampler, TailSampleInput};
use crate::domain::secret::ApiKey;
use crate::domain::trace::{Remote, SpanId, TraceContext, TraceId};
use crate::runtime::clock::Clock;
use crate::wire::content::RequestContent;
use crate::wire::mask::Mask;

/// The bytes of prompts and answers that may wait; beyond that spans go without them.
const MOST_HELD: usize = 64 * 1024 * 1024;

/// How spans are collected before they are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batching {
    /// The longest time that a span waits for its batch.
    pub delay: Duration,
    /// The most spans of one batch.
    pub batch: usize,
    /// The most requests that wait to be made into spans.
    pub queue: usize,
}

/// What is decided about traces.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// When a request arrives.
    pub sampler: Sampler,
    /// When it has ended.
    pub keep: Keep,
    /// How they are sent.
    pub batching: Batching,
    /// `http` or `https`, as callers ask.
    pub scheme: &'static str,
    /// What is masked in prompts and answers; `None` when spans contain none.
    pub mask: Option<Mask>,
}

/// The addresses of providers for spans, and what is secret in them.
#[derive(Clone, Debug, Default)]
pub struct TracedProviders {
    /// The address of every provider.
    pub places: HashMap<ProviderName, ProviderLocation>,
    /// The keys of all of them.
    pub keys: Vec<ApiKey>,
}

/// What became of traces, since the process started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TraceCounts {
    /// Requests whose spans were not made, because too many waited.
    pub dropped: u64,
    /// Spans that a receiver took.
    pub exported: u64,
    /// Spans that no receiver took.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    dropped: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug)]
enum TraceMessage {
    /// A request, and why it is sent.
    Ended(
        Arc<NumberedRequest>,
        &'static str,
        Option<Box<RequestContent>>,
    ),
    /// Look whether it is time to end.
    Wake,
}

/// Decides which requests are sent, and hands them over.
#[derive(Debug)]
pub struct Traces {
    sampler: Sampler,
    keep: Keep,
    queue: SyncSender<TraceMessage>,
    counters: Arc<Counters>,
    known: Arc<ArcSwap<TracedProviders>>,
    /// Whether spans contain prompts and answers.
    tells: bool,
    /// Bytes of them that wait.
    held: Arc<AtomicUsize>,
    closing: Arc<AtomicBool>,
    ended: watch::Receiver<bool>,
}

impl Traces {
    /// Starts the thread. `exporter` may block; it is used and dropped there.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub fn start(
        terms: &TraceSettings,
        known: TracedProviders,
        clock: Clock,
        exporter: impl SpanExporter + 'static,
    ) -> io::Result<Self> {
        let (queue, messages) = mpsc::sync_channel(terms.batching.queue.max(1));
        let (end, ended) = watch::channel(false);
        let counters = Arc::new(Counters::default());
        let known = Arc::new(ArcSwap::from_pointee(known));
        let held = Arc::new(AtomicUsize::new(0));
        let closing = Arc::new(AtomicBool::new(false));
        let mut sender = Sender {
            exporter,
            messages,
            batching: terms.batching,
            scheme: terms.scheme,
            counters: Arc::clone(&counters),
            known: Arc::clone(&known),
            mask: terms.mask.clone(),
            held: Arc::clone(&held),
            closing: Arc::clone(&closing),
            clock,
            spans: Vec::new(),
            failing: false,
        };
        std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || {
                sender.run();
                // There may be no receiver.
                let _ = end.send(true);
            })?;
        Ok(Self {
            sampler: terms.sampler,
            keep: terms.keep,
            queue,
            counters,
            known,
            tells: terms.mask.is_some(),
            held,
            closing,
            ended,
        })
    }

    /// A request arrives, perhaps in a trace of its caller's; `bits` are random.
    pub fn begin(&self, remote: Option<Remote>, bits: (u128, u64)) -> TraceContext {
        let span_id = SpanId::random(bits.1);
        match remote {
            Some(remote) => {
                let parent = Some(remote.sampled);
                let sampled = self.sampler.samples(remote.trace_id, parent);
                TraceContext::joined(remote, span_id, sampled)
            }
            None => {
                let trace_id = TraceId::random(bits.0);
                let sampled = self.sampler.samples(trace_id, None);
                TraceContext::begun(trace_id, span_id, sampled)
            }
        }
    }

    /// Why a request that has ended is sent; `None` when it is not.
    pub fn reason(&self, request: &RequestRecord) -> Option<&'static str> {
        let context = request.trace.as_deref().filter(|trace| trace.records)?;
        if context.sampled {
            return Some("sampled");
        }
        self.keep.reason(&looks(request, context))
    }

    /// Queues a request for sending, unless the queue is full.
    /// Its texts go along as far as there is room.
    pub fn send(
        &self,
        request: Arc<NumberedRequest>,
        why: &'static str,
        content: Option<Box<RequestContent>>,
    ) {
        let size = content.as_ref().map_or(0, |content| content.size());
        let held = self.held.fetch_add(size, Ordering::Relaxed);
        let fits = held.saturating_add(size) <= MOST_HELD;
        let ended = TraceMessage::Ended(request, why, content.filter(|_| fits));
        let sent = self.queue.try_send(ended).is_ok();
        if !sent || !fits {
            self.held.fetch_sub(size, Ordering::Relaxed);
        }
        if !sent {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether spans contain prompts and answers.
    pub fn tells_content(&self) -> bool {
        self.tells
    }

    /// The providers of another configuration.
    pub fn learn(&self, known: TracedProviders) {
        self.known.store(Arc::new(known));
    }

    /// What became of traces so far.
    pub fn counts(&self) -> TraceCounts {
        self.counters.read()
    }

    /// Sends what is queued, within `patience`; later requests may be lost.
    pub async fn finish(&self, patience: Duration) {
        self.closing.store(true, Ordering::Release);
        // A full queue wakes the thread as well.
        let _ = self.queue.try_send(TraceMessage::Wake);
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(|ended| *ended);
        if tokio::time::timeout(patience, ended).await.is_err() {
            events::traces_lost(patience);
        }
    }
}

impl Counters {
    fn read(&self) -> TraceCounts {
        TraceCounts {
            dropped: self.dropped.load(Ordering::Relaxed),
            exported: self.exported.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

fn looks(request: &RequestRecord, context: &TraceContext) -> TailSampleInput {
    let made = |whys: &[AttemptReason]| {
        request
            .attempts
            .iter()
            .any(|one| whys.contains(&one.reason))
    };
    let detour = if made(&[AttemptReason::Continue, AttemptReason::Restart]) {
        Some("rescue")
    } else if made(&[AttemptReason::Hedge, AttemptReason::DeadlineHedge]) {
        Some("hedge")
    } else if request.failovers() > 0 {
        Some("failover")
    } else {
        None
    };
    let waits = request.attempts.iter().filter(|record| record.waited);
    let waits = waits.map(|record| record.started.since(record.asked));
    TailSampleInput {
        declined: matches!(context.parent, Some((_, false))),
        failed: request.is_failed(),
        detour,
        waited: waits.max().unwrap_or_default(),
        total: request.total(),
    }
}

/// The state of the sending thread.
struct Sender<E> {
    exporter: E,
    messages: Receiver<TraceMessage>,
    batching: Batching,
    scheme: &'static str,
    counters: Arc<Counters>,
    known: Arc<ArcSwap<TracedProviders>>,
    mask: Option<Mask>,
    held: Arc<AtomicUsize>,
    closing: Arc<AtomicBool>,
    clock: Clock,
    /// Made, and not yet sent.
    spans: Vec<SpanData>,
    /// Whether the last batch failed: logged once, not for every batch.
    failing: bool,
}

impl<E: SpanExporter> Sender<E> {
    fn run(&mut self) {
        loop {
            // Nothing waits to be sent: as long as it takes.
            let Ok(first) = self.messages.recv() else {
                return;
            };
            self.make(first);
            let due = self.clock.now() + self.batching.delay;
            let connected = loop {
                let left = due.until(self.clock.now());
                if left.is_zero() || self.closing.load(Ordering::Acquire) {
                    break true;
                }
                match self.messages.recv_timeout(left) {
                    Ok(message) => self.make(message),
                    Err(RecvTimeoutError::Timeout) => break true,
                    Err(RecvTimeoutError::Disconnected) => break false,
                }
            };
            let over = !connected || self.closing.load(Ordering::Acquire);
            if over {
                while let Ok(message) = self.messages.try_recv() {
                    self.make(message);
                }
            }
            self.export();
            if over {
                return;
            }
        }
    }

    fn make(&mut self, message: TraceMessage) {
        let TraceMessage::Ended(numbered, why, content) = message else {
            return;
        };
        let known = self.known.load();
        let request = &numbered.record;
        let mask = self.mask.as_ref();
        let mask =
            mask.map(|mask| |text: &str| mask.masked(text, known.keys.iter().map(ApiKey::expose)));
        let mask = mask.as_ref().map(|mask| mask as &dyn Fn(&str) -> String);
        let said = content.zip(mask).map(|(content, mask)| {
            self.held.fetch_sub(content.size(), Ordering::Relaxed);
            content.rendered(request.operation, mask)
        });
        let details = SpanDetails {
            places: &known.places,
            anchor: self.clock.anchor(),
            scheme: self.scheme,
            mask,
        };
        self.spans
            .extend(spans::of(request, why, &details, said.as_ref()));
        if self.spans.len() >= self.batching.batch {
            self.export();
        }
    }

    /// Sends all that is made.
    fn export(&mut self) {
        let mut rest = std::mem::take(&mut self.spans);
        while !rest.is_empty() {
            let more = rest.split_off(self.batching.batch.max(1).min(rest.len()));
            let batch = std::mem::replace(&mut rest, more);
            let sent = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            // The exporter blocks this thread and is ready at its first poll.
            let result = self.exporter.export(batch).now_or_never();
            let problem = match result {
                Some(Ok(())) => None,
                Some(Err(error)) => Some(error.to_string()),
                None => Some("the exporter did not end".to_owned()),
            };
            let counter = match &problem {
                None => &self.counters.exported,
                Some(_) => &self.counters.failed,
            };
            counter.fetch_add(sent, Ordering::Relaxed);
            if let Some(problem) = problem.as_deref().filter(|_| !self.failing) {
                events::traces_failing(problem);
            } else if problem.is_none() && self.failing {
                events::traces_sent_again();
            }
            self.failing = problem.is_some();
        }
    }
}

#[cfg(test)]
mod tests;
