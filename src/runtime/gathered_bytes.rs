//! Bytes that come piece by piece and are wanted in one: a body, say.
//!
//! Many bytes are kept in a mapping of their own, which goes back to the operating system when it is dropped. The allocator
//! would keep what it gets back for a second (see [`super::memory`]): after a flood of bodies that are refused while
//! they come, it would hold their bytes and those of the bodies that are read on.

use bytes::{Bytes, BytesMut};
use memmap2::MmapMut;

/// More bytes than these are kept in a mapping. Making one costs two system calls and a fault for each page, which is
/// little beside copying so many bytes.
pub const MAPPED: usize = 1024 * 1024;

/// Bytes that are being gathered.
#[derive(Debug, Default)]
pub struct GatheredBytes {
    /// Bytes that are expected in all; 0 when nobody knows.
    expected: usize,
    /// The first piece, while it is the only one: most are, and are not copied.
    first: Bytes,
    few: BytesMut,
    many: Option<Mapped>,
}

/// A mapping that is filled from its start. What was not written takes no memory.
#[derive(Debug)]
pub(super) struct Mapped {
    map: MmapMut,
    length: usize,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.map.get(..self.length).unwrap_or_default()
    }
}

impl Mapped {
    /// A mapping of so many bytes, filled with these. `None` when the operating system has none.
    pub(super) fn new(size: usize, bytes: &[u8]) -> Option<Self> {
        let map = MmapMut::map_anon(size).ok()?;
        let mut mapped = Self { map, length: 0 };
        mapped.push(bytes).then_some(mapped)
    }

    /// Whether there was room for these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let end = self.length.saturating_add(bytes.len());
        let Some(room) = self.map.get_mut(self.length..end) else {
            return false;
        };
        room.copy_from_slice(bytes);
        self.length = end;
        true
    }
}

impl GatheredBytes {
    /// None yet, of `expected` bytes; 0 when nobody knows.
    pub fn new(expected: usize) -> Self {
        Self {
            expected,
            ..Self::default()
        }
    }

    /// Bytes that came.
    pub fn len(&self) -> usize {
        self.first.len()
            + self
                .many
                .as_ref()
                .map_or(self.few.len(), |many| many.length)
    }

    /// Whether none came.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a piece.
    pub fn take(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.first = piece;
        } else {
            self.push(&piece);
        }
    }

    /// Adds a copy of these.
    pub fn push(&mut self, piece: &[u8]) {
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() {
            self.push(&first);
        }
        if let Some(many) = &mut self.many
            && many.push(piece)
        {
            return;
        }
        let length = self.len().saturating_add(piece.len());
        if length > MAPPED {
            let size = self.expected.max(length.saturating_mul(2));
            let so_far = self.many.as_ref().map_or(&*self.few, |many| many.as_ref());
            if let Some(mut more) = Mapped::new(size, so_far)
                && more.push(piece)
            {
                self.many = Some(more);
                self.few = BytesMut::new();
                return;
            }
        }
        // Few bytes, or no mapping is to be had.
        if let Some(many) = self.many.take() {
            self.few.extend_from_slice(many.as_ref());
        }
        if self.few.is_empty() {
            self.few.reserve(self.expected.min(MAPPED).max(piece.len()));
        }
        self.few.extend_from_slice(piece);
    }

    /// All that came.
    pub fn freeze(self) -> Bytes {
        match self.many {
            Some(many) => Bytes::from_owner(many),
            None if self.few.is_empty() => self.first,
            None => self.few.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_came_is_there_in_its_order(
            sizes in prop::collection::vec(0usize..700_000, 0..9),
            expected in 0usize..4_000_000,
            copied: bool,
        ) {
            let mut gathered = GatheredBytes::new(expected);
            let mut all = Vec::new();
            for (at, size) in sizes.into_iter().enumerate() {
                let piece = vec![u8::try_from(at).unwrap_or_default(); size];
                all.extend_from_slice(&piece);
                if copied {
                    gathered.push(&piece);
                    prop_assert_eq!(gathered.many.is_some(), all.len() > MAPPED);
                } else {
                    gathered.take(piece.into());
                }
                prop_assert_eq!(gathered.len(), all.len());
            }
            prop_assert!(gathered.freeze() == all);
        }
    }
}
