//! What the tasks that talk to the store share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::keys::FleetKeys;
use crate::domain::fleet::quotas::BudgetQuestion;
use crate::domain::fleet::{FleetFact, FleetNews, FleetOrder, FleetSubject};
use crate::domain::ids::FleetNode;
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::wire::fleet::record::{FleetRecord, NotARecord};
use crate::wire::fleet::secret::FleetSecret;

/// What an answer may take. Nothing but the fleet's own tasks waits for it.
pub(super) const ANSWER: Duration = Duration::from_millis(250);

/// Where news goes.
pub type NewsSink = Arc<dyn Fn(FleetNews) + Send + Sync>;

/// What comes over the channel.
#[derive(Debug)]
pub(super) enum StoreOrder {
    /// From the fleet's actor.
    Do(FleetOrder),
    /// This process ends, and has spent that: it is listed no longer.
    Leave(Vec<BudgetQuestion>, oneshot::Sender<()>),
}

/// What both tasks need.
#[derive(Clone)]
pub(super) struct StoreParts {
    pub(super) keys: FleetKeys,
    pub(super) secret: FleetSecret,
    pub(super) node: FleetNode,
    pub(super) clock: Clock,
    pub(super) news: NewsSink,
}

impl StoreParts {
    /// The fact of a record that was written `age` ago.
    pub(super) fn fact(
        &self,
        bytes: &[u8],
        age: Duration,
    ) -> Result<(FleetSubject, FleetFact), NotARecord> {
        let record = FleetRecord::decode(bytes, &self.secret)?;
        let fact = record.fact(age, self.clock.now());
        Ok((record.subject, fact))
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn tell(&self, news: FleetNews) {
        (self.news)(news);
    }
}
