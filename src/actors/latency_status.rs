//! How upstreams answered of late, as their provider's actor publishes it. Each number stands for itself and changes with
//! most answers, so they are plain numbers beside the snapshots; only the actor writes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::domain::hash_map::HashMap;
use crate::domain::ids::ModelName;
use crate::domain::latency::{Averages, LatencySnapshot};
use crate::domain::peak_ewma::PeakEwma;
use crate::domain::time::Time;

/// By model, for those that the configuration names: callers make up names of models.
#[derive(Debug)]
pub struct LatencyStatus {
    models: ArcSwap<HashMap<ModelName, Arc<Published>>>,
    /// The decay of averages, in nanoseconds.
    decay: AtomicU64,
}

/// The decay of averages where no policy names one.
pub const DECAY: Duration = Duration::from_secs(10);

impl Default for LatencyStatus {
    fn default() -> Self {
        Self {
            models: ArcSwap::default(),
            decay: AtomicU64::new(nanos(DECAY)),
        }
    }
}

/// Nanoseconds plus one; 0 for `None`.
#[derive(Debug, Default)]
struct Published {
    slowest_stream: AtomicU64,
    slowest_whole: AtomicU64,
    served: AtomicU64,
    late_after: AtomicU64,
    averages: [PublishedAverage; 3],
}

/// An average and the moment for which it holds. A reader between two writes takes the value of one for the moment of the
/// other, which are microseconds apart.
#[derive(Debug, Default)]
struct PublishedAverage {
    value: AtomicU64,
    at: AtomicU64,
}

impl PublishedAverage {
    fn put(&self, average: Option<PeakEwma>) {
        let parts = average.map(PeakEwma::parts);
        put(&self.at, parts.map(|(_, at)| at.as_nanos()));
        put(&self.value, parts.map(|(value, _)| nanos(value)));
    }

    fn get(&self) -> Option<PeakEwma> {
        let value = Duration::from_nanos(get(&self.value)?);
        Some(PeakEwma::new(value, Time::from_nanos(get(&self.at)?)))
    }
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
        let Averages {
            stream,
            whole,
            per_token,
        } = latency.averages;
        for (place, average) in self.averages.iter().zip([stream, whole, per_token]) {
            place.put(average);
        }
    }

    fn get(&self) -> LatencySnapshot {
        LatencySnapshot {
            slowest_stream: get(&self.slowest_stream).map(Duration::from_nanos),
            slowest_whole: get(&self.slowest_whole).map(Duration::from_nanos),
            served: get(&self.served).map(Time::from_nanos),
            late_after: get(&self.late_after).map(Duration::from_nanos),
            averages: self.averages(),
        }
    }
}

impl Published {
    fn averages(&self) -> Averages {
        let [stream, whole, per_token] = &self.averages;
        Averages {
            stream: stream.get(),
            whole: whole.get(),
            per_token: per_token.get(),
        }
    }
}

impl LatencyStatus {
    /// The averages of a model, if the configuration names it.
    pub fn averages(&self, model: &ModelName) -> Option<Averages> {
        self.models.load().get(model).map(|known| known.averages())
    }

    /// The decay of averages.
    pub fn decay(&self) -> Duration {
        Duration::from_nanos(self.decay.load(Ordering::Relaxed))
    }

    /// What is published of a model; `None` for one that the configuration does not name.
    pub fn of(&self, model: &ModelName) -> Option<LatencySnapshot> {
        self.models.load().get(model).map(|known| known.get())
    }

    /// Whether the configuration names the model.
    pub(crate) fn is_of(&self, model: &ModelName) -> bool {
        self.models.load().contains_key(model)
    }

    /// The supervisor's part: the configuration names these models now.
    pub(crate) fn configure<'a>(
        &self,
        models: impl IntoIterator<Item = &'a ModelName>,
        decay: Duration,
    ) {
        self.decay.store(nanos(decay), Ordering::Relaxed);
        let before = self.models.load();
        let models = models.into_iter().map(|model| {
            let known = before.get(model).cloned().unwrap_or_default();
            (model.clone(), known)
        });
        self.models.store(Arc::new(models.collect()));
    }

    pub(crate) fn publish(&self, model: &ModelName, latency: &LatencySnapshot) {
        if let Some(place) = self.models.load().get(model) {
            place.put(latency);
        }
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&self) {
        for place in self.models.load().values() {
            place.put(&LatencySnapshot::default());
        }
    }
}
