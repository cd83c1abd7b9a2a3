//! What of a key's state outlives the process, and a key's state from that.

use super::{KeyState, MODELS_KEPT, QUOTA_MAX, REPROBE_FIRST, REPROBE_MAX, Validity};
use crate::domain::cooldown::Cooldown;
use crate::domain::ids::ModelName;
use crate::domain::memory::{KeyMemory, LimitMemory, QuarantineMemory};
use crate::domain::pace::Paces;
use crate::domain::time::Time;

impl KeyState {
    /// Why the key is out, for the next process.
    pub fn memory(&self, now: Time) -> KeyMemory {
        let whole = self.whole.memory(now);
        let models = self.models.iter();
        let models = models.filter_map(|(model, cooldown)| {
            cooldown.memory(now).map(|memory| (model.clone(), memory))
        });
        let mut models: Vec<_> = models.collect();
        models.sort_by(|one, other| one.0.cmp(&other.0));
        KeyMemory {
            whole,
            exhausted: self.exhausted && whole.is_some(),
            models,
            quarantine: match self.validity {
                Validity::Valid => None,
                Validity::Invalid { until, span, .. } => Some(QuarantineMemory { until, span }),
            },
        }
    }

    /// The limits that were learned, for the next process.
    pub fn limits_memory(&self, now: Time) -> Vec<LimitMemory> {
        self.paces.memory(now)
    }

    /// Whether nothing is left of a learned limit of `model`.
    pub fn is_used_up(&self, model: &ModelName, now: Time) -> bool {
        self.paces.is_used_up(model, now)
    }

    /// A new key takes over what is remembered of it. Nothing lasts longer than it could have at `now`: a rate limit
    /// the configured maximum, a quota 31 days, a quarantine its span of at most an hour.
    pub fn restore(&mut self, memory: &KeyMemory, limits: &[LimitMemory], now: Time) {
        let latest = now + self.cooldown.max;
        if let Some(whole) = memory.whole {
            self.exhausted = memory.exhausted;
            let latest = if memory.exhausted {
                now + QUOTA_MAX
            } else {
                latest
            };
            self.whole = Cooldown::restored(whole, latest);
        }
        for (model, cooldown) in memory.models.iter().take(MODELS_KEPT) {
            let cooldown = Cooldown::restored(*cooldown, latest);
            self.models.insert(model.clone(), cooldown);
        }
        if let Some(QuarantineMemory { until, span }) = memory.quarantine {
            let span = span.clamp(REPROBE_FIRST, REPROBE_MAX);
            self.validity = Validity::Invalid {
                until: until.min(now + span),
                span,
                probe: None,
            };
        }
        if self.limits.pacing.learn {
            self.paces = Paces::restored(limits, now);
        }
    }
}
