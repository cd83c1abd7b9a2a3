//! A strategy or a target of a Portkey config.

use super::conditions::PortkeyCondition;
use crate::import::tree::YamlTree;

/// A strategy or a target, as far as it was read.
#[derive(Default)]
pub(super) struct PortkeyNode {
    pub(super) path: String,
    pub(super) mode: Option<String>,
    pub(super) conditions: Vec<PortkeyCondition>,
    pub(super) default: Option<String>,
    pub(super) targets: Vec<PortkeyNode>,
    pub(super) name: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) virtual_key: Option<String>,
    pub(super) host: Option<String>,
    pub(super) weight: Option<f64>,
    pub(super) model: Option<String>,
    pub(super) params: Vec<(String, YamlTree)>,
    pub(super) headers: Vec<(String, YamlTree)>,
    /// How long calls may take, in milliseconds.
    pub(super) timeout: Option<u64>,
    pub(super) attempts: Option<u64>,
    pub(super) cached: bool,
    pub(super) max_age: Option<YamlTree>,
    /// Keys and credentials by their names here, with where they stand.
    pub(super) secrets: Vec<(&'static str, String, String)>,
    /// Texts of clouds by their names here.
    pub(super) places: Vec<(&'static str, String)>,
}

impl PortkeyNode {
    /// The section of a cache, if answers are kept.
    pub(super) fn cache(&self) -> Option<YamlTree> {
        let mut section = YamlTree::map();
        if let Some(span) = &self.max_age {
            section.set(&["ttl"], span.clone());
        }
        section.set(&["when"], YamlTree::bare("always"));
        self.cached.then_some(section)
    }

    /// The most retries that a part of it asks for.
    pub(super) fn most_attempts(&self) -> Option<u64> {
        let inside = self.targets.iter().filter_map(Self::most_attempts);
        self.attempts.into_iter().chain(inside).max()
    }

    /// A text of a cloud.
    pub(super) fn place(&self, name: &str) -> Option<&str> {
        let found = self.places.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| text.as_str())
    }
}
