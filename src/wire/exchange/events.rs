//! What becomes of one event of an upstream.

use bytes::Bytes;

use crate::wire::sse::{EventSplitter, RawEvent};

/// What a caller reads in place of one event of an upstream.
#[derive(Debug)]
pub enum OutgoingEvents {
    /// At most one event.
    One(Option<RawEvent>),
    /// Several, not copied.
    Several(EventSplitter),
}

impl OutgoingEvents {
    pub(super) fn several(raw: Bytes) -> Self {
        let mut events = EventSplitter::new(usize::MAX);
        events.push(raw);
        Self::Several(events)
    }
}

impl Iterator for OutgoingEvents {
    type Item = RawEvent;

    fn next(&mut self) -> Option<RawEvent> {
        match self {
            Self::One(event) => event.take(),
            Self::Several(events) => events.next_event().ok().flatten(),
        }
    }
}
