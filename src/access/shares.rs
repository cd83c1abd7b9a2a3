//! A client's parts of its limits, in a fleet: other processes have the same client. Read by each request, written by the
//! fleet's actor alone, through a snapshot.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::rate::{AtomicGcra, LimitMet};
use crate::domain::client::ClientLimits;
use crate::domain::fleet::quota::ASK_EVERY;
use crate::domain::fleet::{LimitUse, LostPolicy, OnLost, OwnShare, QuotaKind};
use crate::domain::gcra::Gcra;
use crate::domain::time::Time;

/// What does not fit into a bucket that has shrunk counts for as long as a full bucket takes to empty.
const TAIL: Duration = Duration::from_secs(60);

/// What the client keeps to.
#[derive(Clone, Debug, Default)]
struct OwnShares {
    requests: OwnRate,
    tokens: OwnRate,
    places: Option<OwnShare>,
    lost: LostPolicy,
}

/// A part of a rate.
#[derive(Clone, Copy, Debug, Default)]
struct OwnRate {
    own: Option<OwnShare>,
    lost: OnLost,
    /// The allowance by which what is taken is counted.
    counts: u64,
    /// Taken beyond that, of which less and less counts from that moment on.
    tail: u64,
    tail_at: Time,
}

/// The client's shares, and what was wanted of its limits.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// `None`: the process is in no fleet.
    own: ArcSwapOption<OwnShares>,
    requests: AtomicU64,
    tokens: AtomicU64,
    largest: AtomicU64,
    /// The most requests that were under way.
    places: AtomicU32,
    short: [AtomicBool; 3],
}

impl OwnRate {
    fn tail(&self, now: Time) -> u64 {
        let left = TAIL.saturating_sub(now.since(self.tail_at)).as_millis();
        let tail = u128::from(self.tail) * left / TAIL.as_millis();
        u64::try_from(tail).unwrap_or(u64::MAX)
    }

    fn amount(&self, limit: u64, now: Time) -> u64 {
        let own = self.own.unwrap_or(OwnShare::first(limit, self.lost));
        own.amount(now).min(limit)
    }

    fn is_refused(&self, now: Time) -> bool {
        self.own.is_some_and(|own| own.is_refused(now))
    }

    /// By what is taken of it counted.
    fn counts(&self, limit: u64) -> Gcra {
        let counts = match self.own {
            Some(_) => self.counts,
            None => OwnShare::first(limit, self.lost).share,
        };
        Gcra::per_minute(NonZeroU64::new(counts).unwrap_or(NonZeroU64::MIN))
    }

    /// It is another one from now on.
    fn become_(&mut self, limit: u64, own: OwnShare, rate: &AtomicGcra, now: Time) {
        let before = self.counts(limit);
        let counts = own.share.min(limit).max(1);
        let after = Gcra::per_minute(NonZeroU64::new(counts).unwrap_or(NonZeroU64::MIN));
        let rest = if before == after {
            0
        } else {
            rate.change(before, after, now)
        };
        self.tail = self.tail(now).saturating_add(rest);
        self.tail_at = now;
        self.counts = counts;
        self.own = Some(own);
    }
}

impl Shares {
    /// Other processes have the same client: it keeps to its shares, small ones at first.
    pub(super) fn join_fleet(&self, lost: LostPolicy) {
        if self.own.load().is_none() {
            let rate = OwnRate {
                lost: lost.rates,
                ..OwnRate::default()
            };
            self.own.store(Some(Arc::new(OwnShares {
                requests: rate,
                tokens: rate,
                places: None,
                lost,
            })));
        }
    }

    /// What a request that takes `tokens` has to keep to.
    ///
    /// # Errors
    /// There is no share that is large enough; when to look again.
    pub(super) fn limits(
        &self,
        limits: &ClientLimits,
        tokens: u64,
        now: Time,
    ) -> Result<ClientLimits, (LimitMet, Time)> {
        let own = self.own.load();
        let Some(own) = own.as_deref() else {
            return Ok(*limits);
        };
        let (rpm, tpm) = (&own.requests, &own.tokens);
        let is_lost = (limits.rpm.is_some() && rpm.is_refused(now))
            || (limits.tpm.is_some() && tpm.is_refused(now));
        let again = now + ASK_EVERY;
        if is_lost {
            return Err((LimitMet::Fleet, again));
        }
        let amount = |rate: &OwnRate, limit: Option<NonZeroU64>| {
            limit.map(|limit| rate.amount(limit.get(), now))
        };
        let (requests, of_tokens) = (amount(rpm, limits.rpm), amount(tpm, limits.tpm));
        let short = |met: LimitMet| {
            self.note_short(met);
            Err((met, again))
        };
        if requests == Some(0) {
            return short(LimitMet::Requests);
        }
        // More than a whole minute's allowance is never asked for at once.
        let needed = limits.tpm.map_or(0, |limit| tokens.min(limit.get()).max(1));
        if of_tokens.is_some_and(|own| own < needed) {
            return short(LimitMet::Tokens);
        }
        Ok(ClientLimits {
            rpm: requests.and_then(NonZeroU64::new),
            tpm: of_tokens.and_then(NonZeroU64::new),
            max_in_flight: limits.max_in_flight,
        })
    }

    /// By which allowance of tokens what was taken is corrected.
    pub(super) fn tokens(&self, limits: &ClientLimits, now: Time) -> Option<NonZeroU64> {
        let limit = limits.tpm?;
        let own = self.own.load();
        let Some(own) = own.as_deref() else {
            return Some(limit);
        };
        Some(NonZeroU64::new(own.tokens.amount(limit.get(), now)).unwrap_or(NonZeroU64::MIN))
    }

    /// How many requests may be under way.
    pub(super) fn places(&self, most: Option<u32>, now: Time) -> Option<u32> {
        let most = most?;
        let own = self.own.load();
        let Some(own) = own.as_deref() else {
            return Some(most);
        };
        let first = OwnShare::first(u64::from(most), own.lost.concurrency);
        let own = own.places.unwrap_or(first);
        Some(u32::try_from(own.amount(now)).unwrap_or(most).min(most))
    }

    /// Whether requests are refused because nobody can be asked for their places.
    pub(super) fn is_cut_off(&self, now: Time) -> bool {
        let own = self.own.load();
        let places = own.as_deref().and_then(|own| own.places);
        places.is_some_and(|own| own.is_refused(now))
    }

    pub(super) fn note_wanted(&self, tokens: u64) {
        if self.own.load().is_some() {
            self.requests.fetch_add(1, Ordering::Relaxed);
            self.tokens.fetch_add(tokens, Ordering::Relaxed);
            self.largest.fetch_max(tokens, Ordering::Relaxed);
        }
    }

    pub(super) fn note_short(&self, met: LimitMet) {
        match met {
            LimitMet::Requests => self.short[0].store(true, Ordering::Relaxed),
            LimitMet::Tokens => self.short[1].store(true, Ordering::Relaxed),
            LimitMet::Fleet => {}
        }
    }

    pub(super) fn note_entered(&self, in_flight: u32, is_in: bool) {
        if self.own.load().is_some() {
            self.places.fetch_max(in_flight, Ordering::Relaxed);
            if !is_in {
                self.short[2].store(true, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn uses(
        &self,
        limits: &ClientLimits,
        rates: [&AtomicGcra; 2],
        in_flight: u32,
        now: Time,
    ) -> Vec<LimitUse> {
        let own = self.own.load();
        let Some(own) = own.as_deref() else {
            return Vec::new();
        };
        let short = |place: usize| self.short[place].swap(false, Ordering::Relaxed);
        let largest = self.largest.load(Ordering::Relaxed);
        self.largest
            .store(largest - largest.div_ceil(20), Ordering::Relaxed);
        let mut all = Vec::new();
        let counts = [
            (
                QuotaKind::Requests,
                limits.rpm,
                &own.requests,
                &self.requests,
                1,
            ),
            (
                QuotaKind::Tokens,
                limits.tpm,
                &own.tokens,
                &self.tokens,
                largest,
            ),
        ];
        for (place, (kind, limit, own, wanted, largest)) in counts.into_iter().enumerate() {
            let (wanted, is_short) = (wanted.swap(0, Ordering::Relaxed), short(place));
            let Some(limit) = limit.map(NonZeroU64::get) else {
                continue;
            };
            all.push(LimitUse {
                kind,
                limit,
                used: rates[place].level(own.counts(limit), now) + own.tail(now),
                // Who has met the limit may want all of it.
                demand: if is_short { limit } else { wanted },
                largest,
            });
        }
        let (most, is_short) = (self.places.swap(in_flight, Ordering::Relaxed), short(2));
        if let Some(limit) = limits.max_in_flight {
            let limit = u64::from(limit.get());
            all.push(LimitUse {
                kind: QuotaKind::Places,
                limit,
                used: u64::from(in_flight),
                demand: if is_short { limit } else { u64::from(most) },
                largest: 1,
            });
        }
        all
    }

    pub(super) fn keep_to(
        &self,
        limits: &ClientLimits,
        shares: &[(QuotaKind, OwnShare)],
        rates: [&AtomicGcra; 2],
        now: Time,
    ) {
        let before = self.own.load();
        let Some(before) = before.as_deref() else {
            return;
        };
        let mut next = before.clone();
        for (kind, own) in shares {
            match (kind, limits.rpm, limits.tpm) {
                (QuotaKind::Requests, Some(limit), _) => {
                    next.requests.become_(limit.get(), *own, rates[0], now);
                }
                (QuotaKind::Tokens, _, Some(limit)) => {
                    next.tokens.become_(limit.get(), *own, rates[1], now);
                }
                (QuotaKind::Places, ..) => next.places = Some(*own),
                _ => {}
            }
        }
        self.own.store(Some(Arc::new(next)));
    }
}
