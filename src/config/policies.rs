//! The policies of one provider, as typed and as meant: limits, timeouts, retries, cooldowns, breaker. What is absent
//! takes the documented default.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use config::ValueKind;

use super::catalog;
use super::read::{ConfigNode, FromNode, Report, section};
use super::resolved::Mock;
use super::values::{Amount, Fraction, PositiveSpan, Span, share};
use crate::domain::backoff::Waits;
use crate::domain::breaker::BreakerPolicy;
use crate::domain::cooldown::{CooldownPolicy, CooldownScope};
use crate::domain::limits::{KeyLimits, PacingPolicy, RetryPolicy, Timeouts};
use crate::domain::near::near;

section! {
    /// `llm.providers[].pacing`
    Pacing {
        /// Limits of requests and tokens, from headers, and from refusals where there are none. Default true.
        learn: bool,
        /// How many requests at the same time a key takes, from refusals for overload. Default true.
        adaptive_concurrency: bool,
    }
}

section! {
    /// `llm.providers[].limits`
    KeyLimitsSection {
        /// Requests per minute and key.
        rpm: NonZeroU64,
        /// Tokens per minute and key, prompt and answer together.
        tpm: NonZeroU64,
        /// Requests per day and key.
        rpd: NonZeroU64,
        /// Requests at the same time and key.
        max_in_flight: NonZeroU32,
    }
}

section! {
    /// `llm.providers[].timeouts`
    TimeoutsSection {
        /// Until a connection is established. Default `5s`.
        connect: PositiveSpan,
        /// Streams: until the response head. Default `60s`.
        first_byte: PositiveSpan,
        /// Streams: until the first content. Default: the profile's, else `180s`.
        first_token: PositiveSpan,
        /// Streams: between two chunks. Default `60s`.
        idle: PositiveSpan,
        /// Other answers: until the whole answer is there. Default `300s`.
        response: PositiveSpan,
        /// The whole attempt. Default `600s`.
        total: PositiveSpan,
    }
}

section! {
    /// `llm.providers[].retry`
    RetrySection {
        /// Extra tries at the same upstream per request. Default 1.
        same_upstream: u32,
        /// Waits before them: a list whose last one repeats, or `{initial, factor, max, jitter}`.
        waits: WaitsForm,
    }
}

section! {
    /// `llm.providers[].retry.waits` as growing waits.
    Growing {
        /// The first wait. Default `500ms`.
        initial: Span,
        /// Growth per try, at least 1. Default 2.
        factor: Amount,
        /// The longest wait. Default `8s`.
        max: Span,
        /// The share by which a wait may differ. Default 0.25.
        jitter: Fraction,
    }
}

/// `llm.providers[].retry.waits`
pub(super) enum WaitsForm {
    List(Vec<Span>),
    Growing(Growing),
}

impl FromNode for WaitsForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        match &node.value.kind {
            ValueKind::Table(_) => Growing::read(node, report).map(Self::Growing),
            ValueKind::Array(_) => Vec::read(node, report).map(Self::List),
            _ => Span::read(node, report).map(|span| Self::List(vec![span])),
        }
    }
}

section! {
    /// `llm.providers[].cooldown`
    CooldownTable {
        /// When the upstream names no time; doubles while limits repeat. 0: not at all. Default `60s`.
        default: Span,
        /// The longest cooldown for a rate limit. Default `15m`.
        max: Span,
        /// What cools: `key_model`, `key` or `provider`. Default `key_model`.
        scope: CooldownScope,
    }
}

/// `llm.providers[].cooldown`, also as a time alone.
pub(super) struct CooldownForm(pub CooldownTable);

impl FromNode for CooldownForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if matches!(node.value.kind, ValueKind::Table(_)) {
            return CooldownTable::read(node, report).map(Self);
        }
        Some(Self(CooldownTable {
            default: Some(Span::read(node, report)?),
            ..CooldownTable::default()
        }))
    }
}

section! {
    /// `llm.providers[].circuit_breaker`
    BreakerSection {
        /// Failures in a row that open it; 0 switches this signal off. Default 3.
        failure_threshold: u32,
        /// Share of failures in the window that opens it; 0 switches this signal off. Default 0.5.
        failure_rate: Fraction,
        /// The window's length. Default `30s`.
        window: PositiveSpan,
        /// The outcomes that the window must hold before its share counts. Default 10.
        min_requests: u32,
        /// From opening until one request is let through. Default `15s`.
        recovery_time: PositiveSpan,
    }
}

/// Failures and delays that are made up.
pub(super) fn mock(rate: Option<Fraction>, seed: Option<u64>, latency: Option<Span>) -> Mock {
    Mock {
        failure_rate: share(rate, 0.0),
        seed,
        latency: latency.map(|Span(span)| span).unwrap_or_default(),
    }
}

pub(super) fn limits(raw: &KeyLimitsSection, pacing: &Pacing) -> KeyLimits {
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

pub(super) fn timeouts(raw: &TimeoutsSection) -> Timeouts {
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

pub(super) fn retry(raw: RetrySection, path: &str, report: &mut Report) -> RetryPolicy {
    let usual = RetryPolicy::default();
    let waits = match raw.waits {
        None => usual.waits,
        Some(WaitsForm::List(spans)) => {
            Waits::List(spans.into_iter().map(|Span(span)| span).collect())
        }
        Some(WaitsForm::Growing(growing)) => {
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

pub(super) fn breaker(raw: BreakerSection) -> BreakerPolicy {
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
    raw: Option<CooldownForm>,
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

/// The time for a provider in `llm.cooldown`, by its name, the part before its first colon, or `default`.
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
    names: &[&str],
    cooldowns: &[(String, Span, String)],
    report: &mut Report,
) {
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
