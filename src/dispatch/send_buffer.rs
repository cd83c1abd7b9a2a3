//! What goes out of a relayed stream: at once, or after it was held back for a while, so that a cut loses
//! nothing of it. Knows what the caller has, when a rescue may need that.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::held;
use super::reservation::{OpenReservation, SentBytes};
use crate::domain::dialect::Operation;
use crate::domain::time::Time;
use crate::runtime::buffers::{Buffered, Buffers};
use crate::wire::collected::CollectedAnswer;
use crate::wire::content::Spoken;
use crate::wire::dialect::SentEvents;
use crate::wire::progress::Progress;
use crate::wire::sse::RawEvent;
use crate::wire::transcript::Transcript;

/// Small events that are ready together are sent in pieces of at most this many bytes.
const TOGETHER: usize = 16 * 1024;

/// Why an answer that is held back as a whole cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OverBound {
    /// It is larger than an answer may be.
    TooLarge,
    /// All requests together hold too much.
    NoRoom,
}

/// Events on their way to the caller.
#[derive(Debug, Default)]
pub(super) struct SendBuffer {
    ready: VecDeque<Bytes>,
    /// The last words, in a piece of their own: Google's client for JavaScript sees an error only where it is all of a
    /// piece.
    last: Option<Bytes>,
    /// Bytes in `ready`.
    waiting: usize,
    /// With the moment when each goes out.
    held: VecDeque<(Time, RawEvent)>,
    held_bytes: usize,
    /// What is counted of `held` and `aside`, where events are held.
    counted: Option<Buffered>,
    /// What was held back when the stream broke off: out of date once another stream has content.
    aside: VecDeque<(Time, RawEvent)>,
    hold: Duration,
    /// The most bytes that an answer may have that is held back as a whole, if it is.
    whole: Option<usize>,
    over: Option<OverBound>,
    sent: Option<Transcript>,
    /// The text of what went out, where traces contain it.
    spoken: Option<Spoken>,
    /// Its size, where a client is charged for it.
    charged: Option<SentBytes>,
    /// How far it has come, where an error event must say that.
    progress: Option<Progress>,
    /// All of it, where that is kept for equal requests.
    collected: Option<CollectedAnswer>,
}

impl SendBuffer {
    /// With `hold`, events are noted when they come, and sent after that delay.
    pub(super) fn new(hold: Option<Duration>) -> Self {
        Self {
            hold: hold.unwrap_or_default(),
            sent: hold.map(|_| Transcript::default()),
            ..Self::default()
        }
    }

    /// Counts what is held back in `buffers`.
    pub(super) fn counted_in(mut self, buffers: &Buffers) -> Self {
        self.counted = (!self.hold.is_zero()).then(|| buffers.count(0));
        self
    }

    /// What the caller has of an answer to this operation is read by these events' own reader, where it is kept.
    pub(super) fn reading(
        mut self,
        operation: Operation,
        events: Option<Box<dyn SentEvents>>,
    ) -> Self {
        if let Some(sent) = &mut self.sent {
            *sent = Transcript::of(operation, events);
        }
        self
    }

    /// Holds back all there is, up to so many bytes, if that is so.
    pub(super) fn whole(mut self, whole: Option<usize>) -> Self {
        self.whole = whole;
        self
    }

    /// Keeps the text of what goes out, if `tells`.
    pub(super) fn telling(mut self, tells: bool) -> Self {
        self.spoken = tells.then(Spoken::default);
        self
    }

    /// And what goes out is counted there, if a client is charged for it.
    pub(super) fn charging(mut self, charge: Option<&OpenReservation>) -> Self {
        self.charged = charge.map(|charge| charge.said.clone());
        self
    }

    /// And it is noted how far the answer has come, if that is so.
    pub(super) fn numbering(mut self, numbers: bool) -> Self {
        self.progress = numbers.then(Progress::default);
        self
    }

    /// And all of it is put together there, if that is so.
    pub(super) fn collecting(mut self, collected: Option<CollectedAnswer>) -> Self {
        self.collected = collected;
        self
    }

    /// What was put together, where that is so.
    pub(super) fn collected(&mut self) -> Option<CollectedAnswer> {
        self.collected.take()
    }

    /// How far the answer has come, where that is noted.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone().unwrap_or_default()
    }

    /// The text of what went out, where traces contain it.
    pub(super) fn spoken(&mut self) -> Option<Spoken> {
        self.spoken.take()
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: RawEvent, now: Time) {
        // Comments are no answer: what was set aside may still be all there is.
        if !event.is_empty() {
            self.aside.clear();
        }
        if self.hold.is_zero() {
            self.send(event);
        } else {
            self.held_bytes += event.raw.len();
            self.held.push_back((now + self.hold, event));
            self.count_held();
            if self.whole.is_some_and(|most| self.held_bytes > most) {
                self.over = Some(OverBound::TooLarge);
            }
        }
    }

    /// The next bytes to go out: one event as it came, or small ones that are there together in one piece.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let Some(first) = self.ready.pop_front() else {
            let last = self.last.take()?;
            self.waiting = self.waiting.saturating_sub(last.len());
            return Some(last);
        };
        let fits = |all: usize, next: &Bytes| all + next.len() <= TOGETHER;
        let next = self.ready.front().filter(|next| fits(first.len(), next));
        if next.is_none() {
            self.waiting = self.waiting.saturating_sub(first.len());
            return Some(first);
        }
        let mut all = BytesMut::with_capacity(self.waiting.clamp(first.len(), TOGETHER));
        all.extend_from_slice(&first);
        while self.ready.front().is_some_and(|next| fits(all.len(), next))
            && let Some(next) = self.ready.pop_front()
        {
            all.extend_from_slice(&next);
        }
        self.waiting = self.waiting.saturating_sub(all.len());
        Some(all.freeze())
    }

    /// Whether there is as much to go out as goes together, or as much held back as may be.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= TOGETHER || self.holds_enough()
    }

    /// Whether as much is held back as may be: its upstream waits until some of it has gone out.
    pub(super) fn holds_enough(&self) -> bool {
        // What is held back as a whole waits for nothing: it fails where it is too much.
        self.whole.is_none()
            && (self.held_bytes >= held::MOST_BYTES || self.held.len() >= held::MOST_EVENTS)
    }

    /// When the next event that is held back goes out.
    pub(super) fn due(&self) -> Option<Time> {
        self.held.front().map(|(due, _)| *due)
    }

    /// Makes ready every event whose time has come.
    pub(super) fn release(&mut self, now: Time) {
        while self.due().is_some_and(|due| due <= now)
            && let Some((_, event)) = self.held.pop_front()
        {
            self.held_bytes = self.held_bytes.saturating_sub(event.raw.len());
            self.send(event);
        }
        self.count_held();
    }

    /// Makes everything ready, and this event behind it.
    pub(super) fn finish(&mut self, last: Option<Bytes>) {
        let rest: Vec<_> = self.aside.drain(..).chain(self.held.drain(..)).collect();
        self.held_bytes = 0;
        // What is put together is here until all of it is taken.
        self.counted = self.counted.take().filter(|_| self.whole.is_some());
        for (_, event) in rest {
            self.send(event);
        }
        self.waiting += last.as_ref().map_or(0, Bytes::len);
        self.last = last;
    }

    /// Counts what is held back, in steps of [`TOGETHER`]; what was let in is never refused, but for what is held back as a
    /// whole.
    fn count_held(&mut self) {
        if let Some(counted) = &mut self.counted
            && counted.bytes().abs_diff(self.held_bytes) >= TOGETHER
        {
            if self.whole.is_none() || self.held_bytes < counted.bytes() {
                counted.set(self.held_bytes);
            } else if !counted.reach(self.held_bytes) {
                self.over = Some(OverBound::NoRoom);
            }
        }
    }

    /// Why the answer cannot be held back as a whole, if it cannot.
    pub(super) fn over(&self) -> Option<OverBound> {
        self.over
    }

    /// The stream broke off: what is held back waits until the search for another stream has ended.
    pub(super) fn set_aside(&mut self) {
        self.aside.append(&mut self.held);
        self.held_bytes = 0;
        self.over = None;
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
        if let Some(collected) = &mut self.collected {
            collected.add(&event);
        }
        self.waiting += event.raw.len();
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

    fn out(send_buffer: &mut SendBuffer) -> usize {
        usize::from(std::iter::from_fn(|| send_buffer.pop()).count() > 0)
    }

    #[test]
    fn the_last_words_are_a_piece_of_their_own() {
        let mut send_buffer = SendBuffer::new(None);
        send_buffer.push(event("a"), Time::ZERO);
        send_buffer.push(event("b"), Time::ZERO);
        send_buffer.finish(Some(Bytes::from_static(b"{}")));
        assert_eq!(send_buffer.pop().unwrap().len(), 2 * event("a").raw.len());
        assert_eq!(send_buffer.pop().unwrap(), "{}");
        assert!(send_buffer.pop().is_none());
    }

    #[test]
    fn small_events_go_out_together_and_a_single_one_is_not_copied() {
        let mut send_buffer = SendBuffer::new(None);
        let one = event("a");
        send_buffer.push(one.clone(), Time::ZERO);
        assert_eq!(send_buffer.pop().unwrap().as_ptr(), one.raw.as_ptr());
        for _ in 0..1000 {
            send_buffer.push(one.clone(), Time::ZERO);
        }
        send_buffer.push(event(&"b".repeat(2 * TOGETHER)), Time::ZERO);
        let pieces: Vec<_> = std::iter::from_fn(|| send_buffer.pop()).collect();
        assert!(pieces.len() < 10, "{}", pieces.len());
        assert_eq!(
            pieces.concat().len(),
            1000 * one.raw.len() + pieces.last().unwrap().len()
        );
        assert_eq!(send_buffer.waiting, 0);
    }

    #[test]
    fn no_more_is_held_back_than_may_be() {
        let mut send_buffer = SendBuffer::new(Some(MS));
        for _ in 0..held::MOST_EVENTS {
            assert!(!send_buffer.is_full());
            send_buffer.push(event("a"), Time::ZERO);
        }
        assert!(send_buffer.is_full());
        send_buffer.release(Time::ZERO + MS);
        assert!(!send_buffer.holds_enough());
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn without_a_hold_events_go_out_at_once() {
        let mut send_buffer = SendBuffer::new(Some(Duration::ZERO));
        send_buffer.push(event("a"), Time::ZERO);
        assert_eq!((out(&mut send_buffer), send_buffer.due()), (1, None));
        assert_eq!(send_buffer.sent().unwrap().text(), "a");
    }

    #[test]
    fn what_is_held_back_goes_out_in_time_and_is_not_known_to_the_caller_before() {
        let mut send_buffer = SendBuffer::new(Some(10 * MS));
        send_buffer.push(event("a"), Time::ZERO);
        send_buffer.push(event("b"), Time::ZERO + 5 * MS);
        send_buffer.release(Time::ZERO + 10 * MS);
        assert_eq!(out(&mut send_buffer), 1);
        assert_eq!(send_buffer.sent().unwrap().text(), "a");
        send_buffer.finish(None);
        assert_eq!(send_buffer.sent().unwrap().text(), "ab");
    }

    #[test]
    fn what_is_held_back_is_counted_until_it_goes_out() {
        let buffers = Buffers::default();
        let mut send_buffer = SendBuffer::new(Some(10 * MS)).counted_in(&buffers);
        let one = event(&"a".repeat(1000));
        for _ in 0..100 {
            send_buffer.push(one.clone(), Time::ZERO);
        }
        let all = 100 * one.raw.len();
        assert!(all - buffers.held() < TOGETHER);
        send_buffer.set_aside();
        assert!(all - buffers.held() < TOGETHER);
        send_buffer.push(one.clone(), Time::ZERO);
        assert!(buffers.held() < TOGETHER, "what was aside is out of date");
        for _ in 0..100 {
            send_buffer.push(one.clone(), Time::ZERO);
        }
        send_buffer.release(Time::ZERO + 10 * MS);
        assert!(buffers.held() < TOGETHER);
        let mut none = SendBuffer::new(None).counted_in(&buffers);
        none.push(one, Time::ZERO);
        drop(send_buffer);
        assert_eq!(buffers.held(), 0);
    }

    #[test]
    fn what_was_held_back_at_a_cut_is_sent_unless_another_answer_goes_on() {
        for goes_on in [false, true] {
            let mut send_buffer = SendBuffer::new(Some(10 * MS));
            send_buffer.push(event("a"), Time::ZERO);
            send_buffer.set_aside();
            send_buffer.release(Time::ZERO + 20 * MS);
            assert_eq!(out(&mut send_buffer), 0);
            if goes_on {
                send_buffer.push(event("b"), Time::ZERO);
            }
            send_buffer.finish(None);
            assert_eq!(
                send_buffer.sent().unwrap().text(),
                if goes_on { "b" } else { "a" }
            );
        }
    }
}
