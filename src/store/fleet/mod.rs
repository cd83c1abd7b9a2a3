//! The store that a fleet shares, as the tasks see it that talk to it: [`FleetStore`] takes orders and tells news, and never
//! makes anybody wait. `keys` are the names of what is in it and the scripts that change it, `script` runs those, `orders` the task that
//! carries orders out, `shares` how it asks for parts of limits and budgets, `reader` the task that waits for what others tell.

mod keys;
mod orders;
mod parts;
mod reader;
mod script;
mod shares;

use tokio::sync::{mpsc, oneshot};

use self::keys::FleetKeys;
pub use self::parts::NewsSink;
use self::parts::{ANSWER, StoreOrder, StoreParts};
use super::valkey::link::{Link, LinkOptions, LinkPurpose};
use crate::domain::fleet::FleetOrder;
use crate::domain::fleet::quotas::BudgetQuestion;
use crate::domain::ids::FleetNode;
use crate::runtime::clock::Clock;
use crate::runtime::task::{TaskGuard, guarded};
use crate::wire::fleet::secret::FleetSecret;
use crate::wire::valkey_url::ValkeyServer;

/// Orders that may wait. More are refused, and their facts told later.
const MOST_ORDERS: usize = 64;

/// Which store, and who asks.
#[derive(Clone, Debug)]
pub struct FleetStoreOptions {
    /// The server.
    pub server: ValkeyServer,
    /// Certificate authorities in DER in place of the system's; empty: those of the system.
    pub authorities: Vec<Vec<u8>>,
    /// The fleet's name.
    pub fleet: String,
    /// What names and signs.
    pub secret: FleetSecret,
    /// This process.
    pub node: FleetNode,
    /// The time source.
    pub clock: Clock,
}

/// Takes orders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FleetOrders(mpsc::Sender<StoreOrder>);

/// Orders for a store that is not there yet.
#[derive(Debug)]
pub struct WaitingOrders(mpsc::Receiver<StoreOrder>);

impl FleetOrders {
    /// Orders, and where the store will find them.
    pub fn new() -> (Self, WaitingOrders) {
        let (send, receive) = mpsc::channel(MOST_ORDERS);
        (Self(send), WaitingOrders(receive))
    }

    /// Gives an order without waiting.
    ///
    /// # Errors
    /// It comes back when too many wait.
    pub fn send(&self, order: FleetOrder) -> Result<(), FleetOrder> {
        use mpsc::error::TrySendError::{Closed, Full};
        match self.0.try_send(StoreOrder::Do(order)) {
            Err(Full(StoreOrder::Do(order)) | Closed(StoreOrder::Do(order))) => Err(order),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Says that this process ends and what it has spent; waits for that for a bounded time.
    pub async fn leave(&self, spent: Vec<BudgetQuestion>) {
        let (reply, done) = oneshot::channel();
        if self.0.try_send(StoreOrder::Leave(spent, reply)).is_ok() {
            // A store that does not answer sees it leave by itself.
            let _ = tokio::time::timeout(2 * ANSWER, done).await;
        }
    }
}

/// The running tasks. They end when this is dropped.
#[derive(Debug)]
pub struct FleetStore {
    _orders: TaskGuard,
    _reader: TaskGuard,
}

impl FleetStore {
    /// Begins to connect and to carry out orders. Call it on a runtime.
    pub fn start(options: &FleetStoreOptions, orders: WaitingOrders, news: NewsSink) -> Self {
        let link = |purpose| {
            Link::start(LinkOptions {
                server: options.server.clone(),
                authorities: options.authorities.clone(),
                purpose,
            })
        };
        let store = StoreParts {
            keys: FleetKeys::new(&options.fleet),
            secret: options.secret.clone(),
            node: options.node.clone(),
            clock: options.clock,
            news,
        };
        let (asks, listens) = (link(LinkPurpose::Fleet), link(LinkPurpose::FleetNews));
        Self {
            _orders: guarded(orders::carry_out(store.clone(), asks, orders.0)),
            _reader: guarded(reader::listen(store, listens)),
        }
    }
}
