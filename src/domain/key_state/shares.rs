//! A key's parts of its configured limits, in a fleet: other processes use the same key.

use super::KeyState;
use crate::domain::fleet::quota::ASK_EVERY;
use crate::domain::fleet::{LimitUse, LostPolicy, OwnShare, QuotaKind};
use crate::domain::key_shares::at;
use crate::domain::limits::KeyLimits;
use crate::domain::time::Time;

impl KeyState {
    /// Other processes use this key too: from now on it keeps to its share of its limits, a small one at first.
    pub fn join_fleet(&mut self, lost: LostPolicy) {
        self.shares.get_or_insert_default().lost = lost;
    }

    /// Whether other processes use it too, and what is to be when they cannot be asked.
    pub fn shared(&self) -> Option<LostPolicy> {
        self.shares.as_ref().map(|shares| shares.lost)
    }

    /// It keeps to these shares from now on.
    pub fn keep_to(&mut self, shares: &[(QuotaKind, OwnShare)]) {
        let own = &mut self.shares.get_or_insert_default().own;
        for (kind, share) in shares {
            own[at(*kind)] = Some(*share);
        }
    }

    fn configured(&self, kind: QuotaKind) -> Option<u64> {
        match kind {
            QuotaKind::Requests => self.limits.rpm,
            QuotaKind::Tokens => self.limits.tpm,
            QuotaKind::Day => self.limits.rpd,
            QuotaKind::Places => self.limits.max_in_flight.map(u64::from),
        }
    }

    /// Its share of a configured limit.
    fn own(&self, kind: QuotaKind) -> Option<(u64, OwnShare)> {
        let (shares, limit) = (self.shares.as_ref()?, self.configured(kind)?);
        let first = OwnShare::first(limit, shares.lost.of(kind));
        Some((limit, shares.own[at(kind)].unwrap_or(first)))
    }

    /// What it may do at `now`: its limits, or its shares of them.
    pub(super) fn limits_at(&self, now: Time) -> KeyLimits {
        if self.shares.is_none() {
            return self.limits;
        }
        let amount = |kind| {
            let (limit, own) = self.own(kind)?;
            Some(own.amount(now).min(limit))
        };
        KeyLimits {
            rpm: amount(QuotaKind::Requests),
            tpm: amount(QuotaKind::Tokens),
            rpd: amount(QuotaKind::Day),
            max_in_flight: amount(QuotaKind::Places)
                .map(|places| u32::try_from(places).unwrap_or(u32::MAX)),
            pacing: self.limits.pacing,
        }
    }

    /// Whether it is refused because nobody can be asked for its share.
    pub(super) fn is_cut_off(&self, now: Time) -> bool {
        self.shares.is_some()
            && QuotaKind::ALL
                .into_iter()
                .any(|kind| self.own(kind).is_some_and(|(_, own)| own.is_refused(now)))
    }

    /// A request wants to use it.
    pub(super) fn note_wanted(&mut self, tokens: u64, now: Time) {
        if self.shares.is_none() {
            return;
        }
        let short = self.short_at(tokens, now);
        let live = u64::try_from(self.live.len()).unwrap_or(u64::MAX);
        if let Some(shares) = &mut self.shares {
            shares.requests += 1;
            shares.tokens = shares.tokens.saturating_add(tokens);
            shares.largest = shares.largest.max(tokens);
            shares.places = shares.places.max(live + 1);
            for (known, now) in shares.short.iter_mut().zip(short) {
                *known |= now;
            }
        }
    }

    /// Which limits leave no room for a request.
    fn short_at(&self, tokens: u64, now: Time) -> [bool; 4] {
        let own = self.limits_at(now);
        let is_short = |limit: Option<u64>, used: u64, amount: u64, whole: Option<u64>| {
            let amount = amount.min(whole.unwrap_or(u64::MAX));
            limit.is_some_and(|limit| used.saturating_add(amount) > limit)
        };
        let live = u64::try_from(self.live.len()).unwrap_or(u64::MAX);
        let places = own.max_in_flight.map(u64::from);
        [
            is_short(own.rpm, self.minute.total(now), 1, self.limits.rpm),
            is_short(own.tpm, self.tokens.total(now), tokens, self.limits.tpm),
            is_short(own.rpd, self.day.total(now), 1, self.limits.rpd),
            is_short(places, live, 1, self.limits.max_in_flight.map(u64::from)),
        ]
    }

    /// How its limits are used, and what was wanted of them since this was last asked.
    pub fn uses(&mut self, now: Time) -> Vec<LimitUse> {
        let largest = self.shares.as_ref().map_or(0, |shares| shares.largest);
        // Others may have been sent elsewhere by what is published.
        let short = self.short_at(largest.max(1), now);
        let Some(shares) = &mut self.shares else {
            return Vec::new();
        };
        let live = u64::try_from(self.live.len()).unwrap_or(u64::MAX);
        let was_short = std::mem::take(&mut shares.short);
        let requests = std::mem::take(&mut shares.requests);
        let tokens = std::mem::take(&mut shares.tokens);
        let places = std::mem::take(&mut shares.places).max(live);
        shares.largest -= shares.largest.div_ceil(20);
        let used = [
            (self.minute.total(now), requests, 1),
            (self.tokens.total(now), tokens, largest),
            (self.day.total(now), requests, 1),
            (live, places, 1),
        ];
        let all = QuotaKind::ALL.into_iter().filter_map(|kind| {
            let limit = self.configured(kind)?;
            let (used, wanted, largest) = used[at(kind)];
            // Who has met the limit may want all of it.
            let is_busy = wanted > 0 || was_short[at(kind)];
            let meets = was_short[at(kind)] || (short[at(kind)] && used > 0 && is_busy);
            Some(LimitUse {
                kind,
                limit,
                used,
                demand: if meets { limit } else { wanted },
                largest,
            })
        });
        all.collect()
    }

    /// The configured limits that leave no room for a request of `tokens`: from how many tokens on that holds, and until
    /// when.
    pub fn limited(&self, tokens: u64, now: Time) -> impl Iterator<Item = (u64, Time)> {
        let (whole, own) = (self.limits, self.limits_at(now));
        let checks = [
            (whole.rpm, own.rpm, &self.minute, 1, 0),
            (whole.rpd, own.rpd, &self.day, 1, 0),
            (whole.tpm, own.tpm, &self.tokens, tokens, tokens),
        ];
        checks
            .into_iter()
            .filter_map(move |(whole, own, window, amount, from)| {
                // A request larger than the whole allowance may go when nothing else is counted.
                let needed = amount.min(whole?);
                let Some(at_most) = own?.checked_sub(needed) else {
                    // A larger share may come with the next answer.
                    return Some((from, now + ASK_EVERY));
                };
                let is_full = window.total(now) > at_most;
                is_full.then(|| (from, window.earliest_at_most(at_most, now)))
            })
    }
}
