//! What some servers tell of their models beside their list: how many tokens they really take, and what they can do.
//!
//! Sources: llama.cpp's `GET /props` (`default_generation_settings.n_ctx`, `modalities`), Ollama's `POST /api/show`
//! (`model_info`, `parameters`, `capabilities`), LM Studio's `GET /api/v1/models` (`max_context_length`,
//! `loaded_instances[].config.context_length`), as of 2026-11. What is asked loads no model.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::node::{Node, NodeFields};
use super::{features, lists};
use crate::domain::catalog::capability::{Capabilities, Capability};
use crate::domain::catalog::entry::Entry;

/// The most models that are asked for one by one.
const MOST: usize = 64;
/// How a kept page of details begins: no list has such a field.
const MARK: &str = "{\"pointsman_details\":";

/// One question to a server, at its root: in front of `/v1`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DetailCall {
    /// The path.
    pub path: &'static str,
    /// The body of a POST; `None`: a GET.
    pub body: Option<String>,
    /// The model that it is about; `None`: whatever the answer names, or the only one.
    pub model: Option<Box<str>>,
}

/// How a kind of server is asked.
struct DetailRow {
    kinds: &'static [&'static str],
    calls: fn(&[Entry]) -> Vec<DetailCall>,
    read: fn(&DetailCall, &NodeFields<'_>) -> Vec<ModelDetail>,
}

static ROWS: &[DetailRow] = &[
    DetailRow {
        kinds: &["llamacpp"],
        calls: |entries| match entries {
            // A server with several models would have to load each of them.
            [only] => vec![get("/props", Some(only.id.clone()))],
            _ => Vec::new(),
        },
        read: props,
    },
    DetailRow {
        kinds: &["ollama", "ollama_native"],
        calls: |entries| {
            let asked = entries.iter().take(MOST).map(|entry| DetailCall {
                path: "/api/show",
                body: Some(json!({"model": &*entry.id}).to_string()),
                model: Some(entry.id.clone()),
            });
            asked.collect()
        },
        read: show,
    },
    DetailRow {
        kinds: &["lmstudio"],
        calls: |_| vec![get("/api/v1/models", None)],
        read: lm_studio,
    },
];

fn get(path: &'static str, model: Option<Box<str>>) -> DetailCall {
    DetailCall {
        path,
        body: None,
        model,
    }
}

/// What is told of one model.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct ModelDetail {
    id: Box<str>,
    window: Option<u64>,
    effective: Option<u64>,
    /// In the order of [`Capability::ALL`].
    can: [Option<bool>; 5],
}

#[derive(Serialize, Deserialize)]
struct DetailPage {
    pointsman_details: Vec<ModelDetail>,
}

impl ModelDetail {
    fn with(mut self, can: &Capabilities) -> Self {
        for (slot, capability) in self.can.iter_mut().zip(Capability::ALL) {
            *slot = *can.get(capability);
        }
        self
    }

    fn add(&self, entry: &mut Entry) {
        entry.window = entry.window.or(self.window);
        entry.effective_window = self.effective.or(entry.effective_window);
        for (known, capability) in self.can.into_iter().zip(Capability::ALL) {
            if known.is_some() {
                entry.capabilities.set(capability, known);
            }
        }
    }
}

fn row(kind: &str) -> Option<&'static DetailRow> {
    ROWS.iter().find(|row| row.kinds.contains(&kind))
}

/// Whether servers of this kind tell more than their list.
pub fn tells_details(kind: &str) -> bool {
    row(kind).is_some()
}

/// What a server of this kind is asked beside its list.
pub fn detail_calls(kind: &str, entries: &[Entry]) -> Vec<DetailCall> {
    row(kind).map_or_else(Vec::new, |row| (row.calls)(entries))
}

/// What an answer says, as a page that can be kept with those of the list; `None` when it says nothing of use.
pub fn detail_page(kind: &str, call: &DetailCall, answer: &str) -> Option<String> {
    let object = Node::parse(answer).ok()?.object()?;
    let details = (row(kind)?.read)(call, &object);
    let page = DetailPage {
        pointsman_details: details,
    };
    let is_empty = page.pointsman_details.is_empty();
    (!is_empty)
        .then(|| serde_json::to_string(&page).ok())
        .flatten()
}

/// Adds what a page of details says to a list's models; false when it is a page of the list itself.
pub fn add_details(page: &str, entries: &mut [Entry]) -> bool {
    if !page.starts_with(MARK) {
        return false;
    }
    if let Ok(page) = serde_json::from_str::<DetailPage>(page) {
        for detail in &page.pointsman_details {
            let own = entries.iter_mut().filter(|entry| entry.id == detail.id);
            own.for_each(|entry| detail.add(entry));
        }
    }
    true
}

fn props(call: &DetailCall, object: &NodeFields<'_>) -> Vec<ModelDetail> {
    let settings = object.at("default_generation_settings.n_ctx");
    let mut can = Capabilities::default();
    if let Some(inputs) = object.get("modalities") {
        features::read(inputs, &[], &mut can);
    }
    let detail = ModelDetail {
        id: call.model.clone().unwrap_or_default(),
        effective: settings.and_then(Node::tokens),
        ..ModelDetail::default()
    };
    vec![detail.with(&can)]
}

fn show(call: &DetailCall, object: &NodeFields<'_>) -> Vec<ModelDetail> {
    // `llama.context_length`: by the architecture, which has a name of its own for each family.
    let facts = object.get("model_info").and_then(Node::object);
    let window = facts.and_then(|facts| {
        let mut all = facts.iter();
        all.find_map(|(name, value)| name.ends_with(".context_length").then_some(value)?.tokens())
    });
    let parameters = object.get("parameters").and_then(Node::text);
    let effective = parameters.and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("num_ctx"))?;
        line.trim().parse().ok().filter(|window| *window > 0)
    });
    let mut can = Capabilities::default();
    if let Some(words) = object.get("capabilities") {
        let whole = [Capability::Tools, Capability::Images, Capability::Reasoning];
        features::read(words, &whole, &mut can);
    }
    let detail = ModelDetail {
        id: call.model.clone().unwrap_or_default(),
        window,
        effective,
        ..ModelDetail::default()
    };
    vec![detail.with(&can)]
}

fn lm_studio(_: &DetailCall, object: &NodeFields<'_>) -> Vec<ModelDetail> {
    let models = ["models", "data"].iter().find_map(|name| object.get(name));
    let models = models.into_iter().flat_map(Node::items);
    let details = models.filter_map(|model| {
        let model = model.object()?;
        let id = ["key", "id"]
            .iter()
            .find_map(|name| model.get(name)?.name())?;
        let mut can = Capabilities::default();
        if let Some(flags) = model.get("capabilities") {
            features::read(flags, &[], &mut can);
        }
        let window = model.get("max_context_length").and_then(Node::tokens);
        let loaded = model.get("loaded_context_length").and_then(Node::tokens);
        let detail = ModelDetail {
            id: id.into(),
            window,
            effective: lists::loaded(&model).or(loaded),
            ..ModelDetail::default()
        };
        Some(detail.with(&can))
    });
    details.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(ids: &[&str]) -> Vec<Entry> {
        let entries = ids.iter().map(|id| Entry {
            id: Box::from(*id),
            ..Entry::default()
        });
        entries.collect()
    }

    /// The entries of a server of this kind that gives this answer to its first question.
    fn told(kind: &str, ids: &[&str], answer: &str) -> Vec<Entry> {
        let mut all = entries(ids);
        let calls = detail_calls(kind, &all);
        let page = detail_page(kind, calls.first().unwrap(), answer).unwrap();
        assert!(add_details(&page, &mut all));
        all
    }

    #[test]
    fn llamas_properties_are_those_of_its_only_model() {
        let answer = r#"{"default_generation_settings":{"n_ctx":8192,"params":{}},"total_slots":4,
            "modalities":{"vision":true,"audio":false}}"#;
        let all = told("llamacpp", &["m"], answer);
        assert_eq!(all[0].effective_window, Some(8192));
        assert_eq!(*all[0].capabilities.get(Capability::Images), Some(true));
        assert_eq!(*all[0].capabilities.get(Capability::Audio), Some(false));
        assert_eq!(detail_calls("llamacpp", &entries(&["a", "b"])), []);
    }

    #[test]
    fn ollama_tells_of_each_model_what_it_was_made_with() {
        let answer = r#"{"model_info":{"general.architecture":"qwen3","qwen3.context_length":40960},
            "parameters":"stop \"<|im_end|>\"\nnum_ctx                        4096\n","capabilities":["completion","tools"]}"#;
        let all = told("ollama", &["qwen3:8b", "other"], answer);
        assert_eq!(
            (all[0].window, all[0].effective_window),
            (Some(40960), Some(4096))
        );
        assert_eq!(*all[0].capabilities.get(Capability::Tools), Some(true));
        assert_eq!(*all[0].capabilities.get(Capability::Images), Some(false));
        assert_eq!(*all[0].capabilities.get(Capability::JsonSchema), None);
        assert_eq!(all[1], entries(&["other"])[0]);
        let calls = detail_calls("ollama_native", &entries(&["a", "b"]));
        assert_eq!(calls[1].body.as_deref(), Some(r#"{"model":"b"}"#));
        assert_eq!(detail_calls("ollama", &entries(&["m"; 100])).len(), MOST);
    }

    #[test]
    fn lm_studio_tells_how_its_models_are_loaded() {
        let answer = r#"{"models":[{"key":"a","max_context_length":131072,"loaded_instances":[
            {"id":"a","config":{"context_length":4096}},{"id":"a:2","config":{"context_length":8192}}],
            "capabilities":{"vision":true,"trained_for_tool_use":true}},{"key":"b","max_context_length":2048,
            "loaded_instances":[]}]}"#;
        let all = told("lmstudio", &["a", "b", "c"], answer);
        assert_eq!(
            (all[0].window, all[0].effective_window),
            (Some(131_072), Some(4096))
        );
        assert_eq!(*all[0].capabilities.get(Capability::Images), Some(true));
        assert_eq!((all[1].window, all[1].effective_window), (Some(2048), None));
    }

    #[test]
    fn what_says_nothing_is_no_page_and_a_list_is_no_details() {
        let call = get("/props", Some("m".into()));
        for answer in ["", "[]", "not JSON", "{\"error\": 1"] {
            assert_eq!(detail_page("llamacpp", &call, answer), None, "{answer}");
        }
        assert_eq!(detail_page("groq", &call, "{}"), None);
        assert!(!tells_details("groq") && tells_details("ollama"));
        assert!(!add_details(
            r#"{"data":[{"id":"m"}]}"#,
            &mut entries(&["m"])
        ));
        let mut all = entries(&["m"]);
        assert!(add_details(&format!("{MARK}7}}"), &mut all));
        assert_eq!(all, entries(&["m"]));
    }
}
