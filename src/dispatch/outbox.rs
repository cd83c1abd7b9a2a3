//! What goes out of a relayed stream: at once, or after it was held back for a while, so that a cut loses
//! nothing of it. Knows what the caller has, when a rescue may need that.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::charge::{Charge, Said};
use crate::domain::time::Time;
use crate::wire::openai::content::Spoken;
use crate::wire::openai::error_event::Progress;
use crate::wire::openai::transcript::Transcript;
use crate::wire::sse::RawEvent;

/// Events on their way to the caller.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    ready: VecDeque<Bytes>,
    /// With the moment when each goes out.
    held: VecDeque<(Time, RawEvent)>,
    /// What was held back when the stream broke off: out of date once another one has something to say.
    aside: VecDeque<(Time, RawEvent)>,
    hold: Duration,
    sent: Option<Transcript>,
    /// Its text, where that is told afterwards.
    spoken: Option<Spoken>,
    /// Its size, where a client is charged for it.
    charged: Option<Said>,
    /// How far it has come, where an error event must say that.
    progress: Option<Progress>,
}

impl Outbox {
    /// With `hold`, events are noted, and go out so much later.
    pub(super) fn new(hold: Option<Duration>) -> Self {
        Self {
            hold: hold.unwrap_or_default(),
            sent: hold.map(|_| Transcript::default()),
            ..Self::default()
        }
    }

    /// And what goes out is told afterwards, if that is so.
    pub(super) fn telling(mut self, tells: bool) -> Self {
        self.spoken = tells.then(Spoken::default);
        self
    }

    /// And what goes out is counted there, if a client is charged for it.
    pub(super) fn charging(mut self, charge: Option<&Charge>) -> Self {
        self.charged = charge.map(|charge| charge.said.clone());
        self
    }

    /// And it is noted how far the answer has come, if that is so.
    pub(super) fn numbering(mut self, numbers: bool) -> Self {
        self.progress = numbers.then(Progress::default);
        self
    }

    /// How far the answer has come, where that is noted.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone().unwrap_or_default()
    }

    /// What went out, where that is told.
    pub(super) fn spoken(&mut self) -> Option<Spoken> {
        self.spoken.take()
    }

    /// One more event.
    pub(super) fn push(&mut self, event: RawEvent, now: Time) {
        // Comments are no answer: what was set aside may still be all there is.
        if !event.is_empty() {
            self.aside.clear();
        }
        if self.hold.is_zero() {
            self.send(event);
        } else {
            self.held.push_back((now + self.hold, event));
        }
    }

    /// The next bytes to go out.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// When the next event that is held back goes out.
    pub(super) fn due(&self) -> Option<Time> {
        self.held.front().map(|(due, _)| *due)
    }

    /// Lets go of everything whose time has come.
    pub(super) fn release(&mut self, now: Time) {
        while self.due().is_some_and(|due| due <= now)
            && let Some((_, event)) = self.held.pop_front()
        {
            self.send(event);
        }
    }

    /// Lets go of everything, with these last words.
    pub(super) fn finish(&mut self, last: Option<Bytes>) {
        let rest: Vec<_> = self.aside.drain(..).chain(self.held.drain(..)).collect();
        for (_, event) in rest {
            self.send(event);
        }
        self.ready.extend(last);
    }

    /// The stream broke off: what is held back waits for what becomes of it.
    pub(super) fn set_aside(&mut self) {
        self.aside.append(&mut self.held);
    }

    /// What the caller has, where that is kept.
    pub(super) fn sent(&self) -> Option<&Transcript> {
        self.sent.as_ref()
    }

    fn send(&mut self, event: RawEvent) {
        if let Some(sent) = &mut self.sent {
            sent.note(&event);
        }
        if let Some(spoken) = &mut self.spoken {
            spoken.note(&event);
        }
        if let Some(charged) = &self.charged {
            charged.note(&event);
        }
        if let Some(progress) = &mut self.progress {
            progress.note(&event);
        }
        self.ready.push_back(event.raw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> RawEvent {
        let raw = format!(r#"data: {{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#) + "\n\n";
        RawEvent { raw: raw.into() }
    }

    fn out(outbox: &mut Outbox) -> usize {
        std::iter::from_fn(|| outbox.pop()).count()
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn without_a_hold_events_go_out_at_once() {
        let mut outbox = Outbox::new(Some(Duration::ZERO));
        outbox.push(event("a"), Time::ZERO);
        assert_eq!((out(&mut outbox), outbox.due()), (1, None));
        assert_eq!(outbox.sent().unwrap().text(), "a");
    }

    #[test]
    fn what_is_held_back_goes_out_in_time_and_is_not_known_to_the_caller_before() {
        let mut outbox = Outbox::new(Some(10 * MS));
        outbox.push(event("a"), Time::ZERO);
        outbox.push(event("b"), Time::ZERO + 5 * MS);
        outbox.release(Time::ZERO + 10 * MS);
        assert_eq!(out(&mut outbox), 1);
        assert_eq!(outbox.sent().unwrap().text(), "a");
        outbox.finish(None);
        assert_eq!(outbox.sent().unwrap().text(), "ab");
    }

    #[test]
    fn what_was_held_back_at_a_cut_is_sent_unless_another_answer_goes_on() {
        for goes_on in [false, true] {
            let mut outbox = Outbox::new(Some(10 * MS));
            outbox.push(event("a"), Time::ZERO);
            outbox.set_aside();
            outbox.release(Time::ZERO + 20 * MS);
            assert_eq!(out(&mut outbox), 0);
            if goes_on {
                outbox.push(event("b"), Time::ZERO);
            }
            outbox.finish(None);
            assert_eq!(
                outbox.sent().unwrap().text(),
                if goes_on { "b" } else { "a" }
            );
        }
    }
}
