//! What was added while the process runs, put beside what the configuration says. The rule is one sentence: the
//! configuration stands by itself and comes first, and an addition is used where it contradicts nothing of it.
//!
//! So chains name providers of the configuration only, an added provider whose name is taken is shadowed, and what is
//! wrong with an addition leaves it out, with the reason, and is never a mistake of the configuration.

mod keys;
mod settings;

use config::Value;

use self::keys::{FoundMaterial, attached, materials, of_key, reported, source_of};
use self::settings::taken_settings;
use super::account_keys::{AccountKey, AccountKeys};
use super::additions::{AddedKey, AddedProvider, AdditionUse, PlacedAddition};
use super::context::{Context, Placed, other_names};
use super::error::Problem;
use super::provider;
use super::raw;
use super::read::{ConfigNode, FromNode, Report};
use super::resolved::ProviderConfig;
use super::values::Span;
use crate::domain::ids::{ModelName, ProviderName};
use crate::domain::secret::ApiKey;

/// Puts what was added beside the providers of the configuration. `virtuals`: names that are taken as well.
pub(super) fn place(
    placed: &mut Vec<Placed>,
    virtuals: &[raw::Virtual],
    cooldowns: &[(String, Span, String)],
    context: &Context<'_>,
    report: &mut Report,
) -> Vec<PlacedAddition> {
    let additions = &context.added.additions;
    if additions.is_empty() {
        return Vec::new();
    }
    let aside = Aside::begin(report);
    let configured = placed.len();
    let mut told = Vec::new();
    for provider in additions.providers() {
        let keys = additions.keys().iter();
        let own: Vec<&AddedKey> = keys
            .filter(|key| key.of_added && key.provider == provider.name)
            .collect();
        let found = materials(&own, context, report);
        let own_names = placed.get(..configured).unwrap_or_default();
        if is_taken(provider.name.as_str(), own_names, virtuals) {
            told.push(PlacedAddition::shadowed(
                &provider.name,
                None,
                "the configuration has this name",
            ));
            let why = "so is the provider that it was added to";
            let keys = own.iter();
            told.extend(
                keys.map(|key| PlacedAddition::shadowed(&key.provider, Some(key.number), why)),
            );
            reported(report);
            continue;
        }
        let made = added_provider(provider, &found, cooldowns, context, report);
        let problems = reported(report);
        let made = made.filter(|_| problems.is_empty());
        told.push(of_provider(&provider.name, made.is_some(), problems));
        told.extend(
            found
                .iter()
                .map(|(key, found)| of_key(key, found, made.as_ref())),
        );
        placed.extend(made.map(|provider| Placed {
            provider,
            // What a request without a model means is for the configuration to say.
            builtin: true,
            added: true,
        }));
    }
    for key in additions.keys().iter().filter(|key| !key.of_added) {
        // Not one that was added: those come behind the configuration's.
        let mut own = placed.iter_mut().take(configured);
        let target = own.find(|it| it.provider.name == key.provider);
        let target = target.map(|placed| &mut placed.provider);
        told.push(attached(key, target, context, report));
    }
    aside.end(report);
    told
}

/// What a request without a model means by the configuration alone, where that goes without saying: additions change
/// nothing of it. `placed`: its providers.
pub(super) fn usual(placed: &[Placed]) -> Option<String> {
    let only = match placed {
        [only] => only,
        _ => {
            let mut named = placed.iter().filter(|it| !it.builtin);
            named.next().filter(|_| named.next().is_none())?
        }
    };
    let has_model = only.provider.model.is_some() || !only.provider.models.is_empty();
    has_model.then(|| only.provider.name.to_string())
}

/// What was reported before, while what is reported of additions goes elsewhere.
struct Aside {
    problems: Vec<Problem>,
    lenient: bool,
    file: String,
}

impl Aside {
    fn begin(report: &mut Report) -> Self {
        Self {
            problems: std::mem::take(&mut report.problems),
            lenient: std::mem::replace(&mut report.lenient, false),
            file: std::mem::take(&mut report.file),
        }
    }

    fn end(self, report: &mut Report) {
        report.problems = self.problems;
        report.lenient = self.lenient;
        report.file = self.file;
    }
}

/// Whether a name means something in the configuration: a provider, a virtual provider, another name of one, a model, or the
/// beginning of a model's name.
fn is_taken(name: &str, placed: &[Placed], virtuals: &[raw::Virtual]) -> bool {
    let provider = |it: &Placed| it.provider.name.as_str() == name;
    let is_virtual = |it: &raw::Virtual| it.name.as_deref().is_some_and(|it| it.trim() == name);
    let model = |model: &ModelName| {
        let rest = model.as_str().strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    placed.iter().any(|it| {
        provider(it)
            || it
                .provider
                .model
                .iter()
                .chain(&it.provider.models)
                .any(model)
    }) || virtuals.iter().any(is_virtual)
        || other_names(placed).iter().any(|(other, _)| other == name)
}

fn of_provider(name: &ProviderName, made: bool, problems: Vec<Problem>) -> PlacedAddition {
    PlacedAddition {
        provider: name.clone(),
        number: None,
        used: if made {
            AdditionUse::Active
        } else {
            AdditionUse::Unusable
        },
        problems,
        keys: Vec::new(),
    }
}

/// The provider, with its keys where they were found; what is wrong goes into the report.
fn added_provider(
    added: &AddedProvider,
    found: &[(&AddedKey, FoundMaterial)],
    cooldowns: &[(String, Span, String)],
    context: &Context<'_>,
    report: &mut Report,
) -> Option<ProviderConfig> {
    let path = format!("added provider {}", added.name);
    let mut settings = taken_settings(&added.settings, &path, report);
    settings.insert("name".to_owned(), added.name.as_str().into());
    let settings = serde_json::Value::Object(settings);
    let Ok(value) = serde_json::from_value::<Value>(settings) else {
        report.problem(&path, "its settings cannot be read", "");
        return None;
    };
    let node = ConfigNode {
        value: &value,
        path: path.clone(),
    };
    let mut raw = raw::ProviderSection::read(&node, report)?;
    let mut all = Vec::new();
    for (key, found) in found {
        for material in found.iter().flatten() {
            all.push(AccountKey {
                material: material.clone(),
                at: source_of(key),
                account: None,
            });
        }
    }
    let known: Vec<(ApiKey, String)> = all
        .iter()
        .map(|key| (key.material.clone(), key.at.clone()))
        .collect();
    raw.api_keys = (!all.is_empty()).then_some(AccountKeys(all));
    let provider::Outcome::Ready(mut provider) =
        provider::resolve(raw, &path, cooldowns, context, report)
    else {
        return None;
    };
    // Its list would give names a second meaning.
    provider.discover = None;
    for key in &mut provider.keys {
        let same = |(material, _): &&(ApiKey, String)| Some(material) == key.material.as_ref();
        if let Some((_, source)) = known.iter().find(same) {
            key.source.clone_from(source);
        }
    }
    Some(*provider)
}
