//! Virtual providers: other names become the providers' own, upstreams without a key are left out.

use std::collections::BTreeMap;
use std::path::Path;

use super::caching::PlacedCache;
use super::catalog::{self, BuiltIn};
use super::context::{Placed, other_names};
use super::ranking::{AffinityForm, HintsForm, SpillForm};
use super::raw;
use super::read::Report;
use super::score_files;
use crate::domain::chain::{ChainError, MemberEntry, PRIORITY, ResolveError, VirtualEntry};
use crate::domain::ids::ProviderName;
use crate::domain::near::near;
use crate::domain::policy::Policy;
use crate::domain::profile::{ExplicitSettings, Profile, TargetPolicies, TargetPolicy};

/// The names that mean something.
pub(super) struct NameTable {
    names: Vec<String>,
    /// Models that providers list: one may look like `provider:model`.
    models: Vec<String>,
    aliases: BTreeMap<String, ProviderName>,
    /// The tiers of providers that are not in the usual one.
    priorities: BTreeMap<String, u32>,
}

/// The meaning of an upstream's name.
enum Meaning {
    /// A provider, a virtual provider, a model id, or nothing: the graph decides.
    Name(String),
    /// A built-in provider that is not there.
    Absent(&'static BuiltIn),
}

impl NameTable {
    pub fn of(placed: &[Placed]) -> Self {
        Self {
            names: placed
                .iter()
                .map(|placed| placed.provider.name.to_string())
                .collect(),
            models: placed
                .iter()
                .flat_map(|placed| placed.provider.models.iter().chain(&placed.provider.model))
                .map(ToString::to_string)
                .collect(),
            aliases: other_names(placed).into_iter().collect(),
            priorities: {
                let all = placed.iter().map(|placed| &placed.provider);
                let unusual = all.filter(|provider| provider.priority != PRIORITY);
                unusual
                    .map(|provider| (provider.name.to_string(), provider.priority))
                    .collect()
            },
        }
    }

    /// The tier of an upstream by its provider.
    fn priority(&self, name: &str) -> u32 {
        let head = || name.split_once(':').map_or(name, |(head, _)| head);
        let own = self
            .priorities
            .get(name)
            .or_else(|| self.priorities.get(head()));
        own.copied().unwrap_or(PRIORITY)
    }

    pub fn aliases(&self) -> Vec<(String, ProviderName)> {
        self.aliases.clone().into_iter().collect()
    }

    fn is_provider(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    fn meaning(&self, name: &str, virtuals: &[raw::Virtual]) -> Meaning {
        let is_virtual = virtuals
            .iter()
            .any(|entry| entry.name.as_deref().map(str::trim) == Some(name));
        if is_virtual || self.is_provider(name) {
            return Meaning::Name(name.to_owned());
        }
        let (head, rest) = match name.split_once(':') {
            Some((head, rest)) => (head, Some(rest)),
            None => (name, None),
        };
        if self.is_provider(head) {
            return Meaning::Name(name.to_owned());
        }
        if let Some(provider) = self.aliases.get(head) {
            return Meaning::Name(match rest {
                Some(rest) => format!("{provider}:{rest}"),
                None => provider.to_string(),
            });
        }
        match catalog::find(head) {
            Some(entry) if !self.models.iter().any(|model| model == name) => Meaning::Absent(entry),
            _ => Meaning::Name(name.to_owned()),
        }
    }
}

/// Built-in providers that need no key and are referred to, but not configured.
pub(super) fn locals(
    virtuals: &[raw::Virtual],
    default_model: Option<&str>,
    known: &NameTable,
) -> Vec<&'static BuiltIn> {
    let upstreams = virtuals
        .iter()
        .flat_map(|entry| entry.upstreams.iter().flatten())
        .map(|upstream| upstream.name.as_str());
    let mut found: Vec<&'static BuiltIn> = Vec::new();
    for name in upstreams.chain(default_model) {
        if let Meaning::Absent(entry) = known.meaning(name, virtuals)
            && entry.local
            && !found.contains(&entry)
        {
            found.push(entry);
        }
    }
    found
}

/// Whether a virtual provider has the name of a built-in provider that nothing else speaks of: then its keys in the
/// environment are not meant, and must not make two things of one name.
pub(super) fn takes_name(virtuals: &[raw::Virtual], id: &str) -> bool {
    let named = |entry: &raw::Virtual| entry.name.as_deref().map(str::trim) == Some(id);
    let of_it = |name: &str| name.split_once(':').is_some_and(|(head, _)| head == id);
    let mut upstreams = virtuals
        .iter()
        .flat_map(|entry| entry.upstreams.iter().flatten());
    virtuals.iter().any(named) && !upstreams.any(|upstream| of_it(&upstream.name))
}

/// The chains to build, without the upstreams that have no key.
pub(super) fn resolve(
    virtuals: &[raw::Virtual],
    known: &NameTable,
    dir: &Path,
    report: &mut Report,
) -> Vec<VirtualEntry> {
    let mut chains = Vec::new();
    for (at, entry) in virtuals.iter().enumerate() {
        let path = format!("llm.virtual[{at}]");
        let name = entry.name.as_deref().map(str::trim).unwrap_or_default();
        if name.is_empty() {
            report.problem(&path, "a virtual provider has no name", "add `name:`");
            continue;
        }
        let written = entry.upstreams.as_deref().unwrap_or_default();
        let policy = policy(entry, dir, &path, report);
        let affinity = entry.affinity.as_ref().and_then(|AffinityForm(own)| *own);
        let mut upstreams = Vec::new();
        let mut absent: Vec<&'static BuiltIn> = Vec::new();
        let mut notes = Vec::new();
        for (place, upstream) in written.iter().enumerate() {
            let takes_weights = policy.takes_weights() || affinity.is_some();
            if upstream.weight.is_some_and(|weight| weight != 1) && !takes_weights {
                let text = format!("weight means nothing to policy {} of {name}", policy.name());
                notes.push((format!("{path}.upstreams[{place}].weight"), text));
            }
            match known.meaning(&upstream.name, virtuals) {
                Meaning::Name(name) => upstreams.push(MemberEntry {
                    weight: upstream.weight.unwrap_or(1),
                    priority: upstream
                        .priority
                        .unwrap_or_else(|| match policy.is_usual() {
                            true => PRIORITY,
                            false => known.priority(&name),
                        }),
                    when: upstream.when.clone(),
                    tags: upstream.tags.clone(),
                    name,
                }),
                Meaning::Absent(builtin) => {
                    let text = format!(
                        "{} is skipped in {name}: no key; set {}",
                        upstream.name,
                        builtin.wanted()
                    );
                    notes.push((format!("{path}.upstreams[{place}]"), text));
                    if !absent.contains(&builtin) {
                        absent.push(builtin);
                    }
                }
            }
        }
        if upstreams.is_empty() && !absent.is_empty() {
            let wanted: Vec<String> = absent.iter().map(|builtin| builtin.wanted()).collect();
            report.problem(
                &format!("{path}.upstreams"),
                format!("no upstream of virtual provider {name} has a key"),
                &report.missing(&format!("set {}", wanted.join(" or "))),
            );
            continue;
        }
        for (place, text) in notes {
            report.warn(&place, text);
        }
        upstreams.sort_by_key(|member| member.priority);
        chains.push(VirtualEntry {
            name: name.to_owned(),
            policy,
            affinity,
            spill: entry.spill.as_ref().and_then(|SpillForm(own)| *own),
            hints: entry.hints == Some(HintsForm::OpenRouter),
            upstreams,
        });
    }
    chains
}

/// How a virtual provider ranks its upstreams.
fn policy(entry: &raw::Virtual, dir: &Path, path: &str, report: &mut Report) -> Policy {
    let Some(form) = &entry.policy else {
        return Policy::default();
    };
    match &form.files {
        Some(files) => score_files::policy(files, dir, &format!("{path}.policy"), report),
        None => form.policy.clone(),
    }
}

/// What they say of kept answers.
pub(super) fn caches(virtuals: &mut [raw::Virtual]) -> Vec<PlacedCache> {
    let own = virtuals.iter_mut().enumerate().filter_map(|(at, entry)| {
        let name = entry.name.as_deref()?.trim().to_owned();
        Some((
            name,
            format!("llm.virtual[{at}].cache"),
            entry.cache.take()?,
        ))
    });
    own.collect()
}

/// The policy of each target: its virtual provider's settings, and `dispatch` for what these leave out.
pub(super) fn policies(
    virtuals: &[raw::Virtual],
    profile: Option<Profile>,
    said: ExplicitSettings,
) -> TargetPolicies {
    let of = |entry: &raw::Virtual| {
        let name = entry.name.as_deref()?.trim();
        if entry.rescue.is_none()
            && entry.profile.is_none()
            && entry.unsupported.is_none()
            && entry.fetch.is_none()
        {
            return None;
        }
        let profile = entry.profile.map_or(profile, |own| own.0);
        let said = ExplicitSettings {
            rescue: entry.rescue.map(|rescue| rescue.0),
            unsupported: entry.unsupported,
            fetch: entry.fetch,
            ..said
        };
        Some((name.to_owned(), TargetPolicy::new(profile, said)))
    };
    let own = virtuals.iter().filter_map(of).collect();
    TargetPolicies::new(TargetPolicy::new(profile, said), own)
}

/// The default target by the providers' own names. `None` when it is a built-in provider without a key,
/// which is then in the report.
pub(super) fn default_model(
    name: &str,
    virtuals: &[raw::Virtual],
    known: &NameTable,
    report: &mut Report,
) -> Option<String> {
    match known.meaning(name.trim(), virtuals) {
        Meaning::Name(name) => Some(name),
        Meaning::Absent(entry) => {
            report.problem(
                "llm.default_model",
                format!("`{name}` has no key"),
                &report.missing(&format!("set {}", entry.wanted())),
            );
            None
        }
    }
}

/// Puts a mistake of the graph into the report, unless it only follows from one that is there.
pub(super) fn report_chain_error(
    error: &ChainError,
    virtuals: &[raw::Virtual],
    report: &mut Report,
) {
    let dropped = match error {
        ChainError::Dangling { upstream, .. } => Some(upstream),
        ChainError::DefaultModel(ResolveError::UnknownTarget { name, .. }) => Some(name),
        _ => None,
    };
    let written = |name: &String| {
        let named = |entry: &raw::Virtual| entry.name.as_deref().map(str::trim) == Some(name);
        virtuals.iter().any(named)
    };
    if dropped.is_some_and(written) {
        return;
    }
    let path = match error {
        ChainError::DuplicateProvider { .. } => "llm.providers",
        ChainError::DefaultModel(_) => "llm.default_model",
        _ => "llm.virtual",
    };
    // The graph knows only what is configured; a slip in a built-in provider's name deserves a hint too.
    let suggestion = match error {
        ChainError::Dangling {
            upstream,
            near: found,
            ..
        } if found.is_empty() => {
            let head = upstream.split(':').next().unwrap_or_default();
            let names = catalog::all()
                .iter()
                .filter(|entry| entry.dialect().is_remote())
                .map(|entry| entry.id.as_str());
            near(head, names)
                .first()
                .map(|name| format!("did you mean the built-in provider `{name}`?"))
                .unwrap_or_default()
        }
        _ => String::new(),
    };
    report.problem(path, error.to_string(), &suggestion);
}
