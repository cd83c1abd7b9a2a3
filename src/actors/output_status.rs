//! How long upstreams' answers are on average, as their provider's actor publishes it: what a request is expected to cost is
//! reckoned with it. Plain numbers beside the snapshots, which only the actor writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::domain::hash_map::HashMap;
use crate::domain::ids::ModelName;
use crate::domain::output_average::OutputAverage;

/// By model, for those that the configuration names: callers make up names of models.
#[derive(Debug, Default)]
pub struct OutputStatus(ArcSwap<HashMap<ModelName, Arc<AtomicU64>>>);

impl OutputStatus {
    /// The average of a model's answers; the first guess for one that is not known.
    pub fn of(&self, model: &ModelName) -> OutputAverage {
        let known = self.0.load();
        let known = known.get(model);
        known.map_or_else(OutputAverage::default, |place| {
            OutputAverage::from_parts(place.load(Ordering::Relaxed))
        })
    }

    /// The supervisor's part: the configuration names these models now.
    pub(crate) fn configure<'a>(&self, models: impl IntoIterator<Item = &'a ModelName>) {
        let before = self.0.load();
        let models = models.into_iter().map(|model| {
            let known = before.get(model).cloned();
            let first = || Arc::new(AtomicU64::new(OutputAverage::default().parts()));
            (model.clone(), known.unwrap_or_else(first))
        });
        self.0.store(Arc::new(models.collect()));
    }

    /// The actor's part: an answer of this model had so many tokens.
    pub(crate) fn add(&self, model: &ModelName, tokens: u64) {
        if let Some(place) = self.0.load().get(model) {
            let mut average = OutputAverage::from_parts(place.load(Ordering::Relaxed));
            average.add(tokens);
            place.store(average.parts(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_that_are_configured_are_kept() {
        let status = OutputStatus::default();
        let (known, unknown) = (ModelName::from("m"), ModelName::from("x"));
        status.configure([&known]);
        for model in [&known, &unknown] {
            status.add(model, 1300);
        }
        assert_eq!(status.of(&known).expected(None), 600);
        assert_eq!(status.of(&unknown), OutputAverage::default());
        // A change of the configuration forgets nothing of those that stay.
        status.configure([&unknown, &known]);
        assert_eq!(status.of(&known).expected(None), 600);
    }
}
