//! The bound at the door: how many requests may be inside at once. Mailboxes below have no bound, so this
//! is where overload stops, before any message is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::error::ApiError;
use crate::access::{self, Client};
use crate::domain::error_code::ErrorCode;

/// What an overloaded or draining process asks callers to wait.
pub(super) const COME_BACK: Duration = Duration::from_secs(1);

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

    fn is_full(&self) -> bool {
        self.inside() >= self.most.load(Ordering::Relaxed)
    }

    /// Whether a request of `client` may send its body: not when there would be no place for it now, and of a client no
    /// more bodies at once than it may have requests under way. Places are not taken by that: a body may be slow.
    pub(super) fn look(&self, client: Option<&Client>) -> Result<Option<access::Reads>, ApiError> {
        if self.is_full() {
            return Err(full());
        }
        let Some(client) = client else {
            return Ok(None);
        };
        if client.is_full() {
            return Err(full_of(client));
        }
        client.read().map(Some).ok_or_else(|| full_of(client))
    }

    /// Lets one of `client` in, unless it is full.
    pub(super) fn enter(&self, client: Option<&Client>) -> Result<Place, ApiError> {
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        let mut place = Place {
            inside: Arc::clone(&self.inside),
            _of_client: None,
        };
        if before >= self.most.load(Ordering::Relaxed) {
            return Err(full());
        }
        if let Some(client) = client {
            place._of_client = Some(client.enter().ok_or_else(|| full_of(client))?);
        }
        Ok(place)
    }
}

fn full() -> ApiError {
    let message = "too many requests are under way (server.max_in_flight): retry later";
    ApiError::new(ErrorCode::Overloaded, message).retry_after(COME_BACK)
}

fn full_of(client: &Client) -> ApiError {
    let name = client.name();
    let message = format!(
        "client `{name}` has as many requests under way as it may (max_in_flight): retry later"
    );
    ApiError::new(ErrorCode::ClientOverloaded, message).retry_after(COME_BACK)
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
        let first = door.enter(None);
        let second = door.enter(None);
        assert!(first.is_ok() && second.is_ok());
        assert!(door.look(None).is_err() && door.enter(None).is_err());
        assert_eq!(door.inside(), 2);
        drop(first);
        assert!(door.look(None).is_ok() && door.enter(None).is_ok());
    }
}
