//! LiteLLM's model groups: deployments of one name become a virtual provider, fallbacks its chain.

use std::collections::BTreeMap;

use super::deployment::PlacedDeployment;
use super::settings::{FallbackList, RouterSettings};
use crate::config::catalog;
use crate::import::draft::{DraftMember, DraftVirtual, MemberTarget};
use crate::import::field_report::{approximated, mapped_with, unsupported};
use crate::import::importer::Importer;
use crate::import::spans::weights;
use crate::import::tree::YamlTree;

/// The strategy of a group for which nothing is said.
const USUAL: &str = "weighted";

/// The deployments of one name.
struct DeploymentGroup {
    name: String,
    members: Vec<DraftMember>,
    policy: &'static str,
}

/// Builds the virtual providers of all groups, and what follows from the settings for providers.
pub(super) fn build(
    router: &RouterSettings,
    placed: Vec<PlacedDeployment>,
    importer: &mut Importer<'_>,
) {
    provider_settings(router, &placed, importer);
    let mut groups: Vec<DeploymentGroup> = Vec::new();
    let mut by_name: Vec<(String, Vec<PlacedDeployment>)> = Vec::new();
    for one in placed {
        if one.model.is_none() {
            wildcard(&one, importer);
            continue;
        }
        let name = starless(&one, importer);
        match by_name.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => all.push(one),
            None => by_name.push((name, vec![one])),
        }
    }
    for (name, deployments) in by_name {
        groups.push(group(name, &deployments, router, importer));
    }
    chains(router, &groups, importer);
    aliases(router, &groups, importer);
    if let Some(retries) = router.retries {
        let attempts = YamlTree::bare(retries + 1);
        importer
            .draft
            .rest
            .set(&["dispatch", "max_attempts"], attempts);
    }
    missing_default(&groups, importer);
}

/// What all providers have from the router's settings.
fn provider_settings(
    router: &RouterSettings,
    placed: &[PlacedDeployment],
    importer: &mut Importer<'_>,
) {
    if let Some(span) = &router.cooldown {
        importer.draft.rest.set(&["llm", "cooldown"], span.clone());
    }
    let off = router.cooldown == Some(YamlTree::bare("0s"));
    for at in importer.draft.all() {
        if let Some(fails) = router.allowed_fails {
            let threshold = YamlTree::bare(fails + 1);
            importer
                .draft
                .set(at, &["circuit_breaker", "failure_threshold"], threshold);
        }
        if let Some(span) = router.cooldown.clone().filter(|_| !off) {
            importer
                .draft
                .set(at, &["circuit_breaker", "recovery_time"], span);
        }
        let own = importer
            .draft
            .is(at)
            .is_some_and(|provider| provider.has("retry"));
        if let Some(count) = router.same_upstream.filter(|_| !own) {
            importer
                .draft
                .set(at, &["retry", "same_upstream"], YamlTree::bare(count));
        }
    }
    for budget in &router.budgets {
        let mut of = Vec::new();
        for one in placed {
            let named = importer.draft.is(one.at).is_some_and(|provider| {
                let kind = provider.builtin.map(catalog::BuiltIn::kind);
                let wanted = catalog::find(&budget.provider).map(catalog::BuiltIn::kind);
                provider.hint == budget.provider || kind.is_some() && kind == wanted
            });
            if named && !of.contains(&one.at) {
                of.push(one.at);
            }
        }
        match &*of {
            [] => importer.reports.revise(
                &budget.path,
                unsupported("no provider of that name was taken over"),
            ),
            [one] => {
                importer.draft.tells_of(&budget.path, *one);
                importer.draft.budget(*one, "", budget.budget.clone());
            }
            _ => {
                let why = "one budget of several providers, under dispatch";
                importer
                    .reports
                    .revise(&budget.path, approximated("dispatch.budgets", why));
                importer.draft.shared_budget(of, budget.budget.clone());
            }
        }
    }
}

/// The name of a deployment's group. One that any name leads to gets a name that can be asked for.
fn starless(one: &PlacedDeployment, importer: &mut Importer<'_>) -> String {
    let group = &one.read.group;
    if !group.contains('*') {
        return group.clone();
    }
    let name = group.replace('*', "any");
    let path = format!("{}.model_name", one.read.path);
    if group == "*" {
        let default = ["llm", "default_model"];
        if importer.draft.rest.get(&default).is_none() {
            importer.draft.rest.set(&default, YamlTree::literal(&name));
        }
    }
    let why = format!("no name stands for others: ask for `{name}`, or name no model at all");
    importer
        .reports
        .revise(&path, approximated("llm.virtual[].name", why));
    name
}

/// A deployment of any model: its provider takes all.
fn wildcard(one: &PlacedDeployment, importer: &mut Importer<'_>) {
    let path = format!("{}.model_name", one.read.path);
    let why = match one.read.group.as_str() {
        "*" => {
            "no name means any model: a model is asked for as NAME:model, with the name of its provider"
        }
        _ => "any model of it is asked for as NAME:model, with a colon",
    };
    importer
        .reports
        .revise(&path, approximated("llm.providers[]", why));
    let path = format!("{}.litellm_params.model", one.read.path);
    importer.reports.revise(
        &path,
        mapped_with("llm.providers[]", "without a list of models"),
    );
}

fn group(
    name: String,
    deployments: &[PlacedDeployment],
    router: &RouterSettings,
    importer: &mut Importer<'_>,
) -> DeploymentGroup {
    let own = router
        .groups
        .iter()
        .find(|(names, _)| names.contains(&name))
        .map(|(_, policy)| *policy);
    let said = router.strategy.as_ref().map(|(_, policy)| policy.as_str());
    let policy = own.or_else(|| {
        let all = ["weighted", "least_busy", "usage", "latency", "cost"];
        all.into_iter().find(|policy| said == Some(policy))
    });
    let policy = policy.unwrap_or(USUAL);
    let tagged = router.tags && deployments.iter().any(|one| !one.read.tags.is_empty());
    let shares = shares(deployments, policy, importer);
    let mut members = Vec::new();
    for (one, share) in deployments.iter().zip(shares) {
        let model = one.model.clone().unwrap_or_default();
        let target = importer.draft.upstream(one.at, &model);
        let member = DraftMember {
            weight: share,
            priority: one.read.order,
            ..DraftMember::of(target)
        };
        match tagged {
            true => members.extend(by_tags(one, member, importer)),
            false => members.push(member),
        }
    }
    DeploymentGroup {
        name,
        members,
        policy,
    }
}

/// A member for each of its tags; one that is the default comes after all that have one.
fn by_tags(
    one: &PlacedDeployment,
    member: DraftMember,
    importer: &mut Importer<'_>,
) -> Vec<DraftMember> {
    const DEFAULT: &str = "default";
    let path = format!("{}.litellm_params.tags", one.read.path);
    let why = "one of the tags in the header x-litellm-tags; requests without one go to those without tags, or with `default`";
    importer.reports.revise(
        &path,
        approximated("llm.virtual[].upstreams[].when.header", why),
    );
    let mut members = Vec::new();
    for tag in one.read.tags.iter().filter(|tag| *tag != DEFAULT) {
        let mut when = YamlTree::map();
        when.set(
            &["header", "x-litellm-tags"],
            YamlTree::literal(&format!("*{tag}*")),
        );
        let when = Some(when);
        members.push(DraftMember {
            when,
            ..member.clone()
        });
    }
    if one.read.tags.is_empty() || one.read.tags.iter().any(|tag| tag == DEFAULT) {
        let order = member.priority.unwrap_or(0);
        members.push(DraftMember {
            priority: Some(1000 + order),
            ..member
        });
    }
    members
}

/// The shares of a group's deployments, where its policy draws by them: their weights, or as LiteLLM's simple-shuffle has
/// it their limits, where the first one has that.
fn shares(
    deployments: &[PlacedDeployment],
    policy: &str,
    importer: &mut Importer<'_>,
) -> Vec<Option<u64>> {
    let none = vec![None; deployments.len()];
    for one in deployments.iter().filter(|one| one.read.weight.is_some()) {
        let why = match (policy, deployments.len()) {
            ("weighted", 2..) => continue,
            ("weighted", _) => "the group has one deployment".to_owned(),
            _ => format!("means nothing to policy {policy}"),
        };
        let path = format!("{}.litellm_params.weight", one.read.path);
        importer.reports.revise(&path, approximated("", why));
    }
    if policy != "weighted" || deployments.len() < 2 {
        return none;
    }
    let Some(first) = deployments.first() else {
        return none;
    };
    let by: fn(&PlacedDeployment) -> Option<f64> =
        match (first.read.weight, first.read.rpm, first.read.tpm) {
            (Some(_), ..) => |one| one.read.weight,
            (None, Some(_), _) => |one| one.read.rpm,
            (None, None, Some(_)) => |one| one.read.tpm,
            // As LiteLLM looks at the first one only, weights of others are nothing there either.
            (None, None, None) if deployments.iter().any(|one| one.read.weight.is_some()) => {
                |one| one.read.weight.or(Some(1.0))
            }
            (None, None, None) => return none,
        };
    let shares: Vec<f64> = deployments
        .iter()
        .map(|one| by(one).unwrap_or(0.0))
        .collect();
    let shares = weights(&shares);
    if shares.iter().all(|share| Some(share) == shares.first()) {
        return none;
    }
    shares.into_iter().map(Some).collect()
}

/// Builds the virtual providers: a group alone, or a group and what it falls back to.
fn chains(router: &RouterSettings, groups: &[DeploymentGroup], importer: &mut Importer<'_>) {
    let by_name: BTreeMap<&str, &DeploymentGroup> = groups
        .iter()
        .map(|group| (group.name.as_str(), group))
        .collect();
    check_names(router, &by_name, importer);
    let chains: BTreeMap<&str, Vec<&str>> = groups
        .iter()
        .map(|group| (group.name.as_str(), chain(&group.name, router, &by_name)))
        .collect();
    let has_chain = |name: &str| chains.get(name).is_some_and(|chain| !chain.is_empty());
    // A group with a chain that has several members stands under a name of its own inside chains.
    let mut pools: BTreeMap<&str, String> = BTreeMap::new();
    for group in groups
        .iter()
        .filter(|group| has_chain(&group.name) && group.members.len() > 1)
    {
        let taken = |name: &String| by_name.contains_key(name.as_str());
        let mut name = format!("{}-pool", group.name);
        while taken(&name) {
            name.push('-');
        }
        pools.insert(&group.name, name);
    }
    for group in groups {
        let chain = chains.get(group.name.as_str()).cloned().unwrap_or_default();
        let name = group.name.clone();
        if chain.is_empty() {
            push(name, group, router, importer);
            continue;
        }
        let mut members = Vec::new();
        match pools.get(group.name.as_str()) {
            Some(pool) => {
                push(pool.clone(), group, router, importer);
                members.push(DraftMember::of(MemberTarget::Virtual(pool.clone())));
            }
            None => members.extend(group.members.iter().map(bare)),
        }
        for next in chain {
            let pool = pools.get(next).cloned();
            let whole = pool.or_else(|| (!has_chain(next)).then(|| next.to_owned()));
            match (whole, by_name.get(next)) {
                (Some(name), _) => members.push(DraftMember::of(MemberTarget::Virtual(name))),
                (None, Some(group)) => members.extend(group.members.iter().map(bare)),
                (None, None) => {}
            }
        }
        importer.draft.virtuals.push(DraftVirtual {
            name,
            settings: YamlTree::map(),
            members,
        });
    }
}

/// The member of a group that has only one, in a chain: there are no shares and tiers in it.
fn bare(member: &DraftMember) -> DraftMember {
    DraftMember {
        weight: None,
        priority: None,
        ..member.clone()
    }
}

fn push(
    name: String,
    group: &DeploymentGroup,
    router: &RouterSettings,
    importer: &mut Importer<'_>,
) {
    let mut settings = YamlTree::map();
    if group.members.len() > 1 {
        settings.set(&["policy"], YamlTree::bare(group.policy));
        if group.policy == "latency" && !router.latency.is_empty() {
            let mut policy = YamlTree::map();
            policy.set(&["kind"], YamlTree::bare("latency"));
            for (_, key, value) in &router.latency {
                policy.set(&[key], value.clone());
            }
            settings.set(&["policy"], policy);
        }
        if router.affinity {
            settings.set(&["affinity"], YamlTree::bare("auto"));
        }
    }
    let members = group.members.clone();
    importer.draft.virtuals.push(DraftVirtual {
        name,
        settings,
        members,
    });
}

/// Everything that a group goes on to, in order: its fallbacks, those of its fallbacks, the default ones, and those for long
/// prompts. No group twice, so there is no circle.
fn chain<'g>(
    name: &'g str,
    router: &'g RouterSettings,
    groups: &BTreeMap<&'g str, &'g DeploymentGroup>,
) -> Vec<&'g str> {
    let resolve = |wanted: &'g str| {
        let alias = router.aliases.iter().find(|(_, alias, _)| alias == wanted);
        let found = alias.map_or(wanted, |(_, _, target)| target.as_str());
        groups.get_key_value(found).map(|(name, _)| *name)
    };
    let listed = |list: &'g [FallbackList], from: &str| -> Vec<&'g str> {
        let own = list.iter().filter(|one| one.from == from);
        own.flat_map(|one| &one.to)
            .filter_map(|to| resolve(to))
            .collect()
    };
    let mut found: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = listed(&router.fallbacks, name);
    open.reverse();
    while let Some(next) = open.pop() {
        if next == name || found.contains(&next) {
            continue;
        }
        found.push(next);
        let mut further = listed(&router.fallbacks, next);
        further.reverse();
        open.extend(further);
    }
    let any = listed(&router.fallbacks, "*");
    let usual = router.default_fallbacks.iter().filter_map(|to| resolve(to));
    let larger = listed(&router.larger, name);
    for next in any.into_iter().chain(usual).chain(larger) {
        if next != name && !found.contains(&next) {
            found.push(next);
        }
    }
    found
}

/// Says which fallbacks lead nowhere.
fn check_names(
    router: &RouterSettings,
    groups: &BTreeMap<&str, &DeploymentGroup>,
    importer: &mut Importer<'_>,
) {
    let known = |name: &str| {
        let alias = router
            .aliases
            .iter()
            .any(|(_, alias, target)| alias == name && groups.contains_key(target.as_str()));
        alias || groups.contains_key(name)
    };
    for list in router.fallbacks.iter().chain(&router.larger) {
        let lost: Vec<&str> = list
            .to
            .iter()
            .map(String::as_str)
            .filter(|to| !known(to))
            .collect();
        let from = list.from == "*" || known(&list.from);
        if lost.is_empty() && from {
            continue;
        }
        let why = match from {
            true => format!("{} was not taken over", lost.join(", ")),
            false => format!("{} was not taken over", list.from),
        };
        let shown = format!("{}: [{}]", list.from, list.to.join(", "));
        importer.reports.add(&list.path, shown, unsupported(why));
    }
}

fn aliases(router: &RouterSettings, groups: &[DeploymentGroup], importer: &mut Importer<'_>) {
    for (path, name, target) in &router.aliases {
        if importer.draft.has_virtual(name) {
            importer
                .reports
                .revise(path, unsupported("a group has that name"));
        } else if groups.iter().any(|group| group.name == *target) {
            let members = vec![DraftMember::of(MemberTarget::Virtual(target.clone()))];
            importer.draft.virtuals.push(DraftVirtual {
                name: name.clone(),
                settings: YamlTree::map(),
                members,
            });
        } else {
            importer
                .reports
                .revise(path, unsupported(format!("{target} was not taken over")));
        }
    }
}

/// A default that was not taken over would be a mistake.
fn missing_default(groups: &[DeploymentGroup], importer: &mut Importer<'_>) {
    let Some(YamlTree::Text(name)) = importer.draft.rest.get(&["llm", "default_model"]).cloned()
    else {
        return;
    };
    if !groups.iter().any(|group| group.name == name) && !importer.draft.has_virtual(&name) {
        importer.draft.rest.remove(&["llm", "default_model"]);
        let path = "general_settings.completion_model";
        importer
            .reports
            .revise(path, unsupported(format!("{name} was not taken over")));
    }
}
