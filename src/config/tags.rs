//! Tags of providers, models and members: words that expressions ask for.

use std::sync::Arc;

use config::ValueKind;
use serde_json::json;

use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report};
use super::values::Names;
use crate::domain::ids::ModelName;
use crate::domain::tags::ProviderTags;

/// What a tag is made of besides letters and digits.
const SIGNS: &str = "-_.:/";
/// The longest tag, in bytes.
const LONGEST: usize = 64;

/// `tags`
pub(super) struct TagsForm(pub(super) Vec<Arc<str>>);

impl FromNode for TagsForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let Names(names) = Names::read(node, report)?;
        let is_sign = |letter: char| letter.is_ascii_alphanumeric() || SIGNS.contains(letter);
        let is_tag = |name: &String| name.len() <= LONGEST && name.chars().all(is_sign);
        match names.iter().all(is_tag) {
            true => Some(Self(names.into_iter().map(Arc::from).collect())),
            false => node.wrong(
                &format!("tags of letters, digits and {SIGNS}, up to {LONGEST} each"),
                report,
            ),
        }
    }
}

impl Describe for TagsForm {
    fn shape() -> Shape {
        let one = json!({"type": ["string", "integer"], "pattern": r"^[\s,A-Za-z0-9_.:/-]*$"});
        let schema = json!({"anyOf": [one, {"type": ["array", "null"], "items": one}]});
        Shape::plain("list of tags", schema)
    }
}

/// `llm.providers[].model_tags`
pub(super) struct ModelTagsForm(Vec<(ModelName, Vec<Arc<str>>)>);

impl FromNode for ModelTagsForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let ValueKind::Table(table) = &node.value.kind else {
            return node.wrong("a map of models and lists of tags", report);
        };
        let read = table.iter().filter_map(|(model, value)| {
            let TagsForm(tags) = TagsForm::read(&node.child(model, value), report)?;
            Some((model.as_str().into(), tags))
        });
        let mut read: Vec<(ModelName, _)> = read.collect();
        read.sort_by(|one, other| one.0.cmp(&other.0));
        Some(Self(read))
    }
}

impl Describe for ModelTagsForm {
    fn shape() -> Shape {
        TagsForm::shape().mapped("map of models and lists of tags")
    }
}

/// The tags of `tags` and `model_tags` together.
pub(super) fn tags(all: Option<TagsForm>, models: Option<ModelTagsForm>) -> ProviderTags {
    ProviderTags {
        all: all.map(|TagsForm(tags)| tags).unwrap_or_default(),
        by_model: models.map(|ModelTagsForm(tags)| tags).unwrap_or_default(),
    }
}
