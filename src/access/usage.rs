//! What one client has taken: atomics without a lock. Each rate is one number (see [`crate::domain::gcra`]), changed by
//! compare and exchange, so that no two takers share what only one of them may have.

use std::sync::atomic::{AtomicU32, Ordering};

use super::rate::{AtomicGcra, LimitMet};
use super::shares::Shares;
use crate::domain::client::ClientLimits;
use crate::domain::fleet::{LimitUse, OwnShare, QuotaKind};
use crate::domain::gcra::Gcra;
use crate::domain::time::Time;

/// The counts of one client; they outlive a change of its limits.
#[derive(Debug, Default)]
pub(super) struct ClientUsage {
    in_flight: AtomicU32,
    /// Bodies that are being read.
    reading: AtomicU32,
    requests: AtomicGcra,
    tokens: AtomicGcra,
    /// In a fleet: its parts of the client's limits.
    pub(super) shares: Shares,
}

/// The tokens that were set aside for one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReservedTokens {
    pub(super) tokens: u64,
    /// When everything that was taken up to them is paid for.
    pub(super) paid_at: Time,
}

fn count_in(count: &AtomicU32, most: Option<u32>) -> bool {
    let enter = |inside: u32| {
        let room = most.is_none_or(|most| inside < most);
        room.then(|| inside.saturating_add(1))
    };
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter)
        .is_ok()
}

impl ClientUsage {
    /// Counts a request in, unless there are `most` already.
    pub(super) fn enter(&self, most: Option<u32>, now: Time) -> bool {
        let is_in = count_in(&self.in_flight, self.shares.places(most, now));
        self.shares.note_entered(self.in_flight(), is_in);
        is_in
    }

    /// Counts a body in that is to be read, unless there are `most` already.
    pub(super) fn read(&self, most: Option<u32>) -> bool {
        count_in(&self.reading, most)
    }

    /// A body is not read any more.
    pub(super) fn has_read(&self) {
        self.reading.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request that was counted in has ended.
    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// How the client's limits are used, and what was wanted of them since this was last asked.
    pub(super) fn uses(&self, limits: &ClientLimits, now: Time) -> Vec<LimitUse> {
        let rates = [&self.requests, &self.tokens];
        self.shares.uses(limits, rates, self.in_flight(), now)
    }

    /// From now on the client keeps to these shares of its limits.
    pub(super) fn keep_to(
        &self,
        limits: &ClientLimits,
        shares: &[(QuotaKind, OwnShare)],
        now: Time,
    ) {
        let rates = [&self.requests, &self.tokens];
        self.shares.keep_to(limits, shares, rates, now);
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes one request and `tokens` tokens, both or none. Returns when the tokens taken so far are paid for.
    ///
    /// # Errors
    /// The limit that leaves room last, and when it does.
    pub(super) fn take(
        &self,
        limits: &ClientLimits,
        tokens: u64,
        now: Time,
    ) -> Result<Time, (LimitMet, Time)> {
        self.shares.note_wanted(tokens);
        let limits = &self.shares.limits(limits, tokens, now)?;
        let taken = self.take_within(limits, tokens, now);
        if let Err((met, _)) = &taken {
            self.shares.note_short(*met);
        }
        taken
    }

    fn take_within(
        &self,
        limits: &ClientLimits,
        tokens: u64,
        now: Time,
    ) -> Result<Time, (LimitMet, Time)> {
        let (rpm, tpm) = (
            limits.rpm.map(Gcra::per_minute),
            limits.tpm.map(Gcra::per_minute),
        );
        let requests = rpm.map_or(Ok(now), |rpm| self.requests.take(rpm, 1, now));
        let requests = requests.map_err(|ready| (LimitMet::Requests, ready));
        let Some(tpm) = tpm else { return requests };
        let counted = match requests {
            Ok(counted) => counted,
            Err((met, ready)) => {
                // The later of the two moments: a client that came back at the earlier one would be refused again.
                let then = self.tokens.look(tpm, tokens, now);
                return Err(match then {
                    Err(later) if later > ready => (LimitMet::Tokens, later),
                    _ => (met, ready),
                });
            }
        };
        self.tokens.take(tpm, tokens, now).map_err(|ready| {
            if let Some(rpm) = rpm {
                self.requests.correct(rpm, now, counted, 1, 0);
            }
            (LimitMet::Tokens, ready)
        })
    }

    /// Whether [`take`](Self::take) would succeed. Changes nothing.
    ///
    /// # Errors
    /// The same as those of [`take`](Self::take).
    pub(super) fn look(
        &self,
        limits: &ClientLimits,
        tokens: u64,
        now: Time,
    ) -> Result<(), (LimitMet, Time)> {
        let limits = &self.shares.limits(limits, tokens, now)?;
        let per_minute = [
            (LimitMet::Requests, limits.rpm, &self.requests, 1),
            (LimitMet::Tokens, limits.tpm, &self.tokens, tokens),
        ];
        let looks = per_minute
            .into_iter()
            .filter_map(|(met, limit, rate, amount)| {
                let ready = rate.look(Gcra::per_minute(limit?), amount, now).err()?;
                Some((met, ready))
            });
        // Of two at the same moment the first, as `take` says.
        let last = looks.reduce(|one, other| if other.1 > one.1 { other } else { one });
        last.map_or(Ok(()), Err)
    }

    /// Of the tokens that were reserved, `used` were needed.
    pub(super) fn correct(
        &self,
        limits: &ClientLimits,
        reserved: ReservedTokens,
        used: u64,
        now: Time,
    ) {
        let ReservedTokens { paid_at, tokens } = reserved;
        if let Some(tpm) = self.shares.tokens(limits, now) {
            let tpm = Gcra::per_minute(tpm);
            self.tokens.correct(tpm, now, paid_at, tokens, used);
        }
    }
}
