//! How providers and keys are shown: what their actors publish, in words.

use crate::domain::provider_state::Absence;
use std::collections::BTreeSet;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::actors::status::{
    KeySnapshot, KeyStatus, LifeStatus, ProviderSnapshot, ProviderStatuses,
};
use crate::domain::condition::KeyCondition;
use crate::domain::ids::{ModelName, ProviderName};
use crate::domain::limits::KeyLimits;
use crate::domain::pace::LimitStatus;
use crate::domain::ramp::Ramp;
use crate::domain::refusal::Reason;
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::wire::stamp::rfc3339;

/// One look at the clock for all that is shown together.
#[derive(Clone, Copy)]
pub(super) struct ClockReading {
    now: Time,
    wall: SystemTime,
}

impl ClockReading {
    pub(super) fn at(clock: Clock) -> Self {
        Self {
            now: clock.now(),
            wall: clock.wall(),
        }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// A moment before or after now, as people read it.
    pub(super) fn wall(&self, time: Time) -> String {
        let ahead = self.wall.checked_add(time.since(self.now));
        let moment = ahead.and_then(|moment| moment.checked_sub(self.now.since(time)));
        rfc3339(moment.unwrap_or(self.wall))
    }

    /// A moment to come; `null` for one that never comes.
    fn moment(&self, time: Time) -> Value {
        if time == Time::NEVER {
            return Value::Null;
        }
        json!({"at": self.wall(time), "seconds_left": seconds(time.until(self.now))})
    }

    fn moment_if_ahead(&self, time: Option<Time>) -> Value {
        time.filter(|time| self.now < *time)
            .map_or(Value::Null, |time| self.moment(time))
    }
}

pub(super) fn seconds(span: std::time::Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

pub(super) fn life(status: &LifeStatus) -> &'static str {
    status.get().as_str()
}

/// A provider with its keys. `models` are those that the configuration names.
pub(super) fn provider(
    name: &ProviderName,
    cells: &ProviderStatuses,
    models: &BTreeSet<ModelName>,
    look: ClockReading,
) -> Value {
    let view = cells.provider.view();
    let named = models
        .iter()
        .chain(view.upstreams.iter().map(|it| &it.model));
    let models: BTreeSet<&ModelName> = named.collect();
    let upstreams = models.into_iter().map(|model| upstream(&view, model, look));
    let keys = cells.keys.iter().map(|status| key(status, look));
    json!({
        "name": name.as_str(),
        "life": life(&cells.provider.life),
        "restarts": cells.provider.life.restarts(),
        "hold": hold(view.held, look),
        "cooling": look.moment_if_ahead(view.cooling),
        "upstreams": upstreams.collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(),
    })
}

/// An operator's hold: its end, or `null` in it until a release.
fn hold(held: Option<Time>, look: ClockReading) -> Value {
    let held = held.filter(|until| look.now < *until);
    held.map_or(Value::Null, |until| json!({"until": look.moment(until)}))
}

fn upstream(view: &ProviderSnapshot, model: &ModelName, look: ClockReading) -> Value {
    let known = view.upstream(model);
    let (breaker, until, since) = view.breaker(model, look.now);
    let share = known
        .and_then(|it| it.ramp.map(|ramp| ramp.since()))
        .map_or(1.0, |since| Ramp::new(since).share(look.now));
    let absences = known.into_iter().flat_map(|it| it.absences.all(look.now));
    let without = absences.map(|absence| {
        let Absence {
            operation,
            reason,
            until,
        } = absence;
        json!({"operation": operation.spec().route, "reason": reason.as_str(), "until": look.moment(until)})
    });
    let without: Vec<Value> = without.collect();
    json!({
        "model": model.as_str(),
        "breaker": breaker.as_str(),
        "open_until": look.moment_if_ahead(until),
        "probe_since": since.map(|since| look.wall(since)),
        "gone_until": look.moment_if_ahead(known.and_then(|it| it.absences.everything(look.now))),
        "without": without,
        "share": (share * 1000.0).round() / 1000.0,
    })
}

/// A key's state as JSON.
pub(super) fn key(status: &KeyStatus, look: ClockReading) -> Value {
    let view = status.view();
    let KeyLimits {
        rpm,
        tpm,
        rpd,
        max_in_flight,
        ..
    } = status.settings().limits;
    let learned = status.learned_limits();
    let learned: Vec<Value> = learned.iter().map(|known| limit(known, look)).collect();
    json!({
        "id": status.id.to_string(),
        "life": life(&status.life),
        "restarts": status.life.restarts(),
        "state": status.condition(look.now).as_str(),
        "in_flight": status.in_flight(),
        "attempts": status.attempts(),
        "hold": hold(view.held, look),
        "invalid": view.invalid.map(|probe| {
            json!({"probe": look.moment(probe), "probe_since": view.probing.map(|since| look.wall(since))})
        }),
        "cooling": cooling(&view, look),
        "limits": {"rpm": rpm, "tpm": tpm, "rpd": rpd, "max_in_flight": max_in_flight},
        "learned": {"max_in_flight": status.learned_concurrency(), "limits": learned},
    })
}

/// What cools: all models (`null`) first.
fn cooling(view: &KeySnapshot, look: ClockReading) -> Vec<Value> {
    let all = view.cooling_all.and_then(|refusal| {
        Some((
            None,
            KeyCondition::of(Some(refusal)).as_str(),
            refusal.ready_at?,
        ))
    });
    let one = view.cooling.iter();
    let one = one.map(|(model, until)| (Some(model), Reason::Cooling.as_str(), *until));
    let lasting = all.into_iter().chain(one);
    let lasting = lasting.filter(|(_, _, until)| look.now < *until);
    lasting
        .map(|(model, reason, until)| {
            json!({
                "model": model.map(ModelName::as_str),
                "reason": reason,
                "until": look.moment(until),
            })
        })
        .collect()
}

/// A limit that the key learned.
fn limit(known: &LimitStatus, look: ClockReading) -> Value {
    json!({
        "model": known.model.as_str(),
        "unit": known.unit,
        "limit": known.limit,
        "remaining": known.remaining,
        "per_minute": known.per_minute,
        "whole": look.moment_if_ahead(known.whole_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::condition::{BreakerCondition, KeyCondition, Life};

    #[test]
    fn the_description_of_the_interface_names_the_states_that_there_are() {
        let described: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let life = Life::ALL.map(Life::as_str);
        let key = KeyCondition::ALL.map(KeyCondition::as_str);
        let breaker = BreakerCondition::ALL.map(BreakerCondition::as_str);
        for (schema, field, words) in [
            ("Actor", "life", &life[..]),
            ("Router", "life", &life),
            ("Provider", "life", &life),
            ("Key", "life", &life),
            ("Key", "state", &key),
            ("Upstream", "breaker", &breaker),
        ] {
            let property = &described["components"]["schemas"][schema]["properties"][field];
            assert_eq!(property["enum"], json!(words), "{schema}.{field}");
        }
    }
}
