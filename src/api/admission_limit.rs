//! The limit of requests in flight. Mailboxes below have no bound, so this is where overload stops, before any message
//! is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::error::ApiError;
use crate::access::{self, Client};
use crate::domain::error_code::ErrorCode;
use crate::domain::time::Time;

/// What an overloaded or draining process asks callers to wait.
pub(super) const COME_BACK: Duration = Duration::from_secs(1);

/// Counts the requests in flight. Clones count together.
#[derive(Clone, Debug)]
pub struct AdmissionLimit {
    in_flight: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// One request's place, here and among its client's requests; given back when dropped.
#[derive(Debug)]
pub(super) struct AdmissionPermit {
    in_flight: Arc<AtomicUsize>,
    /// Held for its effect: the client's own permit.
    _of_client: Option<access::ClientPermit>,
}

impl AdmissionLimit {
    /// A limit of `most` requests at once.
    pub fn new(most: usize) -> Self {
        Self {
            in_flight: Arc::new(AtomicUsize::new(0)),
            most: Arc::new(AtomicUsize::new(most)),
        }
    }

    /// Changes the limit; requests in flight stay.
    pub fn resize(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Requests in flight.
    pub fn inside(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.inside() >= self.most.load(Ordering::Relaxed)
    }

    /// Whether a request of `client` may send its body: not when there would be no place for it now, and of a client no
    /// more bodies at once than it may have requests under way. Places are not taken by that: a body may be slow.
    pub(super) fn look(
        &self,
        client: Option<&Client>,
        now: Time,
    ) -> Result<Option<access::Reads>, ApiError> {
        if self.is_full() {
            return Err(full());
        }
        let Some(client) = client else {
            return Ok(None);
        };
        if client.is_full(now) {
            return Err(full_of(client, now));
        }
        let reads = client.read();
        reads.map(Some).ok_or_else(|| full_of(client, now))
    }

    /// Admits a request of `client`, unless the limit is reached.
    pub(super) fn enter(
        &self,
        client: Option<&Client>,
        now: Time,
    ) -> Result<AdmissionPermit, ApiError> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut place = AdmissionPermit {
            in_flight: Arc::clone(&self.in_flight),
            _of_client: None,
        };
        if before >= self.most.load(Ordering::Relaxed) {
            return Err(full());
        }
        if let Some(client) = client {
            let entered = client.enter(now);
            place._of_client = Some(entered.ok_or_else(|| full_of(client, now))?);
        }
        Ok(place)
    }
}

fn full() -> ApiError {
    let message = "too many requests are under way (server.max_in_flight): retry later";
    ApiError::new(ErrorCode::Overloaded, message).retry_after(COME_BACK)
}

fn full_of(client: &Client, now: Time) -> ApiError {
    let name = client.name();
    if client.is_cut_off(now) {
        let message = access::cut_off(name);
        return ApiError::new(ErrorCode::FleetUnavailable, message).retry_after(COME_BACK);
    }
    let message = format!(
        "client `{name}` has as many requests under way as it may (max_in_flight): retry later"
    );
    ApiError::new(ErrorCode::ClientOverloaded, message).retry_after(COME_BACK)
}

impl Drop for AdmissionPermit {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_in_so_many_and_a_place_given_back_is_free_again() {
        let admission = AdmissionLimit::new(2);
        let first = admission.enter(None, Time::ZERO);
        let second = admission.enter(None, Time::ZERO);
        assert!(first.is_ok() && second.is_ok());
        assert!(
            admission.look(None, Time::ZERO).is_err() && admission.enter(None, Time::ZERO).is_err()
        );
        assert_eq!(admission.inside(), 2);
        drop(first);
        assert!(
            admission.look(None, Time::ZERO).is_ok() && admission.enter(None, Time::ZERO).is_ok()
        );
    }
}
