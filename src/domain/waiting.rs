//! The waiting room: requests that nobody can serve right now, first come, first served.
//!
//! A waiter is woken when its time comes, when something it waits for becomes ready, or when it must give
//! up. A newcomer does not overtake: see [`WaitingRoom::contended`]. No I/O, no clock, no logging.

use std::collections::{BTreeMap, HashMap};

use super::ids::{ModelName, ProviderName, Upstream};
use super::time::Time;

/// What a waiter hopes for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Want {
    /// A place at this provider,
    pub provider: ProviderName,
    /// for this model; `None` when any model's place would do (a key that is full, say).
    pub model: Option<ModelName>,
}

/// One waiting request and what wakes it.
#[derive(Debug)]
pub struct Waiter<T> {
    /// Its place in the order of arrival; a waiter that is parked again keeps it.
    pub ticket: Ticket,
    /// Look again then.
    pub wake_at: Time,
    /// What would help.
    pub wants: Vec<Want>,
    /// The request.
    pub payload: T,
}

impl<T> Waiter<T> {
    fn waits_at(&self, provider: &ProviderName) -> bool {
        self.wants.iter().any(|want| want.provider == *provider)
    }
}

/// A place in the order of arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(u64);

/// The room.
#[derive(Debug)]
pub struct WaitingRoom<T> {
    capacity: usize,
    next: u64,
    waiters: BTreeMap<Ticket, Waiter<T>>,
    wanted: HashMap<Want, usize>,
}

impl<T> WaitingRoom<T> {
    /// The configuration says otherwise now; those inside stay.
    pub fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// An empty room for at most `capacity` waiters.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            next: 0,
            waiters: BTreeMap::new(),
            wanted: HashMap::new(),
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether anybody of whom `test` holds waits for `provider`.
    pub fn any(&self, provider: &ProviderName, test: impl Fn(&T) -> bool) -> bool {
        let mut waiters = self.waiters.values();
        waiters.any(|waiter| waiter.waits_at(provider) && test(&waiter.payload))
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Draws the next ticket.
    pub fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    /// Lets a request wait.
    ///
    /// # Errors
    /// The waiter comes back when the room is full.
    pub fn park(&mut self, waiter: Waiter<T>) -> Result<(), Waiter<T>> {
        if self.waiters.len() >= self.capacity {
            return Err(waiter);
        }
        self.park_again(waiter);
        Ok(())
    }

    /// Lets a request that was woken wait on, in the place that it had.
    pub fn park_again(&mut self, waiter: Waiter<T>) {
        for want in &waiter.wants {
            *self.wanted.entry(want.clone()).or_default() += 1;
        }
        self.waiters.insert(waiter.ticket, waiter);
    }

    /// Whether somebody already waits for `upstream`: then a newcomer queues up behind.
    pub fn contended(&self, upstream: &Upstream) -> bool {
        let wanted = |model: Option<ModelName>| {
            self.wanted.contains_key(&Want {
                provider: upstream.provider.clone(),
                model,
            })
        };
        !self.waiters.is_empty() && (wanted(None) || wanted(Some(upstream.model.clone())))
    }

    /// Takes out all whose time has come, in order of arrival.
    pub fn due(&mut self, now: Time) -> Vec<Waiter<T>> {
        self.take_where(usize::MAX, |waiter| waiter.wake_at <= now)
    }

    /// Takes out those that wait for `provider`, in order of arrival: the first `slots` of those to whom any
    /// place there would do, or everybody when `slots` is `usize::MAX`.
    pub fn ready(&mut self, provider: &ProviderName, slots: usize) -> Vec<Waiter<T>> {
        if self.waiters.is_empty() {
            return Vec::new();
        }
        let everybody = slots == usize::MAX;
        self.take_where(slots, |waiter| {
            waiter
                .wants
                .iter()
                .any(|want| want.provider == *provider && (everybody || want.model.is_none()))
        })
    }

    /// Takes out all for which `gone` holds (their callers left).
    pub fn leave(&mut self, gone: impl Fn(&T) -> bool) -> Vec<Waiter<T>> {
        self.take_where(usize::MAX, |waiter| gone(&waiter.payload))
    }

    /// When to look again at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        self.waiters.values().map(|waiter| waiter.wake_at).min()
    }

    /// The earliest moment at which somebody who waits for `provider` is woken.
    pub fn next_wake_for(&self, provider: &ProviderName) -> Option<Time> {
        self.waiters
            .values()
            .filter(|waiter| waiter.waits_at(provider))
            .map(|waiter| waiter.wake_at)
            .min()
    }

    fn take_where(
        &mut self,
        most: usize,
        mut wanted: impl FnMut(&Waiter<T>) -> bool,
    ) -> Vec<Waiter<T>> {
        let tickets: Vec<Ticket> = self
            .waiters
            .values()
            .filter(|waiter| wanted(waiter))
            .take(most)
            .map(|waiter| waiter.ticket)
            .collect();
        tickets
            .into_iter()
            .filter_map(|ticket| self.remove(ticket))
            .collect()
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Waiter<T>> {
        let waiter = self.waiters.remove(&ticket)?;
        for want in &waiter.wants {
            if let Some(count) = self.wanted.get_mut(want) {
                *count -= 1;
                if *count == 0 {
                    self.wanted.remove(want);
                }
            }
        }
        Some(waiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(waiters: &[(u64, &[&str])]) -> WaitingRoom<usize> {
        let mut room = WaitingRoom::new(10);
        for (n, (wake_ms, providers)) in waiters.iter().enumerate() {
            let ticket = room.ticket();
            room.park(Waiter {
                ticket,
                wake_at: Time::from_millis(*wake_ms),
                wants: providers.iter().map(|name| want(name)).collect(),
                payload: n,
            })
            .unwrap();
        }
        room
    }

    fn want(provider: &str) -> Want {
        Want {
            provider: ProviderName::from(provider),
            model: None,
        }
    }

    #[test]
    fn who_waits_for_one_model_is_not_in_the_way_of_another() {
        let mut room = WaitingRoom::new(1);
        let ticket = room.ticket();
        let wants = vec![Want {
            model: Some(ModelName::from("m")),
            ..want("a")
        }];
        room.park(Waiter {
            ticket,
            wake_at: Time::ZERO,
            wants,
            payload: (),
        })
        .unwrap();
        assert!(room.contended(&Upstream::new("a", "m")));
        assert!(!room.contended(&Upstream::new("a", "other")));
    }

    fn payloads(waiters: Vec<Waiter<usize>>) -> Vec<usize> {
        waiters.into_iter().map(|waiter| waiter.payload).collect()
    }

    #[test]
    fn first_come_first_served_per_provider() {
        let mut room = room(&[(9, &["a"]), (9, &["b"]), (9, &["a", "b"]), (9, &["a"])]);
        assert_eq!(payloads(room.ready(&ProviderName::from("a"), 2)), [0, 2]);
        assert_eq!(payloads(room.ready(&ProviderName::from("b"), 9)), [1]);
        assert_eq!(room.len(), 1);
    }

    #[test]
    fn wakes_those_whose_time_has_come() {
        let mut room = room(&[(5, &["a"]), (3, &["a"]), (4, &["a"])]);
        assert_eq!(room.next_wake(), Some(Time::from_millis(3)));
        assert_eq!(payloads(room.due(Time::from_millis(4))), [1, 2]);
        assert_eq!(room.next_wake(), Some(Time::from_millis(5)));
    }

    #[test]
    fn a_waiter_parked_again_keeps_its_place() {
        let mut room = room(&[(1, &["a"]), (9, &["a"])]);
        let first = room.due(Time::from_millis(1)).remove(0);
        room.park(first).unwrap();
        assert_eq!(payloads(room.ready(&ProviderName::from("a"), 1)), [0]);
    }

    #[test]
    fn one_that_was_woken_keeps_its_place_in_a_full_room() {
        let mut room = WaitingRoom::new(1);
        let waiter = |ticket| Waiter {
            ticket,
            wake_at: Time::ZERO,
            wants: vec![want("a")],
            payload: (),
        };
        let first = room.ticket();
        room.park(waiter(first)).unwrap();
        let woken = room.due(Time::ZERO).remove(0);
        let second = room.ticket();
        room.park(waiter(second)).unwrap();
        room.park_again(woken);
        assert_eq!(room.len(), 2);
        assert_eq!(room.ready(&ProviderName::from("a"), 1)[0].ticket, first);
    }

    #[test]
    fn refuses_when_full_and_knows_what_is_contended() {
        let mut room = WaitingRoom::new(0);
        let ticket = room.ticket();
        let waiter = Waiter {
            ticket,
            wake_at: Time::ZERO,
            wants: vec![want("a")],
            payload: (),
        };
        assert!(room.park(waiter).is_err());
        assert!(!room.contended(&Upstream::new("a", "m")));
        let mut room = self::room(&[(9, &["a"])]);
        assert!(room.contended(&Upstream::new("a", "m")));
        assert!(!room.contended(&Upstream::new("b", "m")));
        room.leave(|_| true);
        assert!(!room.contended(&Upstream::new("a", "m")));
    }
}
