//! The attempt whose stream is being relayed: its events, its lease, and how far it has come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::attempt::StreamStarted;
use super::costs::SaidEvents;
use super::events::{Events, step};
use super::held::HeldEvents;
use super::open_attempt::{OpenAttempt, detail};
use super::redacted;
use super::request::Endpoint;
use crate::actors::lease::Lease;
use crate::domain::attempt_record::{AttemptRecord, ResponseMeta};
use crate::domain::dropped::Dropped;
use crate::domain::finish::{Finish, FinishCriteria};
use crate::domain::ids::{KeyId, Upstream};
use crate::domain::key_state::Settlement;
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;
use crate::domain::usage::Usage;
use crate::wire::exchange::{AttemptStamp, Exchange, OutgoingEvents, Translation};
use crate::wire::headers::ends_with_connection;
use crate::wire::inspection::StreamEvent;
use crate::wire::item_splice::ItemSplice;
use crate::wire::redact::Redactor;
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;
use crate::wire::transcript::Transcript;

/// Some upstreams neither send the end mark nor close after the end of an answer: they get this long. That is longer
/// than a stream that continues pauses there, and short enough for the waiting caller.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// A stream that has begun.
pub(super) struct ActiveStream {
    pub(super) exchange: Exchange,
    translation: Option<Translation>,
    /// What has no place in the other side's dialect, as far as that was known when its content began.
    pub(super) dropped: Dropped,
    pub(super) events: Events,
    /// The events before the first content.
    pub(super) held: HeldEvents,
    pub(super) done: bool,
    pub(super) usage: Option<Usage>,
    said: SaidEvents,
    pub(super) last_event: Time,
    /// Tokens that it must say once more before anything of it is new.
    pub(super) repeats: u64,
    pub(super) endpoint: Arc<Endpoint>,
    lease: Lease,
    /// The answer's metadata, without its usage; `None` when traces do not need it.
    answered: Option<Box<ResponseMeta>>,
    /// Its end and outcome are still open.
    record: AttemptRecord,
    finish: Finish,
    /// Whether only the end of its connection says where its body ends.
    until_close: bool,
    /// When the attempt must have ended.
    end: Time,
}

impl ActiveStream {
    /// And the headers that came with it.
    pub(super) fn new(
        begun: StreamStarted,
        lease: Lease,
        tried: &OpenAttempt,
        endpoint: Arc<Endpoint>,
        now: Time,
    ) -> (Self, HeaderMap) {
        lease.began();
        let said = SaidEvents::begun(begun.held.bytes());
        let live = Self {
            exchange: begun.exchange,
            translation: begun.translation,
            dropped: begun.dropped,
            events: begun.events,
            held: begun.held,
            done: begun.done,
            usage: begun.usage,
            said,
            last_event: now,
            repeats: 0,
            lease,
            answered: begun.answered,
            record: AttemptRecord {
                first_token: Some(now),
                ..tried.record(Class::Success, Some(200), now)
            },
            finish: begun.finish,
            until_close: ends_with_connection(&begun.headers),
            end: tried.begun().started + endpoint.timeouts.total,
            endpoint,
        };
        (live, begun.headers)
    }

    /// Notes what an event adds to the trace, and how far its answer has come.
    pub(super) fn note(&mut self, said: &StreamEvent, event: &RawEvent, wanted: FinishCriteria) {
        if said.usage.is_some() {
            self.usage = Usage::latest(self.usage, said.usage);
        }
        if said.content {
            self.said.add(event.raw.len());
        }
        if said.error.is_none() {
            self.finish.note(step(said), wanted);
        }
        if let Some(answered) = self.answered.as_mut().filter(|_| said.finished != 0) {
            self.exchange.note(answered, event);
        }
    }

    /// What its caller reads in place of an event, without credentials.
    pub(super) fn outgoing(&mut self, event: RawEvent) -> OutgoingEvents {
        // What is translated has only the fields of its answer.
        let event = self.fit_event(event);
        match &mut self.translation {
            None => OutgoingEvents::One(Some(event)),
            Some(translation) => translation.event(&event),
        }
    }

    /// Its events, which are as they came, go on behind what was `sent` of another answer.
    pub(super) fn resume(
        &mut self,
        doc: &RequestDoc,
        sent: &Transcript,
        splice: ItemSplice,
        stamp: AttemptStamp,
    ) {
        self.translation = self.exchange.resumed(doc, sent, splice, stamp);
    }

    /// Whether it was to go on with another answer and takes another way.
    pub(super) fn is_diverged(&self) -> bool {
        let translation = self.translation.as_ref();
        translation.is_some_and(Translation::is_diverged)
    }

    /// The end of its answer in the caller's dialect, where its events are translated and did not tell it.
    pub(super) fn translated_end(&mut self) -> Option<OutgoingEvents> {
        self.translation.as_mut().map(Translation::end)
    }

    /// What it used. Most that break off did not say, or said it of their beginning: what it added to the `counted` tokens
    /// that were sent before it, or repeated of them, was not for free.
    pub(super) fn used(&self, sent: Option<&Transcript>, counted: u64) -> Usage {
        let mut used = self.usage.unwrap_or_default();
        let new = sent.map(|sent| sent.tokens().saturating_sub(counted) + self.repeats);
        used.completion_tokens = match self.finish.has_finish_reason() {
            true => used.completion_tokens.or(new),
            false => used.completion_tokens.max(new),
        };
        used
    }

    /// How far its answer has come.
    pub(super) fn finish(&self) -> Finish {
        self.finish
    }

    /// Whether its answer is whole, now that its stream has ended.
    pub(super) fn is_over(&self, wanted: FinishCriteria) -> bool {
        if self.until_close {
            self.finish.is_over_at_close(wanted)
        } else {
            self.finish.is_complete(wanted)
        }
    }

    /// When silence has lasted too long, or the attempt has.
    pub(super) fn limit(&self, wanted: FinishCriteria) -> Time {
        let over = self.finish.is_settled() && !self.finish.lacks_usage(wanted);
        let silence = if over {
            self.endpoint.timeouts.idle.min(AFTER_FINISH)
        } else {
            self.endpoint.timeouts.idle
        };
        (self.last_event + silence).min(self.end)
    }

    /// Moves the idle limit by a time in which the caller was not reading.
    pub(super) fn forgive(&mut self, span: Duration) {
        self.last_event = self.last_event + span;
        self.end = self.end + span;
    }

    /// Its own words on its failure, fit for the caller; `None` when it cannot be made so.
    pub(super) fn fit(&self, raw: Bytes) -> Option<Bytes> {
        redacted::event(raw, &self.redactor())
    }

    /// The failure with the redacted text of an error event with this body.
    pub(super) fn reworded(&self, failure: Failure, body: &Bytes) -> Failure {
        redacted::reworded(failure, &HeaderMap::new(), body, &self.redactor())
    }

    /// One of its events, fit for the caller. Data is not looked at.
    pub(super) fn fit_event(&self, event: RawEvent) -> RawEvent {
        if event.has_asides() {
            redacted::beside(event, &self.redactor())
        } else {
            event
        }
    }

    fn redactor(&self) -> Redactor<'_> {
        redacted::of(&self.lease, &self.endpoint)
    }

    /// The upstream that it comes from, and its key.
    pub(super) fn source(&self) -> (&Upstream, &KeyId) {
        (&self.record.upstream, &self.lease.key)
    }

    /// Its key.
    pub(super) fn key(&self) -> &KeyId {
        &self.lease.key
    }

    /// The candidate's place in the chain.
    pub(super) fn index(&self) -> usize {
        self.lease.index
    }

    /// Its record, ended like this.
    pub(super) fn record(&mut self, how: &Failure, now: Time) -> AttemptRecord {
        let mut dropped = self.dropped.clone();
        if let Some(translation) = &mut self.translation {
            translation.note_losses(&mut dropped);
        }
        let mut answered = self.answered.clone();
        redacted::answered(&mut answered, &self.redactor());
        AttemptRecord {
            usage: self.usage,
            said: Some(self.said.tokens()),
            answered: answered.map(Arc::from),
            class: how.class,
            ended: now,
            detail: detail(how),
            dropped,
            ..self.record.clone()
        }
    }

    /// Its record, if its caller left now.
    pub(super) fn left(&mut self, now: Time) -> AttemptRecord {
        self.record(&Failure::new(Class::Cancelled, ""), now)
    }

    /// Ends it. `counts`: whether that counts against its upstream. What is left of its stream is of no interest to the
    /// answer.
    pub(super) fn settle(self, how: &Failure, counts: bool) -> Events {
        if how.class == Class::Success {
            let usage = self.usage;
            self.lease
                .answered(usage.and_then(|usage| usage.completion_tokens));
        }
        self.lease.settle(Settlement {
            class: how.class,
            retry_after: how.retry_after,
            tokens: self.usage.as_ref().and_then(Usage::total),
            counts,
        });
        self.events
    }
}
