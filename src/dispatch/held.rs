//! The events that are held back before the first content of a stream, and their limit.
//!
//! An event of a few bytes costs more to keep than to send, and may keep a whole buffer of the connection alive, so
//! many of them are packed into one buffer.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Bytes of a stream, decompressed, that may be held, or come without any content.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Events of a stream that may be held.
pub(super) const MOST_EVENTS: usize = 32 * 1024;
/// Up to this many events are kept as they came, without a copy.
const FEW: usize = 16;
/// An upstream may repeat the request in this many events before the first content: `response.created`,
/// `response.queued` and `response.in_progress` of the responses API each hold its instructions and tools.
const ECHOES: usize = 3;

/// The most bytes that may come before the first content, for a request of `request` bytes.
pub(super) fn before_content(request: usize) -> usize {
    MOST_BYTES.saturating_add(request.saturating_mul(ECHOES))
}

/// The events before the first content, and that content.
#[derive(Debug, Default)]
pub(super) struct HeldEvents {
    packed: BytesMut,
    /// Of each event in `packed`.
    lengths: Vec<usize>,
    /// What came after those.
    few: VecDeque<Bytes>,
    bytes: usize,
}

impl HeldEvents {
    /// Adds an event. False, and it is not kept, when there are too many.
    pub(super) fn push(&mut self, event: Bytes) -> bool {
        if self.len() >= MOST_EVENTS {
            return false;
        }
        if self.few.len() >= FEW {
            self.pack();
        }
        self.bytes += event.len();
        self.few.push_back(event);
        true
    }

    /// The first event, as long as there are few.
    pub(super) fn first(&self) -> &[u8] {
        let first = self.few.front().filter(|_| self.lengths.is_empty());
        first.map_or(&[], |event| event)
    }

    /// All of them, in their order.
    pub(super) fn each(&self) -> impl Iterator<Item = &[u8]> {
        let mut packed = &self.packed[..];
        let packed = self.lengths.iter().map(move |length| {
            let (event, rest) = packed.split_at_checked(*length).unwrap_or_default();
            packed = rest;
            event
        });
        packed.chain(self.few.iter().map(|event| &event[..]))
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Events held.
    pub(super) fn len(&self) -> usize {
        self.lengths.len() + self.few.len()
    }

    fn pack(&mut self) {
        for event in self.few.drain(..) {
            self.packed.extend_from_slice(&event);
            self.lengths.push(event.len());
        }
    }
}

impl IntoIterator for HeldEvents {
    type Item = Bytes;
    type IntoIter = Box<dyn Iterator<Item = Bytes> + Send>;

    fn into_iter(self) -> Self::IntoIter {
        if self.lengths.is_empty() {
            return Box::new(self.few.into_iter());
        }
        let mut packed = self.packed.freeze();
        let lengths = self.lengths.into_iter();
        let first = lengths.map(move |length| packed.split_to(length));
        Box::new(first.chain(self.few))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_as_they_went_in_however_many_they_are() {
        for count in [0, 1, FEW, FEW + 1, 100] {
            let events = (0..count).map(|at| Bytes::from(format!("data: {at}\n\n")));
            let events: Vec<_> = events.collect();
            let mut held = HeldEvents::default();
            assert!(events.iter().all(|event| held.push(event.clone())));
            assert_eq!(held.len(), count);
            assert!(held.each().eq(events.iter()));
            assert_eq!(held.into_iter().collect::<Vec<_>>(), events);
        }
    }

    #[test]
    fn a_few_are_not_copied_and_many_do_not_keep_the_buffers_they_came_in() {
        let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
        let mut held = HeldEvents::default();
        held.push(chunk.slice(..4));
        assert_eq!(held.few[0].as_ptr(), chunk.as_ptr());
        for _ in 0..4 * FEW {
            held.push(chunk.slice(..4));
        }
        assert!(held.few.len() <= FEW);
    }

    #[test]
    fn events_are_bounded_by_number() {
        let mut held = HeldEvents::default();
        let fits = (0..2 * MOST_EVENTS).filter(|_| held.push(Bytes::from_static(b"\n")));
        assert_eq!(fits.count(), MOST_EVENTS);
    }
}
