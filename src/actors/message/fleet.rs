//! Messages to the fleet's actor.

use crate::domain::budget::BudgetUse;
use crate::domain::fleet::{FactKind, FleetNews, LimitUse, ToldAbsence};
use crate::domain::ids::{KeyId, ModelName, ProviderName};
use crate::domain::time::Time;

/// Who in this process.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FleetMember {
    /// A key.
    Key(KeyId),
    /// A provider.
    Provider(ProviderName),
}

/// What the fleet's actor understands.
#[derive(Debug)]
pub enum FleetMessage {
    /// From a key or a provider: what keeps it out has changed. Lost: its next change tells all of it, and the next
    /// incarnation of the fleet's actor asks everybody.
    Told(FleetMember, Vec<ToldAbsence>),
    /// From a key or a provider: an operator has released it. Lost: others keep to what they know until its end.
    Released(FleetMember),
    /// From a key or a provider: a probe was served, so this is over. Lost: likewise.
    Recovered(FleetMember, FactKind, Option<ModelName>),
    /// From a key, when it is asked: how its limits are used. Lost: it is asked again within a second.
    Used(KeyId, Vec<LimitUse>),
    /// From those who count budgets, when they are asked. Lost: likewise.
    Spent(Vec<BudgetUse>),
    /// From the supervisor: keys and providers have changed. Lost: the next one tells, as does the next incarnation.
    Configured,
    /// From the tasks that talk to the store. Lost: the next comparison with the store finds it.
    News(FleetNews),
    /// From itself: something is due, at the moment that it was set for. Lost: the next incarnation sets a new timer.
    Tick(Time),
}

impl FleetMessage {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Told(..) => "Told",
            Self::Released(_) => "Released",
            Self::Recovered(..) => "Recovered",
            Self::Used(..) => "Used",
            Self::Spent(_) => "Spent",
            Self::Configured => "Configured",
            Self::News(_) => "News",
            Self::Tick(_) => "Tick",
        }
    }
}
