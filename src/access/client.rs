//! One client under one configuration: what it may ask for, and what it has taken.

use std::sync::Arc;
use std::time::Duration;

use super::rate::LimitMet;
use super::usage::{ClientUsage, ReservedTokens};
use crate::domain::chain::Chain;
use crate::domain::client::{ClientPolicy, Requester};
use crate::domain::error_code::ErrorCode;
use crate::domain::fleet::quota::SharedLimits;
use crate::domain::fleet::{LimitHolder, LimitUse, LostPolicy, OwnShare, QuotaKind};
use crate::domain::time::Time;

/// A client. Its counts go over to the client of its name under the next configuration.
#[derive(Debug)]
pub struct Client {
    policy: ClientPolicy,
    usage: Arc<ClientUsage>,
}

/// One request's place among its client's requests; given back when dropped.
#[derive(Debug)]
pub struct ClientPermit(Arc<ClientUsage>);

/// One body of a client that is being read; over when dropped.
#[derive(Debug)]
pub struct Reads(Arc<ClientUsage>);

/// What was set aside for one request of a client.
#[derive(Debug)]
pub struct Reservation {
    client: Arc<Client>,
    reserved: ReservedTokens,
}

/// A client has used up what it may have per minute.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", self.words())]
pub struct RateExceeded {
    /// The client's name.
    pub client: Arc<str>,
    /// `requests` or `tokens`.
    pub what: &'static str,
    /// The configured limit, in units of `what` per minute or day.
    pub limit: u64,
    /// When there is enough again, if it asks for nothing else; whole milliseconds, rounded up.
    pub wait: Duration,
    /// The client's limits are shared by a fleet whose store cannot be asked.
    pub is_cut_off: bool,
}

impl RateExceeded {
    /// The code of the answer.
    pub const fn code(&self) -> ErrorCode {
        match self.is_cut_off {
            true => ErrorCode::FleetUnavailable,
            false => ErrorCode::ClientRateLimited,
        }
    }

    fn words(&self) -> String {
        let Self {
            client,
            what,
            limit,
            ..
        } = self;
        match self.is_cut_off {
            true => cut_off(client),
            false => {
                format!("client `{client}` has used up its {limit} {what} a minute: retry later")
            }
        }
    }
}

/// What a client is told whose limits nobody can be asked for.
pub fn cut_off(client: &str) -> String {
    format!(
        "the limits of client `{client}` are shared by a fleet whose server cannot be reached (fleet.on_lost): retry later"
    )
}

impl SharedLimits for Client {
    fn holder(&self) -> LimitHolder {
        LimitHolder::Client(Arc::clone(self.name()))
    }

    fn uses(&self, now: Time) -> Vec<LimitUse> {
        self.usage.uses(&self.policy.limits, now)
    }

    fn keep_to(&self, shares: &[(QuotaKind, OwnShare)], now: Time) {
        self.usage.keep_to(&self.policy.limits, shares, now);
    }
}

impl Client {
    /// With the counts that it had before, if it was there.
    pub(super) fn new(policy: ClientPolicy, before: Option<&Self>) -> Self {
        let meter = before.map_or_else(Arc::default, |before| Arc::clone(&before.usage));
        Self {
            policy,
            usage: meter,
        }
    }

    /// Its name, for logs and messages.
    pub fn name(&self) -> &Arc<str> {
        &self.policy.name
    }

    /// What it may do.
    pub fn policy(&self) -> &ClientPolicy {
        &self.policy
    }

    /// The client and its class, by which its requests wait in the waiting room.
    pub fn standing(&self) -> Requester {
        Requester {
            priority: self.policy.priority,
            client: Some(Arc::clone(&self.policy.name)),
        }
    }

    /// Whether the client may see that a target of this name exists.
    pub fn may_name(&self, target: &str) -> bool {
        self.policy.allow.names(target)
    }

    /// Whether it may ask for this, as it wrote it and as that came out.
    pub fn may_ask(&self, asked: Option<&str>, chain: &Chain) -> bool {
        self.policy.allow.permits(asked, chain)
    }

    /// Whether there is anything that it may not ask for.
    pub fn is_restricted(&self) -> bool {
        self.policy.allow.patterns().is_some()
    }

    /// Requests of it under way.
    pub fn in_flight(&self) -> u32 {
        self.usage.in_flight()
    }

    /// Counts a request in; `None` when `max_in_flight` are under way.
    pub fn enter(&self, now: Time) -> Option<ClientPermit> {
        let most = self.policy.limits.max_in_flight.map(|most| most.get());
        self.usage
            .enter(most, now)
            .then(|| ClientPermit(Arc::clone(&self.usage)))
    }

    /// Counts a body that is read; `None` when `max_in_flight` are being read.
    pub fn read(&self) -> Option<Reads> {
        let most = self.policy.limits.max_in_flight.map(|most| most.get());
        self.usage
            .read(most)
            .then(|| Reads(Arc::clone(&self.usage)))
    }

    /// Counts a request and sets `tokens` aside for it, no more than a minute's allowance.
    ///
    /// # Errors
    /// What it has used up, and for how long.
    pub fn reserve(self: &Arc<Self>, tokens: u64, now: Time) -> Result<Reservation, RateExceeded> {
        let limits = &self.policy.limits;
        let tokens = limits.tpm.map_or(tokens, |tpm| tokens.min(tpm.get()));
        let paid_at = self.usage.take(limits, tokens, now);
        let paid_at = paid_at.map_err(|(met, ready)| self.too_much(met, ready, now))?;
        Ok(Reservation {
            client: Arc::clone(self),
            reserved: ReservedTokens { tokens, paid_at },
        })
    }

    /// Whether [`reserve`](Self::reserve) would succeed now. Changes nothing.
    ///
    /// # Errors
    /// As with [`reserve`](Self::reserve).
    pub fn look(&self, tokens: u64, now: Time) -> Result<(), RateExceeded> {
        let limits = &self.policy.limits;
        let reserved = limits.tpm.map_or(tokens, |tpm| tokens.min(tpm.get()));
        let look = self.usage.look(limits, reserved, now);
        look.map_err(|(met, ready)| self.too_much(met, ready, now))
    }

    /// Whether as many requests of it are under way as may be.
    pub fn is_full(&self, now: Time) -> bool {
        let most = self.policy.limits.max_in_flight.map(|most| most.get());
        let most = self.usage.shares.places(most, now);
        most.is_some_and(|most| self.in_flight() >= most)
    }

    /// Whether that is so because the fleet's store cannot be asked for its places, and the configuration refuses then.
    pub fn is_cut_off(&self, now: Time) -> bool {
        self.usage.shares.is_cut_off(now)
    }

    /// Other processes have the same client: it keeps to its shares of its limits.
    pub(super) fn join_fleet(&self, lost: LostPolicy) {
        self.usage.shares.join_fleet(lost);
    }

    fn too_much(&self, met: LimitMet, ready: Time, now: Time) -> RateExceeded {
        let limits = &self.policy.limits;
        let (what, limit) = match met {
            LimitMet::Requests => ("requests", limits.rpm),
            LimitMet::Tokens => ("tokens", limits.tpm),
            LimitMet::Fleet => ("requests", None),
        };
        // A caller that obeys is never too early.
        let nanos = ready.since(now).as_nanos();
        let millis = u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        RateExceeded {
            client: Arc::clone(self.name()),
            what,
            limit: limit.map_or(0, |limit| limit.get()),
            wait: Duration::from_millis(millis),
            is_cut_off: met == LimitMet::Fleet,
        }
    }
}

impl Reservation {
    /// Replaces the reservation by `used` tokens; `None` (no count is known) keeps the estimate.
    pub fn settle(self, used: Option<u64>, now: Time) {
        if let Some(used) = used {
            let limits = &self.client.policy.limits;
            self.client.usage.correct(limits, self.reserved, used, now);
        }
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        self.0.has_read();
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::{Allow, ClientLimits, Priority};

    fn policy(limits: ClientLimits) -> ClientPolicy {
        ClientPolicy {
            name: Arc::from("ci"),
            allow: Allow::everything(),
            limits,
            priority: Priority::Normal,
        }
    }

    fn client(rpm: u64, tpm: u64, most: u32) -> Arc<Client> {
        let limits = ClientLimits {
            rpm: rpm.try_into().ok(),
            tpm: tpm.try_into().ok(),
            max_in_flight: most.try_into().ok(),
        };
        Arc::new(Client::new(policy(limits), None))
    }

    const NOW: Time = Time::from_millis(1_000_000);

    #[test]
    fn so_many_at_once_and_a_place_given_back_is_free_again() {
        let client = client(0, 0, 2);
        let (one, two) = (client.enter(NOW), client.enter(NOW));
        assert!(one.is_some() && two.is_some() && client.enter(NOW).is_none());
        assert_eq!(client.in_flight(), 2);
        drop(one);
        assert!(client.enter(NOW).is_some());
    }

    #[test]
    fn a_refusal_names_what_is_used_up_and_for_how_long() {
        let client = client(3, 0, 0);
        for _ in 0..3 {
            client.reserve(1000, NOW).unwrap();
        }
        let refused = client.reserve(1000, NOW).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "client `ci` has used up its 3 requests a minute: retry later"
        );
        assert_eq!(refused.wait, Duration::from_secs(20));
        assert!(client.reserve(1000, NOW + refused.wait).is_ok());
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let client = client(2, 100, 0);
        client.reserve(100, NOW).unwrap();
        for _ in 0..5 {
            assert_eq!(client.reserve(50, NOW).unwrap_err().what, "tokens");
        }
        assert!(client.reserve(100, NOW + Duration::from_secs(60)).is_ok());
        let refused = client
            .reserve(50, NOW + Duration::from_secs(60))
            .unwrap_err();
        assert_eq!(
            (refused.what, refused.wait),
            ("tokens", Duration::from_secs(30))
        );
    }

    #[test]
    fn the_limit_that_leaves_room_last_is_named() {
        let client = client(1, 60, 0);
        let reservation = client.reserve(10, NOW).unwrap();
        reservation.settle(Some(130), NOW);
        let refused = client.reserve(10, NOW).unwrap_err();
        assert_eq!(
            (refused.what, refused.wait),
            ("tokens", Duration::from_secs(80))
        );
    }

    #[test]
    fn an_estimate_is_corrected_by_what_was_used() {
        let client = client(0, 100, 0);
        let reservation = client.reserve(5000, NOW).unwrap();
        assert!(client.reserve(1, NOW).is_err());
        reservation.settle(Some(40), NOW);
        let reservation = client.reserve(60, NOW).unwrap();
        reservation.settle(None, NOW);
        assert!(client.reserve(1, NOW).is_err());
    }

    #[test]
    fn what_the_bucket_has_brought_meanwhile_is_not_given_back_again() {
        let client = client(0, 60_000, 0);
        let late = client.reserve(60_000, NOW).unwrap();
        // The bucket is full again, and another request empties it before the first one ends with almost nothing used.
        let then = NOW + Duration::from_secs(60);
        client.reserve(60_000, then).unwrap();
        late.settle(Some(1), then);
        assert!(client.reserve(1000, then).is_err());
        // Halfway, half of it is not brought yet and comes back.
        let half = client
            .reserve(60_000, then + Duration::from_secs(60))
            .unwrap();
        let halfway = then + Duration::from_secs(90);
        half.settle(Some(0), halfway);
        assert!(client.reserve(60_000, halfway).is_ok());
        assert!(client.reserve(1000, halfway).is_err());
    }

    #[test]
    fn two_at_the_same_moment_do_not_share_what_one_may_have() {
        let client = client(500, 0, 300);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let places: Vec<_> = (0..400).filter_map(|_| client.enter(NOW)).collect();
                        let bills = (0..400).filter(|_| client.reserve(1, NOW).is_ok()).count();
                        (places, bills)
                    })
                })
                .collect();
            let (places, bills): (Vec<_>, Vec<_>) = threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .unzip();
            assert_eq!(places.iter().flatten().count(), 300);
            bills.into_iter().sum()
        });
        assert_eq!((taken, client.in_flight()), (500, 0));
    }
}
