//! A stream that broke off after its first content, and the search for another one that goes on with its answer.

use super::Relay;
use crate::dispatch::active_stream::ActiveStream;
use crate::dispatch::drain::drain;
use crate::dispatch::rescue::{self, ContinuationKind, FoundStream, Searched, SentAnswer};
use crate::dispatch::stream_abort::StreamAbort;
use crate::domain::attempts::Next;
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;
use crate::wire::item_splice::ItemSplice;
use crate::wire::overlap::Overlap;
use crate::wire::splice::Splice;
use crate::wire::sse::RawEvent;
use crate::wire::transcript::Transcript;

impl Relay {
    /// Begins the search for another stream. False when there is none to be had.
    pub(super) fn search(&mut self, failure: &Failure) -> bool {
        if let Some(why) = self.why_not() {
            tracing::debug!(request_id = %self.id, "the stream is not continued: {why}");
            return false;
        }
        let (Some(sent), Some(policy)) = (self.send_buffer.sent(), self.rescue) else {
            return false;
        };
        let (text, tokens) = (sent.text().to_owned(), sent.tokens());
        let is_resumed = sent.is_resumed();
        let (Some(mut live), Some(mut run)) = (self.stream.take(), self.run.take()) else {
            return false;
        };
        let now = self.clock.now();
        let (index, record) = (live.index(), live.record(failure, now));
        // The wait for the first content is over: from here on the answer as a whole has its time.
        let attempts = &mut run.state.attempts;
        attempts.deadline = self.terms.deadline;
        let (counts, next) = attempts.failed(index, record, failure, fastrand::f64(), now);
        let said = live.usage.unwrap_or_default();
        let used = live.used(self.send_buffer.sent(), self.counted);
        let rest = live.settle(failure, counts);
        if std::mem::take(&mut self.drains) {
            drain(rest);
        }
        if !matches!(next, Next::Ask(_)) {
            self.before = self.before.plus(said);
            self.run = Some(run);
            return false;
        }
        self.before = self.before.plus(used);
        self.counted = tokens;
        self.send_buffer.set_aside();
        let sent = SentAnswer {
            text,
            tokens,
            is_resumed,
        };
        let until = self.patience();
        let searching = rescue::search(run, policy.mode, next, index, sent, until);
        self.searching = Some(Box::pin(searching));
        true
    }

    /// Why the answer is not rescued although its target asks for that.
    fn why_not(&self) -> Option<&'static str> {
        let spoiled = self.send_buffer.sent().is_some_and(Transcript::is_spoiled);
        if self.rescue.is_none() {
            let run = self.run.as_ref()?;
            run.state.limits.policy.rescue?;
            Some("the request binds its answer to a form, or asks for more than one text")
        } else if self.is_finished() {
            // It needs no other answer, only an honest end.
            Some("the answer has its finish reason")
        } else {
            spoiled.then_some("something else than text was sent")
        }
    }

    /// The search is over.
    pub(super) fn searched(&mut self, searched: Searched) {
        self.run = Some(searched.run);
        match (searched.found, self.first_cut.clone()) {
            (Some(found), _) => self.go_on(found),
            (None, Some(first)) => self.end_cut(&first.failure(), &first),
            // There is no search without a cut.
            (None, None) => self.send_buffer.finish(None),
        }
    }

    /// Another stream goes on with the answer.
    fn go_on(&mut self, found: FoundStream) {
        let now = self.clock.now();
        let FoundStream {
            started: begun,
            lease,
            open_attempt: tried,
            endpoint,
            how,
        } = found;
        let (mut live, _) = ActiveStream::new(begun, lease, &tried, endpoint, now);
        let sent = self.send_buffer.sent().filter(|sent| !sent.is_empty());
        if let (ContinuationKind::Restarted, Some(sent)) = (how, sent) {
            live.repeats = sent.tokens();
        }
        if let (None, Some(run)) = (sent, &self.run) {
            // Nothing of the first one is known to the caller: this is the answer that it will refer to.
            run.learn(live.key(), live.held.first());
        }
        self.splice = None;
        match (sent, &self.run) {
            (Some(sent), Some(run)) if sent.is_resumed() => {
                let overlap = match how {
                    ContinuationKind::Restarted => Overlap::restarted(sent.text()),
                    ContinuationKind::Continued { echoed } => {
                        Overlap::continued(sent.text(), echoed)
                    }
                };
                let splice = ItemSplice::new(overlap, self.before);
                live.resume(&run.context.request.doc, sent, splice);
            }
            (Some(sent), _) => {
                self.splice = Some(match how {
                    ContinuationKind::Restarted => Splice::restarted(sent, self.before),
                    ContinuationKind::Continued { echoed } => {
                        Splice::continued(sent, self.before, echoed)
                    }
                });
            }
            (None, _) => {}
        }
        let resumed = sent.is_some_and(Transcript::is_resumed);
        let (held, done) = (std::mem::take(&mut live.held), live.done);
        self.stream = Some(live);
        self.drains = done;
        for raw in held {
            self.begin_with(RawEvent { raw }, resumed, now);
        }
        if done && self.stream.is_some() {
            return self.complete();
        }
        self.arm();
    }

    /// An event of the beginning of another stream, which was looked at before: as it came where it goes on in the state of
    /// the first one (`resumed`), else in the caller's dialect.
    fn begin_with(&mut self, event: RawEvent, resumed: bool, now: Time) {
        let Some(live) = &mut self.stream else { return };
        if !resumed {
            self.pass_on(event, now);
            return;
        }
        let events = live.outgoing(event);
        if live.is_diverged() {
            return self.diverged();
        }
        for event in events {
            self.pass_on(event, now);
        }
    }

    /// The stream that was to continue the answer differs from it.
    pub(super) fn diverged(&mut self) {
        if let (Some(mut live), Some(run)) = (self.stream.take(), &mut self.run) {
            // No upstream is to blame: two answers are rarely alike.
            let other = Failure::new(Class::Cancelled, "its answer is another one");
            let record = live.record(&other, self.clock.now());
            run.state.attempts.ended(record);
            self.before = self.before.plus(live.usage.unwrap_or_default());
            live.settle(&other, false);
        }
        tracing::debug!(request_id = %self.id, "the second answer is another one: the stream ends");
        let first = self.first_cut.clone().unwrap_or_else(StreamAbort::lost);
        let other = Failure::new(Class::Cancelled, first.failure().detail);
        self.end_cut(&other, &first);
    }
}
