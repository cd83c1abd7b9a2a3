//! llmrouter's index (`model_index.json`): models under one name across providers, and the ids that each provider lists.
//! It states no prices: what is in it at all is free, unless an entry allows paid ones.

use std::collections::HashSet;

use super::node::{Node, NodeFields};
use super::page::Page;
use crate::domain::catalog::entry::Entry;
use crate::domain::catalog::offer::{GroupMember, ModelGroup};

const IGNORED: &[&str] = &["canonical", "aliases", "providers"];
const IGNORED_OF_PROVIDERS: &[&str] = &[
    "model",
    "api_key_env",
    "base_url",
    "extra_headers",
    "allow_paid",
    "priority_offset",
    "circuit_breaker",
    "mock_failure_rate",
];
/// What a window is called where an index has one.
const WINDOWS: &[&str] = &["context_window", "context_length"];

pub(super) fn fits(list: &NodeFields<'_>) -> bool {
    if list
        .get("provider_catalogs")
        .and_then(Node::object)
        .is_some()
    {
        return true;
    }
    let models = list.get("models").into_iter().flat_map(Node::items);
    let mut objects = models.filter_map(Node::object);
    objects.any(|model| model.get("canonical").is_some())
}

pub(super) fn read(list: &NodeFields<'_>, page: &mut Page) {
    let models = list.get("models").into_iter().flat_map(Node::items);
    for model in models.filter_map(Node::object) {
        let Some(name) = model.get("canonical").and_then(Node::name) else {
            page.notes
                .warn("an entry has no `canonical`: left out".to_owned());
            continue;
        };
        let aliases = model.get("aliases").into_iter().flat_map(Node::items);
        let aliases = aliases
            .filter_map(Node::name)
            .filter(|alias| *alias != name);
        let mut group = ModelGroup {
            name: name.as_ref().into(),
            aliases: aliases.map(|alias| alias.as_ref().into()).collect(),
            members: Vec::new(),
        };
        let providers = model.get("providers").and_then(Node::object);
        for (provider, node) in providers.iter().flat_map(NodeFields::iter) {
            if let Some(object) = node.object() {
                member(&mut group, provider, &object, page);
            }
        }
        page.notes.unknown_keys += model.unknown(IGNORED);
        page.groups.push(group);
    }
    catalogs(list, page);
}

fn member(group: &mut ModelGroup, provider: &str, object: &NodeFields<'_>, page: &mut Page) {
    let Some(model) = object.get("model").and_then(Node::name) else {
        let name = &group.name;
        page.notes.warn(format!(
            "`{name}` has no `model` at {provider}: left out there"
        ));
        return;
    };
    let offset = object.get("priority_offset").and_then(Node::written);
    group.members.push(GroupMember {
        provider: provider.into(),
        model: model.as_ref().into(),
        offset: offset.and_then(|text| text.parse().ok()).unwrap_or(0),
    });
    let window = WINDOWS.iter().find_map(|name| object.get(name)?.tokens());
    add(page, provider, &model, window);
    page.notes.unknown_keys += object.unknown(IGNORED_OF_PROVIDERS);
}

fn catalogs(list: &NodeFields<'_>, page: &mut Page) {
    let all = list.get("provider_catalogs").and_then(Node::object);
    let place = |entry: &Entry| (entry.provider.clone(), entry.id.clone());
    let known: HashSet<(Option<Box<str>>, Box<str>)> = page.entries.iter().map(place).collect();
    for (provider, ids) in all.iter().flat_map(NodeFields::iter) {
        for id in ids.items().filter_map(Node::name) {
            if !known.contains(&(Some(provider.into()), id.as_ref().into())) {
                add(page, provider, &id, None);
            }
        }
    }
}

fn add(page: &mut Page, provider: &str, id: &str, window: Option<u64>) {
    page.entries.push(Entry {
        id: id.into(),
        provider: Some(provider.into()),
        window,
        free: id.ends_with(":free"),
        ..Entry::default()
    });
}
