//! The rest of a stream, after its first content: passed on event by event, watched for its end.
//!
//! Only whole events go out, so a cut never leaves half an event in front of our error event. From here on
//! there is no other upstream: a stream that cannot be finished ends with an error event in its own form
//! and without the end mark, so that a cut answer never looks complete (law L8).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderMap;
use tokio::time::Sleep;

use super::attempt::{Begun, class_of};
use super::events::Events;
use super::story::{Ending, Story};
use crate::actors::lease::Lease;
use crate::domain::attempts::Record;
use crate::domain::error_code::ErrorCode;
use crate::domain::key_state::Settlement;
use crate::domain::mutant::{self, Mutant};
use crate::domain::outcome::Class;
use crate::domain::time::Time;
use crate::wire::classify;
use crate::wire::openai::stream;

/// After the last content some upstreams neither send the end mark nor close: they get so long.
const AFTER_FINISH: Duration = Duration::from_secs(2);

/// How a relayed stream ended.
#[derive(Clone, Copy)]
enum Last {
    /// As it should.
    Complete,
    /// With an error; the upstream's own error event, if it sent one, went out already.
    Cut {
        class: Class,
        code: ErrorCode,
        message: &'static str,
        told: bool,
        retry_after: Option<Duration>,
    },
}

/// A stream being passed on. Dropping it cancels the upstream's request and settles the lease.
pub struct Relay {
    out: VecDeque<Bytes>,
    events: Option<Events>,
    lease: Option<Lease>,
    record: Option<Record>,
    story: Story,
    /// The choices that are complete, one bit each, and how many there are to be.
    finished: u64,
    choices: u32,
    counts: bool,
    kind: String,
    idle: Duration,
    last_event: Time,
    /// When the caller took the last bytes; while it is away nobody waits for the upstream.
    taken: Option<Time>,
    end: Time,
    deadline: Time,
    timer: Pin<Box<Sleep>>,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Relay({})", self.story.id)
    }
}

/// What a relay needs beside the stream.
pub(super) struct RelayParts {
    pub(super) lease: Lease,
    /// Of the attempt; its end and outcome are still open.
    pub(super) record: Record,
    pub(super) story: Story,
    /// Whether a failure counts against the upstream.
    pub(super) counts: bool,
    /// How many choices the answer is to have.
    pub(super) choices: u32,
    /// The provider's catalogue id.
    pub(super) kind: String,
    /// Longest silence between two events with content.
    pub(super) idle: Duration,
    /// When the attempt must have ended.
    pub(super) end: Time,
    /// When the request must have ended.
    pub(super) deadline: Time,
}

impl Relay {
    pub(super) fn new(begun: Begun, parts: RelayParts) -> Self {
        let mut story = parts.story;
        let now = story.clock.now();
        story.usage = begun.usage;
        let clock = story.clock;
        let mut relay = Self {
            out: begun.held,
            events: Some(begun.events),
            lease: Some(parts.lease),
            record: Some(parts.record),
            story,
            finished: begun.finished,
            choices: parts.choices,
            counts: parts.counts,
            kind: parts.kind,
            idle: parts.idle,
            last_event: now,
            taken: Some(now),
            end: parts.end,
            deadline: parts.deadline,
            timer: Box::pin(tokio::time::sleep_until(clock.instant(now))),
        };
        relay.arm();
        if begun.done {
            relay.close(Last::Complete);
        }
        relay
    }

    /// Whether every choice is complete.
    fn is_finished(&self) -> bool {
        self.finished.count_ones() >= self.choices.min(64)
    }

    /// When silence has lasted too long, as things stand.
    fn limit(&self) -> Time {
        let silence = if self.is_finished() {
            self.idle.min(AFTER_FINISH)
        } else {
            self.idle
        };
        (self.last_event + silence).min(self.end).min(self.deadline)
    }

    fn arm(&mut self) {
        let at = self.story.clock.instant(self.limit());
        self.timer.as_mut().reset(at);
    }

    /// The caller is back for more: the time that it was away is not the upstream's silence.
    fn resume(&mut self) {
        if let Some(taken) = self.taken.take() {
            let away = self.story.clock.now().since(taken);
            self.last_event = self.last_event + away;
            self.end = self.end + away;
        }
    }

    /// Ends the stream and settles the lease.
    fn close(&mut self, last: Last) {
        self.events = None;
        let (class, ending, retry_after) = match last {
            Last::Complete => (Class::Success, Ending::Answered(200), None),
            Last::Cut {
                class,
                code,
                message,
                told,
                retry_after,
            } => {
                if !told {
                    let event = stream::error_event(
                        self.story.operation,
                        message,
                        code.kind(),
                        code.as_str(),
                        &self.story.id,
                    );
                    self.out.push_back(event);
                    if mutant::on(Mutant::CutLooksComplete) {
                        self.out.extend(stream::end_mark(self.story.operation));
                    }
                }
                (class, Ending::Cut(code), retry_after)
            }
        };
        self.story.ending = Some(ending);
        if let Some(lease) = self.lease.take() {
            lease.settle(Settlement {
                class,
                retry_after,
                tokens: self.story.usage.as_ref().and_then(|usage| usage.total()),
                counts: self.counts,
            });
        }
        self.keep_record(class);
    }

    fn keep_record(&mut self, class: Class) {
        if let Some(mut record) = self.record.take() {
            record.class = class;
            record.ended = self.story.clock.now();
            self.story.records.push(record);
        }
    }

    /// The upstream closed the stream.
    fn ended(&mut self) {
        if self.is_finished() {
            // The end mark is missing, but the answer is whole: say so in its place.
            if let Some(mark) = stream::end_mark(self.story.operation) {
                self.out.push_back(mark);
            }
            return self.close(Last::Complete);
        }
        self.close(Last::Cut {
            class: Class::Network,
            code: ErrorCode::UpstreamsExhausted,
            message: "the upstream's stream broke off before the answer was complete",
            told: false,
            retry_after: None,
        });
    }

    /// A timer fired: is anything over?
    fn timed_out(&mut self) {
        let now = self.story.clock.now();
        if now < self.limit() {
            return self.arm();
        }
        if self.is_finished() {
            return self.ended();
        }
        if now >= self.deadline {
            return self.close(Last::Cut {
                class: Class::Cancelled,
                code: ErrorCode::DeadlineExceeded,
                message: "the request's deadline passed before the answer was complete",
                told: false,
                retry_after: None,
            });
        }
        self.close(Last::Cut {
            class: Class::Timeout,
            code: ErrorCode::UpstreamsExhausted,
            message: "the upstream's stream fell silent before the answer was complete",
            told: false,
            retry_after: None,
        });
    }

    fn take_in(&mut self, event: &crate::wire::sse::RawEvent) {
        let said = stream::inspect(self.story.operation, event);
        // Comments and empty deltas keep a connection open, not a promise.
        if said.content || said.finished != 0 || said.usage.is_some() {
            self.last_event = self.story.clock.now();
        }
        if said.malformed {
            // One broken event in the middle: the rest of the answer is worth more than its end.
            return;
        }
        if let Some(usage) = said.usage {
            self.story.usage = Some(usage);
        }
        self.out.push_back(event.raw.clone());
        if mutant::on(Mutant::EventTwice) {
            self.out.push_back(event.raw.clone());
        }
        if let Some(error) = said.error {
            let wall = self.story.clock.wall();
            let failure = classify::classify_inband(&self.kind, &error, &HeaderMap::new(), wall);
            return self.close(Last::Cut {
                class: failure.class,
                code: ErrorCode::UpstreamsExhausted,
                message: "",
                told: true,
                retry_after: failure.retry_after,
            });
        }
        if said.finished != 0 {
            self.finished |= said.finished;
            self.arm();
        }
        if said.done {
            self.close(Last::Complete);
        }
    }
}

impl Stream for Relay {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.resume();
        loop {
            if let Some(bytes) = this.out.pop_front() {
                this.taken = Some(this.story.clock.now());
                return Poll::Ready(Some(Ok(bytes)));
            }
            let Some(events) = &mut this.events else {
                return Poll::Ready(None);
            };
            match events.poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => this.take_in(&event),
                Poll::Ready(Some(Err(fault))) => {
                    let class = class_of(&fault);
                    let code = match class {
                        Class::Malformed => ErrorCode::InvalidUpstreamResponse,
                        _ => ErrorCode::UpstreamsExhausted,
                    };
                    if this.is_finished() {
                        this.ended();
                    } else {
                        this.close(Last::Cut {
                            class,
                            code,
                            message: "the upstream's stream broke off before the answer was complete",
                            told: false,
retry_after: None,
                        });
                    }
                }
                Poll::Ready(None) => this.ended(),
                Poll::Pending => {
                    if this.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.timed_out();
                }
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if mutant::on(Mutant::CancelledStreamKeepsLease) {
            std::mem::forget(self.lease.take());
        }
        // The caller left: the lease, dropped with this, settles itself as cancelled.
        self.keep_record(Class::Cancelled);
    }
}

#[cfg(test)]
mod tests;
