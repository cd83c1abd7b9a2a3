//! A stream that broke off after its first content, and the search for another one that goes on with its answer.

use super::Relay;
use crate::dispatch::active_stream::ActiveStream;
use crate::dispatch::attempt::stamp;
use crate::dispatch::drain::drain;
use crate::dispatch::rescue::{self, ContinuationKind, FoundStream, Searched, SentAnswer};
use crate::dispatch::stream_abort::StreamAbort;
use crate::domain::attempts::Next;
use crate::domain::outcome::{Class, Failure, Retry};
use crate::domain::rescue::RescueObstacle;
use crate::domain::time::Time;
use crate::wire::item_splice::ItemSplice;
use crate::wire::overlap::Overlap;
use crate::wire::splice::Splice;
use crate::wire::sse::RawEvent;
use crate::wire::transcript::Transcript;

impl Relay {
    /// Begins the search for another stream. False when there is none to be had.
    pub(super) fn search(&mut self, failure: &Failure) -> bool {
        if let Some(obstacle) = self.obstacle(failure) {
            self.note(obstacle);
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
            self.note(RescueObstacle::NoUpstream);
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

    /// What keeps the answer, which broke off like this, from being rescued although its target asks for that.
    fn obstacle(&self, failure: &Failure) -> Option<RescueObstacle> {
        if self.rescue.is_none() {
            return self.barred;
        }
        if self.is_finished() {
            // It needs no other answer, only an honest end.
            return Some(RescueObstacle::Finished);
        }
        let sent = self.send_buffer.sent();
        let spoilt = sent.and_then(Transcript::spoiled_by);
        let is_final = failure.class.retry() == Retry::Never;
        spoilt.or(is_final.then_some(RescueObstacle::FinalFailure))
    }

    /// Notes for the record of the request what keeps its answer from being rescued.
    fn note(&mut self, obstacle: RescueObstacle) {
        tracing::debug!(request_id = %self.id, "the stream is not continued: {}", obstacle.words());
        let at = self.clock.now();
        // Whole answers that are fetched as streams are asked for again whatever the target says.
        if let Some(run) = &mut self.run
            && run.state.limits.policy.rescue.is_some()
        {
            run.state.trace.meets(at, obstacle, None);
        }
    }

    /// The search is over.
    pub(super) fn searched(&mut self, searched: Searched) {
        self.run = Some(searched.run);
        match (searched.found, self.first_cut.clone()) {
            (Some(found), _) => self.go_on(found),
            (None, Some(first)) => {
                self.note(RescueObstacle::NoUpstream);
                self.end_cut(&first.failure(), &first);
            }
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
                let splice = ItemSplice::new(overlap(sent, how), self.before);
                let stamp = stamp(self.clock.wall());
                live.resume(&run.context.request.doc, sent, splice, stamp);
            }
            (Some(sent), _) => {
                let overlap = overlap(sent, how);
                self.splice = Some(Splice::new(sent, self.before, overlap));
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
        self.note(RescueObstacle::Diverged);
        let first = self.first_cut.clone().unwrap_or_else(StreamAbort::lost);
        let other = Failure::new(Class::Cancelled, first.failure().detail);
        self.end_cut(&other, &first);
    }
}

/// How the text of a stream that goes on like this lies beside what was sent.
fn overlap(sent: &Transcript, how: ContinuationKind) -> Overlap {
    match how {
        ContinuationKind::Restarted => Overlap::restarted(sent.text()),
        ContinuationKind::Continued { echoed, cut } => Overlap::continued(sent.text(), echoed, cut),
    }
}
