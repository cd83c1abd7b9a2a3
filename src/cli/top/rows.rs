//! The tree of providers, upstreams and keys as rows of a table, made from `/admin/v1/state`.

use serde_json::Value;

use crate::cli::shown::{items, text};
use crate::domain::condition::{BreakerCondition, KeyCondition, Life};

/// What a row is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum RowKind {
    Provider,
    Upstream,
    /// A key, by its number.
    Key(u64),
}

/// How well it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Mood {
    /// Out for long, or until an operator acts.
    Bad,
    /// Out for a while.
    Out,
    /// Differs from the normal state.
    Notable,
    Well,
}

/// One row of the table.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    pub(super) kind: RowKind,
    pub(super) provider: String,
    pub(super) name: String,
    pub(super) state: String,
    /// Seconds until that ends, as of the state's moment.
    pub(super) left: Option<f64>,
    pub(super) mood: Mood,
    pub(super) in_flight: u64,
    /// The most at once, configured or learned.
    pub(super) most: Option<u64>,
    pub(super) attempts: u64,
    pub(super) limits: String,
}

impl Row {
    /// What makes it the same row in the next state.
    pub(super) fn id(&self) -> String {
        let kind = match self.kind {
            RowKind::Provider => 'p',
            RowKind::Upstream => 'u',
            RowKind::Key(_) => 'k',
        };
        format!("{kind} {} {}", self.provider, self.name)
    }

    /// Whether the row contains the text of a search.
    pub(super) fn has(&self, wanted: &str) -> bool {
        let shown = [&self.name, &self.state, &self.limits];
        shown
            .iter()
            .any(|text| text.to_lowercase().contains(wanted))
    }
}

/// A provider's row, then those of its upstreams and keys.
pub(super) type Group = Vec<Row>;

/// All of them, in the order of the state.
pub(super) fn groups(state: &Value) -> Vec<Group> {
    items(&state["providers"]).iter().map(group).collect()
}

fn group(provider: &Value) -> Group {
    let name = text(&provider["name"]);
    let keys = items(&provider["keys"]).iter();
    let keys: Vec<Row> = keys.map(|value| key(&name, value)).collect();
    let upstreams = items(&provider["upstreams"]).iter();
    let (state, left, mood) = first([
        life(provider),
        hold(provider),
        until("all keys cool", &provider["cooling"], Mood::Out),
    ]);
    let mut group = vec![Row {
        kind: RowKind::Provider,
        name: name.clone(),
        state,
        left,
        mood,
        in_flight: keys.iter().map(|row| row.in_flight).sum(),
        most: None,
        attempts: keys.iter().map(|row| row.attempts).sum(),
        limits: String::new(),
        provider: name.clone(),
    }];
    group.extend(upstreams.map(|value| upstream(&name, value)));
    group.extend(keys);
    group
}

type Seen = (String, Option<f64>, Mood);

/// The first that says anything; nothing at all is well.
fn first<const N: usize>(all: [Option<Seen>; N]) -> Seen {
    let said = all.into_iter().flatten().next();
    said.unwrap_or_else(|| (String::new(), None, Mood::Well))
}

fn life(value: &Value) -> Option<Seen> {
    let word = value["life"].as_str()?;
    let mood = match Life::from_word(word) {
        Some(Life::Up) => return None,
        Some(Life::Restarting) => Mood::Out,
        Some(Life::Quarantined) | None => Mood::Bad,
    };
    Some((word.to_owned(), None, mood))
}

fn hold(value: &Value) -> Option<Seen> {
    let held = value["hold"].as_object()?;
    let left = held.get("until").and_then(|it| it["seconds_left"].as_f64());
    let mut state = KeyCondition::Held.as_str().to_owned();
    if left.is_none() {
        state.push_str(" until released");
    }
    Some((state, left, Mood::Bad))
}

/// Something with an end, if it is there.
fn until(what: &str, moment: &Value, mood: Mood) -> Option<Seen> {
    let left = moment["seconds_left"].as_f64()?;
    Some((what.to_owned(), Some(left), mood))
}

fn upstream(provider: &str, value: &Value) -> Row {
    let share = value["share"].as_f64().unwrap_or(1.0);
    let half_open = value["breaker"] == BreakerCondition::HalfOpen.as_str();
    let (state, left, mood) = first([
        until("model gone", &value["gone_until"], Mood::Bad),
        until("breaker open", &value["open_until"], Mood::Out),
        half_open.then(|| ("breaker half-open".to_owned(), None, Mood::Notable)),
        (share < 1.0).then(|| {
            let state = format!("recovering, takes {:.0} %", share * 100.0);
            (state, None, Mood::Notable)
        }),
    ]);
    Row {
        kind: RowKind::Upstream,
        provider: provider.to_owned(),
        name: text(&value["model"]),
        state,
        left,
        mood,
        in_flight: 0,
        most: None,
        attempts: 0,
        limits: String::new(),
    }
}

fn key(provider: &str, value: &Value) -> Row {
    let id = text(&value["id"]);
    let number = id
        .rsplit_once('#')
        .and_then(|(_, number)| number.parse().ok());
    let cooling = items(&value["cooling"]).first().and_then(|cooling| {
        let model = text(&cooling["model"]);
        let reason = text(&cooling["reason"]).replace('_', " ");
        let what = if model.is_empty() {
            reason
        } else {
            format!("{reason} for {model}")
        };
        until(&what, &cooling["until"], Mood::Out)
    });
    let probe = &value["invalid"]["probe"];
    let probing = value["state"] == KeyCondition::Probing.as_str();
    let (state, left, mood) = first([
        life(value),
        hold(value),
        until(KeyCondition::Invalid.as_str(), probe, Mood::Bad).filter(|_| !probing),
        value["invalid"]
            .is_object()
            .then(|| ("being probed".to_owned(), None, Mood::Notable)),
        cooling,
        Some((KeyCondition::Usable.as_str().to_owned(), None, Mood::Well)),
    ]);
    let count = |value: &Value| value.as_u64();
    let configured = count(&value["limits"]["max_in_flight"]);
    let learned = count(&value["learned"]["max_in_flight"]);
    Row {
        kind: RowKind::Key(number.unwrap_or(0)),
        provider: provider.to_owned(),
        name: id,
        state,
        left,
        mood,
        in_flight: count(&value["in_flight"]).unwrap_or(0),
        most: configured.into_iter().chain(learned).min(),
        attempts: count(&value["attempts"]).unwrap_or(0),
        limits: limits(value),
    }
}

/// What is left of learned limits, else what is configured.
fn limits(key: &Value) -> String {
    let learned = items(&key["learned"]["limits"]).iter().map(|limit| {
        let unit = text(&limit["unit"]);
        let number = |name: &str| limit[name].as_f64().map(short);
        match (number("remaining"), number("limit"), number("per_minute")) {
            (Some(left), Some(all), _) => format!("{left}/{all} {unit}"),
            (Some(left), None, _) => format!("{left} {unit} left"),
            (None, _, Some(rate)) => format!("~{rate} {unit}/min"),
            _ => unit,
        }
    });
    let configured = ["rpm", "tpm", "rpd"].into_iter().filter_map(|name| {
        let limit = key["limits"][name].as_f64()?;
        Some(format!("{name} {}", short(limit)))
    });
    learned.chain(configured).collect::<Vec<_>>().join(", ")
}

/// `950`, `12k`, `1.5M`.
fn short(number: f64) -> String {
    match number {
        number if number < 1e4 => format!("{number:.0}"),
        number if number < 1e6 => format!("{:.0}k", number / 1e3),
        number => format!("{:.1}M", number / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_say_what_is_wrong_and_for_how_long() {
        let left =
            |seconds: f64| json!({"at": "2026-11-21T16:00:00.000Z", "seconds_left": seconds});
        let key = |id: &str, more: Value| {
            let mut key = json!({"id": id, "life": "up", "state": "usable", "in_flight": 1, "attempts": 5,
                "hold": null, "invalid": null, "cooling": [],
                "limits": {"rpm": 30, "tpm": 12000, "rpd": null, "max_in_flight": 8},
                "learned": {"max_in_flight": 3, "limits": []}});
            for (name, value) in more.as_object().unwrap() {
                key[name] = value.clone();
            }
            key
        };
        let state = json!({"providers": [{
            "name": "groq", "life": "up", "hold": null, "cooling": null,
            "upstreams": [
                {"model": "m", "breaker": "open", "open_until": left(9.0), "gone_until": null, "share": 1.0},
                {"model": "n", "breaker": "closed", "open_until": null, "gone_until": null, "share": 0.4},
            ],
            "keys": [
                key("groq#1", json!({})),
                key("groq#2", json!({"cooling": [{"model": "m", "reason": "cooling", "until": left(12.0)}]})),
                key("groq#3", json!({"hold": {"until": null}})),
                key("groq#4", json!({"invalid": {"probe": left(60.0)}, "state": "invalid"})),
                key("groq#5", json!({"life": "quarantined"})),
                key("groq#6", json!({"learned": {"max_in_flight": null, "limits": [
                    {"model": "m", "unit": "requests", "limit": 30.0, "remaining": 4.0, "per_minute": null}]}})),
            ],
        }]});
        let group = groups(&state).remove(0);
        let shown: Vec<(&str, &str, Option<f64>)> = group
            .iter()
            .map(|row| (row.name.as_str(), row.state.as_str(), row.left))
            .collect();
        assert_eq!(
            shown,
            [
                ("groq", "", None),
                ("m", "breaker open", Some(9.0)),
                ("n", "recovering, takes 40 %", None),
                ("groq#1", "usable", None),
                ("groq#2", "cooling for m", Some(12.0)),
                ("groq#3", "held until released", None),
                ("groq#4", "invalid", Some(60.0)),
                ("groq#5", "quarantined", None),
                ("groq#6", "usable", None),
            ]
        );
        assert_eq!((group[0].in_flight, group[0].attempts), (6, 30));
        assert_eq!((group[3].most, group[8].most), (Some(3), Some(8)));
        assert_eq!(group[3].limits, "rpm 30, tpm 12k");
        assert_eq!(group[8].limits, "4/30 requests, rpm 30, tpm 12k");
    }
}
