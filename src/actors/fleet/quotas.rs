//! Shares of limits and budgets, between those who count them here and the store.

use super::{FleetActor, FleetCore};
use crate::actors::message::fleet::FleetMember;
use crate::domain::budget::BudgetUse;
use crate::domain::fleet::quotas::{QuotaEffect, QuotaOrder};
use crate::domain::fleet::{FleetOrder, FleetWord, LimitHolder, LimitUse};
use crate::domain::ids::KeyId;
use crate::domain::time::Time;

impl FleetActor {
    /// How a key uses its limits.
    pub(super) fn used(&self, core: &mut FleetCore, key: KeyId, uses: Vec<LimitUse>, now: Time) {
        let Some(owner) = core.table.owner(&FleetMember::Key(key.clone())) else {
            return;
        };
        let holder = LimitHolder::Key(key);
        let effects = core.quotas.counted(&holder, owner, uses, now);
        self.give(effects, core, now);
    }

    /// How budgets are used.
    pub(super) fn spent(&self, core: &mut FleetCore, uses: Vec<BudgetUse>) {
        let known = uses.into_iter();
        let known = known.map(|one| (self.secret.purse(&one.meter), one));
        core.quotas.spent(known.collect());
    }

    /// Asks those who count, and the store, when it is time. An order too many is left out: the next round asks again.
    pub(super) fn ask_for_shares(&self, core: &mut FleetCore, now: Time) {
        for order in core.quotas.due(now, fastrand::f64()) {
            match order {
                QuotaOrder::Count => self.count(core, now),
                QuotaOrder::Ask(round, shares, claims) => {
                    let order = FleetOrder::Ask(round, shares, claims);
                    drop(self.orders.send(order));
                }
            }
        }
    }

    fn count(&self, core: &mut FleetCore, now: Time) {
        core.table.count();
        let counters = self.counters.load();
        for client in &counters.clients {
            let (holder, uses) = (client.holder(), client.uses(now));
            if let (LimitHolder::Client(name), false) = (&holder, uses.is_empty()) {
                let owner = self.secret.client(name);
                let effects = core.quotas.counted(&holder, owner, uses, now);
                self.give(effects, core, now);
            }
        }
        if let Some(purse) = &counters.purse {
            purse.count();
        }
    }

    /// Tells those who count what they keep to.
    pub(super) fn give(&self, effects: Vec<QuotaEffect>, core: &FleetCore, now: Time) {
        if effects.is_empty() {
            return;
        }
        let counters = self.counters.load();
        for effect in effects {
            match effect {
                QuotaEffect::Share(LimitHolder::Key(key), shares) => {
                    core.table
                        .tell(&FleetMember::Key(key), FleetWord::Share(shares));
                }
                QuotaEffect::Share(holder, shares) => {
                    let clients = counters.clients.iter();
                    for client in clients.filter(|client| client.holder() == holder) {
                        client.keep_to(&shares, now);
                    }
                }
                QuotaEffect::Budgets(news) => {
                    if let Some(purse) = &counters.purse {
                        purse.keep_to(news);
                    }
                }
            }
        }
    }
}
