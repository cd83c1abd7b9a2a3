//! How far a stream has come at its caller: as much as the event that ends it must repeat.

use bytes::Bytes;

use super::sse::RawEvent;

/// The first events of a response that are searched for its metadata.
const FIRST_EVENTS: u64 = 8;

/// What a caller has of a streamed response: as much as an event that ends it must repeat.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The first event with a response in it.
    pub(super) first: Bytes,
    /// The last event with data.
    pub(super) last: Bytes,
    /// Events with data.
    pub(super) events: u64,
}

impl Progress {
    /// Notes an event that went out. The bytes are only looked at when an error event is made.
    pub fn note(&mut self, event: &RawEvent) {
        if event.is_empty() {
            return;
        }
        let begins = self.first.is_empty() && self.events < FIRST_EVENTS;
        if begins && memchr::memmem::find(&event.raw, b"\"response\"").is_some() {
            self.first = event.raw.clone();
        }
        self.last = event.raw.clone();
        self.events += 1;
    }
}
