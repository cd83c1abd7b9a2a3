//! Fields by which upstreams that are routers themselves choose another model than `model` says: a client that may ask
//! for some targets only could get around that with them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{ObjectFields, RequestDoc, is_spelled_like};
use crate::wire::json;

/// The path of such a field, outermost name first, and its name in errors. In a list it is looked for in
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

/// Objects of SDKs that some routers merge into the request: any field may be in them.
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
            let wrapper = || WRAPPERS.into_iter().find(|name| is(name));
            let wrapped = || wrapper().and_then(|name| within(name, value(), DEEPEST));
            found.map(|detour| detour.shown).or_else(wrapped)
        })
    }
}

fn split(path: &'static [&'static str]) -> (&'static str, &'static [&'static str]) {
    path.split_first()
        .map_or(("", path), |(first, rest)| (first, rest))
}

/// A detour inside of a wrapper's value. What cannot be read here may be read elsewhere (half a surrogate pair in a name,
/// more fields than are looked at), so that the wrapper itself counts as one.
fn within(wrapper: &'static str, value: &str, deepest: usize) -> Option<&'static str> {
    let is_object = value.trim_start().starts_with('{');
    let Some(fields) = is_object.then(|| fields(value))? else {
        return Some(wrapper);
    };
    fields.iter().find_map(|(name, value)| {
        let found = DETOURS.iter().find(|detour| {
            let (first, rest) = split(detour.path);
            is_spelled_like(name, first) && leads(value.get(), rest, 0)
        });
        let mut wrappers = WRAPPERS.into_iter();
        let deeper = wrappers.find(|wrapper| deepest > 0 && is_spelled_like(name, wrapper));
        let wrapped = || within(deeper?, value.get(), deepest.saturating_sub(1));
        found.map(|detour| detour.shown).or_else(wrapped)
    })
}

/// The fields of an object. `None` when it has too many to look at, or cannot be read.
fn fields(value: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let read = ObjectFields::read(value.as_bytes(), &mut false);
    read.ok().map(ObjectFields::into_pairs)
}

/// Whether the value has something at this path. Of a field that occurs twice both are read, since readers
/// differ in which one they take.
fn leads(value: &str, path: &[&str], depth: usize) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return value.trim() != "null";
    };
    match value.trim_start().as_bytes().first() {
        Some(b'{') => fields(value).is_none_or(|fields| {
            let mut fields = fields.iter();
            fields.any(|(name, value)| {
                is_spelled_like(name, first) && leads(value.get(), rest, depth)
            })
        }),
        // No router reads lists in lists.
        Some(b'[') if depth == 0 => {
            json::any_item(value.as_bytes(), |item| leads(item.get(), path, depth + 1))
                .is_none_or(|any| any)
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
                r#""provider_options":{"gateway":{"models":["x"]}}"#,
                "provider_options.gateway.models",
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
    fn a_wrapper_that_cannot_be_read_counts_as_a_detour() {
        let half = r#""extra_body":{"\ud800":1,"models":["x"]}"#;
        assert_eq!(detour(half), Some("extra_body"));
        let many = "\"a\":1,".repeat(5_000);
        let many = format!(r#""extraBody":{{{many}"models":["x"]}}"#);
        assert_eq!(detour(&many), Some("extraBody"));
        assert_eq!(detour(r#""extra_body":"models""#), None);
        assert_eq!(detour(r#""extra_body":{"top_k":1}"#), None);
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
            within("extra_body", &text, DEEPEST);
        }
    }
}
