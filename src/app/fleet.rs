//! From a configuration to the process's place in its fleet.

mod purse;

use std::sync::Arc;

use self::purse::FleetPurse;
use super::assemble::unix;
use crate::access::Clients;
use crate::actors::spec::FleetSpec;
use crate::actors::tree::Tree;
use crate::budgets::Budgets;
use crate::config::Config;
use crate::dispatch::Dispatch;
use crate::domain::fleet::quota::SharedLimits;
use crate::domain::fleet::{LostPolicy, quotas};
use crate::domain::ids::FleetNode;
use crate::runtime::clock::Clock;
use crate::store::fleet::{FleetOrders, FleetStore, FleetStoreOptions, WaitingOrders};
use crate::wire::fleet::secret::{FleetSecret, is_node};

/// Bytes of the machine's name in that of the process.
const LONGEST_HOST: usize = 48;

/// A fleet that has not been joined yet.
pub(super) struct Joining {
    pub(super) spec: FleetSpec,
    options: FleetStoreOptions,
    orders: WaitingOrders,
}

/// A process that belongs to a fleet. It leaves when this is dropped.
pub(super) struct Joined {
    orders: FleetOrders,
    secret: FleetSecret,
    clock: Clock,
    lost: LostPolicy,
    _store: FleetStore,
}

/// What the tree has to know before it starts; `None` where the configuration has no fleet.
pub(super) fn joining(config: &Config, clock: Clock) -> Option<Joining> {
    let fleet = config.fleet.as_ref()?;
    let (orders, waiting) = FleetOrders::new();
    let secret = FleetSecret::new(&fleet.secret);
    let node = node();
    Some(Joining {
        spec: FleetSpec {
            name: fleet.name.clone(),
            node: node.clone(),
            server: fleet.server.to_string(),
            secret: secret.clone(),
            lost: fleet.lost,
            orders,
        },
        options: FleetStoreOptions {
            server: fleet.server.clone(),
            authorities: fleet.authorities.clone(),
            fleet: fleet.name.clone(),
            secret,
            node,
            clock,
        },
        orders: waiting,
    })
}

impl Joining {
    /// Begins to talk to the store. Nothing waits for it.
    pub(super) fn join(self, tree: &Tree) -> Option<Joined> {
        let news = tree.fleet_news()?;
        let orders = self.spec.orders;
        let store = FleetStore::start(&self.options, self.orders, Arc::new(news));
        Some(Joined {
            orders,
            secret: self.spec.secret,
            clock: self.options.clock,
            lost: self.spec.lost,
            _store: store,
        })
    }
}

impl Joined {
    /// Says that the process ends, and what it has spent: what it has claimed beyond that is there for others. Waits for that for a
    /// moment at most.
    pub(super) async fn leave(&self, budgets: &Budgets) {
        let spent = budgets.leave_fleet(unix(self.clock)).await.into_iter();
        let spent = spent.map(|one| (self.secret.purse(&one.meter), one));
        self.orders.leave(quotas::last_questions(spent)).await;
    }
}

/// Clients and budgets keep to their shares, and say how they are used.
pub(super) fn counts(
    fleet: Option<&Joined>,
    tree: &Tree,
    clients: Option<&Clients>,
    dispatch: &Dispatch,
) {
    let (Some(fleet), Some(spending)) = (fleet, tree.fleet_spending()) else {
        return;
    };
    let mut shared: Vec<Arc<dyn SharedLimits>> = Vec::new();
    if let Some(clients) = clients {
        clients.join_fleet(fleet.lost);
        let all = clients.all().into_iter();
        shared.extend(all.map(|client| client as Arc<dyn SharedLimits>));
    }
    let purse = FleetPurse::new(dispatch.budgets.clone(), fleet.clock, Arc::new(spending));
    tree.fleet_counts(shared, Some(Arc::new(purse)));
}

/// The machine's name, and which start of a process there this is: one that was started again is another one.
fn node() -> FleetNode {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.unwrap_or_default();
    let host: String = host.trim().chars().take(LONGEST_HOST).collect();
    let host = if is_node(&host) { &host } else { "node" };
    FleetNode::from(format!("{host}.{:08x}", fastrand::u32(..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_is_a_process_of_its_own() {
        let (one, other) = (node(), node());
        assert!(is_node(one.as_str()), "{one}");
        assert_ne!(one, other);
    }
}
