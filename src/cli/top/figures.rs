//! What policies rank by and what was spent, in the few characters that a terminal has room for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::rows::{Group, RowKind};
use crate::cli::shown::{items, millis, text};

/// Fills in what `/admin/v1/routing` says of upstreams.
pub(super) fn fill(groups: &mut [Group], routing: &Value) {
    let all = items(&routing["upstreams"]).iter();
    let known: BTreeMap<&str, &Value> = all
        .filter_map(|it| Some((it["upstream"].as_str()?, it)))
        .collect();
    for row in groups.iter_mut().flatten() {
        if row.kind == RowKind::Upstream {
            let name = format!("{}:{}", row.provider, row.name);
            row.limits = known
                .get(name.as_str())
                .map_or_else(String::new, |it| of(it));
        }
    }
}

/// `0.15/0.6, first 320 ms, 12 % used`: prices per million tokens, how long it took of late, and its tightest limit.
fn of(upstream: &Value) -> String {
    let price = &upstream["price"];
    let rate = |name: &str| match price[name].as_str() {
        Some(_) => text(&price[name]),
        None => "?".to_owned(),
    };
    let price = price
        .is_object()
        .then(|| format!("{}/{}", rate("input"), rate("output")));
    let time = |name: &str, word: &str| {
        let took = upstream[name].as_f64();
        took.map(|took| format!("{word} {}", millis(took)))
    };
    let took = time("stream_ms", "first").or_else(|| time("whole_ms", "whole"));
    let used = upstream["used_share"].as_f64();
    let used = used.map(|used| format!("{:.0} % used", used * 100.0));
    let parts = [price, took, used].into_iter().flatten();
    parts.collect::<Vec<_>>().join(", ")
}

/// The sum of `/admin/v1/spend` for the day; `None` where nothing with a price was spent.
pub(super) fn spent(spend: Option<&Value>) -> Option<String> {
    let cost = text(&items(&spend?["rows"]).first()?["cost"]);
    (!cost.is_empty()).then_some(cost)
}

/// Why a request went where it went, in lines.
pub(super) fn routed(routing: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for step in items(&routing["ranking"]) {
        let members = items(&step["members"]).iter().map(|member| {
            let name = text(&member["name"]);
            match member["reason"].as_str() {
                Some(_) => format!("not {name} ({})", text(&member["reason"]).replace('_', " ")),
                None => match figure(&member["figure"]) {
                    Some(figure) => format!("{name} {figure}"),
                    None => name,
                },
            }
        });
        let by = match step["affinity"].as_object() {
            Some(_) => "its conversation".to_owned(),
            None => text(&step["policy"]),
        };
        let members = members.collect::<Vec<_>>().join(", ");
        lines.push(format!(
            "{} ranked by {by}: {members}",
            text(&step["target"])
        ));
    }
    let affinity = &routing["affinity"];
    if affinity.is_object() {
        let outcome = text(&affinity["outcome"]).replace('_', " ");
        lines.push(format!(
            "conversation: home {}, {outcome}",
            text(&affinity["home"])
        ));
    }
    let out = items(&routing["left_out"]).iter().map(|it| {
        let reason = text(&it["reason"]).replace('_', " ");
        format!("{} ({reason})", text(&it["upstream"]))
    });
    let out: Vec<String> = out.collect();
    if !out.is_empty() {
        lines.push(format!("left out: {}", out.join(", ")));
    }
    if let Some(reserved) = routing["budget"]["reserved"].as_str() {
        let tightest = &routing["budget"]["tightest"];
        let standing = tightest.is_object().then(|| {
            format!(
                "; {}: {} spent",
                text(&tightest["budget"]),
                text(&tightest["spent"])
            )
        });
        lines.push(format!(
            "reserved {reserved}{}",
            standing.unwrap_or_default()
        ));
    }
    lines
}

/// The number that a member was ranked by.
fn figure(figure: &Value) -> Option<String> {
    let (name, value) = figure.as_object()?.iter().next()?;
    let number = value.as_f64();
    Some(match (name.as_str(), number) {
        (_, None) => value.as_str().map_or("?", |amount| amount).to_owned(),
        ("load_seconds", Some(load)) => millis(load * 1000.0),
        ("used_share", Some(used)) => format!("{:.0} %", used * 100.0),
        (_, Some(number)) => format!("{number:.2}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_short_and_what_is_unknown_is_left_out() {
        let known = json!({"price": {"input": "0.15", "output": null}, "stream_ms": null, "whole_ms": 812.4, "used_share": 0.123});
        assert_eq!(of(&known), "0.15/?, whole 812 ms, 12 % used");
        assert_eq!(
            of(&json!({"price": null, "stream_ms": 5.0, "used_share": null})),
            "first 5.0 ms"
        );
        assert_eq!(of(&Value::Null), "");
        let spend = json!({"rows": [{"cost": "1.234567"}]});
        assert_eq!(spent(Some(&spend)).unwrap(), "1.234567");
        assert_eq!(spent(Some(&json!({"rows": []}))), None);
        assert_eq!(spent(None), None);
    }

    #[test]
    fn a_story_says_why_in_lines() {
        let routing = json!({
            "ranking": [{"target": "v", "policy": "cost", "affinity": null, "members": [
                {"name": "a", "figure": {"cost": "0.000450"}, "reason": null},
                {"name": "b", "figure": {"cost": null}, "reason": null},
                {"name": "c", "figure": null, "reason": "lacks_tools"}]}],
            "affinity": {"home": "a", "outcome": "over_bound"},
            "left_out": [{"upstream": "d:m", "reason": "budget"}],
            "budget": {"reserved": "0.1", "tightest": {"budget": "the budget of all requests", "spent": "3.2"}},
        });
        assert_eq!(
            routed(&routing),
            [
                "v ranked by cost: a 0.000450, b ?, not c (lacks tools)",
                "conversation: home a, over bound",
                "left out: d:m (budget)",
                "reserved 0.1; the budget of all requests: 3.2 spent",
            ]
        );
        assert!(routed(&Value::Null).is_empty());
    }
}
