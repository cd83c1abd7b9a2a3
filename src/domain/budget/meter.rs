//! What is counted of the windows of one length: spent, reserved, and above that.

use std::sync::Arc;

use super::claim::MeterClaim;
use super::period::Period;
use super::policy::{BudgetPolicy, BudgetScope};
use crate::domain::money::Pico;
use crate::domain::zone::Zone;

/// What a request has reserved, to be given back when it settles.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ticket(pub(super) Vec<(MeterKey, Pico)>);

/// A window's spending for the next process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PersistedMeter {
    /// Of which requests.
    pub scope: BudgetScope,
    /// How long the window is.
    pub period: Period,
    /// The name of the zone.
    pub zone: Arc<str>,
    /// The window's number.
    pub number: i64,
    /// What was spent in it.
    pub spent: Pico,
    /// Amounts of soft budgets, and the last mark that was told of each.
    pub told: Vec<(Pico, u8)>,
}

/// Which windows: of whose spending, how long, and where days begin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MeterKey {
    /// Of which requests.
    pub scope: BudgetScope,
    /// How long a window is.
    pub period: Period,
    /// The name of the zone.
    pub zone: Arc<str>,
}

/// Windows of one length of one scope, and the present one.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    pub(super) period: Period,
    pub(super) zone: Zone,
    pub(super) number: i64,
    pub(super) spent: Pico,
    /// Goes from window to window with the requests that are under way.
    pub(super) reserved: Pico,
    pub(super) over_run: Pico,
    pub(super) told: Vec<(Pico, u8)>,
    /// In a fleet: what this process has claimed of it.
    pub(super) claim: Option<Box<MeterClaim>>,
}

impl Meter {
    pub(super) fn new(period: Period, zone: &Zone, unix: i64) -> Self {
        Self {
            period,
            zone: zone.clone(),
            number: period.number(unix, zone),
            spent: Pico::ZERO,
            reserved: Pico::ZERO,
            over_run: Pico::ZERO,
            told: Vec::new(),
            claim: None,
        }
    }

    pub(super) fn is(&self, period: Period, zone: &str) -> bool {
        self.period == period && *self.zone.name == *zone
    }

    /// Goes on to the window of this moment. A clock that was set back opens no earlier one.
    pub(super) fn roll(&mut self, unix: i64) {
        let number = self.period.number(unix, &self.zone);
        if number > self.number {
            self.number = number;
            self.spent = Pico::ZERO;
            self.over_run = Pico::ZERO;
            self.told.clear();
            if let Some(claim) = &mut self.claim {
                claim.roll(number);
            }
        }
    }

    pub(super) fn taken(&self) -> Pico {
        self.spent.plus(self.reserved)
    }

    pub(super) fn ends(&self) -> Option<i64> {
        self.period
            .begins(self.number.saturating_add(1), &self.zone)
    }
}

impl Ticket {
    /// The largest amount in any of the budgets.
    pub fn most(&self) -> Pico {
        let amounts = self.0.iter().map(|(_, amount)| *amount);
        amounts.max().unwrap_or_default()
    }

    /// Of several upstreams the dearest one counts.
    pub(super) fn reserve(&mut self, budget: &BudgetPolicy, estimate: Option<Pico>) {
        let Some(estimate) = estimate.filter(|estimate| *estimate > Pico::ZERO) else {
            return;
        };
        let key = MeterKey {
            scope: budget.scope.clone(),
            period: budget.period,
            zone: Arc::clone(&budget.zone.name),
        };
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, amount)) => *amount = (*amount).max(estimate),
            None => self.0.push((key, estimate)),
        }
    }
}

/// The last mark that is reached, in percent.
pub(super) fn reached(spent: Pico, amount: Pico) -> Option<u8> {
    let (spent, amount) = (u128::from(spent.get()), u128::from(amount.get()));
    if spent >= amount {
        Some(100)
    } else {
        (spent * 100 >= amount * 80).then_some(80)
    }
}
