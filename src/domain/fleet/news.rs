//! What comes from the store to a process, and from the fleet to a key or a provider here.

use super::fact::{FactKind, FleetFact, FleetSubject};
use super::quota::GivenShares;
use super::quotas::QuotaAnswers;
use crate::domain::dialect::Operation;
use crate::domain::ids::{FleetNode, ModelName};
use crate::domain::time::Time;

/// What the tasks that talk to the store have to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FleetNews {
    /// The store can be asked.
    Up,
    /// It cannot, and why.
    Down(String),
    /// From now on what others tell is heard: what they told before is to be read.
    Listening,
    /// What others have told, and how long ago the last of it was written.
    Heard(Vec<(FleetSubject, FleetFact)>, std::time::Duration),
    /// Everything that the store has.
    Stored(Vec<(FleetSubject, FleetFact)>),
    /// Facts were not told.
    NotSent(Vec<FleetSubject>),
    /// So many facts were told.
    Sent(u64),
    /// So many records were not of this fleet, or broken.
    Ignored(u64),
    /// The processes that are there.
    Nodes(Vec<FleetNode>),
    /// Whether this process tries first when that ends.
    Claimed(FleetSubject, bool),
    /// Shares of limits and budgets.
    Shares(QuotaAnswers),
    /// The store runs no scripts, and what was said: facts are written without being merged there.
    Scriptless(String),
}

/// What an actor says of itself that others may be told: what, for which model and operation, until when.
pub type ToldAbsence = (FactKind, Option<ModelName>, Option<Operation>, Time);

/// The fleet's word to a key or a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FleetWord {
    /// It is out until then, at least.
    Out(FactKind, Option<ModelName>, Option<Operation>, Time),
    /// What kept it out is over.
    End(FactKind, Option<ModelName>, Option<Operation>),
    /// It is tried here first when that ends: its first success is to be told.
    Try(FactKind, Option<ModelName>),
    /// Say again what keeps it out.
    Tell,
    /// Say how its limits are used.
    Count,
    /// Keep to these in place of its limits.
    Share(GivenShares),
}
