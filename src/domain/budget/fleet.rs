//! The ledger of a process that belongs to a fleet: what it tells of its budgets, and what it is told.

use super::claim::{AHEAD, MeterClaim};
use super::ledger::{Ledger, applies};
use super::meter::{Meter, MeterKey};
use super::period::Period;
use super::policy::{BudgetPolicy, Mode};
use super::shared::{BudgetNews, BudgetUse};
use super::verdict::SpendInquiry;
use crate::domain::fleet::money;
use crate::domain::money::Pico;

/// A window is remembered for so long after its end, in seconds.
const SPARE: u64 = 24 * 60 * 60;
/// One without an end for so long after the last question.
const LONG: u64 = 400 * SPARE;

impl Meter {
    /// Spent in the present window, by all processes as far as that was heard.
    pub(super) fn spent_by_all(&self) -> Pico {
        match &self.claim {
            Some(claim) => self.spent.max(claim.heard()),
            None => self.spent,
        }
    }

    /// Whether a hard budget of `amount` has no room for that in the fleet: `Some(true)` if it is used up, `Some(false)` if this
    /// process has not claimed enough of it. `lost`: the store cannot be asked, and of how many parts each may then spend one.
    pub(super) fn is_short(&self, amount: Pico, estimate: Pico, lost: Option<u64>) -> Option<bool> {
        let claim = self.claim.as_ref()?;
        if lost == Some(1) {
            return None;
        }
        let part = match lost {
            Some(parts) if parts > 0 => Pico::new(amount.get() / parts),
            _ => Pico::ZERO,
        };
        let taken = claim.used.plus(self.reserved).plus(estimate);
        if taken <= claim.claimed().max(part) {
            return None;
        }
        Some(claim.heard().max(self.spent).plus(estimate) > amount)
    }
}

impl Meter {
    pub(super) fn join_fleet(&mut self) {
        if self.claim.is_none() {
            let mut claim = MeterClaim::default();
            claim.roll(self.number);
            self.claim = Some(Box::new(claim));
        }
    }

    /// An earlier process has counted so much.
    pub(super) fn heard_of(&mut self, spent: Pico) {
        if let Some(claim) = &mut self.claim {
            let heard = money::spent_units(spent);
            claim.window.heard = claim.window.heard.max(heard);
        }
    }
}

impl Ledger {
    /// Other processes have the same budgets: from now on no hard one is spent beyond what this process has claimed.
    pub fn join_fleet(&mut self) {
        self.fleet.get_or_insert_default();
        for meter in self.meters.values_mut().flatten() {
            meter.join_fleet();
            let spent = meter.spent;
            meter.heard_of(spent);
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.fleet.is_some_and(|fleet| fleet.lost.is_some())
    }

    /// Whether the fleet leaves no room in a budget: as [`Meter::is_short`].
    pub(super) fn shortage(
        &self,
        budget: &BudgetPolicy,
        meter: &Meter,
        estimate: Option<Pico>,
    ) -> Option<bool> {
        let fleet = self.fleet.filter(|_| budget.mode == Mode::Hard)?;
        meter.is_short(budget.amount, estimate?, fleet.lost)
    }

    /// A request wants to spend something of these budgets.
    pub(super) fn note_wanted(&mut self, inquiry: &SpendInquiry<'_>) {
        if self.fleet.is_none() {
            return;
        }
        self.roll(inquiry.unix);
        let mut wanted: Vec<(MeterKey, Pico)> = Vec::new();
        for candidate in inquiry.candidates {
            let Some(estimate) = candidate.estimate else {
                continue;
            };
            let bound = self.budgets.iter().filter(|it| it.mode == Mode::Hard);
            let bound = bound.filter(|it| applies(it, inquiry.payer, candidate));
            wanted.extend(bound.map(|budget| (key_of(budget), estimate)));
        }
        for (key, estimate) in wanted {
            if let Some(meter) = self.meter_of(&key) {
                let reserved = meter.reserved;
                if let Some(claim) = &mut meter.claim {
                    claim.note_wanted(reserved, estimate);
                }
            }
        }
    }

    /// How all budgets are used, and what more is wanted of them.
    pub fn fleet_uses(&mut self, unix: i64) -> Vec<BudgetUse> {
        self.roll(unix);
        let mut uses = Vec::new();
        for (scope, meters) in &mut self.meters {
            for meter in meters {
                let mut bound = self.budgets.iter();
                let mine =
                    |it: &&BudgetPolicy| it.scope == *scope && meter.is(it.period, &it.zone.name);
                if !bound.any(|it| mine(&it)) {
                    continue;
                }
                let hard = self.budgets.iter().filter(mine);
                let hard = hard.filter(|it| it.mode == Mode::Hard);
                let amount = hard.map(|it| money::claim_units(it.amount)).min();
                let key = MeterKey {
                    scope: scope.clone(),
                    period: meter.period,
                    zone: meter.zone.name.clone(),
                };
                meter.uses(&key, amount, unix, &mut uses);
            }
        }
        uses
    }

    /// What the fleet has said.
    pub fn fleet_news(&mut self, news: Vec<BudgetNews>, unix: i64) {
        self.roll(unix);
        for one in news {
            match one {
                BudgetNews::Lost(lost) => {
                    if let Some(fleet) = &mut self.fleet {
                        fleet.lost = lost;
                    }
                }
                BudgetNews::Given(key, window, given_up, given) => {
                    let claim = self.meter_of(&key);
                    if let Some(claim) = claim.and_then(|meter| meter.claim.as_mut()) {
                        claim.given(window, given_up, given);
                    }
                }
            }
        }
    }

    /// What was spent in all windows, by a process that ends. Nothing is admitted any more that costs something.
    pub fn leave_fleet(&mut self, unix: i64) -> Vec<BudgetUse> {
        let mut uses = self.fleet_uses(unix);
        for meter in self.meters.values_mut().flatten() {
            if let Some(claim) = &mut meter.claim {
                claim.window.claimed = 0;
                claim.next.claimed = 0;
            }
        }
        uses.retain(|one| one.has > 0 || one.used > 0);
        uses
    }
}

impl Meter {
    fn uses(&mut self, key: &MeterKey, amount: Option<u64>, unix: i64, uses: &mut Vec<BudgetUse>) {
        let (reserved, ends) = (self.reserved, self.ends());
        let Some(claim) = &mut self.claim else {
            return;
        };
        let want = amount.map_or(0, |amount| claim.wants(reserved, amount));
        let left = ends.map(|ends| u64::try_from(ends.saturating_sub(unix)).unwrap_or(0));
        let lasts = left.map_or(LONG, |left| left.saturating_add(SPARE));
        uses.push(BudgetUse {
            meter: key.clone(),
            window: claim.window.number,
            amount,
            has: claim.window.claimed,
            given_up: claim.window.given_up,
            used: money::spent_units(claim.used),
            want,
            need: claim.need,
            heard: claim.window.heard,
            lasts,
        });
        if self.period == Period::Total || left.is_none_or(|left| left > AHEAD.unsigned_abs()) {
            return;
        }
        // What the next one begins with.
        let next = claim.window.number.saturating_add(1);
        let known = claim.next.number == next;
        let has = if known { claim.next.claimed } else { 0 };
        uses.push(BudgetUse {
            meter: key.clone(),
            window: next,
            amount,
            has,
            given_up: 0,
            used: 0,
            want: amount.map_or(0, |amount| {
                claim.wants_first(amount, reserved).saturating_sub(has)
            }),
            need: 0,
            heard: 0,
            lasts: lasts + SPARE,
        });
    }
}

fn key_of(budget: &BudgetPolicy) -> MeterKey {
    MeterKey {
        scope: budget.scope.clone(),
        period: budget.period,
        zone: budget.zone.name.clone(),
    }
}
