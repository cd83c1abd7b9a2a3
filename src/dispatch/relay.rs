//! The part of a stream after its first content: passed on event by event, watched for its end.
//!
//! Only whole events go out, so a cut never leaves half an event in front of our error event. A stream that
//! breaks off and cannot be rescued ends with an error event in its own form and without the end mark, so that a
//! cut answer never looks complete (law L8). One that is rescued continues with the events of another attempt, but only
//! where those follow exactly from what was sent.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use tokio::time::Sleep;

use super::active_stream::ActiveStream;
use super::attempt::class_of;
use super::drain::drain;
use super::events::{StreamFault, unspoken};
use super::request_run::RequestRun;
use super::request_trace::RequestEnd;
use super::rescue::{self, Searched};
use super::send_buffer::SendBuffer;
use super::stream_abort::{Own, StreamAbort};
use crate::domain::dialect::Operation;
use crate::domain::finish::FinishCriteria;
use crate::domain::outcome::{Class, Failure};
use crate::domain::rescue::{RescueObstacle, RescuePolicy};
use crate::domain::time::Time;
use crate::domain::usage::Usage;
use crate::runtime::abort::Aborted;
use crate::runtime::clock::Clock;
use crate::wire::classify;
use crate::wire::collected::CollectedAnswer;
use crate::wire::dialect::CallerDialect;
use crate::wire::dialects;
use crate::wire::exchange::OutgoingEvents;
use crate::wire::splice::{Splice, Spliced};
use crate::wire::sse::RawEvent;

/// What bounds a stream, and what it must have to be whole.
#[derive(Clone, Copy)]
pub(super) struct RelayLimits {
    pub(super) wanted: FinishCriteria,
    pub(super) deadline: Time,
    /// How long the caller waits for its next byte, if it says so.
    pub(super) silence: Option<Duration>,
    /// Whether its events may have content in them that only its key can open.
    pub(super) seals: bool,
}

/// A stream being passed on. Dropping it cancels the upstream's request and settles the lease.
pub struct Relay {
    id: Arc<str>,
    clock: Clock,
    operation: Operation,
    caller: &'static dyn CallerDialect,
    terms: RelayLimits,
    send_buffer: SendBuffer,
    stream: Option<ActiveStream>,
    /// When the caller took the last bytes; while it does not read, the upstream's idle limit is suspended.
    taken: Option<Time>,
    /// Since when it waits for its next byte.
    waits: Time,
    /// Whether reading the remaining stream may keep its connection usable.
    drains: bool,
    /// The request; with the search for another stream while there is one.
    run: Option<RequestRun>,
    /// How the answer may be rescued if it breaks off.
    rescue: Option<RescuePolicy>,
    /// Why it may not be, although its target asks for that.
    barred: Option<RescueObstacle>,
    searching: Option<BoxFuture<'static, Searched>>,
    /// How the answer first broke off.
    first_cut: Option<StreamAbort>,
    splice: Option<Splice>,
    /// What earlier streams of this answer used, and how much of that was counted here for want of their word.
    before: Usage,
    counted: u64,
    timer: Pin<Box<Sleep>>,
    halted: Aborted,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Relay({})", self.id)
    }
}

impl Relay {
    /// Passes `live` on, the answer to the request of `run`.
    pub(super) fn new(mut live: ActiveStream, mut run: RequestRun) -> Self {
        let (rescue, barred) = match rescue::policy(&run) {
            Ok(rescue) => (Some(rescue), None),
            Err(obstacle) => (None, obstacle),
        };
        let (dispatch, request) = (&run.context.dispatch, &mut run.context.request);
        let terms = RelayLimits {
            wanted: request.wanted(),
            deadline: request.deadline,
            silence: request.silence,
            seals: request.may_be_sealed(),
        };
        if rescue.is_none() {
            // No other upstream will be asked: a long stream need not keep a long prompt.
            request.release();
        }
        let keeps = run.state.place.as_ref().is_some_and(|it| it.stores()) && !request.fetched;
        let collected = keeps
            .then(|| CollectedAnswer::new(request.operation))
            .flatten();
        let clock = dispatch.clock;
        let now = clock.now();
        let trace = &run.state.trace;
        let caller = dialects::caller(request.operation);
        let reader = rescue.and_then(|_| (!request.fetched).then(|| caller.sent_events())?);
        let mut outbox = SendBuffer::new(rescue.map(|rescue| rescue.hold))
            .reading(request.operation, reader)
            .whole(request.fetched.then_some(live.endpoint.max_answer))
            .counted_in(&dispatch.buffers)
            .telling(trace.content.is_some())
            .charging(trace.charge.as_ref())
            .numbering(caller.repeats_progress(request.operation))
            .collecting(collected);
        for raw in std::mem::take(&mut live.held) {
            outbox.push(live.fit_event(RawEvent { raw }), now);
        }
        let done = live.done;
        let mut relay = Self {
            id: Arc::clone(&request.id),
            clock,
            operation: request.operation,
            caller,
            terms,
            send_buffer: outbox,
            stream: Some(live),
            taken: Some(now),
            waits: now,
            drains: done,
            halted: dispatch.abort.waiting(),
            run: Some(run),
            rescue,
            barred,
            searching: None,
            first_cut: None,
            splice: None,
            before: Usage::default(),
            counted: 0,
            timer: Box::pin(tokio::time::sleep_until(clock.instant(now))),
        };
        relay.arm();
        if done {
            relay.complete();
        }
        relay
    }

    /// Whether every choice has a finish reason.
    fn is_finished(&self) -> bool {
        let live = self.stream.as_ref();
        live.is_some_and(|live| live.finish().is_complete(self.terms.wanted))
    }

    /// Whether the answer is whole even if its stream breaks here.
    fn is_settled(&self) -> bool {
        let live = self.stream.as_ref();
        live.is_some_and(|live| live.finish().is_settled())
    }

    /// The moment at which the upstream's silence exceeds its limit.
    fn limit_of_live(&self) -> Time {
        let live = self.stream.as_ref();
        live.map_or(Time::NEVER, |live| live.limit(self.terms.wanted))
    }

    /// When the caller waits no longer, for the answer or for its next byte.
    fn patience(&self) -> Time {
        let silence = self.terms.silence;
        let limit = silence.map_or(Time::NEVER, |silence| self.waits + silence);
        limit.min(self.terms.deadline)
    }

    fn limit(&self) -> Time {
        self.limit_of_live().min(self.patience())
    }

    fn arm(&mut self) {
        let due = self.send_buffer.due();
        let next = due.map_or(self.limit(), |due| due.min(self.limit()));
        self.timer.as_mut().reset(self.clock.instant(next));
    }

    /// The caller is back for more: the time that it was away is not the upstream's silence.
    fn resume(&mut self) {
        let Some(taken) = self.taken.take() else {
            return;
        };
        self.waits = self.clock.now();
        if let Some(live) = &mut self.stream {
            live.forgive(self.waits.since(taken));
        }
    }

    /// The answer is complete.
    fn complete(&mut self) {
        let good = Failure::new(Class::Success, "");
        self.close(&good, RequestEnd::Answered(200), None);
    }

    /// Settles the stream that is live, if one is, and ends the answer.
    fn close(&mut self, how: &Failure, ending: RequestEnd, last: Option<Bytes>) {
        self.send_buffer.finish(last);
        let mut live = self.stream.take();
        let mut counts = false;
        if let Some(run) = &mut self.run {
            let usage = match &live {
                // Of an answer in parts the last one counts as much as those before.
                Some(live) if self.before != Usage::default() => {
                    Some(live.used(self.send_buffer.sent(), self.counted))
                }
                Some(live) => live.usage,
                None => None,
            };
            let all = usage.map_or(self.before, |usage| self.before.plus(usage));
            let trace = &mut run.state.trace;
            trace.usage = Some(all).filter(|all| *all != Usage::default());
            trace.ending = Some(ending);
            trace.told(self.send_buffer.spoken());
            if let Some(live) = &mut live {
                let record = live.record(how, self.clock.now());
                let attempts = &mut run.state.attempts;
                match how.class {
                    Class::Success => attempts.ended(record),
                    _ => counts = attempts.failed_finally(live.index(), record, how),
                }
            }
            run.note_tier();
            let collected = self.send_buffer.collected();
            let good = ending == RequestEnd::Answered(200) && how.class == Class::Success;
            if let (Some(collected), Some(live), true) = (collected, &live, good) {
                // Where an end mark is due, one has come.
                if self.drains || live.exchange.ends_silently() {
                    run.keep_stream(collected, live.source(), &live.dropped);
                }
            }
            if good {
                run.used();
            }
            // A slow reader of the last bytes needs no request any more.
            run.context.request.release();
        }
        if let Some(live) = live {
            let rest = live.settle(how, counts);
            if self.drains {
                drain(rest);
            }
        }
    }

    /// The stream cannot be finished: it is rescued, or the answer ends here.
    fn cut(&mut self, cut: StreamAbort) {
        let failure = cut.failure();
        let first = self.first_cut.get_or_insert(cut).clone();
        if self.search(&failure) {
            return;
        }
        self.end_cut(&failure, &first);
    }

    /// Ends the answer with the error that it first broke off with.
    fn end_cut(&mut self, failure: &Failure, first: &StreamAbort) {
        let event = first.event(
            self.operation,
            self.caller,
            &self.id,
            &self.send_buffer.progress(),
        );
        self.close(failure, RequestEnd::Cut(first.code), Some(event));
    }

    /// The upstream closed the stream.
    fn ended(&mut self) {
        let live = self.stream.as_ref();
        if self.is_settled() || live.is_some_and(|live| live.is_over(self.terms.wanted)) {
            // The end mark is missing, but the answer is whole: say so in its place.
            let live = self.stream.as_mut();
            let end = live.and_then(ActiveStream::translated_end);
            if self.stream.as_ref().is_some_and(ActiveStream::is_diverged) {
                return self.diverged();
            }
            let end = end.unwrap_or_else(|| {
                let mark = self.caller.end_mark(self.operation);
                OutgoingEvents::One(mark.map(|raw| RawEvent { raw }))
            });
            for event in end {
                if !self.pass_on(event, self.clock.now()) {
                    return;
                }
            }
            return self.complete();
        }
        self.cut(StreamAbort::lost());
    }

    fn broken(&mut self, fault: &StreamFault) {
        if self.is_settled() {
            return self.ended();
        }
        self.cut(StreamAbort::broken(class_of(fault)));
    }

    /// A timer fired: checks each limit.
    fn timed_out(&mut self) {
        let now = self.clock.now();
        self.send_buffer.release(now);
        if now < self.limit() {
            return self.arm();
        }
        if self.is_settled() {
            return self.ended();
        }
        self.cut(match now {
            _ if now >= self.terms.deadline => StreamAbort::late(),
            _ if now >= self.limit_of_live() => StreamAbort::silent(),
            _ => StreamAbort::hasty(),
        });
    }

    /// Ends the stream because the process ends.
    fn halt(&mut self) {
        if self.is_settled() {
            return self.ended();
        }
        // A search for another stream is too late.
        self.searching = None;
        let cut = StreamAbort::shut_down();
        self.end_cut(&cut.failure(), &cut);
    }

    /// Sends an event of the caller's dialect, as far as it is new. False where it ends the stream.
    fn pass_on(&mut self, event: RawEvent, now: Time) -> bool {
        self.learn(&event);
        let out = match &mut self.splice {
            None => Some(event),
            Some(splice) => match splice.event(&event) {
                Spliced::Nothing => None,
                Spliced::Event(raw) => Some(RawEvent { raw }),
                Spliced::Diverged => {
                    self.diverged();
                    return false;
                }
            },
        };
        if let Some(event) = out {
            self.send_buffer.push(event, now);
        }
        true
    }

    fn take_in(&mut self, event: RawEvent) {
        let now = self.clock.now();
        let Some(live) = &mut self.stream else { return };
        let said = live.exchange.event(&event);
        // Comments and pings keep a connection open, not a promise.
        if said.life {
            live.last_event = now;
        }
        if said.malformed {
            // The event is of another API: the caller's program cannot read it, and text in it would be missing.
            return self.broken(&StreamFault::Foreign);
        }
        live.note(&said, &event, self.terms.wanted);
        // The upstream broke off with an error: its own words go to the caller, in the caller's form.
        if let Some(error) = said.error {
            let failure = classify::classify_inband(
                &live.endpoint.kind,
                &error,
                &HeaderMap::new(),
                self.clock.wall(),
            );
            let failure = live.reworded(failure.after_content(), &error.body);
            let own = if !said.foreign && self.caller.is_understood(self.operation, &event) {
                live.fit(event.raw).map(Own::Event)
            } else {
                live.fit(error.body).map(Own::Body)
            };
            self.drains = true;
            return self.cut(StreamAbort::said(&failure, own));
        }
        self.drains = said.done;
        // An end mark before the answer is complete is a cut.
        if said.done && !live.finish().may_end(self.terms.wanted) {
            return self.cut(StreamAbort::unfinished());
        }
        // What goes out: translated, and of a rescued answer only what is new.
        let was_empty = self.send_buffer.due().is_none();
        let events = live.outgoing(unspoken(event, &said));
        if live.is_diverged() {
            return self.diverged();
        }
        for event in events {
            if !self.pass_on(event, now) {
                return;
            }
        }
        if said.done {
            return self.complete();
        }
        // A finish reason, or the token counts that were waited for, may bring the end nearer.
        let nearer = said.finished != 0 || said.usage.is_some();
        if nearer || (was_empty && self.send_buffer.due().is_some()) {
            self.arm();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The caller left, or was away at the deadline: the lease, dropped with this, settles itself as cancelled.
        if let (Some(live), Some(run)) = (&mut self.stream, &mut self.run) {
            run.state.attempts.ended(live.left(self.clock.now()));
            let trace = &mut run.state.trace;
            trace.told(self.send_buffer.spoken());
            trace.usage = live.usage.map(|usage| self.before.plus(usage));
        }
    }
}

mod flow;
mod rescued;
#[cfg(test)]
mod tests;
