//! How targets ranked their members, as `explain`, stories of requests and the page show it.

use serde_json::{Value, json};

use crate::domain::policy::Figure;
use crate::domain::target::{RankedMember, RankingStep};

/// One step.
pub(super) fn step(step: &RankingStep) -> Value {
    let members = step.members.iter();
    json!({
        "target": *step.target,
        "policy": step.policy.to_string(),
        "by": if step.affinity.is_some() { "affinity" } else { "policy" },
        "affinity": step.affinity.as_ref().map(|affinity| json!({
            "home": *affinity.home,
            "over_bound": affinity.over_bound,
            "warm": affinity.warm,
        })),
        "members": members.map(member).collect::<Vec<_>>(),
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
    }
}
