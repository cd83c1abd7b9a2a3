//! Portkey: a gateway config, with its strategies and nested targets.

mod conditions;
mod fields;
mod node;
mod targets;

use self::fields::read_node;
use self::targets::{Inherited, ROOT, build};
use super::draft::DraftVirtual;
use super::error::ImportError;
use super::importer::Importer;
use super::source::SourceNode;
use super::tree::YamlTree;

pub(super) fn read(node: &SourceNode, importer: &mut Importer<'_>) -> Result<(), ImportError> {
    let known = [
        "strategy",
        "targets",
        "provider",
        "virtual_key",
        "virtualKey",
        "api_key",
        "apiKey",
        "override_params",
    ];
    // An export has the config inside.
    let (path, node) = match node.get("config") {
        Some(inside @ SourceNode::Map(_)) => ("config", inside),
        _ => ("", node),
    };
    if !known.iter().any(|key| node.get(key).is_some()) {
        return Err(ImportError::Foreign(
            "there is neither a strategy nor a provider",
        ));
    }
    let read = read_node(node, path, importer);
    if let Some(cache) = read.cache() {
        importer.draft.rest.set(&["cache"], cache);
    }
    let attempts = read.most_attempts();
    let members = build(&read, ROOT, &Inherited::default(), importer);
    // A config without a strategy is a chain of one.
    if !importer.draft.has_virtual(ROOT) && !members.is_empty() {
        importer.draft.virtuals.push(DraftVirtual {
            name: ROOT.to_owned(),
            settings: YamlTree::map(),
            members,
        });
    }
    if importer.draft.has_virtual(ROOT) {
        importer
            .draft
            .rest
            .set(&["llm", "default_model"], YamlTree::literal(ROOT));
    }
    if let Some(attempts) = attempts {
        let attempts = YamlTree::bare(attempts + 1);
        importer
            .draft
            .rest
            .set(&["dispatch", "max_attempts"], attempts);
    }
    Ok(())
}
