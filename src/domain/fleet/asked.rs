//! One limit or budget that a process shares: how it is used here, and what is to be asked about it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::money::{ClaimQuestion, GivenClaim};
use super::quota::{LimitHolder, LimitUse, OnLost, OwnShare, QuotaKind};
use super::share::ShareQuestion;
use crate::domain::budget::BudgetUse;
use crate::domain::time::Time;

/// A share lasts for so many questions.
const TTL_QUESTIONS: u32 = 4;
/// What nothing new is to be expected of is asked about in every third round, all of it in the same one, unless its share ends
/// before two more.
const CALM_ROUNDS: u64 = 3;
/// A budget in every fourth: what is claimed does not end, and enough of it is there.
const CALM_BUDGET_ROUNDS: u64 = 4;

/// What is known of one, and was asked.
#[derive(Clone, Debug)]
pub(super) struct Quota {
    pub(super) limit: u64,
    pub(super) uses: BTreeMap<LimitHolder, (LimitUse, u64)>,
    pub(super) counted: u64,
    pub(super) demand: u64,
    pub(super) largest: u64,
    pub(super) own: OwnShare,
    pub(super) nodes: u64,
    /// The round in which it was last asked about, when, and with what.
    pub(super) asked: Option<(u64, Time, ShareQuestion)>,
    /// The round whose question was last answered.
    pub(super) answered: u64,
}

/// What is known of one, and was asked.
#[derive(Clone, Debug)]
pub(super) struct BudgetQuota {
    pub(super) last: BudgetUse,
    pub(super) counted: u64,
    /// The round in which it was last asked about, when, and how it was used then.
    pub(super) asked: Option<(u64, Time, BudgetUse)>,
    pub(super) given: Option<GivenClaim>,
}

impl Quota {
    pub(super) fn new(first: &LimitUse, lost: OnLost) -> Self {
        Self {
            limit: first.limit,
            uses: BTreeMap::new(),
            counted: 0,
            demand: 0,
            largest: 0,
            own: OwnShare::first(first.limit, lost),
            nodes: 1,
            asked: None,
            answered: 0,
        }
    }

    pub(super) fn used(&self) -> u64 {
        let uses = self.uses.values();
        uses.fold(0, |sum, (one, _)| sum.saturating_add(one.used))
    }

    /// Whether it is a holder that was not known.
    pub(super) fn counted(&mut self, holder: &LimitHolder, one: LimitUse, round: u64) -> bool {
        // What was wanted a while ago counts less and less: about ten seconds of it.
        if self.counted < round {
            self.demand -= self.demand.div_ceil(20);
            self.largest -= self.largest.div_ceil(20);
            self.counted = round;
        }
        self.limit = one.limit;
        let limit = one.limit;
        self.demand = match one.kind {
            QuotaKind::Places => self.demand.max(one.demand),
            _ => self.demand.saturating_add(one.demand),
        };
        self.demand = self.demand.min(limit);
        self.largest = self.largest.max(one.largest.min(limit));
        self.uses.insert(holder.clone(), (one, round)).is_none()
    }

    pub(super) fn question(
        &mut self,
        kind: QuotaKind,
        round: u64,
        (every, idle): (Duration, Duration),
        now: Time,
    ) -> Option<ShareQuestion> {
        // A smaller share counts when those who count it have said something since.
        let is_kept = self.counted + 1 >= round;
        let before = self.asked.map_or(0, |(_, _, before)| before.has);
        let has = self.own.amount(now).max(if is_kept { 0 } else { before });
        let used = self.used();
        let is_calm = self.is_calm(kind, has, used);
        let is_due = self.asked.is_none_or(|(_, at, before)| {
            let ends = now + every * 2 >= at + before.ttl;
            match self.demand {
                0 => before.used != used || before.has != has || now >= at + idle || ends,
                _ => !is_calm || round.is_multiple_of(CALM_ROUNDS) || ends,
            }
        });
        if !is_due {
            return None;
        }
        let every = match self.demand {
            0 => idle,
            _ if is_calm => every * 2,
            _ => every,
        };
        let asks = ShareQuestion {
            seq: round,
            limit: self.limit,
            has,
            used,
            demand: self.demand,
            least: kind.least(self.limit, self.largest),
            ttl: every * TTL_QUESTIONS,
            span: kind.span(),
        };
        self.asked = Some((round, now, asks));
        Some(asks)
    }

    /// Whether little changes by asking: the last question was answered, with about what it had already, and it either has twice
    /// what it uses and wants, or wants about as much as it did then. Who has nothing waits for something, and is not calm. Demand
    /// is that of about ten seconds.
    fn is_calm(&self, kind: QuotaKind, has: u64, used: u64) -> bool {
        let Some((asked, _, before)) = self.asked else {
            return false;
        };
        let wants = match kind {
            QuotaKind::Requests | QuotaKind::Tokens => self.demand.saturating_mul(6),
            QuotaKind::Day | QuotaKind::Places => self.demand,
        };
        let is_ample = has / 2 >= used.max(wants);
        // What is under way at a moment goes up and down by more than what comes in ten seconds.
        let swing = if kind == QuotaKind::Places { 4 } else { 8 };
        let is_steady = has > 0 && is_about(self.demand, before.demand, swing);
        let is_same = is_about(has, before.has, swing) && is_about(self.own.share, has, swing);
        self.answered == asked && is_same && (is_ample || is_steady)
    }
}

/// Whether two differ by no more than such a part, by which what all want goes up and down from moment to moment.
fn is_about(now: u64, before: u64, part: u64) -> bool {
    now.abs_diff(before) <= before / part
}

impl BudgetQuota {
    pub(super) fn question(
        &mut self,
        round: u64,
        nodes: u64,
        idle: Duration,
        now: Time,
    ) -> Option<ClaimQuestion> {
        let last = &self.last;
        // Two thirds of what it wants to have at hand are enough for some ten seconds.
        let is_calm = last.need == 0 && last.want <= last.has.saturating_sub(last.used) / 2;
        let has_turn = !is_calm || round.is_multiple_of(CALM_BUDGET_ROUNDS);
        let is_due = self.asked.as_ref().is_none_or(|(_, at, before)| {
            let is_new = last.want > 0 || before.used != last.used || before.has != last.has;
            (is_new && has_turn) || now >= *at + 2 * idle
        });
        if !is_due {
            return None;
        }
        self.asked = Some((round, now, last.clone()));
        let want = if last.amount.is_some() { last.want } else { 0 };
        Some(ClaimQuestion {
            seq: round,
            amount: last.amount.unwrap_or(0),
            has: last.has,
            used: last.used,
            want,
            need: last.need.min(want),
            heard: last.heard,
            nodes,
        })
    }
}
