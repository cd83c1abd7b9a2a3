//! What the fleet's actor publishes of itself.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::life_status::LifeStatus;
use super::mailbox::Mailbox;
use super::message::fleet::FleetMember;
use crate::domain::fleet::quotas::{ClaimView, QuotaView};
use crate::domain::fleet::{FactKind, FactReason};
use crate::domain::ids::{FleetNode, ModelName};
use crate::domain::time::Time;

/// The published state of the fleet's actor.
#[derive(Debug)]
pub struct FleetStatus {
    /// The fleet's name.
    pub name: String,
    /// This process.
    pub node: FleetNode,
    /// Its server, as it may be shown.
    pub server: String,
    /// Whether its actor runs.
    pub life: LifeStatus,
    /// What waits for its actor.
    pub mailbox: Arc<Mailbox>,
    view: ArcSwap<FleetSnapshot>,
}

/// What it last published.
#[derive(Clone, Debug, Default)]
pub struct FleetSnapshot {
    /// The store can be asked.
    pub is_up: bool,
    /// Why not, as far as that is known.
    pub trouble: Option<String>,
    /// Since when that is so.
    pub since: Time,
    /// The store runs no scripts: what was said.
    pub scriptless: Option<String>,
    /// The processes that were there at the last look.
    pub nodes: Vec<FleetNode>,
    /// What is known, some of it.
    pub facts: Vec<KnownFact>,
    /// How many facts are known.
    pub known: usize,
    /// How long the last fact that was heard took from the store to here.
    pub lag: Option<Duration>,
    /// When the store was last heard of.
    pub heard_at: Option<Time>,
    /// Facts that the store has not got yet.
    pub unsent: usize,
    /// Limits that are shared, some of them.
    pub limits: Vec<QuotaView>,
    /// Budgets that are shared, likewise.
    pub budgets: Vec<ClaimView>,
    /// Counts since the process began.
    pub counts: FleetCounts,
}

/// Counts since the process began.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FleetCounts {
    /// Facts that were told.
    pub sent: u64,
    /// Facts of others that were heard.
    pub heard: u64,
    /// Records that were not of this fleet, or broken.
    pub ignored: u64,
}

/// A fact, for readers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownFact {
    /// Whom it is about; `None`: nobody here.
    pub member: Option<FleetMember>,
    /// What is known.
    pub kind: FactKind,
    /// For which model.
    pub model: Option<ModelName>,
    /// Until when.
    pub until: Time,
    /// Counts the early ends.
    pub generation: u64,
    /// Why it stands so.
    pub reason: FactReason,
    /// Who said so.
    pub node: FleetNode,
}

impl FleetStatus {
    pub(crate) fn new(name: String, node: FleetNode, server: String) -> Self {
        Self {
            name,
            node,
            server,
            life: LifeStatus::default(),
            mailbox: Arc::default(),
            view: ArcSwap::default(),
        }
    }

    /// What the actor last published.
    pub fn view(&self) -> Arc<FleetSnapshot> {
        self.view.load_full()
    }

    pub(crate) fn publish(&self, view: FleetSnapshot) {
        self.view.store(Arc::new(view));
    }
}
