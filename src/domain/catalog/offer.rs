//! Which models of an index are offered, at which upstreams and in what order, as llmrouter does it: an entry only where
//! every required provider has it, then at every provider that it names.

use std::collections::BTreeMap;

use super::names::provider_key;

/// One model of an index, under one name across providers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelGroup {
    /// The name that is the same everywhere (`canonical`).
    pub name: Box<str>,
    /// Other names for it.
    pub aliases: Vec<Box<str>>,
    /// Who has it, as the index has them.
    pub members: Vec<GroupMember>,
}

/// A provider that has a model of an index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMember {
    /// What the index calls the provider: its type.
    pub provider: Box<str>,
    /// The model as that provider spells it.
    pub model: Box<str>,
    /// Added to the model's place in the order.
    pub offset: i64,
}

/// An upstream that is offered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offered {
    /// The name that is the same everywhere.
    pub group: Box<str>,
    /// What the index calls the provider.
    pub provider: Box<str>,
    /// The model as that provider spells it.
    pub model: Box<str>,
    /// Lower first: ten times the model's place among the sorted names, and the offset.
    pub priority: i64,
}

/// Why a model is not offered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LeftOut {
    /// Required providers do not have it.
    #[error("`{group}` is not offered: the index has it at no provider of type {}", types.join(", "))]
    Missing {
        /// The model.
        group: Box<str>,
        /// The types that the index lacks.
        types: Vec<String>,
    },
    /// No configured provider may be asked for it, or only free ones are offered.
    #[error(
        "`{group}` is not offered at {provider}: no such provider is there for `{model}`, or it is not known to be free"
    )]
    NotUsable {
        /// The model.
        group: Box<str>,
        /// The provider.
        provider: Box<str>,
        /// As it spells the model.
        model: Box<str>,
    },
}

/// What an index comes to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// What is offered, in the order in which it is tried; equal ones as the index has them.
    pub upstreams: Vec<Offered>,
    /// What is not, and why.
    pub left_out: Vec<LeftOut>,
}

impl Offer {
    /// The upstreams of one model, in order.
    pub fn of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Offered> {
        let all = self.upstreams.iter();
        all.filter(move |offered| &*offered.group == group)
    }
}

/// Chooses from `groups`: those that every provider of `required` has, at those of their providers that `may_be_used`
/// allows (when only free models are offered).
pub fn offer(
    groups: &[ModelGroup],
    required: &[String],
    may_be_used: impl Fn(&GroupMember) -> bool,
) -> Offer {
    let mut offer = Offer::default();
    let mut kept: BTreeMap<&str, Vec<&GroupMember>> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for group in groups {
        let has = |kind: &&String| {
            let key = provider_key(kind);
            let mut members = group.members.iter();
            !members.any(|member| provider_key(&member.provider) == key)
        };
        let types: Vec<String> = required.iter().filter(has).cloned().collect();
        if !types.is_empty() {
            let group = group.name.clone();
            offer.left_out.push(LeftOut::Missing { group, types });
            continue;
        }
        // The last entry of a name holds, as the index's own reader has it.
        let mut members = Vec::new();
        for member in &group.members {
            if may_be_used(member) {
                members.push(member);
            } else {
                offer.left_out.push(LeftOut::NotUsable {
                    group: group.name.clone(),
                    provider: member.provider.clone(),
                    model: member.model.clone(),
                });
            }
        }
        if members.is_empty() {
            continue;
        }
        if kept.insert(&group.name, members).is_none() {
            names.push(&group.name);
        }
    }
    let places: BTreeMap<&str, usize> = kept.keys().copied().zip(0..).collect();
    for name in names {
        let place = places.get(name).copied().unwrap_or_default();
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        for member in kept.get(name).into_iter().flatten() {
            offer.upstreams.push(Offered {
                group: name.into(),
                provider: member.provider.clone(),
                model: member.model.clone(),
                priority: place.saturating_mul(10).saturating_add(member.offset),
            });
        }
    }
    offer.upstreams.sort_by_key(|offered| offered.priority);
    offer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, members: &[(&str, i64)]) -> ModelGroup {
        let members = members.iter().map(|(provider, offset)| GroupMember {
            provider: (*provider).into(),
            model: format!("{provider}/{name}").into(),
            offset: *offset,
        });
        ModelGroup {
            name: name.into(),
            aliases: Vec::new(),
            members: members.collect(),
        }
    }

    fn index() -> [ModelGroup; 3] {
        [
            group("zeta", &[("groq", 0), ("openrouter", 0), ("echo", 0)]),
            group("zz", &[("groq", 0)]),
            group("mid", &[("openrouter", 0), ("groq", 3)]),
        ]
    }

    fn offered(required: &[&str]) -> Offer {
        let required: Vec<String> = required.iter().map(ToString::to_string).collect();
        offer(&index(), &required, |_| true)
    }

    #[test]
    fn only_what_all_required_providers_have_is_offered_then_everywhere() {
        let found = offered(&["groq", "openrouter"]);
        let order: Vec<String> = found
            .upstreams
            .iter()
            .map(|at| format!("{}-{} {}", at.provider, at.group, at.priority))
            .collect();
        assert_eq!(
            order,
            [
                "openrouter-mid 0",
                "groq-mid 3",
                "groq-zeta 10",
                "openrouter-zeta 10",
                "echo-zeta 10"
            ]
        );
        assert_eq!(found.of("mid").count(), 2);
        let missing: Vec<String> = found.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(
            missing,
            ["`zz` is not offered: the index has it at no provider of type openrouter"]
        );
    }

    #[test]
    fn a_type_that_nobody_has_leaves_nothing_and_is_named_for_each() {
        let found = offered(&["groq", "nvidia_nim"]);
        assert!(found.upstreams.is_empty());
        assert_eq!(found.left_out.len(), 3);
        for left_out in &found.left_out {
            assert!(left_out.to_string().contains("nvidia_nim"), "{left_out}");
        }
        assert_eq!(offered(&[]).upstreams.len(), 6);
    }

    #[test]
    fn models_that_are_not_free_are_left_out_by_provider() {
        let free = |member: &GroupMember| &*member.provider != "groq";
        let found = offer(&index(), &["groq".to_owned()], free);
        let order: Vec<&str> = found.upstreams.iter().map(|at| &*at.provider).collect();
        assert_eq!(order, ["openrouter", "openrouter", "echo"]);
        assert_eq!(found.left_out.len(), 3);
    }
}
