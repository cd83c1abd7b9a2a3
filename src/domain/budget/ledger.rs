//! The ledger: what is spent and reserved in the windows of all budgets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::claim::FleetPart;
use super::meter::{Meter, MeterKey, PersistedMeter, Ticket, reached};
use super::period::Period;
use super::policy::{BudgetPolicy, BudgetScope, Mode, Payer, Spender, UnpricedSpend};
use super::standing::{BudgetStanding, Tightest};
use super::verdict::{
    AdmittedCost, CandidateCost, Closed, Refused, RefusedCost, SpendInquiry, SpendVerdict,
};
use crate::domain::ids::ProviderName;
use crate::domain::money::Pico;
use crate::domain::zone::Zone;

/// A soft budget has reached a mark, for the first time in its window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Whose.
    pub owner: Spender,
    /// The budget in words.
    pub what: String,
    /// 80 or 100.
    pub percent: u8,
    /// What was spent.
    pub spent: Pico,
}

/// How a budget stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BudgetView {
    /// The budget.
    pub budget: BudgetPolicy,
    /// Spent in the present window.
    pub spent: Pico,
    /// Reserved by requests under way.
    pub reserved: Pico,
    /// What requests of this window cost above their reservations.
    pub over_run: Pico,
    /// When the window ends, in seconds since 1970; `None`: never.
    pub ends: Option<i64>,
}

impl BudgetView {
    /// The same in short.
    pub fn standing(&self) -> BudgetStanding {
        BudgetStanding {
            what: self.budget.described(),
            amount: self.budget.amount,
            spent: self.spent,
            reserved: self.reserved,
            ends: self.ends,
        }
    }
}

/// All budgets with what is spent and reserved.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(super) budgets: Vec<BudgetPolicy>,
    pub(super) meters: BTreeMap<BudgetScope, Vec<Meter>>,
    /// In a fleet.
    pub(super) fleet: Option<FleetPart>,
}

/// What keeps a candidate from being asked.
#[derive(Default)]
struct Obstacles {
    /// Numbers of budgets without room for it.
    exhausted: Vec<usize>,
    /// The fleet has not given enough of one of these.
    is_short: bool,
    /// The first budget that refuses what has no price.
    unpriced: Option<usize>,
}

impl Obstacles {
    fn closed(&self) -> Option<Closed> {
        let unpriced = self.unpriced.map(Closed::Unpriced);
        unpriced.or_else(|| self.exhausted.first().copied().map(Closed::Budget))
    }
}

impl Ledger {
    /// These budgets hold from now on. What their owners have spent in windows that go on is kept, whatever the amounts and
    /// periods were.
    pub fn configure(&mut self, budgets: Vec<BudgetPolicy>, unix: i64) {
        for budget in &budgets {
            for period in Period::COUNTED.into_iter().chain([budget.period]) {
                self.count(&budget.scope, period, &budget.zone, unix);
            }
        }
        for (scope, meters) in &mut self.meters {
            let goes_on = budgets.iter().any(|budget| budget.scope == *scope);
            meters.iter_mut().for_each(|meter| meter.roll(unix));
            meters.retain(|meter| {
                let empty = meter.spent == Pico::ZERO && meter.reserved == Pico::ZERO;
                goes_on || !empty
            });
        }
        self.meters.retain(|_, meters| !meters.is_empty());
        self.budgets = budgets;
    }

    /// Whether there is no budget.
    pub fn is_empty(&self) -> bool {
        self.budgets.is_empty()
    }

    /// Begins to count windows of a scope. One of the same number in another zone is the same window.
    fn count(&mut self, scope: &BudgetScope, period: Period, zone: &Zone, unix: i64) {
        let meters = self.meters.entry(scope.clone()).or_default();
        if meters.iter().any(|meter| meter.is(period, &zone.name)) {
            return;
        }
        let mut meter = Meter::new(period, zone, unix);
        if self.fleet.is_some() {
            meter.join_fleet();
        }
        let same = meters
            .iter()
            .filter(|other| other.period == period && other.number == meter.number);
        meter.spent = same.map(|other| other.spent).max().unwrap_or_default();
        meters.push(meter);
    }

    /// What an earlier process has counted.
    pub fn restore(&mut self, saved: Vec<PersistedMeter>, unix: i64) {
        for one in saved {
            if *one.zone == *"UTC" {
                self.count(&one.scope, one.period, &Zone::utc(), unix);
            }
            let meters = self.meters.entry(one.scope).or_default();
            for meter in meters.iter_mut().filter(|meter| meter.period == one.period) {
                meter.roll(unix);
                if meter.number != one.number {
                    continue;
                }
                meter.spent = meter.spent.max(one.spent);
                meter.heard_of(one.spent);
                if meter.told.is_empty() {
                    meter.told.clone_from(&one.told);
                }
            }
        }
        self.meters.retain(|_, meters| !meters.is_empty());
    }

    /// What the next process is to know: windows in which something was spent.
    pub fn persisted(&self) -> Vec<PersistedMeter> {
        let all = self.meters.iter();
        let all = all.flat_map(|(scope, meters)| meters.iter().map(move |meter| (scope, meter)));
        let spent = all.filter(|(_, meter)| meter.spent > Pico::ZERO);
        let saved = spent.map(|(scope, meter)| PersistedMeter {
            scope: scope.clone(),
            period: meter.period,
            zone: Arc::clone(&meter.zone.name),
            number: meter.number,
            spent: meter.spent,
            told: meter.told.clone(),
        });
        saved.collect()
    }

    /// How all budgets stand at this moment.
    pub fn views(&mut self, unix: i64) -> Vec<BudgetView> {
        self.roll(unix);
        let views = self.budgets.iter().filter_map(|budget| {
            let meter = self.meter(budget)?;
            Some(BudgetView {
                budget: budget.clone(),
                spent: meter.spent_by_all(),
                reserved: meter.reserved,
                over_run: meter.over_run,
                ends: meter.ends(),
            })
        });
        views.collect()
    }

    /// Whether a request may go to its candidates. What it may cost is reserved in all budgets that apply, at once.
    pub fn admit(&mut self, inquiry: SpendInquiry<'_>) -> SpendVerdict {
        self.note_wanted(&inquiry);
        let verdict = self.look(inquiry);
        if let SpendVerdict::Admitted(AdmittedCost { ticket, .. }) = &verdict {
            for (key, amount) in &ticket.0 {
                if let Some(meter) = self.meter_of(key) {
                    meter.reserved = meter.reserved.plus(*amount);
                }
            }
        }
        verdict
    }

    /// What [`admit`](Self::admit) would say. Reserves nothing.
    pub fn look(&mut self, inquiry: SpendInquiry<'_>) -> SpendVerdict {
        let SpendInquiry {
            payer,
            candidates,
            steered,
            unix,
        } = inquiry;
        self.roll(unix);
        let obstacles: Vec<Obstacles> = candidates
            .iter()
            .map(|candidate| self.obstacles(payer, candidate, steered))
            .collect();
        let closed: Vec<Option<Closed>> = obstacles.iter().map(Obstacles::closed).collect();
        if !closed.is_empty() && closed.iter().all(Option::is_some) {
            return self.none_left(candidates, &obstacles, closed);
        }
        let open = candidates.iter().zip(&closed);
        let open = open.filter_map(|(candidate, closed)| closed.is_none().then_some(candidate));
        let mut admitted = AdmittedCost {
            soft: steered.iter().any(|number| self.is_soft(*number)),
            ..AdmittedCost::default()
        };
        let mut tightest = Tightest::default();
        for candidate in open {
            for budget in self
                .budgets
                .iter()
                .filter(|it| applies(it, payer, candidate))
            {
                let meter = self.meter(budget);
                let spent = meter.map_or(Pico::ZERO, Meter::spent_by_all);
                if let Some(meter) = meter {
                    tightest.look(budget, meter);
                }
                admitted.soft |= budget.mode == Mode::Soft && spent >= budget.amount;
                admitted.ticket.reserve(budget, candidate.estimate);
            }
        }
        admitted.closed = closed;
        admitted.tightest = tightest.standing();
        SpendVerdict::Admitted(admitted)
    }

    fn is_soft(&self, number: usize) -> bool {
        let budget = self.budgets.get(number);
        budget.is_some_and(|it| it.mode == Mode::Soft)
    }

    fn obstacles(
        &self,
        payer: Payer<'_>,
        candidate: &CandidateCost,
        steered: &[usize],
    ) -> Obstacles {
        let mut found = Obstacles::default();
        // What is free passes however little is left.
        if candidate.estimate == Some(Pico::ZERO) {
            return found;
        }
        let numbered = self.budgets.iter().enumerate();
        for (number, budget) in numbered.filter(|(_, it)| applies(it, payer, candidate)) {
            let Some(meter) = self.meter(budget).filter(|_| !steered.contains(&number)) else {
                continue;
            };
            let full = match (budget.mode, candidate.estimate) {
                (Mode::Hard, Some(estimate)) => meter.taken().plus(estimate) > budget.amount,
                (Mode::Hard, None) => {
                    if budget.unpriced == UnpricedSpend::Refuse {
                        found.unpriced.get_or_insert(number);
                    }
                    meter.taken() >= budget.amount
                }
                (Mode::Soft, _) => budget.then.is_some() && meter.spent_by_all() >= budget.amount,
            };
            let short = self.shortage(budget, meter, candidate.estimate);
            found.is_short |= !full && short == Some(false);
            if full || short.is_some() {
                found.exhausted.push(number);
            }
        }
        found
    }

    /// No candidate is left: where the request goes instead, or why it goes nowhere.
    fn none_left(
        &self,
        candidates: &[CandidateCost],
        obstacles: &[Obstacles],
        closed: Vec<Option<Closed>>,
    ) -> SpendVerdict {
        let numbers = obstacles.iter().flat_map(|found| &found.exhausted);
        let mut steering = numbers.filter_map(|number| {
            let then = self.budgets.get(*number)?.then.as_ref()?;
            Some((Arc::clone(then), *number))
        });
        if let Some((then, number)) = steering.next() {
            return SpendVerdict::Then(then, number);
        }
        let described = |number: usize| {
            let budget = self.budgets.get(number);
            budget.map(BudgetPolicy::described).unwrap_or_default()
        };
        // Those that time helps.
        let full = candidates.iter().zip(obstacles);
        let mut full = full.filter(|(_, found)| found.unpriced.is_none());
        let Some((candidate, found)) = full.next() else {
            let first = obstacles.iter().find_map(|found| found.unpriced);
            let first = first.unwrap_or_default();
            return SpendVerdict::Refused(RefusedCost {
                why: Refused::Unpriced {
                    what: described(first),
                },
                closed,
                by: self.standing(first),
            });
        };
        if obstacles.iter().any(|found| found.is_short) {
            let short = obstacles.iter().find(|found| found.is_short);
            let first = short.and_then(|found| found.exhausted.first());
            let first = first.copied().unwrap_or_default();
            return SpendVerdict::Refused(RefusedCost {
                why: Refused::Short {
                    what: described(first),
                    is_lost: self.is_lost(),
                },
                closed,
                by: self.standing(first),
            });
        }
        let mut until = self.room_at(found);
        for (_, found) in full {
            until = match (until, self.room_at(found)) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        let first = found.exhausted.first().copied().unwrap_or_default();
        let amount = self.budgets.get(first).map_or(Pico::ZERO, |it| it.amount);
        SpendVerdict::Refused(RefusedCost {
            why: Refused::Exhausted {
                what: described(first),
                too_large: candidate.estimate.is_some_and(|estimate| estimate > amount),
                until,
            },
            closed,
            by: self.standing(first),
        })
    }

    /// How the budget of that number stands.
    fn standing(&self, number: usize) -> Option<BudgetStanding> {
        let budget = self.budgets.get(number)?;
        Some(BudgetStanding::of(budget, self.meter(budget)?))
    }

    /// When all of these budgets have begun another window; `None`: never.
    fn room_at(&self, found: &Obstacles) -> Option<i64> {
        let ends = found.exhausted.iter().map(|number| {
            let meter = self.meter(self.budgets.get(*number)?)?;
            meter.ends()
        });
        let ends: Option<Vec<i64>> = ends.collect();
        ends?.into_iter().max()
    }

    /// A request has ended: what it reserved is given back, and what it did cost is counted in the windows of this moment.
    /// Returns the marks that soft budgets have reached by it.
    pub fn settle(
        &mut self,
        ticket: Ticket,
        payer: Payer<'_>,
        charges: &[(ProviderName, Pico)],
        unix: i64,
    ) -> Vec<Mark> {
        self.roll(unix);
        let costs = costs_by_owner(payer.client, charges);
        for (key, reserved) in ticket.0 {
            let cost = costs.get(&key.scope.owner).copied().unwrap_or_default();
            if let Some(meter) = self.meter_of(&key) {
                meter.reserved = meter.reserved.minus(reserved);
                meter.over_run = meter.over_run.plus(cost.minus(reserved));
            }
        }
        let counting = self.meters.iter_mut();
        for (scope, meters) in counting.filter(|(scope, _)| scope.has(payer.target)) {
            if let Some(cost) = costs.get(&scope.owner) {
                for meter in meters {
                    meter.spent = meter.spent.plus(*cost);
                    if let Some(claim) = &mut meter.claim {
                        claim.used = claim.used.plus(*cost);
                    }
                }
            }
        }
        self.marks(payer.target, &costs)
    }

    /// Gives back what was reserved for a request for which nothing was sent.
    pub fn release(&mut self, ticket: Ticket) {
        for (key, reserved) in ticket.0 {
            if let Some(meter) = self.meter_of(&key) {
                meter.reserved = meter.reserved.minus(reserved);
            }
        }
    }

    /// Marks that were not told yet.
    fn marks(&mut self, target: &str, costs: &BTreeMap<Spender, Pico>) -> Vec<Mark> {
        let mut marks = Vec::new();
        let soft = self.budgets.iter();
        let soft = soft.filter(|it| it.mode == Mode::Soft);
        let soft = soft.filter(|it| it.scope.has(target) && costs.contains_key(&it.scope.owner));
        for budget in soft {
            let meters = self.meters.get_mut(&budget.scope).into_iter().flatten();
            let mut meters = meters.filter(|it| it.is(budget.period, &budget.zone.name));
            let Some(meter) = meters.next() else {
                continue;
            };
            let Some(percent) = reached(meter.spent_by_all(), budget.amount) else {
                continue;
            };
            let told = meter.told.iter_mut().find(|(of, _)| *of == budget.amount);
            match told {
                Some((_, told)) if *told >= percent => continue,
                Some((_, told)) => *told = percent,
                None => meter.told.push((budget.amount, percent)),
            }
            marks.push(Mark {
                owner: budget.scope.owner.clone(),
                what: budget.described(),
                percent,
                spent: meter.spent,
            });
        }
        marks
    }

    pub(super) fn roll(&mut self, unix: i64) {
        let meters = self.meters.values_mut().flatten();
        meters.for_each(|meter| meter.roll(unix));
    }

    pub(super) fn meter(&self, budget: &BudgetPolicy) -> Option<&Meter> {
        let meters = self.meters.get(&budget.scope)?;
        let mut meters = meters.iter();
        meters.find(|meter| meter.is(budget.period, &budget.zone.name))
    }

    pub(super) fn meter_of(&mut self, key: &MeterKey) -> Option<&mut Meter> {
        let meters = self.meters.get_mut(&key.scope)?;
        let mut meters = meters.iter_mut();
        meters.find(|meter| meter.is(key.period, &key.zone))
    }
}

pub(super) fn applies(budget: &BudgetPolicy, payer: Payer<'_>, candidate: &CandidateCost) -> bool {
    let is_of = match &budget.scope.owner {
        Spender::Whole => true,
        Spender::Client(name) => payer.client == Some(name),
        Spender::Provider(name) => candidate.provider == *name,
    };
    is_of && budget.scope.has(payer.target)
}

fn costs_by_owner(
    client: Option<&str>,
    charges: &[(ProviderName, Pico)],
) -> BTreeMap<Spender, Pico> {
    let mut costs = BTreeMap::new();
    let mut add = |owner: Spender, cost: Pico| {
        let sum: &mut Pico = costs.entry(owner).or_default();
        *sum = sum.plus(cost);
    };
    for (provider, cost) in charges.iter().filter(|(_, cost)| *cost > Pico::ZERO) {
        add(Spender::Whole, *cost);
        add(Spender::Provider(provider.clone()), *cost);
        if let Some(client) = client {
            add(Spender::Client(client.into()), *cost);
        }
    }
    costs
}
