//! One line per change of state of a key, an upstream, an actor or the process, each with its reason and its end; and
//! the same as an event of the [`feed`](super::feed), so that the two never disagree.
//! No prompt and no key material ever gets here: the arguments are ids, reasons and times.

use crate::domain::provider_state::Absence;
use crate::domain::time::Time;
use std::time::Duration;

use serde_json::Value;

use super::feed::feed;
use crate::domain::breaker::{BreakerChange, TripReason};
use crate::domain::budget::Spender;
use crate::domain::ids::{KeyId, ModelName, ProviderName, Upstream};
use crate::domain::money::Pico;
use crate::domain::refusal::Reason;

/// Logs a line and publishes an event, with the same fields: names first, then values.
macro_rules! tell {
    ($level:ident, $name:literal, $text:literal, [$($shown:ident),*], {$($field:ident: $value:expr),* $(,)?}) => {{
        let ($($field,)*) = ($($value,)*);
        tracing::$level!($($shown = %$shown,)* $($field,)* $text);
        let fields: Vec<(&str, Value)> = vec![
            $((stringify!($shown), Value::from($shown.to_string())),)*
            $((stringify!($field), Value::from($field)),)*
        ];
        feed().publish($name, fields);
    }};
}

fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

fn or_all(model: Option<&ModelName>) -> &str {
    model.map_or("*", ModelName::as_str)
}

/// A key cools, for one model or for all.
pub fn key_cooling(key: &KeyId, model: Option<&ModelName>, span: Duration, reason: Reason) {
    tell!(warn, "key_cooling", "key cooling", [key], {
        model: or_all(model),
        for_seconds: seconds(span),
        reason: match reason {
            Reason::Cooling => "rate_limited",
            other => other.as_str(),
        },
    });
}

/// An operator lets a key cool.
pub fn key_cooled_by_operator(key: &KeyId, model: Option<&ModelName>, span: Duration) {
    tell!(warn, "key_cooling", "key cooling", [key], {
        model: or_all(model),
        for_seconds: seconds(span),
        reason: "operator",
    });
}

/// A key was found invalid.
pub fn key_invalid(key: &KeyId, span: Duration) {
    tell!(warn, "key_invalid", "key invalid, one request probes it afterwards", [key], {
        for_seconds: seconds(span),
        reason: Reason::Invalid.as_str(),
    });
}

/// An operator holds a key; `None`: until it is released.
pub fn key_held(key: &KeyId, span: Option<Duration>) {
    tell!(warn, "key_held", "key held", [key], {
        for_seconds: span.map(seconds),
        reason: "operator",
    });
}

/// An operator ended whatever kept a key away.
pub fn key_released(key: &KeyId) {
    tell!(info, "key_released", "key released", [key], { reason: "operator" });
}

/// An invalid key served again.
pub fn key_recovered(key: &KeyId) {
    tell!(info, "key_recovered", "key recovered", [key], {});
}

/// A cooldown or a hold has ended: the key may be used again, for one model or for all.
pub fn key_usable(key: &KeyId, model: Option<&ModelName>) {
    tell!(info, "key_usable", "key usable again", [key], { model: or_all(model) });
}

/// All keys of a provider cool.
pub fn provider_cooling(provider: &ProviderName, span: Duration) {
    tell!(warn, "provider_cooling", "provider cooling", [provider], {
        for_seconds: seconds(span),
        reason: "rate_limited",
    });
}

/// An operator holds a provider; `None`: until it is released.
pub fn provider_held(provider: &ProviderName, span: Option<Duration>) {
    tell!(warn, "provider_held", "provider held", [provider], {
        for_seconds: span.map(seconds),
        reason: "operator",
    });
}

/// An operator ended whatever kept a provider away.
pub fn provider_released(provider: &ProviderName) {
    tell!(info, "provider_released", "provider released", [provider], { reason: "operator" });
}

/// A hold or a cooldown of all keys has ended: the provider may be asked again.
pub fn provider_usable(provider: &ProviderName) {
    tell!(
        info,
        "provider_usable",
        "provider usable again",
        [provider],
        {}
    );
}

/// A breaker changed its state at `until - now = span` (zero when it closed).
pub fn breaker_changed(
    provider: &ProviderName,
    model: &ModelName,
    change: BreakerChange,
    span: Duration,
) {
    let upstream = format_args!("{provider}:{model}");
    match change {
        BreakerChange::Opened { why, .. } => {
            tell!(warn, "breaker_opened", "breaker opened", [upstream], {
                for_seconds: seconds(span),
                reason: match why {
                    TripReason::Consecutive => "failures in a row",
                    TripReason::Rate => "failure rate",
                    TripReason::Probe => "probe failed",
                },
            });
        }
        BreakerChange::Closed => tell!(info, "breaker_closed", "breaker closed", [upstream], {}),
        BreakerChange::ProbeFree => {}
    }
}

/// One request is let through an open breaker, as the probe.
pub fn breaker_half_open(provider: &ProviderName, model: &ModelName) {
    let upstream = format_args!("{provider}:{model}");
    tell!(
        info,
        "breaker_half_open",
        "breaker half-open",
        [upstream],
        {}
    );
}

/// A model does not exist at its provider, or the upstream does not have an operation.
pub fn absent(provider: &ProviderName, model: &ModelName, absence: &Absence, now: Time) {
    let upstream = format_args!("{provider}:{model}");
    let operation = absence.operation.spec().route;
    let (span, reason) = (absence.until.since(now), absence.reason.as_str());
    match absence.reason {
        Reason::NotOffered => {
            tell!(info, "operation_not_offered", "upstream asked last for this operation", [upstream], {
                operation: operation,
                for_seconds: seconds(span),
                reason: reason,
            });
        }
        _ => tell!(warn, "model_gone", "upstream left alone", [upstream], {
            operation: operation,
            for_seconds: seconds(span),
            reason: reason,
        }),
    }
}

/// The waiting room is full: reported once, until it has room again.
pub fn waiting_room_full(waiting: u64) {
    tell!(warn, "waiting_room_full", "waiting room full", [], { waiting: waiting });
}

/// An actor ended without being asked to.
pub fn actor_failed(actor: &str, reason: &str) {
    tell!(error, "actor_failed", "actor failed", [], { actor: actor, reason: reason });
}

/// An actor is running again.
pub fn actor_restarted(actor: &str) {
    tell!(info, "actor_restarted", "actor restarted", [], { actor: actor });
}

/// An actor failed again and again with the state that it had: the next one begins with what was published of it.
pub fn actor_state_abandoned(actor: &str) {
    tell!(warn, "actor_state_abandoned", "actor's state abandoned", [], { actor: actor });
}

/// An actor failed too often and stays down for a while.
pub fn actor_quarantined(actor: &str, span: Duration) {
    tell!(error, "actor_quarantined", "actor quarantined", [], {
        actor: actor,
        for_seconds: seconds(span),
    });
}

/// Another configuration was taken over.
pub fn reloaded(trigger: &str, generation: u64, providers: usize) {
    tell!(info, "reloaded", "configuration reloaded", [], {
        trigger: trigger,
        generation: generation,
        providers: providers,
    });
}

/// Another configuration has mistakes.
pub fn not_reloaded(trigger: &str, mistakes: &str) {
    tell!(error, "reload_refused", "configuration not reloaded: nothing has changed", [], {
        trigger: trigger,
        mistakes: mistakes,
    });
}

/// A provider was added by way of the admin listener.
pub fn provider_added(provider: &ProviderName, generation: u64) {
    tell!(info, "provider_added", "provider added", [provider], { generation: generation, by: "admin" });
}

/// An added provider was taken away.
pub fn provider_removed(provider: &ProviderName, generation: u64) {
    tell!(info, "provider_removed", "added provider taken away", [provider], { generation: generation, by: "admin" });
}

/// A key was added by way of the admin listener; `reference`: where it comes from, never what it is.
pub fn key_added(provider: &ProviderName, id: &str, reference: &str, generation: u64) {
    tell!(info, "key_added", "key added", [provider], {
        added: id,
        reference: reference,
        generation: generation,
        by: "admin",
    });
}

/// An added key was taken away.
pub fn key_removed(provider: &ProviderName, id: &str, generation: u64) {
    tell!(info, "key_removed", "added key taken away", [provider], {
        added: id,
        generation: generation,
        by: "admin",
    });
}

/// Other lines are logged from now on.
pub fn log_level_changed(level: &str, by: &str) {
    tell!(info, "log_level_changed", "log level changed", [], { log_level: level, by: by });
}

/// The shutdown has begun: not ready, connections are still taken.
pub fn draining(delay: Duration, timeout: Duration) {
    tell!(info, "draining", "draining", [], {
        delay_seconds: delay.as_secs_f64(),
        timeout_seconds: timeout.as_secs_f64(),
    });
}

/// Nothing new is taken any more.
pub fn drain_closed() {
    tell!(info, "drain_closed", "listeners closed", [], {});
}

/// What is still under way is aborted.
pub fn drain_cut() {
    tell!(
        warn,
        "drain_cut",
        "requests were still under way when the drain timeout passed",
        [],
        {}
    );
}

/// Everything has ended in order.
pub fn stopped() {
    tell!(info, "stopped", "stopped", [], {});
}

/// An upstream's own figure for an answer differs from what its prices say by more than 1 %.
pub fn cost_differs(upstream: &Upstream, priced: Pico, told: Pico) {
    tell!(warn, "cost_differs", "an upstream charges something else than its prices say", [upstream], {
        priced: priced.to_string(),
        told: told.to_string(),
    });
}

/// A soft budget has reached a mark, for the first time in its window.
pub fn budget_mark(owner: &Spender, what: &str, percent: u8, spent: Pico) {
    tell!(warn, "budget_mark", "a soft budget is nearly or wholly used up", [], {
        kind: owner.kind(),
        owner: owner.name(),
        budget: what,
        percent: percent,
        spent: spent.to_string(),
    });
}

/// Spans were not taken by their receiver, for the first time since it last took some.
pub fn traces_failing(problem: &str) {
    tell!(warn, "traces_failing", "traces cannot be sent", [], {
        problem: problem,
    });
}

/// Spans are taken again.
pub fn traces_sent_again() {
    tell!(info, "traces_sent_again", "traces are sent again", [], {});
}

/// At the end, not all spans could be sent in time.
pub fn traces_lost(patience: Duration) {
    tell!(warn, "traces_lost", "the last traces could not be sent in time", [], {
        patience_seconds: patience.as_secs_f64(),
    });
}

/// Another process of the fleet knows that a key is out.
pub fn key_out_in_fleet(key: &KeyId, model: Option<&ModelName>, reason: &str, span: Duration) {
    tell!(info, "key_out_in_fleet", "key out, as another process says", [key], {
        model: or_all(model),
        reason: reason,
        for_seconds: seconds(span),
    });
}

/// Another process of the fleet knows that a provider or one of its models is out.
pub fn provider_out_in_fleet(
    provider: &ProviderName,
    model: Option<&ModelName>,
    reason: &str,
    span: Duration,
) {
    tell!(info, "provider_out_in_fleet", "provider out, as another process says", [provider], {
        model: or_all(model),
        reason: reason,
        for_seconds: seconds(span),
    });
}

/// The fleet's store cannot be asked, for the first time since it last could.
pub fn fleet_lost(server: &str, problem: &str) {
    tell!(warn, "fleet_lost", "the fleet's store can't be asked: going on with what is known", [], {
        server: server,
        problem: problem,
    });
}

/// The fleet's store can be asked, for the first time or again.
pub fn fleet_there(server: &str, is_back: bool) {
    tell!(info, "fleet_there", "the fleet's store can be asked", [], {
        server: server,
        back: is_back,
    });
}

/// The fleet's store refuses scripts.
pub fn fleet_without_scripts(server: &str, problem: &str) {
    tell!(warn, "fleet_without_scripts", "the fleet's store runs no scripts: facts are shared, and each process merges them by itself", [], {
        server: server,
        problem: problem,
    });
}
