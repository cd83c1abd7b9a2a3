//! From a configuration to the process's place in its fleet.

use crate::actors::spec::FleetSpec;
use crate::actors::tree::Tree;
use crate::config::Config;
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
        let store = FleetStore::start(&self.options, self.orders, std::sync::Arc::new(news));
        Some(Joined {
            orders,
            _store: store,
        })
    }
}

impl Joined {
    /// Says that the process ends. Waits for that for a moment at most.
    pub(super) async fn leave(&self) {
        self.orders.leave().await;
    }
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
