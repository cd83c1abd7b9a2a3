//! A body that is read to its end.

use bytes::{Bytes, BytesMut};

/// Collects chunks; a single one is passed on without a copy.
#[derive(Default)]
pub(super) struct BodyCollector {
    first: Option<Bytes>,
    more: BytesMut,
    /// Bytes received so far.
    pub(super) len: usize,
}

impl BodyCollector {
    /// Appends a chunk.
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        if self.len == chunk.len() {
            self.first = Some(chunk);
            return;
        }
        if let Some(first) = self.first.take() {
            self.more.extend_from_slice(&first);
        }
        self.more.extend_from_slice(&chunk);
    }

    /// The whole body.
    pub(super) fn finish(self) -> Bytes {
        self.first.unwrap_or_else(|| self.more.freeze())
    }
}
