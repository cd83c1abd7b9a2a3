//! The waiting room: requests that no upstream can serve right now, class by class, within a class first come, first
//! served.
//!
//! A request is woken when its time comes, when something it waits for becomes ready, or when it must give
//! up. A newcomer does not overtake its own class: see [`WaitingRoom::contended`]. In a full room the client with more
//! than its share is evicted from: see [`WaitingRoom::displace`]. No I/O, no clock, no logging.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::client::{Priority, Requester};
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
    /// Its place in the order; a waiter that is parked again keeps it.
    pub ticket: WaitTicket,
    /// The client and class of the request.
    pub standing: Requester,
    /// When to try again.
    pub wake_at: Time,
    /// What it waits for.
    pub wants: Vec<Want>,
    /// The waiting request.
    pub payload: T,
}

/// A place in the order: the class first, then the arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WaitTicket {
    class: Priority,
    number: u64,
}

/// The requests that wait for one provider, in both orders.
#[derive(Debug, Default)]
struct Queue {
    tickets: BTreeSet<WaitTicket>,
    wakes: BTreeSet<(Time, WaitTicket)>,
}

/// A waiting room.
#[derive(Debug)]
pub struct WaitingRoom<T> {
    capacity: usize,
    next: u64,
    waiters: BTreeMap<WaitTicket, Waiter<T>>,
    /// All of them, by when they are woken.
    wakes: BTreeSet<(Time, WaitTicket)>,
    /// The requests that wait for something of a provider.
    at: HashMap<ProviderName, Queue>,
    /// How many of each class want what.
    wanted: HashMap<Want, [usize; Priority::ALL.len()]>,
    /// The number of waiting requests of each client and class.
    held: HashMap<Requester, usize>,
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
            wakes: BTreeSet::new(),
            at: HashMap::new(),
            wanted: HashMap::new(),
            held: HashMap::new(),
        }
    }

    /// The number of waiting requests.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether any request for which `test` holds waits for `provider`.
    pub fn any(&self, provider: &ProviderName, test: impl Fn(&T) -> bool) -> bool {
        let mut waiters = self.waiting_at(provider);
        waiters.any(|waiter| test(&waiter.payload))
    }

    /// The requests that wait for `provider`, in order.
    fn waiting_at(&self, provider: &ProviderName) -> impl Iterator<Item = &Waiter<T>> {
        let queue = self.at.get(provider).into_iter();
        let tickets = queue.flat_map(|queue| &queue.tickets);
        tickets.filter_map(|ticket| self.waiters.get(ticket))
    }

    /// Draws the next ticket of a class.
    pub fn ticket(&mut self, class: Priority) -> WaitTicket {
        self.next += 1;
        WaitTicket {
            class,
            number: self.next,
        }
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

    /// Lets a request into a full room in place of another, which is returned. That is the newest request of the client
    /// that holds most places in the last class: always when that class comes after the newcomer's, and within its own
    /// class when the other client holds the larger share even afterwards, so that two never displace each other in
    /// turns.
    ///
    /// # Errors
    /// The newcomer, when no request is evicted for it.
    pub fn displace(&mut self, newcomer: Waiter<T>) -> Result<Waiter<T>, Waiter<T>> {
        let Some(ticket) = self.who_gives_way(&newcomer.standing) else {
            return Err(newcomer);
        };
        match self.remove(ticket) {
            Some(displaced) => {
                self.park_again(newcomer);
                Ok(displaced)
            }
            None => Err(newcomer),
        }
    }

    /// Whether a newcomer would get a place in a room of this capacity: a free one, or that of an evicted request.
    pub fn has_place_for(&self, newcomer: &Requester, capacity: usize) -> bool {
        self.waiters.len() < capacity || self.who_gives_way(newcomer).is_some()
    }

    fn who_gives_way(&self, newcomer: &Requester) -> Option<WaitTicket> {
        let last = self.held.keys().map(|held| held.priority).max()?;
        let held = |standing: &Requester| self.held.get(standing).copied().unwrap_or(0);
        let of_last = self.held.iter().filter(|(held, _)| held.priority == last);
        let most = of_last.map(|(_, count)| *count).max()?;
        let gives_way = match newcomer.priority.cmp(&last) {
            Ordering::Less => true,
            Ordering::Equal => held(newcomer) + 1 < most,
            Ordering::Greater => false,
        };
        let mut newest_first = self.waiters.values().rev();
        let greedy = |waiter: &&Waiter<T>| held(&waiter.standing) == most;
        let found = newest_first.find(greedy).filter(|_| gives_way);
        found.map(|waiter| waiter.ticket)
    }

    /// Lets a request that was woken wait on, in the place that it had.
    pub fn park_again(&mut self, waiter: Waiter<T>) {
        for want in &waiter.wants {
            let counts = self.wanted.entry(want.clone()).or_default();
            *counts.of(waiter.ticket.class) += 1;
            let queue = match self.at.get_mut(&want.provider) {
                Some(queue) => queue,
                None => self.at.entry(want.provider.clone()).or_default(),
            };
            queue.tickets.insert(waiter.ticket);
            queue.wakes.insert((waiter.wake_at, waiter.ticket));
        }
        self.wakes.insert((waiter.wake_at, waiter.ticket));
        *self.held.entry(waiter.standing.clone()).or_default() += 1;
        self.waiters.insert(waiter.ticket, waiter);
    }

    /// Whether a request of `class`, or of a class before it, already waits for `upstream`: then a newcomer
    /// of that class queues up behind it.
    pub fn contended(&self, upstream: &Upstream, class: Priority) -> bool {
        let wanted = |model: Option<ModelName>| {
            let counts = self.wanted.get(&Want {
                provider: upstream.provider.clone(),
                model,
            });
            counts.is_some_and(|counts| {
                let classes = Priority::ALL.iter().zip(counts);
                classes
                    .into_iter()
                    .any(|(other, count)| *other <= class && *count > 0)
            })
        };
        !self.waiters.is_empty() && (wanted(None) || wanted(Some(upstream.model.clone())))
    }

    /// Takes out all whose time has come, in order.
    pub fn due(&mut self, now: Time) -> Vec<Waiter<T>> {
        let due = self.wakes.iter().take_while(|(wake_at, _)| *wake_at <= now);
        let mut tickets: Vec<WaitTicket> = due.map(|(_, ticket)| *ticket).collect();
        tickets.sort_unstable();
        self.take(tickets)
    }

    /// Takes out the requests that wait for `provider`, in order: the first `slots` of those that any
    /// place there would serve, or all of them when `slots` is `usize::MAX`.
    pub fn ready(&mut self, provider: &ProviderName, slots: usize) -> Vec<Waiter<T>> {
        let everybody = slots == usize::MAX;
        let served = self.waiting_at(provider).filter(|waiter| {
            let mut wants = waiter.wants.iter();
            everybody || wants.any(|want| want.provider == *provider && want.model.is_none())
        });
        let tickets = served.take(slots).map(|waiter| waiter.ticket).collect();
        self.take(tickets)
    }

    /// Takes out all for which `gone` holds (their callers left).
    pub fn leave(&mut self, gone: impl Fn(&T) -> bool) -> Vec<Waiter<T>> {
        let gone = self.waiters.values().filter(|waiter| gone(&waiter.payload));
        let tickets = gone.map(|waiter| waiter.ticket).collect();
        self.take(tickets)
    }

    /// When to look again at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        self.wakes.first().map(|(wake_at, _)| *wake_at)
    }

    /// The earliest moment at which a request that waits for `provider` is woken.
    pub fn next_wake_for(&self, provider: &ProviderName) -> Option<Time> {
        let (wake_at, _) = self.at.get(provider)?.wakes.first()?;
        Some(*wake_at)
    }

    fn take(&mut self, tickets: Vec<WaitTicket>) -> Vec<Waiter<T>> {
        let taken = tickets.into_iter();
        taken.filter_map(|ticket| self.remove(ticket)).collect()
    }

    /// Takes out the request with this ticket, if it waits.
    pub fn remove(&mut self, ticket: WaitTicket) -> Option<Waiter<T>> {
        let waiter = self.waiters.remove(&ticket)?;
        let wake = (waiter.wake_at, ticket);
        self.wakes.remove(&wake);
        for want in &waiter.wants {
            if let Some(queue) = self.at.get_mut(&want.provider) {
                queue.tickets.remove(&ticket);
                queue.wakes.remove(&wake);
                if queue.tickets.is_empty() {
                    self.at.remove(&want.provider);
                }
            }
            if let Some(counts) = self.wanted.get_mut(want) {
                *counts.of(waiter.ticket.class) -= 1;
                if counts.iter().all(|count| *count == 0) {
                    self.wanted.remove(want);
                }
            }
        }
        if let Some(count) = self.held.get_mut(&waiter.standing) {
            *count -= 1;
            if *count == 0 {
                self.held.remove(&waiter.standing);
            }
        }
        Some(waiter)
    }
}

/// A count of each class.
trait PerClass {
    fn of(&mut self, class: Priority) -> &mut usize;
}

impl PerClass for [usize; Priority::ALL.len()] {
    fn of(&mut self, class: Priority) -> &mut usize {
        let [high, normal, low] = self;
        match class {
            Priority::High => high,
            Priority::Normal => normal,
            Priority::Low => low,
        }
    }
}

#[cfg(test)]
mod tests;
