//! How many bytes of bodies and answers are held at once, all requests together, and how many may be
//! (`server.max_buffered`), and how many of bodies are in files (`server.max_spooled`): counters, and guards that give back
//! what they took.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

/// All that is held. Clones count together.
#[derive(Clone, Debug)]
pub struct Buffers {
    memory: Arc<BufferCounts>,
    disk: Arc<BufferCounts>,
}

#[derive(Debug)]
struct BufferCounts {
    held: AtomicUsize,
    most: AtomicUsize,
}

/// Bytes that count as held until this is dropped.
#[derive(Debug)]
pub struct Buffered {
    counts: Arc<BufferCounts>,
    bytes: usize,
}

impl Default for Buffers {
    /// No limit.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Buffers {
    /// A limit of `most` bytes.
    pub fn new(most: usize) -> Self {
        let of = |most| {
            let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(most));
            Arc::new(BufferCounts { held, most })
        };
        Self {
            memory: of(most),
            disk: of(usize::MAX),
        }
    }

    /// What of bodies is in files, all requests together. It is counted in the same way.
    #[must_use]
    pub fn on_disk(&self) -> Self {
        Self {
            memory: Arc::clone(&self.disk),
            disk: Arc::clone(&self.disk),
        }
    }

    /// Changes the limit; what is held stays.
    pub fn resize(&self, most: usize) {
        self.memory.most.store(most, Relaxed);
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.memory.held.load(Relaxed)
    }

    /// Bytes that may be held.
    pub fn most(&self) -> usize {
        self.memory.most.load(Relaxed)
    }

    /// Whether there is room for `bytes` more at this moment.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.held().saturating_add(bytes) <= self.most()
    }

    /// Takes `bytes`, if there is room for them.
    #[cfg(test)]
    pub(crate) fn take(&self, bytes: usize) -> Option<Buffered> {
        let mut taken = self.count(0);
        taken.grow(bytes).then_some(taken)
    }

    /// Counts `bytes` as held whether there is room for them or not.
    pub fn count(&self, bytes: usize) -> Buffered {
        if bytes > 0 {
            self.memory.held.fetch_add(bytes, Relaxed);
        }
        let counts = Arc::clone(&self.memory);
        Buffered { counts, bytes }
    }
}

impl Buffered {
    /// Takes `bytes` more, if there is room for them.
    pub fn grow(&mut self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let before = self.counts.held.fetch_add(bytes, Relaxed);
        let fits = before.saturating_add(bytes) <= self.counts.most.load(Relaxed);
        if fits {
            self.bytes += bytes;
        } else {
            _ = self.counts.held.fetch_sub(bytes, Relaxed);
        }
        fits
    }

    /// Extends it to `bytes` in all, if there is room for them; never shrinks it.
    pub fn reach(&mut self, bytes: usize) -> bool {
        self.grow(bytes.saturating_sub(self.bytes))
    }

    /// Makes it so many bytes in all, more or less than before, whether there is room for them or not.
    pub fn set(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => _ = self.counts.held.fetch_add(more, Relaxed),
            None => _ = self.counts.held.fetch_sub(self.bytes - bytes, Relaxed),
        }
        self.bytes = bytes;
    }

    /// Bytes that it counts for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// From now on it counts for these bytes: it is given back with the last part of them.
    pub fn keep(mut self, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        let surplus = self.bytes.saturating_sub(bytes.len());
        self.counts.held.fetch_sub(surplus, Relaxed);
        self.bytes -= surplus;
        Bytes::from_owner(CountedBytes {
            bytes,
            _buffered: self,
        })
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.counts.held.fetch_sub(self.bytes, Relaxed);
        }
    }
}

/// Bytes that are counted as long as they are there.
struct CountedBytes {
    bytes: Bytes,
    _buffered: Buffered,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_fit_is_not_taken_and_what_is_dropped_is_free_again() {
        let buffers = Buffers::new(10);
        let mut first = buffers.take(6).unwrap();
        assert!(buffers.take(5).is_none());
        assert!(first.reach(8) && first.reach(3) && !first.reach(11));
        assert_eq!(buffers.held(), 8);
        let over = buffers.count(5);
        assert_eq!(buffers.held(), 13);
        drop((first, over));
        assert_eq!(buffers.held(), 0);
        assert!(buffers.take(10).is_some());
    }

    #[test]
    fn bytes_are_counted_until_their_last_part_is_gone() {
        let buffers = Buffers::new(10);
        let bytes = buffers.take(10).unwrap().keep(Bytes::from_static(b"hello"));
        assert_eq!(buffers.held(), 5);
        let part = bytes.slice(1..2);
        drop(bytes);
        assert_eq!((buffers.held(), &*part), (5, &b"e"[..]));
        drop(part);
        assert_eq!(buffers.held(), 0);
    }

    proptest! {
        #[test]
        fn all_is_given_back_and_never_more_taken_than_fits(sizes in prop::collection::vec(0usize..100, 0..40)) {
            let buffers = Buffers::new(500);
            let mut taken = Vec::new();
            for size in sizes {
                taken.extend(buffers.take(size));
                prop_assert!(buffers.held() <= 500);
                if size % 3 == 0 && !taken.is_empty() {
                    taken.swap_remove(0);
                }
            }
            drop(taken);
            prop_assert_eq!(buffers.held(), 0);
        }
    }
}
