//! Which providers have which models of an index: why a model is offered or not, for those who set one up.

use super::names::provider_key;
use super::offer::ModelGroup;
use crate::domain::ids::ProviderName;

/// One type of provider, as indexes call it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeCoverage {
    /// What the index, or the configuration, calls it.
    pub kind: String,
    /// Whether a model is offered only where this type has it.
    pub required: bool,
    /// The configured providers of this type.
    pub providers: Vec<ProviderName>,
    /// Models of the index that it has.
    pub models: usize,
}

/// An index, seen by its providers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Coverage {
    /// Models of the index.
    pub models: usize,
    /// Required types in their order, then the others as the index has them.
    pub types: Vec<TypeCoverage>,
    /// The models that all required types have; without any, those that all types of the index have.
    pub common: Vec<Box<str>>,
}

/// Counts what the index has at each type of provider. `called`: what lists may call each configured provider.
pub fn coverage(
    groups: &[ModelGroup],
    required: &[String],
    called: &[(ProviderName, Vec<String>)],
) -> Coverage {
    let members = groups.iter().flat_map(|group| &group.members);
    let named = members.map(|member| &*member.provider);
    let mut types: Vec<TypeCoverage> = Vec::new();
    for (kind, is_required) in required
        .iter()
        .map(|kind| (kind.as_str(), true))
        .chain(named.map(|kind| (kind, false)))
    {
        let key = provider_key(kind);
        if types.iter().any(|known| provider_key(&known.kind) == key) {
            continue;
        }
        let means =
            |(_, names): &&(_, Vec<String>)| names.iter().any(|name| provider_key(name) == key);
        let providers = called.iter().filter(means);
        types.push(TypeCoverage {
            kind: kind.to_owned(),
            required: is_required,
            providers: providers.map(|(name, _)| name.clone()).collect(),
            models: groups.iter().filter(|group| has(group, &key)).count(),
        });
    }
    let deciding = |known: &&TypeCoverage| known.required || required.is_empty();
    let keys: Vec<String> = types
        .iter()
        .filter(deciding)
        .map(|known| provider_key(&known.kind))
        .collect();
    let common = groups
        .iter()
        .filter(|group| keys.iter().all(|key| has(group, key)));
    Coverage {
        models: groups.len(),
        common: common.map(|group| group.name.clone()).collect(),
        types,
    }
}

fn has(group: &ModelGroup, key: &str) -> bool {
    let mut members = group.members.iter();
    members.any(|member| provider_key(&member.provider) == key)
}

#[cfg(test)]
mod tests {
    use super::super::offer::GroupMember;
    use super::*;

    fn group(name: &str, kinds: &[&str]) -> ModelGroup {
        let members = kinds.iter().map(|kind| GroupMember {
            provider: (*kind).into(),
            model: "m".into(),
            offset: 0,
        });
        ModelGroup {
            name: name.into(),
            aliases: Vec::new(),
            members: members.collect(),
        }
    }

    #[test]
    fn an_index_is_counted_by_type_and_what_all_required_ones_have_is_common() {
        let groups = [
            group("zeta", &["groq", "openrouter"]),
            group("zz", &["groq"]),
            group("mid", &["openrouter", "Groq"]),
        ];
        let called = [
            ("mine".into(), vec!["groq".to_owned()]),
            ("yours".into(), vec!["groq".to_owned(), "yours".to_owned()]),
        ];
        let required = ["openrouter".to_owned(), "nvidia_nim".to_owned()];
        let told = coverage(&groups, &required, &called);
        let types: Vec<_> = told
            .types
            .iter()
            .map(|it| (it.kind.as_str(), it.required, it.providers.len(), it.models))
            .collect();
        assert_eq!(
            types,
            [
                ("openrouter", true, 0, 2),
                ("nvidia_nim", true, 0, 0),
                ("groq", false, 2, 3)
            ]
        );
        assert!(told.common.is_empty());
        let of = |required: &[String]| coverage(&groups, required, &called).common;
        assert_eq!(of(&required[..1]), [Box::from("zeta"), Box::from("mid")]);
        assert_eq!(of(&[]), [Box::from("zeta"), Box::from("mid")]);
    }
}
