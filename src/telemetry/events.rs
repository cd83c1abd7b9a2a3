//! One line per change of state of a key, an upstream or an actor, each with its reason and its end.
//! No prompt and no key material ever gets here: the arguments are ids, reasons and times.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::domain::circuit::{Change, Trip};
use crate::domain::ids::{KeyId, ModelName, ProviderName};
use crate::domain::refusal::Reason;

fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

/// A key cools, for one model or for all.
pub fn key_cooling(key: &KeyId, model: Option<&ModelName>, span: Duration, reason: Reason) {
    warn!(
        key = %key,
        model = model.map_or("*", ModelName::as_str),
        for_seconds = seconds(span),
        reason = match reason {
            Reason::Cooling => "rate_limited",
            other => other.as_str(),
        },
        "key cooling"
    );
}

/// A key was found invalid.
pub fn key_quarantined(key: &KeyId, span: Duration) {
    warn!(
        key = %key,
        for_seconds = seconds(span),
        reason = Reason::Invalid.as_str(),
        "key quarantined, one request probes it afterwards"
    );
}

/// A quarantined key served again.
pub fn key_recovered(key: &KeyId) {
    info!(key = %key, "key recovered");
}

/// All keys of a provider cool.
pub fn provider_cooling(provider: &ProviderName, span: Duration) {
    warn!(
        provider = %provider,
        for_seconds = seconds(span),
        reason = "rate_limited",
        "provider cooling"
    );
}

/// A breaker changed its state at `until - now = span` (zero when it closed).
pub fn circuit_changed(provider: &ProviderName, model: &ModelName, change: Change, span: Duration) {
    match change {
        Change::Opened { why, .. } => warn!(
            upstream = %format_args!("{provider}:{model}"),
            for_seconds = seconds(span),
            reason = match why {
                Trip::Consecutive => "failures in a row",
                Trip::Rate => "failure rate",
                Trip::Probe => "probe failed",
            },
            "circuit opened"
        ),
        Change::Closed => info!(upstream = %format_args!("{provider}:{model}"), "circuit closed"),
        Change::ProbeFree => {}
    }
}

/// A model does not exist at its provider.
pub fn model_gone(provider: &ProviderName, model: &ModelName, span: Duration) {
    warn!(
        upstream = %format_args!("{provider}:{model}"),
        for_seconds = seconds(span),
        reason = Reason::ModelGone.as_str(),
        "upstream left alone"
    );
}

/// An actor ended without being asked to.
pub fn actor_failed(actor: &str, reason: &str) {
    error!(actor, reason, "actor failed");
}

/// An actor is running again.
pub fn actor_restarted(actor: &str) {
    info!(actor, "actor restarted");
}

/// An actor failed too often and stays down for a while.
pub fn actor_quarantined(actor: &str, span: Duration) {
    error!(actor, for_seconds = seconds(span), "actor quarantined");
}
