//! What lists call a capability.

use super::node::{Node, NodeFields};
use crate::domain::catalog::capability::{Capabilities, Capability};

/// Words in lists of features, parameters, tags and modalities, without case and with `-` for `_`.
const WORDS: &[(&str, Capability)] = &[
    ("tools", Capability::Tools),
    ("tool", Capability::Tools),
    ("tool-use", Capability::Tools),
    ("tool-call", Capability::Tools),
    ("tool-calling", Capability::Tools),
    ("tool-calls", Capability::Tools),
    ("function-calling", Capability::Tools),
    ("functions", Capability::Tools),
    ("image", Capability::Images),
    ("images", Capability::Images),
    ("vision", Capability::Images),
    ("image-input", Capability::Images),
    ("multimodal", Capability::Images),
    ("audio", Capability::Audio),
    ("audio-input", Capability::Audio),
    ("structured-outputs", Capability::JsonSchema),
    ("structured-output", Capability::JsonSchema),
    ("json-schema", Capability::JsonSchema),
    ("response-schema", Capability::JsonSchema),
    ("reasoning", Capability::Reasoning),
    ("thinking", Capability::Reasoning),
    ("include-reasoning", Capability::Reasoning),
    ("reasoning-effort", Capability::Reasoning),
];

/// The capability that a word means.
fn of(word: &str) -> Option<Capability> {
    let word = word.trim().to_ascii_lowercase().replace(['_', ' '], "-");
    let word = word.strip_prefix("supports-").unwrap_or(&word);
    let found = WORDS.iter().find(|(known, _)| *known == word);
    found.map(|(_, capability)| *capability)
}

/// What a list of words, or an object of flags, says. With `whole`, what a list leaves out is not there.
pub(super) fn read(node: Node<'_>, whole: &[Capability], to: &mut Capabilities) {
    if let Some(flags) = node.object() {
        for (name, value) in flags.iter() {
            let nested = value.object().and_then(|value| value.get("supported"));
            let flag = value.flag().or_else(|| nested.and_then(Node::flag));
            if let (Some(capability), Some(flag)) = (of(name), flag) {
                to.set(capability, Some(flag));
            }
        }
        return;
    }
    if !node.is_list() {
        return;
    }
    for capability in whole {
        if to.get(*capability).is_none() {
            to.set(*capability, Some(false));
        }
    }
    for word in node.items().filter_map(Node::text) {
        if let Some(capability) = of(&word) {
            to.set(capability, Some(true));
        }
    }
}

/// What the kinds of input say: these lists are complete.
pub(super) fn modalities(node: Option<Node<'_>>, to: &mut Capabilities) {
    if let Some(node) = node {
        read(node, &[Capability::Images, Capability::Audio], to);
    }
}

/// Whether kinds of output have text among them: what makes only pictures or vectors answers no conversation.
pub(super) fn writes(outputs: Option<Node<'_>>) -> Option<bool> {
    let outputs = outputs.filter(|outputs| outputs.is_list())?;
    let mut words = outputs.items().filter_map(Node::text);
    Some(words.any(|word| word == "text"))
}

/// Flags under names of their own.
pub(super) fn flags(object: &NodeFields<'_>, names: &[(&str, Capability)], to: &mut Capabilities) {
    for (name, capability) in names {
        if let Some(flag) = object.get(name).and_then(Node::flag) {
            to.set(*capability, Some(flag));
        }
    }
}
