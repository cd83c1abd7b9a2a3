//! What an added provider may say of itself.

use serde_json::Map;

use crate::config::mask;
use crate::config::read::Report;
use crate::domain::near::near;

/// The settings of a provider that may be added. What may hold a secret, opens a way into networks, or concerns others
/// than this provider stays with the configuration.
const SETTINGS: [&str; 33] = [
    "base_url",
    "dialect",
    "model",
    "models",
    "auth",
    "region",
    "project",
    "key_rotation",
    "forward_user_agent",
    "context_window",
    "max_tokens",
    "params",
    "temperature",
    "limits",
    "pacing",
    "timeouts",
    "retry",
    "cooldown",
    "circuit_breaker",
    "mock_failure_rate",
    "mock_seed",
    "mock_latency",
    "priority",
    "base_priority",
    "capabilities",
    "tags",
    "model_tags",
    "data_policy",
    "price",
    "prices",
    "trace_context",
    "unsupported",
    "responses",
];

/// The settings, without those that are refused here.
pub(super) fn taken_settings(
    settings: &Map<String, serde_json::Value>,
    path: &str,
    report: &mut Report,
) -> Map<String, serde_json::Value> {
    let mut taken = Map::new();
    for (name, value) in settings {
        let place = format!("{path}.{name}");
        if !SETTINGS.contains(&name.as_str()) {
            let near = near(name, SETTINGS);
            let suggestion = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => "keys go into `keys` as references; anything else into the configuration"
                    .to_owned(),
            };
            report.problem(
                &place,
                "is no setting that an added provider may have",
                &suggestion,
            );
        } else if holds_secret(value) {
            let message =
                "holds what looks like a credential, and would be written to the state file";
            report.problem(
                &place,
                message,
                "write this provider into the configuration",
            );
        } else {
            taken.insert(name.clone(), value.clone());
        }
    }
    taken
}

fn holds_secret(value: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match value {
        Json::String(text) => mask::masked(text, &[]) != text.as_str(),
        Json::Array(items) => items.iter().any(holds_secret),
        Json::Object(members) => members
            .iter()
            .any(|(name, value)| mask::looks_like_key(name) || holds_secret(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}
