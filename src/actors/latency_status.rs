//! How upstreams answered of late, as their provider's actor publishes it. Each number stands for itself and changes with
//! most answers, so they are plain numbers beside the snapshots; only the actor writes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::domain::ids::ModelName;
use crate::domain::latency::LatencySnapshot;
use crate::domain::time::Time;

/// By model, for those that the configuration names: callers make up names of models.
#[derive(Debug, Default)]
pub struct LatencyStatus(ArcSwap<HashMap<ModelName, Arc<Published>>>);

/// Nanoseconds plus one; 0 for `None`.
#[derive(Debug, Default)]
struct Published {
    slowest_stream: AtomicU64,
    slowest_whole: AtomicU64,
    served: AtomicU64,
    late_after: AtomicU64,
}

fn put(place: &AtomicU64, nanos: Option<u64>) {
    let nanos = nanos.map_or(0, |nanos| nanos.saturating_add(1));
    place.store(nanos, Ordering::Relaxed);
}

fn get(place: &AtomicU64) -> Option<u64> {
    place.load(Ordering::Relaxed).checked_sub(1)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Published {
    fn put(&self, latency: &LatencySnapshot) {
        put(&self.slowest_stream, latency.slowest_stream.map(nanos));
        put(&self.slowest_whole, latency.slowest_whole.map(nanos));
        put(&self.served, latency.served.map(Time::as_nanos));
        put(&self.late_after, latency.late_after.map(nanos));
    }

    fn get(&self) -> LatencySnapshot {
        LatencySnapshot {
            slowest_stream: get(&self.slowest_stream).map(Duration::from_nanos),
            slowest_whole: get(&self.slowest_whole).map(Duration::from_nanos),
            served: get(&self.served).map(Time::from_nanos),
            late_after: get(&self.late_after).map(Duration::from_nanos),
        }
    }
}

impl LatencyStatus {
    /// What is published of a model; `None` for one that the configuration does not name.
    pub fn of(&self, model: &ModelName) -> Option<LatencySnapshot> {
        self.0.load().get(model).map(|known| known.get())
    }

    /// Whether the configuration names the model.
    pub(crate) fn is_of(&self, model: &ModelName) -> bool {
        self.0.load().contains_key(model)
    }

    /// The supervisor's part: the configuration names these models now.
    pub(crate) fn configure<'a>(&self, models: impl IntoIterator<Item = &'a ModelName>) {
        let before = self.0.load();
        let models = models.into_iter().map(|model| {
            let known = before.get(model).cloned().unwrap_or_default();
            (model.clone(), known)
        });
        self.0.store(Arc::new(models.collect()));
    }

    pub(crate) fn publish(&self, model: &ModelName, latency: &LatencySnapshot) {
        if let Some(place) = self.0.load().get(model) {
            place.put(latency);
        }
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&self) {
        for place in self.0.load().values() {
            place.put(&LatencySnapshot::default());
        }
    }
}
