//! How targets ranked their members, as `explain`, stories of requests and the page show it.

use serde_json::{Value, json};

use crate::domain::policy::Figure;
use crate::domain::target::{RankedMember, RankingStep, TierLoad};

/// One step.
pub(super) fn step(step: &RankingStep) -> Value {
    let members = step.members.iter();
    json!({
        "target": *step.target,
        "policy": step.policy.to_string(),
        "by": step.by(),
        "hints": step.hints,
        "affinity": step.affinity.as_ref().map(|affinity| json!({
            "home": *affinity.home,
            "over_bound": affinity.over_bound,
            "warm": affinity.warm,
        })),
        "tiers": step.tiers.iter().map(tier).collect::<Vec<_>>(),
        "members": members.map(member).collect::<Vec<_>>(),
    })
}

/// What a tier takes first, where requests spill over.
fn tier(tier: &TierLoad) -> Value {
    json!({
        "priority": tier.priority,
        "usable_keys": tier.keys.usable,
        "keys": tier.keys.all,
        "percent": tier.load,
        "drawn": tier.drawn,
    })
}

/// One member of a target.
pub(super) fn member(member: &RankedMember) -> Value {
    json!({
        "name": *member.name,
        "priority": member.priority,
        "figure": member.figure.map(figure),
        "reason": member.unmet.map(|unmet| unmet.as_str()),
        "detail": member.unmet.map(|unmet| unmet.words()),
    })
}

/// What it was ranked by: amounts as decimal text, loads in seconds. What is unknown is null.
fn figure(figure: Figure) -> Value {
    match figure {
        Figure::Weight(weight) => json!({"weight": weight}),
        Figure::Cost(cost) => json!({"cost": cost.map(|cost| cost.to_string())}),
        Figure::Load(load) => json!({"load_seconds": load}),
        Figure::InFlight(in_flight) => json!({"in_flight_per_weight": in_flight}),
        Figure::Used(used) => json!({"used_share": used}),
        Figure::Score(score) => json!({"score": score}),
        Figure::Latency(span) => {
            json!({"first_token_seconds": span.map(|span| span.as_secs_f64())})
        }
        Figure::Throughput(rate) => json!({"tokens_per_second": rate}),
    }
}
