//! What `check` shows of what holds for a target: its profile, and what that or single keys set.

use serde_json::{Value, json};

use super::members;
use crate::config::{Config, show_duration};
use crate::domain::chain::VirtualEntry;
use crate::domain::hedge::{HedgeAfter, HedgePolicy};
use crate::domain::profile::TargetPolicy;
use crate::domain::rescue::RescuePolicy;

/// In parentheses behind a target; empty when nothing is set.
pub(super) fn shown(policy: &TargetPolicy, config: &Config) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(policy.rescue.as_ref().map(rescue));
    // Without a profile these are the same for all targets, and not shown.
    if let Some(profile) = policy.profile {
        parts.insert(0, format!("profile: {}", profile.as_str()));
        parts.push(format!("patience: {}", show_duration(policy.patience)));
        parts.extend(policy.first_token.map(|due| {
            let due = show_duration(due);
            format!("first token: {due}, from models that do not reason")
        }));
        parts.extend(policy.hedge.then(|| hedge(&hedging(config))));
    }
    let unsupported = policy
        .unsupported
        .map(|what| format!("unsupported: {}", what.as_str()));
    let fetch = policy.fetch.map(|how| format!("fetch: {}", how.as_str()));
    parts.extend(unsupported.into_iter().chain(fetch));
    if parts.is_empty() {
        String::new()
    } else {
        format!("  ({})", parts.join("; "))
    }
}

/// The same for machines.
pub(super) fn to_json(policy: &TargetPolicy, config: &Config) -> Value {
    let rescue = policy.rescue.as_ref().map(
        |rescue| json!({"mode": rescue.mode.as_str(), "hold_seconds": rescue.hold.as_secs_f64()}),
    );
    let hedge = policy.hedge.then(|| {
        let HedgePolicy { after, max_ratio } = hedging(config);
        let after = match after {
            HedgeAfter::P95 => json!("p95"),
            HedgeAfter::Span(span) => json!(span.as_secs_f64()),
        };
        json!({"after_seconds": after, "max_ratio": max_ratio})
    });
    json!({
        "profile": policy.profile.map(|profile| profile.as_str()),
        "rescue": rescue,
        "patience_seconds": policy.patience.as_secs_f64(),
        "first_token_seconds": policy.first_token.map(|due| due.as_secs_f64()),
        "hedge": hedge,
        "unsupported": policy.unsupported.map(|what| what.as_str()),
        "fetch": policy.fetch.map(|how| how.as_str()),
    })
}

/// How a target ranks its upstreams and what else holds for them, in parentheses; empty where they are tried as written.
pub(super) fn ranking(config: &Config, target: &str) -> String {
    let Some(entry) = config.targets.configured(target) else {
        return String::new();
    };
    let mut parts = Vec::new();
    if !entry.policy.is_usual() {
        parts.push(policy(entry));
    }
    parts.extend(members::settings(entry));
    match parts.is_empty() {
        true => String::new(),
        false => format!("  ({})", parts.join("; ")),
    }
}

fn policy(entry: &VirtualEntry) -> String {
    let name = entry.policy.to_string();
    if !entry.policy.takes_weights() {
        return name;
    }
    let members = entry.upstreams.iter();
    let members = members.map(|member| format!("{} {}", member.name, member.weight));
    format!("{name}: {}", members.collect::<Vec<_>>().join(", "))
}

/// The same for machines.
pub(super) fn add_ranking(to: &mut Value, config: &Config, target: &str) {
    let Some(entry) = config.targets.configured(target) else {
        return;
    };
    to["policy"] = json!(entry.policy.to_string());
    to["members"] = entry.upstreams.iter().map(members::to_json).collect();
    to["settings"] = json!(members::settings(entry));
}

fn hedging(config: &Config) -> HedgePolicy {
    config.dispatch.hedge.unwrap_or_default()
}

fn rescue(rescue: &RescuePolicy) -> String {
    let mode = rescue.mode.as_str();
    if rescue.hold.is_zero() {
        format!("rescue: {mode}")
    } else {
        format!("rescue: {mode}, hold {}", show_duration(rescue.hold))
    }
}

fn hedge(policy: &HedgePolicy) -> String {
    match policy.after {
        HedgeAfter::P95 => "hedge: after p95".to_owned(),
        HedgeAfter::Span(span) => format!("hedge: after {}", show_duration(span)),
    }
}
