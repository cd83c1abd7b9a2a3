//! Models that a provider's own list has, besides those that the configuration names.

use std::sync::Arc;

use super::{Chain, Listed, Targets};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ModelName, ProviderName, Upstream};

impl Targets {
    /// Lists these models too, and lets each id alone mean the one provider that has it, unless something else has the
    /// name. A provider that serves named models only gets none.
    #[must_use]
    pub fn with_discovered(mut self, models: &[(ProviderName, Vec<ModelName>)]) -> Self {
        let mut owners: HashMap<&ModelName, Vec<Arc<Chain>>> = HashMap::default();
        for (provider, models) in models {
            let prefix = self.prefixes.get(provider.as_str());
            if prefix.is_none_or(|prefix| prefix.closed) {
                continue;
            }
            for model in models {
                let id: Arc<str> = Arc::from(format!("{provider}:{model}"));
                let chain = match self.known.get(&id) {
                    Some(chain) => Arc::clone(chain),
                    None => {
                        let chain = Arc::new(Chain {
                            target: Arc::clone(&id),
                            upstreams: vec![Upstream::new(provider.clone(), model.clone())],
                        });
                        self.known.insert(Arc::clone(&id), Arc::clone(&chain));
                        self.listed.push(Listed {
                            id,
                            provider: Some(provider.clone()),
                            chain: Arc::clone(&chain),
                            discovered: true,
                        });
                        chain
                    }
                };
                owners.entry(model).or_default().push(chain);
            }
        }
        self.name_models_of_one_owner(owners);
        self
    }

    /// Lets other names of listed models (`grok-latest`: a provider, the name, the model) mean these, where one provider has
    /// such a model and nothing else has the name.
    #[must_use]
    pub fn with_other_names(mut self, names: &[(ProviderName, ModelName, ModelName)]) -> Self {
        let mut owners: HashMap<&ModelName, Vec<Arc<Chain>>> = HashMap::default();
        for (provider, name, model) in names {
            let id = format!("{provider}:{model}");
            let Some(chain) = self.known.get(id.as_str()) else {
                continue;
            };
            let chains = owners.entry(name).or_default();
            let own = |upstream: &Upstream| upstream.provider == *provider;
            if !chains
                .iter()
                .any(|other| other.upstreams.first().is_some_and(own))
            {
                chains.push(Arc::clone(chain));
            }
        }
        self.name_models_of_one_owner(owners);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::ProviderEntry;
    use super::*;

    #[test]
    fn discovered_models_are_listed_and_mean_the_one_provider_that_has_them() {
        let provider = |name: &str, models: &[&str]| ProviderEntry {
            name: name.into(),
            model: None,
            models: models.iter().map(|model| ModelName::from(*model)).collect(),
            builtin: false,
            added: false,
        };
        let entries = [
            provider("a", &[]),
            provider("b", &[]),
            provider("closed", &["x"]),
        ];
        let models = |models: &[&str]| models.iter().map(|model| ModelName::from(*model)).collect();
        let targets = Targets::build(&entries, &[], None)
            .unwrap()
            .with_discovered(&[
                ("a".into(), models(&["one", "both", "x"])),
                ("b".into(), models(&["both", "a:odd"])),
                ("closed".into(), models(&["more"])),
            ]);
        let meaning = |name: &str| {
            let chain = targets.resolve(Some(name)).ok()?;
            Some(chain.upstreams.first()?.to_string())
        };
        assert_eq!(meaning("one").as_deref(), Some("a:one"));
        assert_eq!(meaning("b:both").as_deref(), Some("b:both"));
        assert_eq!(meaning("x").as_deref(), Some("closed:x"));
        assert_eq!(meaning("a:odd").as_deref(), Some("a:odd"));
        assert_eq!((meaning("both"), meaning("more")), (None, None));
        let names = [
            ("a", "latest", "one"),
            ("a", "latest", "x"),
            ("a", "shared", "one"),
            ("b", "shared", "both"),
            ("b", "one", "both"),
            ("closed", "of-closed", "more"),
        ];
        let names =
            names.map(|(provider, name, model)| (provider.into(), name.into(), model.into()));
        let more = targets.clone().with_other_names(&names);
        let other = |name: &str| {
            let chain = more.resolve(Some(name)).ok()?;
            Some(chain.upstreams.first()?.to_string())
        };
        assert_eq!(other("latest").as_deref(), Some("a:one"));
        assert_eq!(other("one").as_deref(), Some("a:one"));
        assert_eq!((other("shared"), other("of-closed")), (None, None));
        let discovered = targets.listed().iter().filter(|line| line.discovered);
        assert_eq!(discovered.count(), 5);
    }
}
