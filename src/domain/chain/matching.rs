//! Names that are a part of models' ids (`llama`), for those who turn that on.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Chain, NameMatch, Targets};

/// The most upstreams that a part of an id means.
const MOST: usize = 1_000;

impl Targets {
    /// Lets requests ask by names as this says. What is resolved before it is asked for by exact names.
    #[must_use]
    pub fn with_match(self, matching: NameMatch) -> Self {
        Self { matching, ..self }
    }

    /// The upstreams whose model's id contains this name, letter case included: those that providers have, then those that
    /// are only in virtual providers.
    pub(super) fn by_part(&self, name: &str) -> Option<Arc<Chain>> {
        if self.matching == NameMatch::Exact || name.is_empty() {
            return None;
        }
        let owned = self.listed.iter().filter(|line| line.provider.is_some());
        let others = self.listed.iter().filter(|line| line.provider.is_none());
        let mut seen = HashSet::new();
        let all = owned
            .chain(others)
            .flat_map(|line| &line.chain.upstreams)
            .filter(|upstream| upstream.model.as_str().contains(name))
            .filter(|upstream| seen.insert(*upstream));
        let upstreams: Vec<_> = all.take(MOST).cloned().collect();
        (!upstreams.is_empty()).then(|| {
            Arc::new(Chain {
                target: Arc::from(name),
                upstreams,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ProviderEntry, VirtualEntry};
    use super::*;
    use crate::domain::ids::ModelName;

    fn targets() -> Targets {
        let provider = |name: &str, models: &[&str]| ProviderEntry {
            name: name.into(),
            model: None,
            models: models.iter().map(|model| ModelName::from(*model)).collect(),
            builtin: false,
            added: false,
        };
        let entries = [
            provider("b", &["llama-3.3-70b", "gpt-oss"]),
            provider("a", &["llama-4", "Llama-2"]),
            provider("open", &[]),
        ];
        let virtuals = [
            VirtualEntry::ordered("smart-llama", ["a:Llama-2", "open:codellama"]),
            VirtualEntry::ordered("gpt", ["a:llama-4"]),
        ];
        Targets::build(&entries, &virtuals, None).unwrap()
    }

    fn meaning(targets: &Targets, name: &str) -> Vec<String> {
        let chain = targets.resolve(Some(name));
        let chain = chain.map(|chain| chain.upstreams.clone());
        let upstreams = chain.unwrap_or_default();
        upstreams.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_part_of_an_id_means_all_that_contain_it_where_that_is_turned_on() {
        let exact = targets();
        assert!(meaning(&exact, "llama").is_empty());
        let targets = exact.with_match(NameMatch::Substring);
        let all = ["b:llama-3.3-70b", "a:llama-4", "open:codellama"];
        assert_eq!(meaning(&targets, "llama"), all);
        assert_eq!(meaning(&targets, "Llama"), ["a:Llama-2"]);
        assert_eq!(
            meaning(&targets, "oss, llama-4"),
            ["b:gpt-oss", "a:llama-4"]
        );
        assert!(meaning(&targets, "claude").is_empty());
        assert!(meaning(&targets, "").is_empty());
    }

    #[test]
    fn what_is_called_so_goes_first() {
        let targets = targets().with_match(NameMatch::Substring);
        assert_eq!(meaning(&targets, "gpt"), ["a:llama-4"]);
        assert_eq!(meaning(&targets, "llama-4"), ["a:llama-4"]);
        assert_eq!(meaning(&targets, "open:llama"), ["open:llama"]);
        assert!(targets.resolve(Some("open")).is_err(), "it has no model");
    }
}
