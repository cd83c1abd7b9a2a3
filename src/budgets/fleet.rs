//! Budgets that a fleet shares: the way between their task and the fleet's actor.

use std::fmt;
use std::sync::Arc;

use super::{BudgetAsk, Budgets};
use crate::domain::fleet::quota::{BudgetNews, BudgetUse, SharedPurse};
use crate::runtime::clock::Clock;

/// Where it is said how budgets are used.
pub type SpendingSink = Arc<dyn Fn(Vec<BudgetUse>) + Send + Sync>;

/// The budgets, as the fleet's actor sees them.
#[derive(Clone)]
pub struct FleetPurse {
    budgets: Budgets,
    clock: Clock,
    sink: SpendingSink,
}

impl FleetPurse {
    /// From now on these budgets are spent in parts.
    pub fn new(budgets: Budgets, clock: Clock, sink: SpendingSink) -> Self {
        budgets.send(BudgetAsk::JoinFleet);
        Self {
            budgets,
            clock,
            sink,
        }
    }

    fn unix(&self) -> i64 {
        i64::try_from(self.clock.anchor().wall.as_secs()).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for FleetPurse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FleetPurse")
    }
}

impl SharedPurse for FleetPurse {
    fn count(&self) {
        if !self.budgets.is_empty() {
            let sink = Arc::clone(&self.sink);
            self.budgets.send(BudgetAsk::FleetUses(sink, self.unix()));
        }
    }

    fn keep_to(&self, news: Vec<BudgetNews>) {
        self.budgets.send(BudgetAsk::FleetNews(news, self.unix()));
    }
}
