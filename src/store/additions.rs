//! What was added while the process ran, as the state file has it: settings of providers and references to keys. There is
//! no place in it for material.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::{AddedKey, AddedProvider, Additions, KeyOrigin, SecretReference};

#[derive(Serialize, Deserialize, Default)]
pub(super) struct StoredAdditions {
    /// The number of the latest key: it is not given again.
    #[serde(default)]
    latest: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    providers: Vec<StoredProvider>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
struct StoredProvider {
    name: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    settings: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    number: u64,
    provider: String,
    #[serde(default)]
    of_added: bool,
    reference: String,
}

impl StoredAdditions {
    pub(super) fn is_empty(&self) -> bool {
        self.latest == 0 && self.providers.is_empty() && self.keys.is_empty()
    }

    pub(super) fn encoded(additions: &Additions) -> Self {
        let providers = additions.providers().iter().map(|it| StoredProvider {
            name: it.name.to_string(),
            settings: it.settings.clone(),
        });
        let keys = additions.keys().iter().filter_map(|key| match &key.origin {
            KeyOrigin::Reference(reference) => Some(StoredKey {
                number: key.number,
                provider: key.provider.to_string(),
                of_added: key.of_added,
                reference: reference.to_string(),
            }),
            KeyOrigin::Literal(_) => None,
        });
        Self {
            latest: additions.latest(),
            providers: providers.collect(),
            keys: keys.collect(),
        }
    }

    /// A reference that only another version understands is left out.
    pub(super) fn decoded(self) -> Additions {
        let providers = self.providers.into_iter().map(|it| AddedProvider {
            name: it.name.into(),
            settings: it.settings,
        });
        let keys = self.keys.into_iter().filter_map(|key| {
            Some(AddedKey {
                number: key.number,
                provider: key.provider.into(),
                of_added: key.of_added,
                origin: KeyOrigin::Reference(SecretReference::parse(&key.reference).ok()?),
            })
        });
        Additions::restored(self.latest, providers.collect(), keys.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::ApiKey;

    #[test]
    fn what_is_written_is_read_again_and_no_material_is_written() {
        let mut all = Additions::default();
        let mut settings = Map::new();
        settings.insert("base_url".to_owned(), "http://127.0.0.1:1".into());
        all.add_provider("p".into(), settings).unwrap();
        for text in ["env:A", "file:/a b", "exec:/bin/echo a b"] {
            let reference = SecretReference::parse(text).unwrap();
            let origin = KeyOrigin::Reference(reference);
            all.add_key("p".into(), origin.clone()).unwrap();
            all.add_key("other".into(), origin).unwrap();
        }
        let literal = KeyOrigin::Literal(ApiKey::new("sk-planted"));
        all.add_key("p".into(), literal).unwrap();
        let text = serde_json::to_string(&StoredAdditions::encoded(&all)).unwrap();
        assert!(!text.contains("planted"), "{text}");
        let read: StoredAdditions = serde_json::from_str(&text).unwrap();
        assert_eq!(read.decoded(), all.without_material());
    }

    #[test]
    fn what_another_version_wrote_does_no_harm() {
        let text = r#"{"latest": 3, "more": 1, "keys": [
            {"number": 9, "provider": "p", "reference": "vault:a"},
            {"number": 7, "provider": "p", "reference": "env:A", "more": 1}]}"#;
        let read: StoredAdditions = serde_json::from_str(text).unwrap();
        let read = read.decoded();
        assert_eq!((read.keys().len(), read.latest()), (1, 7));
    }
}
