//! The policies of one provider: limits, timeouts, retries, cooldowns, breaker. What is absent takes the
//! documented default.

use std::time::Duration;

use super::catalog;
use super::raw;
use super::read::Report;
use super::values::{Amount, PositiveSpan, Span, share};
use crate::domain::backoff::Waits;
use crate::domain::breaker::BreakerPolicy;
use crate::domain::cooldown::CooldownPolicy;
use crate::domain::limits::{KeyLimits, PacingPolicy, RetryPolicy, Timeouts};
use crate::domain::near::near;

pub(super) fn limits(raw: &raw::KeyLimitsSection, pacing: &raw::Pacing) -> KeyLimits {
    let usual = PacingPolicy::default();
    KeyLimits {
        rpm: raw.rpm.map(|count| count.get()),
        tpm: raw.tpm.map(|count| count.get()),
        rpd: raw.rpd.map(|count| count.get()),
        max_in_flight: raw.max_in_flight.map(|count| count.get()),
        pacing: PacingPolicy {
            learn: pacing.learn.unwrap_or(usual.learn),
            adaptive_concurrency: pacing
                .adaptive_concurrency
                .unwrap_or(usual.adaptive_concurrency),
        },
    }
}

pub(super) fn timeouts(raw: &raw::TimeoutsSection) -> Timeouts {
    let usual = Timeouts::default();
    let or = |typed: Option<PositiveSpan>, usual| typed.map_or(usual, |PositiveSpan(span)| span);
    Timeouts {
        connect: or(raw.connect, usual.connect),
        first_byte: or(raw.first_byte, usual.first_byte),
        first_token: or(raw.first_token, usual.first_token),
        idle: or(raw.idle, usual.idle),
        response: or(raw.response, usual.response),
        total: or(raw.total, usual.total),
        first_token_chosen: raw.first_token.is_some(),
    }
}

pub(super) fn retry(raw: raw::RetrySection, path: &str, report: &mut Report) -> RetryPolicy {
    let usual = RetryPolicy::default();
    let waits = match raw.waits {
        None => usual.waits,
        Some(raw::WaitsForm::List(spans)) => {
            Waits::List(spans.into_iter().map(|Span(span)| span).collect())
        }
        Some(raw::WaitsForm::Growing(growing)) => {
            let factor = growing.factor.map_or(2.0, |Amount(factor)| factor);
            if factor < 1.0 {
                let place = format!("{path}.retry.waits.factor");
                report.problem(&place, "is below 1", "write 2 to double each wait");
            }
            let millis = Duration::from_millis;
            Waits::Exponential {
                initial: growing.initial.map_or(millis(500), |Span(span)| span),
                factor,
                max: growing.max.map_or(millis(8000), |Span(span)| span),
                jitter: share(growing.jitter, 0.25),
            }
        }
    };
    RetryPolicy {
        same_upstream: raw.same_upstream.unwrap_or(usual.same_upstream),
        waits,
    }
}

pub(super) fn breaker(raw: raw::BreakerSection) -> BreakerPolicy {
    let usual = BreakerPolicy::default();
    BreakerPolicy {
        failure_threshold: raw.failure_threshold.unwrap_or(usual.failure_threshold),
        failure_rate: share(raw.failure_rate, usual.failure_rate),
        window: raw.window.map_or(usual.window, |PositiveSpan(span)| span),
        min_requests: raw.min_requests.unwrap_or(usual.min_requests),
        recovery_time: raw
            .recovery_time
            .map_or(usual.recovery_time, |PositiveSpan(span)| span),
    }
}

pub(super) fn cooldown(
    raw: Option<raw::CooldownForm>,
    general: Option<Span>,
    path: &str,
    report: &mut Report,
) -> CooldownPolicy {
    let table = raw.map(|cooldown| cooldown.0).unwrap_or_default();
    let usual = CooldownPolicy::default();
    let policy = CooldownPolicy {
        max: table.max.map_or(usual.max, |Span(span)| span),
        scope: table.scope.unwrap_or_default(),
        ..usual
    };
    let Some(Span(default)) = table.default.or(general) else {
        // A maximum below the usual time shortens that time.
        let default = policy.default.min(policy.max);
        return CooldownPolicy { default, ..policy };
    };
    if table.max.is_some() && default > policy.max {
        let place = format!("{path}.cooldown");
        report.problem(
            &place,
            "default is longer than max",
            "raise max or lower default",
        );
    }
    with_default(policy, Some(Span(default)))
}

/// A configured time longer than the usual maximum raises that.
pub(super) fn with_default(policy: CooldownPolicy, default: Option<Span>) -> CooldownPolicy {
    let default = default.map_or(policy.default, |Span(span)| span);
    CooldownPolicy {
        default,
        max: policy.max.max(default),
        ..policy
    }
}

/// The time for a provider in `llm.cooldown`: its name, what stands before its first colon, `default`.
pub(super) fn cooldown_of(name: &str, cooldowns: &[(String, Span, String)]) -> Option<Span> {
    let of = |wanted: &str| {
        cooldowns
            .iter()
            .find(|(name, ..)| name == wanted)
            .map(|entry| entry.1)
    };
    let head = name.split_once(':').map_or(name, |(head, _)| head);
    of(name).or_else(|| of(head)).or_else(|| of("default"))
}

/// Names in `llm.cooldown` that no provider answers to.
pub(super) fn check_cooldown_names(
    providers: &[raw::ProviderSection],
    cooldowns: &[(String, Span, String)],
    report: &mut Report,
) {
    let names: Vec<&str> = providers
        .iter()
        .filter_map(|raw| raw.name.as_deref())
        .collect();
    for (name, _, path) in cooldowns {
        let head = |other: &&str| other.split_once(':').is_some_and(|(head, _)| head == name);
        let known = name == "default"
            || names.contains(&name.as_str())
            || names.iter().any(head)
            || catalog::all().iter().any(|entry| entry.id == *name);
        if known {
            continue;
        }
        let message = match name.split_once(':') {
            Some((provider, _)) => format!("times are per provider: write `{provider}`"),
            None => "no provider has this name".to_owned(),
        };
        if report.lenient {
            report.warn(path, format!("{message}; ignored"));
        } else {
            let near = near(name, names.iter().copied());
            let suggestion = near.first().map(|near| format!("did you mean `{near}`?"));
            report.problem(path, message, &suggestion.unwrap_or_default());
        }
    }
}
