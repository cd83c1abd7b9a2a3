//! Makes an index: which models several providers have, each under one name.
//!
//! With a seed, which names the models and how each provider spells them, a model is taken when every provider lists it.
//! Without one, models are the same when their ids are, but for case, `_`, a prefix with the maker's name and a suffix
//! (`:free`). No id is ever taken for a part of another.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Zero};
use super::names::normalised;
use super::offer::{GroupMember, ModelGroup};
use crate::domain::money::Pico;

/// What one provider lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedModels {
    /// What the index calls the provider: its type.
    pub kind: String,
    /// Its models.
    pub entries: Vec<Entry>,
}

impl ListedModels {
    /// Whether a model may be in an index of free ones. Where no price is stated, none makes a model paid.
    fn is_free(&self, entry: &Entry) -> bool {
        let states_prices = self
            .entries
            .iter()
            .any(|entry| entry.sheet.is_some() || entry.free);
        !states_prices || entry.free || entry.id.ends_with(":free") || costs_nothing(entry)
    }

    fn has(&self, id: &str) -> Option<&Entry> {
        let exact = self.entries.iter().find(|entry| &*entry.id == id);
        // A variant is of the same model.
        exact.or_else(|| {
            self.entries
                .iter()
                .find(|entry| bare(&entry.id) == bare(id))
        })
    }
}

fn costs_nothing(entry: &Entry) -> bool {
    let rates = entry.sheet.as_ref().map(|sheet| sheet.rates);
    rates.is_some_and(|rates| {
        let nothing = |rate: Option<Pico>| rate == Some(Pico::ZERO);
        entry.zero == Zero::Free && nothing(rates.input) && nothing(rates.output)
    })
}

/// An id without its suffix.
fn bare(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

/// Why a model is not in an index.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotIndexed {
    /// Providers do not list it, or not free of charge.
    #[error("`{name}`: not listed by {}", kinds.join(", "))]
    Missing {
        /// The model.
        name: String,
        /// The providers.
        kinds: Vec<String>,
    },
    /// Several ids of one provider would be it.
    #[error("`{name}`: {kind} lists {} for it; name one in a seed", ids.join(" and "))]
    Several {
        /// The model.
        name: String,
        /// The provider.
        kind: String,
        /// Its ids.
        ids: Vec<String>,
    },
}

/// The models that all of these providers list, in the order of their names, and why others are not among them.
/// `free_only` leaves paid ones out.
pub fn index_of(
    listed: &[ListedModels],
    seed: Option<&[ModelGroup]>,
    free_only: bool,
) -> (Vec<ModelGroup>, Vec<NotIndexed>) {
    let mut groups = Vec::new();
    let mut left_out = Vec::new();
    let mut add = |found: Result<ModelGroup, NotIndexed>| match found {
        Ok(group) => groups.push(group),
        Err(why) => left_out.push(why),
    };
    match seed {
        Some(seed) => {
            for group in seed {
                add(seeded(group, listed, free_only));
            }
        }
        None => {
            let mut names: BTreeSet<String> = BTreeSet::new();
            let spelt: Vec<_> = listed.iter().map(|from| by_name(from, free_only)).collect();
            for models in &spelt {
                names.extend(models.keys().cloned());
            }
            for name in names {
                // What only some have is not worth a word each.
                if spelt.iter().all(|models| models.contains_key(&name)) {
                    add(same(&name, listed, &spelt));
                }
            }
        }
    }
    groups.sort_by(|one, other| one.name.cmp(&other.name));
    (groups, left_out)
}

fn seeded(
    group: &ModelGroup,
    listed: &[ListedModels],
    free_only: bool,
) -> Result<ModelGroup, NotIndexed> {
    let mut members = Vec::new();
    let mut kinds = Vec::new();
    for from in listed {
        let mut own = group.members.iter();
        let member = own.find(|member| *member.provider == *from.kind);
        let entry = member.and_then(|member| from.has(&member.model));
        let fits = entry.is_some_and(|entry| !free_only || from.is_free(entry));
        match member.filter(|_| fits) {
            Some(member) => members.push(member.clone()),
            None => kinds.push(from.kind.clone()),
        }
    }
    if !kinds.is_empty() {
        let name = group.name.to_string();
        return Err(NotIndexed::Missing { name, kinds });
    }
    Ok(ModelGroup {
        members,
        ..group.clone()
    })
}

type SpeltIds<'a> = BTreeMap<String, Vec<&'a str>>;

/// The ids of a provider by the names that are the same everywhere.
fn by_name(from: &ListedModels, free_only: bool) -> SpeltIds<'_> {
    let mut all = SpeltIds::new();
    for entry in &from.entries {
        if entry.chats == Some(false) || (free_only && !from.is_free(entry)) {
            continue;
        }
        let (plain, _) = normalised(&entry.id, &[]);
        let name = plain.rsplit('/').next().unwrap_or(&plain).to_owned();
        all.entry(name).or_default().push(&entry.id);
    }
    all
}

fn same(
    name: &str,
    listed: &[ListedModels],
    spelt: &[SpeltIds<'_>],
) -> Result<ModelGroup, NotIndexed> {
    let mut members = Vec::new();
    for (from, models) in listed.iter().zip(spelt) {
        let ids = models.get(name).map(Vec::as_slice).unwrap_or_default();
        let model = match ids {
            [only] => *only,
            // The free variant of a model that is there without, too.
            [one, other] if bare(one) == bare(other) => {
                if one.ends_with(":free") {
                    one
                } else {
                    other
                }
            }
            ids => {
                return Err(NotIndexed::Several {
                    name: name.to_owned(),
                    kind: from.kind.clone(),
                    ids: ids.iter().map(|id| format!("`{id}`")).collect(),
                });
            }
        };
        members.push(GroupMember {
            provider: from.kind.as_str().into(),
            model: model.into(),
            offset: 0,
        });
    }
    Ok(ModelGroup {
        name: name.into(),
        aliases: Vec::new(),
        members,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(kind: &str, ids: &[&str]) -> ListedModels {
        let entries = ids.iter().map(|id| Entry {
            id: (*id).into(),
            free: id.ends_with(":free"),
            ..Entry::default()
        });
        ListedModels {
            kind: kind.to_owned(),
            entries: entries.collect(),
        }
    }

    fn shown(groups: &[ModelGroup]) -> Vec<String> {
        let shown = groups.iter().map(|group| {
            let models = group.members.iter().map(|member| &*member.model);
            format!("{}: {}", group.name, models.collect::<Vec<_>>().join(" "))
        });
        shown.collect()
    }

    #[test]
    fn models_are_the_same_but_for_spelling() {
        let all = [
            listed(
                "groq",
                &["openai/gpt-oss-120b", "llama-3.3", "Qwen3_32B", "whisper"],
            ),
            listed(
                "openrouter",
                &[
                    "openai/gpt-oss-120b:free",
                    "a/llama-3.3",
                    "b/llama-3.3",
                    "qwen/qwen3-32b:free",
                    "llama-3.3-70b:free",
                ],
            ),
        ];
        let (groups, left_out) = index_of(&all, None, false);
        assert_eq!(
            shown(&groups),
            [
                "gpt-oss-120b: openai/gpt-oss-120b openai/gpt-oss-120b:free",
                "qwen3-32b: Qwen3_32B qwen/qwen3-32b:free"
            ]
        );
        let told: Vec<String> = left_out.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "`llama-3.3`: openrouter lists `a/llama-3.3` and `b/llama-3.3` for it; name one in a seed"
            ]
        );
        // Without the paid ones one spelling is left of none.
        let (free, left_out) = index_of(&all, None, true);
        assert_eq!((shown(&free).len(), left_out.len()), (2, 0));
    }

    #[test]
    fn a_seed_names_the_models_and_all_must_list_them() {
        let member = |provider: &str, model: &str| GroupMember {
            provider: provider.into(),
            model: model.into(),
            offset: 3,
        };
        let group = |name: &str, members: Vec<GroupMember>| ModelGroup {
            name: name.into(),
            aliases: vec!["also".into()],
            members,
        };
        let seed = [
            group(
                "z",
                vec![
                    member("groq", "z"),
                    member("openrouter", "v/z"),
                    member("other", "z"),
                ],
            ),
            group(
                "paid",
                vec![member("groq", "z"), member("openrouter", "paid")],
            ),
            group("one", vec![member("groq", "z")]),
        ];
        let all = [
            listed("groq", &["z"]),
            listed("openrouter", &["v/z:free", "paid"]),
        ];
        let (groups, left_out) = index_of(&all, Some(&seed), true);
        assert_eq!(shown(&groups), ["z: z v/z"]);
        assert_eq!(groups[0].members[0].offset, 3);
        let told: Vec<String> = left_out.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "`paid`: not listed by openrouter",
                "`one`: not listed by openrouter"
            ]
        );
    }
}
