//! What `check` shows of how a virtual provider takes its upstreams: conversations, tiers, hints, and of each upstream its
//! tier and its conditions, as far as they are not the usual ones.

use serde_json::{Value, json};

use crate::config::show_duration;
use crate::domain::calendar::{Calendar, Hours};
use crate::domain::chain::{MemberEntry, PRIORITY, VirtualEntry};
use crate::domain::when::When;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What holds for all of its upstreams, in words.
pub(super) fn settings(entry: &VirtualEntry) -> Vec<String> {
    let affinity = entry.affinity.map(|affinity| {
        format!(
            "affinity: {}, bound {}, ttl {}",
            affinity.by.as_str(),
            affinity.bound,
            show_duration(affinity.ttl)
        )
    });
    let spill = entry.spill.map(|_| "spill".to_owned());
    let hints = entry.hints.then(|| "hints: openrouter".to_owned());
    [affinity, spill, hints].into_iter().flatten().collect()
}

/// A line for each upstream of which there is something to say.
pub(super) fn lines(entry: &VirtualEntry) -> Vec<String> {
    let names = entry.upstreams.iter().map(|it| it.name.chars().count());
    let width = names.max().unwrap_or(0);
    let told = entry.upstreams.iter().filter_map(|member| {
        let words = words(member);
        let name = &member.name;
        (!words.is_empty()).then(|| format!("{name:<width$}  {}", words.join("; ")))
    });
    told.collect()
}

/// The same for machines: `null` where nothing is asked of a request.
pub(super) fn to_json(member: &MemberEntry) -> Value {
    let when = member.when.as_ref().map(|when| conditions(when));
    json!({
        "name": member.name,
        "weight": member.weight,
        "priority": member.priority,
        "when": when,
    })
}

fn words(member: &MemberEntry) -> Vec<String> {
    let tier = (member.priority != PRIORITY).then(|| format!("priority {}", member.priority));
    let when = member.when.as_ref().map(|when| conditions(when));
    let when = when.map(|all| format!("when {}", all.join(", ")));
    tier.into_iter().chain(when).collect()
}

/// Each condition by its key.
fn conditions(when: &When) -> Vec<String> {
    let mut all = Vec::new();
    all.extend(when.calendar.as_ref().map(times));
    if !when.clients.is_empty() {
        all.push(format!("clients {}", when.clients.join(" or ")));
    }
    let least = when
        .min_prompt_tokens
        .map(|min| format!("min_prompt_tokens {min}"));
    let most = when
        .max_prompt_tokens
        .map(|max| format!("max_prompt_tokens {max}"));
    all.extend(least.into_iter().chain(most));
    let has: Vec<&str> = when.has.each().map(|feature| feature.name()).collect();
    if !has.is_empty() {
        all.push(format!("has {}", has.join(" and ")));
    }
    all.extend(when.stream.map(|stream| format!("stream {stream}")));
    let headers = when.headers.iter();
    // Not their values, which may be secrets.
    all.extend(headers.map(|(name, _)| format!("header {name}")));
    let custom = when.custom.as_ref();
    all.extend(custom.map(|custom| format!("cel {}", custom.condition.text())));
    all
}

fn times(calendar: &Calendar) -> String {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let hours = calendar.hours.iter();
    let hours = hours.map(|Hours { start, end }| format!("{}-{}", clock(*start), clock(*end)));
    let hours: Vec<String> = hours.collect();
    let days = DAYS.iter().zip(calendar.days);
    let days: Vec<&str> = days
        .filter_map(|(day, is_in)| is_in.then_some(*day))
        .collect();
    let mut parts = Vec::new();
    if !hours.is_empty() {
        parts.push(format!("hours {}", hours.join(" or ")));
    }
    if days.len() < DAYS.len() {
        parts.push(format!("days {}", days.join(" ")));
    }
    parts.push(calendar.zone.name.to_string());
    parts.join(" ")
}
