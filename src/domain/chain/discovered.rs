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
        let discovered = targets.listed().iter().filter(|line| line.discovered);
        assert_eq!(discovered.count(), 5);
    }
}
