//! The budgets of a process, as the fleet's actor sees them.

use std::fmt;
use std::sync::Arc;

use crate::app::assemble::unix;
use crate::budgets::{Budgets, SpendingSink};
use crate::domain::budget::{BudgetNews, SharedPurse};
use crate::runtime::clock::Clock;

/// The budgets, as the fleet's actor sees them.
#[derive(Clone)]
pub(in crate::app) struct FleetPurse {
    budgets: Budgets,
    clock: Clock,
    sink: SpendingSink,
}

impl FleetPurse {
    /// From now on these budgets are spent in parts.
    pub(in crate::app) fn new(budgets: Budgets, clock: Clock, sink: SpendingSink) -> Self {
        budgets.join_fleet();
        Self {
            budgets,
            clock,
            sink,
        }
    }

    fn unix(&self) -> i64 {
        unix(self.clock)
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
            self.budgets.fleet_uses(sink, self.unix());
        }
    }

    fn keep_to(&self, news: Vec<BudgetNews>) {
        self.budgets.fleet_news(news, self.unix());
    }
}
