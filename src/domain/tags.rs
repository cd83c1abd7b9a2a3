//! Words that an operator gives providers and models, for expressions to ask for. No I/O, no clock, no logging.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ids::ModelName;

/// The tags of a provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProviderTags {
    /// Those of all its models.
    pub all: Vec<Arc<str>>,
    /// Those of single models, besides.
    pub by_model: Vec<(ModelName, Vec<Arc<str>>)>,
}

impl ProviderTags {
    /// The tags of one of its models, each once.
    pub fn of(&self, model: &ModelName) -> Vec<&str> {
        let own = self.by_model.iter().filter(|(name, _)| name == model);
        let own = own.flat_map(|(_, tags)| tags);
        let mut tags: Vec<&str> = self.all.iter().chain(own).map(|tag| &**tag).collect();
        once(&mut tags);
        tags
    }
}

/// Leaves out what is there already; the order stays.
pub fn once(tags: &mut Vec<&str>) {
    let mut seen = BTreeSet::new();
    tags.retain(|tag| seen.insert(*tag));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_its_providers_tags_and_its_own() {
        let tags = ProviderTags {
            all: vec!["eu".into(), "fast".into()],
            by_model: vec![("m".into(), vec!["fast".into(), "small".into()])],
        };
        assert_eq!(tags.of(&"m".into()), ["eu", "fast", "small"]);
        assert_eq!(tags.of(&"n".into()), ["eu", "fast"]);
        assert_eq!(ProviderTags::default().of(&"m".into()), [""; 0]);
    }
}
