//! Fields by which upstreams that are routers themselves choose another model than `model` says: a client that may ask
//! for some targets only could get around that with them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Fields, RequestDoc, folded};

/// Where such a field stands, outermost name first, and how it is called in errors. What stands in a list is looked for in
/// each of its items.
struct Detour {
    path: &'static [&'static str],
    shown: &'static str,
}

const fn top(path: &'static [&'static str], shown: &'static str) -> Detour {
    Detour { path, shown }
}

/// OpenRouter: `models`, `route`, `preset`, `plugins[]` (auto router, fusion). LiteLLM: `fallbacks` and its relatives,
/// `model_list`, `user_config`, `router_settings_override`. Anthropic: `fallbacks`. Vercel's gateway: `providerOptions`.
/// Vercel's `order` and `only` choose who serves the same model, as OpenRouter's `provider` does.
const DETOURS: [Detour; 16] = [
    top(&["models"], "models"),
    top(&["route"], "route"),
    top(&["preset"], "preset"),
    top(&["plugins", "models"], "plugins[].models"),
    top(&["plugins", "model"], "plugins[].model"),
    top(&["plugins", "allowed_models"], "plugins[].allowed_models"),
    top(&["plugins", "analysis_models"], "plugins[].analysis_models"),
    top(&["fallbacks"], "fallbacks"),
    top(&["default_fallbacks"], "default_fallbacks"),
    top(&["context_window_fallbacks"], "context_window_fallbacks"),
    top(&["content_policy_fallbacks"], "content_policy_fallbacks"),
    top(&["model_list"], "model_list"),
    top(&["user_config"], "user_config"),
    top(&["router_settings_override"], "router_settings_override"),
    top(
        &["providerOptions", "gateway", "models"],
        "providerOptions.gateway.models",
    ),
    top(
        &["provider_options", "gateway", "models"],
        "provider_options.gateway.models",
    ),
];

/// What SDKs put beside the usual fields and some routers unpack again: everything may stand in it too.
const WRAPPERS: [&str; 2] = ["extra_body", "extraBody"];

/// So deep are wrappers unpacked.
const DEEPEST: usize = 4;

impl RequestDoc {
    /// The first field with a value that could lead to another model, in small or capital letters.
    pub fn detour(&self) -> Option<&'static str> {
        // Names first: requests that have none of these, nearly all, are not looked into.
        self.fields.iter().find_map(|field| {
            let is = |name: &&str| self.is_named(field, name) || self.looks_like(field, name);
            let value = || std::str::from_utf8(self.slice(field.value.clone())).unwrap_or("null");
            let found = DETOURS.iter().find(|detour| {
                let (first, rest) = split(detour.path);
                is(&first) && leads(value(), rest, 0)
            });
            let wrapped = || WRAPPERS.iter().any(is).then(|| within(value(), DEEPEST))?;
            found.map(|detour| detour.shown).or_else(wrapped)
        })
    }
}

fn split(path: &'static [&'static str]) -> (&'static str, &'static [&'static str]) {
    path.split_first()
        .map_or(("", path), |(first, rest)| (first, rest))
}

/// A detour inside of a wrapper's value.
fn within(value: &str, deepest: usize) -> Option<&'static str> {
    let fields = fields(value)?;
    fields.iter().find_map(|(name, value)| {
        let found = DETOURS.iter().find(|detour| {
            let (first, rest) = split(detour.path);
            folded(name, first) && leads(value.get(), rest, 0)
        });
        let deeper = WRAPPERS.iter().any(|wrapper| folded(name, wrapper)) && deepest > 0;
        let wrapped = || deeper.then(|| within(value.get(), deepest.saturating_sub(1)))?;
        found.map(|detour| detour.shown).or_else(wrapped)
    })
}

/// The fields of an object. `None` when it has too many to look at, or cannot be read.
fn fields(value: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let read = Fields::read(value.as_bytes(), &mut false);
    read.ok().map(Fields::into_pairs)
}

/// Whether this path leads to something in the value. Of a field that stands there twice both are looked at, as nobody
/// knows which one counts.
fn leads(value: &str, path: &[&str], depth: usize) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return value.trim() != "null";
    };
    match value.trim_start().as_bytes().first() {
        Some(b'{') => fields(value).is_none_or(|fields| {
            let mut fields = fields.iter();
            fields.any(|(name, value)| folded(name, first) && leads(value.get(), rest, depth))
        }),
        // Lists in lists are no form that anybody reads.
        Some(b'[') if depth == 0 => {
            let items = serde_json::from_str::<Vec<&RawValue>>(value);
            items.is_ok_and(|items| items.iter().any(|item| leads(item.get(), path, depth + 1)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn detour(fields: &str) -> Option<&'static str> {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        RequestDoc::parse(Bytes::from(body)).unwrap().detour()
    }

    #[test]
    fn every_way_to_another_model_is_seen() {
        for (fields, expected) in [
            (r#""models":["x"]"#, "models"),
            (r#""MODELS":["x"]"#, "models"),
            (r#""mod\u0065ls":["x"]"#, "models"),
            (r#""route":"fallback""#, "route"),
            (
                r#""plugins":[{"id":"web"},{"id":"auto-router","allowed_models":["x"]}]"#,
                "plugins[].allowed_models",
            ),
            (
                r#""context_window_fallbacks":[{"m":["x"]}]"#,
                "context_window_fallbacks",
            ),
            (r#""user_config":{"model_list":[]}"#, "user_config"),
            (
                r#""providerOptions":{"gateway":{"models":["x"]}}"#,
                "providerOptions.gateway.models",
            ),
            (
                r#""providerOptions":{"a":{}},"providerOptions":{"gateway":{"models":[1]}}"#,
                "providerOptions.gateway.models",
            ),
            (
                r#""providerOptions":{"gateway":{"models":[1]},"gateway":{}}"#,
                "providerOptions.gateway.models",
            ),
            (
                r#""provideroptions":{"GATEWAY":{"Models":["x"]}}"#,
                "providerOptions.gateway.models",
            ),
            (
                r#""providerOptions": {"gateway" : {"order":["a"], "mod\u0065ls" : ["x"]}}"#,
                "providerOptions.gateway.models",
            ),
            (
                r#""extra_body":{"extra_body":{"fallbacks":["x"]}}"#,
                "fallbacks",
            ),
        ] {
            assert_eq!(detour(fields), Some(expected), "{fields}");
        }
    }

    #[test]
    fn what_leads_nowhere_else_passes() {
        for fields in [
            r#""models":null"#,
            r#""providerOptions":{"gateway":{"order":["a"],"only":["b"]},"openai":{"models":1}}"#,
            r#""providerOptions":{"gateway":{"models":null}}"#,
            r#""providerOptions":"models""#,
            r#""metadata":{"models":"x"}"#,
            r#""plugins":[{"id":"web"}]"#,
            r#""plugins":[[{"models":1}]]"#,
            r#""provider":{"order":["a"],"allow_fallbacks":false}"#,
        ] {
            assert_eq!(detour(fields), None, "{fields}");
        }
    }

    proptest! {
        #[test]
        fn any_json_is_searched_without_a_panic(text in r#"[\[\]{}":,a-z0-9 ]{0,40}"#) {
            leads(&text, &["gateway", "models"], 0);
            within(&text, DEEPEST);
        }
    }
}
