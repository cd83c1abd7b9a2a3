//! The rest of a stream, after its first content: passed on event by event, watched for its end.
//!
//! Only whole events go out, so a cut never leaves half an event in front of our error event. A stream that
//! breaks off and cannot be rescued ends with an error event in its own form and without the end mark, so that a
//! cut answer never looks complete (law L8). One that is rescued goes on in the words of another attempt, but only
//! where those follow exactly from what was sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use tokio::time::Sleep;

use super::attempt::class_of;
use super::cut::Cut;
use super::events::Fault;
use super::live::Live;
use super::outbox::Outbox;
use super::rescue::{Found, How, Rescue, Searched, Sent};
use super::story::{Ending, Story};
use crate::domain::attempts::Next;
use crate::domain::dialect::Operation;
use crate::domain::error_code::ErrorCode;
use crate::domain::mutant::{self, Mutant};
use crate::domain::outcome::{Class, Failure, Retry};
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::runtime::halt::Halted;
use crate::wire::classify;
use crate::wire::openai::splice::{Splice, Spliced};
use crate::wire::openai::stream;
use crate::wire::openai::usage::Usage;
use crate::wire::sse::RawEvent;

const BROKE_OFF: &str = "the upstream's stream broke off before the answer was complete";

/// A stream being passed on. Dropping it cancels the upstream's request and settles the lease.
pub struct Relay {
    id: Arc<str>,
    clock: Clock,
    operation: Operation,
    /// How many choices there are to be.
    choices: u32,
    deadline: Time,
    outbox: Outbox,
    live: Option<Live>,
    /// When the caller took the last bytes; while it is away nobody waits for the upstream.
    taken: Option<Time>,
    /// With the search for another stream while there is one.
    story: Option<Story>,
    rescue: Option<Box<Rescue>>,
    searching: Option<BoxFuture<'static, Searched>>,
    /// How the answer first broke off.
    first_cut: Option<Cut>,
    splice: Option<Splice>,
    /// What earlier streams of this answer used, and how much of that was counted here for want of their word.
    before: Usage,
    counted: u64,
    timer: Pin<Box<Sleep>>,
    halted: Halted,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Relay({})", self.id)
    }
}

impl Relay {
    /// Passes `live` on until `deadline`; the answer is to have so many choices.
    pub(super) fn new(
        mut live: Live,
        story: Story,
        rescue: Option<Box<Rescue>>,
        choices: u32,
        deadline: Time,
    ) -> Self {
        let clock = story.clock;
        let now = clock.now();
        let mut outbox = Outbox::new(rescue.as_ref().map(|rescue| rescue.hold()))
            .telling(story.content.is_some())
            .charging(story.charge.as_ref());
        for raw in std::mem::take(&mut live.held) {
            outbox.push(RawEvent { raw }, now);
        }
        let done = live.done;
        let halted = story.halt.waiting();
        let mut relay = Self {
            id: Arc::clone(&story.id),
            clock,
            operation: story.operation,
            choices,
            deadline,
            outbox,
            live: Some(live),
            taken: Some(now),
            story: Some(story),
            rescue,
            searching: None,
            first_cut: None,
            splice: None,
            before: Usage::default(),
            counted: 0,
            timer: Box::pin(tokio::time::sleep_until(clock.instant(now))),
            halted,
        };
        relay.arm();
        if done {
            relay.complete();
        }
        relay
    }

    fn is_finished(&self) -> bool {
        let live = self.live.as_ref();
        live.is_some_and(|live| live.is_finished(self.choices))
    }

    /// When silence has lasted too long, as things stand.
    fn limit(&self) -> Time {
        let limit = self.live.as_ref().map(|live| live.limit(self.choices));
        limit.unwrap_or(self.deadline).min(self.deadline)
    }

    fn arm(&mut self) {
        let due = self.outbox.due();
        let next = due.map_or(self.limit(), |due| due.min(self.limit()));
        self.timer.as_mut().reset(self.clock.instant(next));
    }

    /// The caller is back for more: the time that it was away is not the upstream's silence.
    fn resume(&mut self) {
        if let (Some(taken), Some(live)) = (self.taken.take(), &mut self.live) {
            live.forgive(self.clock.now().since(taken));
        }
    }

    /// All of the answer is there.
    fn complete(&mut self) {
        let good = Failure::new(Class::Success, "");
        self.close(&good, Ending::Answered(200), None);
    }

    /// Settles the stream that is live, if one is, and ends the answer.
    fn close(&mut self, how: &Failure, ending: Ending, last: Option<Bytes>) {
        self.outbox.finish(last);
        let live = self.live.take();
        if let Some(story) = &mut self.story {
            let usage = live.as_ref().and_then(|live| live.usage);
            let all = usage.map_or(self.before, |usage| self.before.plus(usage));
            story.usage = Some(all).filter(|all| *all != Usage::default());
            let now = self.clock.now();
            story
                .records
                .extend(live.iter().map(|live| live.record(how, now)));
            story.ending = Some(ending);
            story.told(self.outbox.spoken());
        }
        if let Some(live) = live {
            live.settle(how, None);
        }
        // A slow reader of the last bytes needs no request any more.
        self.rescue = None;
    }

    /// The stream cannot be finished: it is rescued, or the answer ends here.
    fn cut(&mut self, cut: Cut) {
        let failure = Failure {
            retry_after: cut.retry_after,
            certain: cut.certain,
            ..Failure::new(cut.class, BROKE_OFF)
        };
        let first = self.first_cut.get_or_insert(cut).clone();
        if failure.class.retry() != Retry::Never && self.search(&failure) {
            return;
        }
        self.end_cut(&failure, first);
    }

    /// Ends the answer with the error that it first broke off with.
    fn end_cut(&mut self, failure: &Failure, first: Cut) {
        let event = first.event.unwrap_or_else(|| {
            let code = first.code;
            stream::error_event(
                self.operation,
                first.message,
                code.kind(),
                code.as_str(),
                &self.id,
            )
        });
        self.close(failure, Ending::Cut(first.code), Some(event));
        if mutant::on(Mutant::CutLooksComplete) {
            self.outbox.finish(stream::end_mark(self.operation));
        }
    }

    /// Begins the search for another stream. False when there is none to be had.
    fn search(&mut self, failure: &Failure) -> bool {
        let sent = self.outbox.sent().filter(|sent| !sent.is_spoiled());
        // What is complete and then fails needs no other answer, only an honest end.
        let Some(sent) = sent.filter(|_| !self.is_finished()) else {
            return false;
        };
        let (text, tokens) = (sent.text().to_owned(), sent.tokens());
        let (Some(live), Some(mut rescue), Some(mut story)) =
            (self.live.take(), self.rescue.take(), self.story.take())
        else {
            return false;
        };
        let index = live.index();
        let record = live.record(failure, self.clock.now());
        let (counts, next) = rescue.failed(index, record, failure);
        story.records = rescue.records().to_vec();
        let mut used = live.usage.unwrap_or_default();
        live.settle(failure, Some(counts));
        if !matches!(next, Next::Ask(_)) {
            self.before = self.before.plus(used);
            self.story = Some(story);
            return false;
        }
        // It did not say, as most that break off: what it sent was not for free.
        let unsaid = tokens.saturating_sub(self.counted);
        used.completion_tokens = used.completion_tokens.or(Some(unsaid));
        self.before = self.before.plus(used);
        self.counted = tokens;
        self.outbox.set_aside();
        let sent = Sent { text, tokens };
        self.searching = Some(Box::pin(rescue.search(story, next, index, sent)));
        true
    }

    /// The search is over.
    fn searched(&mut self, searched: Searched) {
        self.story = Some(searched.story);
        match (searched.found, self.first_cut.clone()) {
            (Some(found), _) => {
                self.rescue = Some(searched.rescue);
                self.go_on(found);
            }
            (None, Some(first)) => self.end_cut(&Failure::new(first.class, BROKE_OFF), first),
            // There is no search without a cut.
            (None, None) => self.outbox.finish(None),
        }
    }

    /// Another stream goes on with the answer.
    fn go_on(&mut self, found: Found) {
        let now = self.clock.now();
        let Found {
            begun,
            lease,
            tried,
            endpoint,
            how,
            blame,
        } = found;
        let (mut live, _) = Live::new(begun, lease, &tried, &endpoint, blame, now);
        let sent = self.outbox.sent().filter(|sent| !sent.is_empty());
        self.splice = sent.map(|sent| match how {
            How::Restarted => Splice::restarted(sent, self.before),
            How::Continued { echoed } => Splice::continued(sent, self.before, echoed),
        });
        let held = std::mem::take(&mut live.held);
        self.live = Some(live);
        for raw in held {
            if self.live.is_some() {
                self.take_in(RawEvent { raw });
            }
        }
        self.arm();
    }

    /// The stream that was to go on tells something else.
    fn diverged(&mut self) {
        if let (Some(live), Some(rescue)) = (self.live.take(), &mut self.rescue) {
            // Nobody's fault: two answers are rarely alike.
            let other = Failure::new(Class::Cancelled, "its answer is another one");
            rescue.given_up(live.record(&other, self.clock.now()));
            if let Some(story) = &mut self.story {
                story.records = rescue.records().to_vec();
            }
            self.before = self.before.plus(live.usage.unwrap_or_default());
            live.settle(&other, None);
        }
        tracing::debug!(request_id = %self.id, "the second answer is another one: the stream ends");
        let broke_off = || Cut::new(Class::Network, ErrorCode::UpstreamsExhausted, BROKE_OFF);
        let first = self.first_cut.clone().unwrap_or_else(broke_off);
        self.end_cut(&Failure::new(Class::Cancelled, BROKE_OFF), first);
    }

    /// The upstream closed the stream.
    fn ended(&mut self) {
        if self.is_finished() {
            // The end mark is missing, but the answer is whole: say so in its place.
            if let Some(raw) = stream::end_mark(self.operation) {
                self.outbox.push(RawEvent { raw }, self.clock.now());
            }
            return self.complete();
        }
        self.cut(Cut::new(
            Class::Network,
            ErrorCode::UpstreamsExhausted,
            BROKE_OFF,
        ));
    }

    fn broken(&mut self, fault: &Fault) {
        if self.is_finished() {
            return self.ended();
        }
        let class = class_of(fault);
        let code = match class {
            Class::Malformed => ErrorCode::InvalidUpstreamResponse,
            _ => ErrorCode::UpstreamsExhausted,
        };
        self.cut(Cut::new(class, code, BROKE_OFF));
    }

    /// A timer fired: is anything over?
    fn timed_out(&mut self) {
        let now = self.clock.now();
        self.outbox.release(now);
        if now < self.limit() {
            return self.arm();
        }
        if self.is_finished() {
            return self.ended();
        }
        if now >= self.deadline {
            let message = "the request's deadline passed before the answer was complete";
            return self.cut(Cut::new(
                Class::Cancelled,
                ErrorCode::DeadlineExceeded,
                message,
            ));
        }
        let message = "the upstream's stream fell silent before the answer was complete";
        self.cut(Cut::new(
            Class::Timeout,
            ErrorCode::UpstreamsExhausted,
            message,
        ));
    }

    /// The process ends.
    fn halt(&mut self) {
        if self.is_finished() {
            return self.ended();
        }
        // Whoever is looked for to go on with the answer comes too late.
        self.searching = None;
        let message = "this process is shutting down and had no more time for the answer";
        let cut = Cut::new(Class::Cancelled, ErrorCode::Draining, message);
        self.end_cut(&Failure::new(cut.class, BROKE_OFF), cut);
    }

    fn take_in(&mut self, event: RawEvent) {
        let now = self.clock.now();
        let said = stream::inspect(self.operation, &event);
        let Some(live) = &mut self.live else { return };
        // Comments and pings keep a connection open, not a promise.
        if said.life {
            live.last_event = now;
        }
        if said.malformed {
            // What the caller's program would make of it, nobody knows; the words that it may have held are missing.
            return self.broken(&Fault::Foreign);
        }
        live.note(&said, &event);
        if let Some(error) = said.error {
            let failure =
                classify::classify_inband(&live.kind, &error, &HeaderMap::new(), self.clock.wall());
            // One that its program would not take for an error is told in our words.
            let event = (!said.foreign).then(|| live.fit(event.raw)).flatten();
            return self.cut(Cut {
                event,
                retry_after: failure.retry_after,
                certain: failure.certain,
                ..Cut::new(failure.class, ErrorCode::UpstreamsExhausted, BROKE_OFF)
            });
        }
        let out = match &mut self.splice {
            None => Some(event),
            Some(splice) => match splice.event(&event) {
                Spliced::Nothing => None,
                Spliced::Event(raw) => Some(RawEvent { raw }),
                Spliced::Diverged if mutant::on(Mutant::DivergedGoesOn) => Some(event),
                Spliced::Diverged => return self.diverged(),
            },
        };
        live.finish(said.finished);
        let was_empty = self.outbox.due().is_none();
        if let Some(event) = out {
            if mutant::on(Mutant::EventTwice) {
                self.outbox.push(event.clone(), now);
            }
            self.outbox.push(event, now);
        }
        if said.done {
            return self.complete();
        }
        if said.finished != 0 || (was_empty && self.outbox.due().is_some()) {
            self.arm();
        }
    }
}

impl Stream for Relay {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.resume();
        loop {
            if let Some(bytes) = this.outbox.pop() {
                this.taken = Some(this.clock.now());
                return Poll::Ready(Some(Ok(bytes)));
            }
            let is_over = this.live.is_none() && this.searching.is_none();
            if !is_over && Pin::new(&mut this.halted).poll(cx).is_ready() {
                this.halt();
                continue;
            }
            if let Some(searching) = &mut this.searching {
                match searching.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(searched) => {
                        this.searching = None;
                        this.searched(searched);
                        continue;
                    }
                }
            }
            let Some(live) = &mut this.live else {
                return Poll::Ready(None);
            };
            match live.events.poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => this.take_in(event),
                Poll::Ready(Some(Err(fault))) => this.broken(&fault),
                Poll::Ready(None) => this.ended(),
                Poll::Pending => {
                    if this.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.timed_out();
                }
            }
            if this.outbox.due().is_some() {
                this.outbox.release(this.clock.now());
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The caller left, or was away at the deadline: the lease, dropped with this, settles itself as cancelled.
        if let (Some(live), Some(story)) = (&self.live, &mut self.story) {
            story.told(self.outbox.spoken());
            story.usage = live.usage.map(|usage| self.before.plus(usage));
            story.records.push(live.left(self.clock.now()));
        }
        if mutant::on(Mutant::CancelledStreamKeepsLease) {
            std::mem::forget(self.live.take());
        }
    }
}

#[cfg(test)]
mod tests;
