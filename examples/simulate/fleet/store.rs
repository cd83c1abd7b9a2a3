//! The model of a store: what the scripts do, on a clock of its own, which jumps when another server takes over.

use std::collections::BTreeMap;
use std::time::Duration;

use pointsman::domain::fleet::{FleetFact, FleetSubject};
use pointsman::domain::ids::FleetNode;
use pointsman::domain::time::Time;
use pointsman::wire::fleet::record::FleetRecord;

/// A field of the hash.
#[derive(Clone)]
struct Field {
    ends: Duration,
    keeps: Duration,
    record: FleetRecord,
}

/// What it holds.
#[derive(Clone, Default)]
pub struct ModelStore {
    fields: BTreeMap<FleetSubject, Field>,
    nodes: BTreeMap<FleetNode, Duration>,
    claims: BTreeMap<FleetSubject, Duration>,
    /// Its clock, ahead of the true one.
    pub ahead: Duration,
}

impl ModelStore {
    /// Its own time.
    pub fn clock(&self, now: Duration) -> Duration {
        now + self.ahead
    }

    /// As `MERGE`: the records that were news.
    pub fn merge(
        &mut self,
        records: &[FleetRecord],
        sent: Duration,
        now: Duration,
    ) -> Vec<FleetRecord> {
        let now = self.clock(now);
        let late = now.saturating_sub(sent);
        let mut news = Vec::new();
        for record in records {
            let ends = (now + record.left).saturating_sub(late);
            let keeps = ends.max((now + record.keep).saturating_sub(late));
            let known = self.fields.get(&record.subject);
            let known = known.filter(|known| now < known.keeps);
            let is_news = known.is_none_or(|known| {
                let other = known.record.generation;
                let is_lower = other < record.generation;
                is_lower
                    || (other == record.generation && known.ends + Duration::from_secs(1) < ends)
            });
            if is_news {
                let record = record.clone();
                news.push(record.clone());
                self.fields.insert(
                    record.subject.clone(),
                    Field {
                        ends,
                        keeps,
                        record,
                    },
                );
            }
        }
        news
    }

    /// As `HGETALL`, read by a process whose clock shows `local`.
    pub fn all(&self, now: Duration, local: Time) -> Vec<(FleetSubject, FleetFact)> {
        let now = self.clock(now);
        let all = self.fields.iter().map(|(subject, field)| {
            let written = field.ends.saturating_sub(field.record.left);
            let age = now.saturating_sub(written);
            (subject.clone(), field.record.fact(age, local))
        });
        all.collect()
    }

    /// As `BEAT`.
    pub fn beat(&mut self, node: &FleetNode, now: Duration) -> Vec<FleetNode> {
        let now = self.clock(now);
        self.nodes.insert(node.clone(), now);
        let gone = now.saturating_sub(Duration::from_secs(20));
        self.nodes.retain(|_, last| *last >= gone);
        self.nodes.keys().cloned().collect()
    }

    /// As `SET NX PX`.
    pub fn claim(&mut self, subject: &FleetSubject, ttl: Duration, now: Duration) -> bool {
        let now = self.clock(now);
        let is_free = self.claims.get(subject).is_none_or(|until| *until <= now);
        if is_free {
            self.claims.insert(subject.clone(), now + ttl);
        }
        is_free
    }
}
