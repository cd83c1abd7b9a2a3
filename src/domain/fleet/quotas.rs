//! Limits and budgets that a process shares: when it asks for its part of them, and what it keeps to.
//!
//! The fleet's actor owns one of these. Uses go in, and out come orders for the store and shares for those who count. Nothing in it
//! waits: without a store shares end by themselves, and admission goes on with what is said in them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::asked::{BudgetQuota, Quota};
use super::money::{ClaimQuestion, GivenClaim};
use super::quota::{
    ASK_EVERY, BudgetSubject, GivenShares, LimitHolder, LimitSubject, LimitUse, LostPolicy, OnLost,
    OwnShare, QuotaKind,
};
use super::rank;
use super::share::{FIRST_PART, GivenShare, ShareQuestion, even_share};
use crate::domain::budget::{BudgetNews, BudgetUse};
use crate::domain::ids::FleetNode;
use crate::domain::persisted::Fingerprint;
use crate::domain::time::Time;

/// Shares that nobody uses are asked for so often.
pub const IDLE_EVERY: Duration = Duration::from_secs(2);
/// So long after those who count were asked the store is.
const GATHER: Duration = Duration::from_millis(20);
/// In one order.
pub const MOST_AT_ONCE: usize = 64;
/// Limits and budgets that are shared, of each. Others are kept to as if the store was lost.
const MOST_KEPT: usize = 4096;
/// One that nobody counts any more is forgotten after so many rounds.
const FORGOTTEN: u32 = 20;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuotaOrder {
    /// All who count are to say what they use.
    Count,
    /// The store is to be asked. The number of the round comes back with the answer.
    Ask(u64, Vec<(LimitSubject, ShareQuestion)>, Vec<BudgetQuestion>),
}

/// A question for a part of a budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BudgetQuestion {
    /// Which, in which window.
    pub subject: BudgetSubject,
    /// What is asked.
    pub asks: ClaimQuestion,
    /// How long the store has to remember it.
    pub lasts: Duration,
}

/// What the store has answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QuotaAnswers {
    /// The round.
    pub round: u64,
    /// Shares of limits.
    pub shares: Vec<(LimitSubject, GivenShare)>,
    /// Parts of budgets.
    pub claims: Vec<(BudgetSubject, GivenClaim)>,
}

/// What those who count are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuotaEffect {
    /// Shares of the limits of a key or a client.
    Share(LimitHolder, GivenShares),
    /// News of budgets.
    Budgets(Vec<BudgetNews>),
}

/// A limit, for readers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaView {
    /// Who counts it here.
    pub holders: Vec<LimitHolder>,
    /// What it counts.
    pub kind: QuotaKind,
    /// The whole.
    pub limit: u64,
    /// What is used of it here.
    pub used: u64,
    /// What this process may use.
    pub own: OwnShare,
    /// How many share it.
    pub nodes: u64,
}

/// A budget, for readers. Amounts in units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimView {
    /// How it is used here.
    pub used: BudgetUse,
    /// What the store said last.
    pub given: Option<GivenClaim>,
}

/// All that a process shares of limits and budgets.
#[derive(Clone, Debug)]
pub struct FleetQuotas {
    node: FleetNode,
    policy: LostPolicy,
    limits: BTreeMap<LimitSubject, Quota>,
    budgets: BTreeMap<BudgetSubject, BudgetQuota>,
    nodes: Vec<FleetNode>,
    round: u64,
    count_at: Time,
    ask_at: Option<Time>,
    is_up: bool,
    /// It was told that the store is lost, or that it is there.
    was_told: bool,
    scriptless: bool,
}

impl FleetQuotas {
    /// A process that shares nothing yet, and has no store.
    pub fn new(node: FleetNode, policy: LostPolicy, now: Time) -> Self {
        Self {
            node,
            policy,
            limits: BTreeMap::new(),
            budgets: BTreeMap::new(),
            nodes: Vec::new(),
            round: 0,
            count_at: now,
            ask_at: None,
            is_up: false,
            was_told: false,
            scriptless: false,
        }
    }

    /// Numbers of rounds go on after those of an incarnation that is lost.
    #[must_use]
    pub fn after(mut self, lost: &Self) -> Self {
        self.round = lost.round + 1;
        self
    }

    /// What happens without a store.
    pub fn policy(&self) -> LostPolicy {
        self.policy
    }

    /// Limits, for readers.
    pub fn limits(&self) -> impl Iterator<Item = QuotaView> {
        self.limits.iter().map(|(subject, quota)| QuotaView {
            holders: quota.uses.keys().cloned().collect(),
            kind: subject.kind,
            limit: quota.limit,
            used: quota.used(),
            own: quota.own,
            nodes: quota.nodes,
        })
    }

    /// Budgets, for readers.
    pub fn budgets(&self) -> impl Iterator<Item = ClaimView> {
        self.budgets.values().map(|quota| ClaimView {
            used: quota.last.clone(),
            given: quota.given,
        })
    }

    /// The store can be asked.
    pub fn up(&mut self, now: Time) -> Vec<QuotaEffect> {
        self.is_up = true;
        self.was_told = true;
        self.scriptless = false;
        self.count_at = now;
        for quota in self.limits.values_mut() {
            quota.asked = None;
        }
        for quota in self.budgets.values_mut() {
            quota.asked = None;
        }
        vec![QuotaEffect::Budgets(vec![BudgetNews::Lost(None)])]
    }

    /// It cannot. Shares go on to their ends; what never had one goes by what is to be without a store.
    pub fn down(&mut self, now: Time) -> Vec<QuotaEffect> {
        self.is_up = false;
        self.was_told = true;
        self.ask_at = None;
        self.lost(now)
    }

    /// The store runs no scripts: each has an even part.
    pub fn scriptless(&mut self, now: Time) -> Vec<QuotaEffect> {
        self.scriptless = true;
        self.lost(now)
    }

    fn lost(&mut self, now: Time) -> Vec<QuotaEffect> {
        let subjects: Vec<LimitSubject> = self.limits.keys().copied().collect();
        let mut effects = Vec::new();
        for subject in subjects {
            let never = (self.limits.get(&subject)).is_some_and(|it| it.own.until == Time::NEVER);
            if never || self.scriptless {
                self.keep_to(subject, None, now, &mut effects);
            }
        }
        let part = match self.policy.budgets {
            OnLost::Share => self.count(),
            OnLost::Local => 1,
            OnLost::Refuse => 0,
        };
        effects.push(QuotaEffect::Budgets(vec![BudgetNews::Lost(Some(part))]));
        effects
    }

    /// The processes that are there.
    pub fn saw(&mut self, nodes: &[FleetNode], now: Time) -> Vec<QuotaEffect> {
        let is_same = self.nodes == nodes;
        self.nodes = nodes.to_vec();
        if self.scriptless && !is_same {
            return self.lost(now);
        }
        Vec::new()
    }

    /// As many processes as were there last; of a fleet that was never seen nobody knows.
    fn count(&self) -> u64 {
        match self.nodes.len() {
            0 => FIRST_PART,
            count => u64::try_from(count).unwrap_or(u64::MAX),
        }
    }

    /// What a limit is without a store.
    fn without(&self, subject: LimitSubject, limit: u64) -> (u64, bool) {
        match self.policy.of(subject.kind) {
            OnLost::Local => (limit, false),
            OnLost::Refuse if !self.scriptless => (0, true),
            OnLost::Share | OnLost::Refuse => {
                let place = rank::place(
                    &[&subject.owner.0, subject.kind.word().as_bytes()],
                    &self.node,
                    &self.nodes,
                );
                (even_share(limit, self.count(), u64::from(place)), false)
            }
        }
    }

    fn keep_to(
        &mut self,
        subject: LimitSubject,
        given: Option<(u64, Time)>,
        now: Time,
        effects: &mut Vec<QuotaEffect>,
    ) {
        let Some(quota) = self.limits.get(&subject) else {
            return;
        };
        let (lost, refuses) = self.without(subject, quota.limit);
        let own = match given {
            Some((share, until)) => OwnShare {
                share: share.min(quota.limit),
                until,
                lost,
                refuses,
            },
            None => OwnShare {
                share: lost,
                until: now,
                lost,
                refuses,
            },
        };
        let count = u64::try_from(quota.uses.len()).unwrap_or(1).max(1);
        let parts = quota.uses.keys().zip(0..).map(|(holder, place)| {
            let part = own.part(place, count);
            QuotaEffect::Share(holder.clone(), vec![(subject.kind, part)])
        });
        effects.extend(parts);
        if let Some(quota) = self.limits.get_mut(&subject) {
            quota.own = own;
        }
    }

    /// How a key or a client uses its limits. One that has not been told its share is told.
    pub fn counted(
        &mut self,
        holder: &LimitHolder,
        owner: Fingerprint,
        uses: Vec<LimitUse>,
        now: Time,
    ) -> Vec<QuotaEffect> {
        let mut effects = Vec::new();
        for one in uses {
            let subject = LimitSubject {
                owner,
                kind: one.kind,
            };
            if self.limits.len() >= MOST_KEPT && !self.limits.contains_key(&subject) {
                continue;
            }
            let (round, lost) = (self.round, self.policy.of(one.kind));
            let quota = self
                .limits
                .entry(subject)
                .or_insert_with(|| Quota::new(&one, lost));
            let is_new = quota.counted(holder, one, round);
            if is_new && !self.is_up && self.was_told {
                self.keep_to(subject, None, now, &mut effects);
            }
        }
        effects
    }

    /// How budgets are used, by what they are known as in the fleet.
    pub fn spent(&mut self, uses: Vec<(Fingerprint, BudgetUse)>) {
        for (owner, last) in uses {
            let subject = BudgetSubject {
                owner,
                window: last.window,
            };
            if self.budgets.len() >= MOST_KEPT && !self.budgets.contains_key(&subject) {
                continue;
            }
            let before = self.budgets.get(&subject);
            let quota = BudgetQuota {
                last,
                counted: self.round,
                asked: before.and_then(|it| it.asked.clone()),
                given: before.and_then(|it| it.given),
            };
            self.budgets.insert(subject, quota);
        }
    }

    /// How long a question waits for the next.
    fn every(&self) -> Duration {
        // Above two hundred processes they ask less often, so that the store has as much to do.
        let count = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        ASK_EVERY.max(Duration::from_micros(2500).saturating_mul(count))
    }

    /// What is due at `now`. `random` is in 0..1, anew each time.
    pub fn due(&mut self, now: Time, random: f64) -> Vec<QuotaOrder> {
        let mut orders = Vec::new();
        if self.count_at <= now {
            let spread = 0.8 + 0.4 * random.clamp(0.0, 1.0);
            self.count_at = now + self.every().mul_f64(spread);
            self.ask_at = Some(now + GATHER);
            self.forget();
            orders.push(QuotaOrder::Count);
        }
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            self.round += 1;
            if self.is_up && !self.scriptless {
                self.questions(now, &mut orders);
            }
        }
        orders
    }

    fn questions(&mut self, now: Time, orders: &mut Vec<QuotaOrder>) {
        let (every, nodes) = (self.every(), self.count());
        let idle = IDLE_EVERY.max(every * 2);
        let round = self.round;
        let mut shares = Vec::new();
        for (subject, quota) in &mut self.limits {
            if let Some(asks) = quota.question(subject.kind, round, (every, idle), now) {
                shares.push((*subject, asks));
            }
        }
        let mut claims = Vec::new();
        for (subject, quota) in &mut self.budgets {
            if let Some(asks) = quota.question(round, nodes, idle, now) {
                claims.push(BudgetQuestion {
                    subject: *subject,
                    asks,
                    lasts: Duration::from_secs(quota.last.lasts),
                });
            }
        }
        while !shares.is_empty() || !claims.is_empty() {
            let rest = shares.split_off(shares.len().min(MOST_AT_ONCE));
            let now = std::mem::replace(&mut shares, rest);
            let rest = claims.split_off(claims.len().min(MOST_AT_ONCE - now.len()));
            let these = std::mem::replace(&mut claims, rest);
            orders.push(QuotaOrder::Ask(round, now, these));
        }
    }

    /// What nobody counts any more ends by itself.
    fn forget(&mut self) {
        let oldest = self.round.saturating_sub(u64::from(FORGOTTEN));
        for quota in self.limits.values_mut() {
            quota.uses.retain(|_, (_, counted)| *counted >= oldest);
        }
        self.limits.retain(|_, quota| !quota.uses.is_empty());
        self.budgets.retain(|_, quota| quota.counted >= oldest);
    }

    /// The store has answered. An answer to another question than the last changes nothing.
    pub fn answered(&mut self, answers: QuotaAnswers, now: Time) -> Vec<QuotaEffect> {
        let mut effects = Vec::new();
        for (subject, given) in answers.shares {
            let Some(quota) = self.limits.get_mut(&subject) else {
                continue;
            };
            let Some((round, at, asks)) = quota.asked else {
                continue;
            };
            if round != answers.round {
                continue;
            }
            quota.nodes = given.nodes;
            quota.answered = round;
            // From when it was asked: what the answer took is lost to the one who asked, not to the others.
            let until = at + asks.ttl;
            self.keep_to(subject, Some((given.share, until)), now, &mut effects);
        }
        let mut news = Vec::new();
        for (subject, given) in answers.claims {
            let Some(quota) = self.budgets.get_mut(&subject) else {
                continue;
            };
            let asked = quota.asked.as_ref();
            if let Some((_, _, of)) = asked.filter(|(round, ..)| *round == answers.round) {
                let (meter, given_up) = (of.meter.clone(), of.given_up);
                quota.given = Some(given);
                news.push(BudgetNews::Given(meter, subject.window, given_up, given));
            }
        }
        if !news.is_empty() {
            effects.push(QuotaEffect::Budgets(news));
        }
        effects
    }

    /// When something is due next.
    pub fn next(&self) -> Time {
        let ask = self.ask_at.unwrap_or(Time::NEVER);
        ask.min(self.count_at)
    }
}

/// What a process has spent that ends: it needs nothing beyond that. No question comes after these.
pub fn last_questions(
    spent: impl Iterator<Item = (Fingerprint, BudgetUse)>,
) -> Vec<BudgetQuestion> {
    let last = spent.map(|(owner, last)| BudgetQuestion {
        subject: BudgetSubject {
            owner,
            window: last.window,
        },
        asks: ClaimQuestion {
            seq: 1 << 51,
            amount: last.amount.unwrap_or(0),
            has: last.used,
            used: last.used,
            want: 0,
            need: 0,
            heard: last.heard,
            nodes: 1,
        },
        lasts: Duration::from_secs(last.lasts),
    });
    last.collect()
}

#[cfg(test)]
mod tests;
