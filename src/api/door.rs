//! The bound at the door: how many requests may be inside at once. Mailboxes below have no bound, so this
//! is where overload stops, before any message is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::access;

/// Counts the requests inside. Clones count together.
#[derive(Clone, Debug)]
pub struct Door {
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// One request's place, here and among its client's requests; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    inside: Arc<AtomicUsize>,
    /// Only held.
    _of_client: Option<access::Place>,
}

impl Door {
    /// A door for at most `most` requests at once.
    pub fn new(most: usize) -> Self {
        Self {
            inside: Arc::new(AtomicUsize::new(0)),
            most: Arc::new(AtomicUsize::new(most)),
        }
    }

    /// From now on at most so many; those inside stay.
    pub fn resize(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Requests inside.
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    /// Lets one in, unless it is full.
    pub(super) fn enter(&self) -> Option<Place> {
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            inside: Arc::clone(&self.inside),
            _of_client: None,
        };
        (before < self.most.load(Ordering::Relaxed)).then_some(place)
    }
}

impl Place {
    /// Together with a place among the client's requests.
    pub(super) fn with(mut self, of_client: access::Place) -> Self {
        self._of_client = Some(of_client);
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_in_so_many_and_a_place_given_back_is_free_again() {
        let door = Door::new(2);
        let first = door.enter();
        let second = door.enter();
        assert!(first.is_some() && second.is_some());
        assert!(door.enter().is_none());
        assert_eq!(door.inside(), 2);
        drop(first);
        assert!(door.enter().is_some());
    }
}
