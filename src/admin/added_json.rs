//! What was added, as JSON. References are shown; there is no material in any of it.

use serde_json::{Value, json};

use super::changes::ChangeDone;
use super::state::CurrentConfig;
use crate::config::{AddedKey, AddedProvider, AdditionUse, KeyOrigin, PlacedAddition, Problem};
use crate::domain::ids::ProviderName;

/// All of it, and what may be added.
pub(super) fn all(now: &CurrentConfig) -> Value {
    let additions = &now.additions;
    let providers = additions.providers().iter();
    let keys = additions.keys().iter();
    json!({
        "allowed": now.rules.allow,
        "exec": now.rules.exec,
        "state_file": now.keeps,
        "providers": providers.map(|it| provider(now, it)).collect::<Vec<_>>(),
        "keys": keys.map(|it| key(now, it)).collect::<Vec<_>>(),
    })
}

/// A provider, after a change.
pub(super) fn changed_provider(
    now: &CurrentConfig,
    name: &ProviderName,
    done: &ChangeDone,
) -> Value {
    let mut all = now.additions.providers().iter();
    let added = all.find(|it| it.name == *name);
    let keys = now.additions.keys().iter();
    let keys = keys.filter(|it| it.of_added && it.provider == *name);
    let mut shown = added.map_or(Value::Null, |it| provider(now, it));
    if let Some(fields) = shown.as_object_mut() {
        let keys: Vec<Value> = keys.map(|it| key(now, it)).collect();
        fields.insert("keys".to_owned(), json!(keys));
    }
    with_end(json!({"provider": shown}), done)
}

/// A key, after a change.
pub(super) fn changed_key(
    now: &CurrentConfig,
    provider: &ProviderName,
    done: &ChangeDone,
) -> Value {
    let number = done.number.unwrap_or_default();
    let added = now.additions.key(provider, number);
    let shown = added.map_or(Value::Null, |it| key(now, it));
    with_end(json!({"key": shown}), done)
}

/// What every change has in its answer.
pub(super) fn with_end(mut shown: Value, done: &ChangeDone) -> Value {
    shown["generation"] = json!(done.generation);
    shown["kept"] = json!(if done.forgotten.is_none() {
        "state_file"
    } else {
        "process"
    });
    shown["why_not_longer"] = json!(done.forgotten);
    shown
}

fn provider(now: &CurrentConfig, added: &AddedProvider) -> Value {
    let mut shown = json!({
        "name": added.name.as_str(),
        "settings": added.settings,
    });
    add_use(&mut shown, placed(now, &added.name, None));
    shown
}

fn key(now: &CurrentConfig, added: &AddedKey) -> Value {
    let placed = placed(now, &added.provider, Some(added.number));
    let numbers = placed.map_or(&[][..], |it| &it.keys);
    let ids = numbers
        .iter()
        .map(|number| format!("{}#{number}", added.provider));
    let reference = match &added.origin {
        KeyOrigin::Reference(reference) => Some(reference.to_string()),
        KeyOrigin::Literal(_) => None,
    };
    let mut shown = json!({
        "id": added.id(),
        "provider": added.provider.as_str(),
        "reference": reference,
        "keys": ids.collect::<Vec<_>>(),
    });
    add_use(&mut shown, placed);
    shown
}

fn placed<'a>(
    now: &'a CurrentConfig,
    provider: &ProviderName,
    number: Option<u64>,
) -> Option<&'a PlacedAddition> {
    let mut all = now.placed.iter();
    all.find(|it| it.provider == *provider && it.number == number)
}

fn add_use(shown: &mut Value, placed: Option<&PlacedAddition>) {
    let used = placed.map_or(AdditionUse::Unusable, |it| it.used);
    let problems = placed.map_or(&[][..], |it| &it.problems).iter();
    shown["state"] = json!(used.as_str());
    shown["problems"] = problems.map(problem).collect();
}

fn problem(problem: &Problem) -> Value {
    json!({"place": problem.place, "message": problem.message, "suggestion": problem.suggestion})
}
