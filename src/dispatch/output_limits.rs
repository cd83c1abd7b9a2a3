//! How much output a provider's models give at most, as their refusals said. A memory aid: whoever forgets it asks once more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::ids::ModelName;
use crate::domain::time::Time;

/// So long a limit counts. An update may raise it.
const HOLDS_FOR: Duration = Duration::from_secs(60 * 60);
/// The most models of one provider of which it is known.
const MODELS: usize = 256;

/// The most output of one model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OutputLimit {
    /// In tokens.
    pub(super) most: u64,
    /// Whether it was exceeded by a request that named no limit: the usual one is too high.
    pub(super) by_default: bool,
    until: Time,
}

/// The limits of one provider's models.
#[derive(Debug)]
pub struct OutputLimits {
    /// Whether there are any: nearly all providers have none.
    any: AtomicBool,
    models: watch::Sender<BTreeMap<ModelName, OutputLimit>>,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self {
            any: AtomicBool::new(false),
            models: watch::channel(BTreeMap::new()).0,
        }
    }
}

impl OutputLimits {
    /// A request to this model was refused, as it gives no more than `most`.
    pub(super) fn note(&self, model: &ModelName, most: u64, by_default: bool, now: Time) {
        self.models.send_modify(|models| {
            models.retain(|_, limit| limit.until > now);
            if models.len() < MODELS || models.contains_key(model) {
                let before = models.get(model);
                let limit = OutputLimit {
                    most,
                    by_default: by_default || before.is_some_and(|before| before.by_default),
                    until: now + HOLDS_FOR,
                };
                models.insert(model.clone(), limit);
            }
        });
        self.any.store(true, Ordering::Relaxed);
    }

    /// What is known of this model.
    pub(super) fn of(&self, model: &ModelName, now: Time) -> Option<OutputLimit> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let limit = self.models.borrow().get(model).copied();
        limit.filter(|limit| limit.until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_known_for_an_hour_and_of_a_bounded_number_of_models() {
        let limits = OutputLimits::default();
        let (model, now) = (ModelName::from("m"), Time::from_millis(5));
        assert_eq!(limits.of(&model, now), None);
        limits.note(&model, 8192, true, now);
        limits.note(&model, 4096, false, now);
        let known = limits.of(&model, now).unwrap();
        assert_eq!((known.most, known.by_default), (4096, true));
        for number in 0..2 * MODELS {
            limits.note(
                &ModelName::from(format!("n{number}").as_str()),
                1,
                false,
                now,
            );
        }
        assert_eq!(limits.models.borrow().len(), MODELS);
        assert_eq!(limits.of(&model, now + HOLDS_FOR), None);
        limits.note(&ModelName::from("o"), 1, false, now + HOLDS_FOR);
        assert_eq!(limits.models.borrow().len(), 1);
    }
}
