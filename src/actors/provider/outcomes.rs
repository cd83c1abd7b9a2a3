//! What leases report: good beginnings, latencies, outcomes.

use std::sync::Arc;
use std::time::Duration;

use super::{ProviderActor, ProviderCore};
use crate::actors::lease::LeaseRecord;
use crate::domain::breaker::BreakerChange;
use crate::domain::latency::LatencyStats;
use crate::domain::outcome::Class;
use crate::domain::provider_state::UpstreamChange;
use crate::telemetry::events;

impl ProviderActor {
    /// A stream has begun well: if it is a probe, others need not wait for its end.
    pub(super) fn began(&self, core: &mut ProviderCore, record: &LeaseRecord) {
        if !core.is_from_here(record) {
            return;
        }
        self.measured(core, record);
        if take_probe(core, record) {
            self.ended(core, record, Class::Success, false, true);
        }
    }

    /// Counts how long an attempt's upstream took, once, and publishes it.
    fn measured(&self, core: &mut ProviderCore, record: &LeaseRecord) {
        let Some(sample) = record.take_latency() else {
            return;
        };
        let model = &record.upstream.model;
        if !self.status.latency.is_of(model) {
            return;
        }
        if !core.latencies.contains_key(model) {
            core.latencies
                .insert(model.clone(), LatencyStats::default());
        }
        if let Some(stats) = core.latencies.get_mut(model) {
            stats.learn(&sample, self.status.latency.decay());
            self.status.latency.publish(model, &stats.snapshot());
        }
    }

    pub(super) fn report(&self, core: &mut ProviderCore, record: &LeaseRecord) {
        let Some(settlement) = record.outcome() else {
            return;
        };
        if !core.is_from_here(record) {
            return;
        }
        self.measured(core, record);
        if let Some(tokens) = record.take_answered() {
            self.status.output.add(&record.upstream.model, tokens);
        }
        let probe = take_probe(core, record);
        self.ended(core, record, settlement.class, settlement.counts, probe);
    }

    fn ended(
        &self,
        core: &mut ProviderCore,
        record: &LeaseRecord,
        class: Class,
        counts: bool,
        probe: bool,
    ) {
        let now = self.clock.now();
        let (model, operation) = (&record.upstream.model, record.operation);
        let change = core
            .state
            .settled(model, operation, class, counts, probe, now);
        let Some(change) = change else { return };
        let before = self.status.view();
        self.publish(core, now);
        match change {
            // A request without another upstream meets the same absence again and again: only the first is reported as
            // an event.
            UpstreamChange::Absent(absence) => {
                if before
                    .upstream(model)
                    .is_none_or(|it| !it.absences.has(&absence, now))
                {
                    events::absent(&self.id, model, &absence, now);
                }
            }
            UpstreamChange::Served => {}
            UpstreamChange::Circuit(change) => {
                let span = match change {
                    BreakerChange::Opened { until, .. } => until.since(now),
                    BreakerChange::Closed | BreakerChange::ProbeFree => Duration::ZERO,
                };
                events::breaker_changed(&self.id, model, change, span);
                if change == BreakerChange::Closed {
                    self.recovered(model);
                }
                match change {
                    BreakerChange::Closed | BreakerChange::ProbeFree => self.ready(usize::MAX),
                    BreakerChange::Opened { .. } => {}
                }
            }
        }
    }
}

/// Whether the lease is the present probe of its upstream; if so, it is none any more. A probe that was given up as lost
/// and replaced does not count.
fn take_probe(core: &mut ProviderCore, record: &LeaseRecord) -> bool {
    let model = &record.upstream.model;
    let is_probe = record.probe.as_ref().is_some_and(|token| {
        core.probes
            .get(model)
            .is_some_and(|current| std::ptr::eq(current.as_ptr(), Arc::as_ptr(token)))
    });
    if is_probe {
        core.probes.remove(model);
    }
    is_probe
}
