//! Portkey's targets: leaves become upstreams, strategies virtual providers.

use super::node::PortkeyNode;
use crate::config::catalog;
use crate::import::clouds::{name_of_host, set_azure, vertex, wrong_url};
use crate::import::draft::{DraftMember, DraftProvider, DraftVirtual, MemberTarget};
use crate::import::field_report::{approximated, mapped_with, needless, unsupported};
use crate::import::importer::Importer;
use crate::import::spans::weights;
use crate::import::tree::YamlTree;
use crate::import::variables::variable_name;

/// The name of the outermost strategy.
pub(super) const ROOT: &str = "portkey";

/// The providers of Portkey that are called otherwise here.
const NAMES: &[(&str, &str)] = &[
    ("azure-openai", "azure"),
    ("mistral-ai", "mistralai"),
    ("together-ai", "togetherai"),
    ("fireworks-ai", "fireworks"),
    ("perplexity-ai", "perplexity"),
    ("novita-ai", "novita"),
    ("x-ai", "xai"),
    ("vertex-ai", "vertex"),
    ("aws-bedrock", "bedrock"),
    ("amazon-bedrock", "bedrock"),
    ("zhipu", "zai"),
    ("moonshot", "moonshot"),
    ("ncompass", ""),
];

/// What strategies hand on to what is inside them.
#[derive(Clone, Default)]
pub(super) struct Inherited {
    timeout: Option<u64>,
    params: Vec<(String, YamlTree)>,
    model: Option<String>,
}

/// Builds a node: the members that lead to it.
pub(super) fn build(
    node: &PortkeyNode,
    name: &str,
    above: &Inherited,
    importer: &mut Importer<'_>,
) -> Vec<DraftMember> {
    let mut here = above.clone();
    if node.timeout.is_some() {
        here.timeout = node.timeout;
    }
    for (key, value) in &node.params {
        here.params.retain(|(known, _)| known != key);
        here.params.push((key.clone(), value.clone()));
    }
    if node.model.is_some() {
        here.model.clone_from(&node.model);
    }
    if node.targets.is_empty() {
        let target = leaf(node, &here, importer);
        return target.map(DraftMember::of).into_iter().collect();
    }
    let own = node.name.clone().filter(|_| name != ROOT);
    let own = importer.draft.free_name(own.as_deref().unwrap_or(name));
    // Taken before those inside, so that none of them takes the name.
    let place = importer.draft.virtuals.len();
    let blank = DraftVirtual {
        name: own.clone(),
        settings: YamlTree::map(),
        members: Vec::new(),
    };
    importer.draft.virtuals.push(blank);
    let mut inside = Vec::new();
    for (at, target) in node.targets.iter().enumerate() {
        let wanted = format!("{own}-{}", at + 1);
        inside.push(build(target, &wanted, &here, importer));
    }
    let members = joined(node, inside, importer);
    let weighted = node.mode.as_deref() == Some("loadbalance") && members.len() > 1;
    if members.is_empty() {
        importer.draft.virtuals.remove(place);
        return Vec::new();
    }
    if let Some(one) = importer.draft.virtuals.get_mut(place) {
        if let Some(cache) = node.cache().filter(|_| name != ROOT) {
            one.settings.set(&["cache"], cache);
        }
        one.members = members;
        if weighted {
            one.settings.set(&["policy"], YamlTree::bare("weighted"));
        }
    }
    vec![DraftMember::of(MemberTarget::Virtual(own))]
}

/// The members of a strategy, by its mode.
fn joined(
    node: &PortkeyNode,
    inside: Vec<Vec<DraftMember>>,
    importer: &mut Importer<'_>,
) -> Vec<DraftMember> {
    match node.mode.as_deref() {
        Some("loadbalance") => {
            let shares: Vec<f64> = node
                .targets
                .iter()
                .map(|target| target.weight.unwrap_or(1.0))
                .collect();
            let shares = weights(&shares);
            let equal = shares.iter().all(|share| Some(share) == shares.first());
            let member = |(members, share): (Vec<DraftMember>, u64)| {
                members.into_iter().map(move |member| DraftMember {
                    weight: (!equal).then_some(share),
                    ..member
                })
            };
            inside.into_iter().zip(shares).flat_map(member).collect()
        }
        Some("conditional") => conditional(node, &inside, importer),
        Some("single") => inside.into_iter().take(1).flatten().collect(),
        _ => {
            for target in node.targets.iter().filter(|target| target.weight.is_some()) {
                let path = format!("{}.weight", target.path);
                importer.reports.revise(
                    &path,
                    needless("means nothing where targets are asked in order, there and here"),
                );
            }
            inside.into_iter().flatten().collect()
        }
    }
}

/// Each condition's target while it holds, then the default.
fn conditional(
    node: &PortkeyNode,
    inside: &[Vec<DraftMember>],
    importer: &mut Importer<'_>,
) -> Vec<DraftMember> {
    let named = |wanted: &str| {
        let at = node
            .targets
            .iter()
            .position(|target| target.name.as_deref() == Some(wanted))?;
        inside.get(at).filter(|members| !members.is_empty())
    };
    let mut members = Vec::new();
    let strategy = crate::import::table::joined(&node.path, "strategy");
    for (at, condition) in node.conditions.iter().enumerate() {
        let Some(target) = named(&condition.then) else {
            let path = format!("{strategy}.conditions[{at}].then");
            importer.reports.revise(
                &path,
                unsupported(format!("no target `{}` was taken over", condition.then)),
            );
            continue;
        };
        for when in condition.when.iter().flatten() {
            let member = |member: &DraftMember| DraftMember {
                when: Some(when.clone()),
                ..member.clone()
            };
            members.extend(target.iter().map(member));
        }
    }
    if let Some(default) = &node.default {
        match named(default) {
            Some(target) => members.extend(target.iter().cloned()),
            None => {
                let path = format!("{strategy}.default");
                importer.reports.revise(
                    &path,
                    unsupported(format!("no target `{default}` was taken over")),
                );
            }
        }
    }
    members
}

/// A target that is called.
fn leaf(node: &PortkeyNode, here: &Inherited, importer: &mut Importer<'_>) -> Option<MemberTarget> {
    if node.name.is_some() {
        let path = crate::import::table::joined(&node.path, "name");
        let verdict = needless("names the target for conditions");
        importer.reports.revise(&path, verdict);
    }
    let mut model = here.model.clone();
    let mut slug = node.virtual_key.clone();
    let mut provider = node.provider.clone();
    // `@slug` names an integration, alone or before a model.
    if let Some(rest) = provider.as_deref().and_then(|name| name.strip_prefix('@')) {
        slug = Some(rest.to_owned());
        provider = None;
    }
    if let Some((name, rest)) = model
        .as_deref()
        .and_then(|name| name.strip_prefix('@'))
        .and_then(|name| name.split_once('/'))
    {
        slug = slug.or_else(|| Some(name.to_owned()));
        model = Some(rest.to_owned());
    }
    if let Some(why) = node.host.as_deref().and_then(wrong_url) {
        importer.reports.drop_below(&node.path, why);
        return None;
    }
    let made = match (&provider, &slug) {
        (Some(name), _) => known(name, node, model.as_deref(), importer),
        (None, Some(slug)) => Ok(integration(slug, node, importer)),
        (None, None) => match &node.host {
            Some(_) => known("openai", node, model.as_deref(), importer),
            None => Err("it names no provider".to_owned()),
        },
    };
    let mut made = match made {
        Ok(made) => made,
        Err(why) => {
            importer.reports.drop_below(&node.path, &why);
            return None;
        }
    };
    keys(node, slug.as_deref(), &mut made, importer);
    for (name, value) in &here.params {
        made.set(&["params", name], value.clone());
    }
    for (name, value) in &node.headers {
        made.set(&["headers", name], value.clone());
    }
    if let Some(cache) = node.cache().filter(|_| !node.path.is_empty()) {
        made.set(&["cache"], cache);
    }
    if let Some(millis) = here.timeout {
        made.set_timeout(millis);
    }
    let usual = made
        .builtin
        .and_then(|entry| entry.model.clone())
        .filter(|_| !made.has("base_url"));
    let at_path = |key: &str| crate::import::table::joined(&node.path, key);
    let model = match (model, usual) {
        (Some(model), _) => model,
        (None, Some(usual)) => {
            let why = format!(
                "theirs is asked for the model of the request, ours for {usual}: name one in override_params.model"
            );
            for key in ["provider", "virtual_key", "virtualKey"] {
                importer
                    .reports
                    .revise(&at_path(key), approximated("llm.providers[]", why.clone()));
            }
            usual
        }
        (None, None) => {
            importer
                .reports
                .drop_below(&node.path, "it names no model: add override_params.model");
            return None;
        }
    };
    let at = importer.draft.provider(made);
    importer.draft.tells_of(&node.path, at);
    Some(importer.draft.upstream(at, &model))
}

/// A provider by its name at Portkey.
fn known(
    name: &str,
    node: &PortkeyNode,
    model: Option<&str>,
    importer: &mut Importer<'_>,
) -> Result<DraftProvider, String> {
    let name = name.trim().to_ascii_lowercase();
    let renamed = NAMES.iter().find(|(known, _)| *known == name);
    let id = renamed.map_or(name.as_str(), |(_, id)| *id);
    let found = catalog::find(id).or_else(|| catalog::find(&id.replace('-', "_")));
    let found = found.or_else(|| catalog::find(id.trim_end_matches("-ai")));
    let Some(entry) = found else {
        return match &node.host {
            Some(url) => Ok(at_host(&name, url, importer)),
            None => Err(format!(
                "the provider {name} is not built in: add custom_host, its address"
            )),
        };
    };
    match entry.id.as_str() {
        "azure_openai" => {
            let resource = node
                .place("resource")
                .map(|name| format!("https://{name}.openai.azure.com"));
            let url = resource.or_else(|| node.host.clone());
            let url = url.ok_or("its resource is missing: add azure_resource_name")?;
            let mut provider = DraftProvider::built_in("azure");
            set_azure(&mut provider, &url, node.place("version"), importer);
            if node.place("auth_mode") == Some("managed") {
                provider.set(&["credentials", "metadata"], YamlTree::bare("true"));
                provider.set(&["auth"], YamlTree::bare("azure"));
            }
            Ok(provider)
        }
        "bedrock" => {
            let mut provider = DraftProvider::built_in("bedrock");
            if let Some(region) = node.place("region") {
                provider.set(&["region"], YamlTree::literal(region));
            }
            Ok(provider)
        }
        "vertex" | "vertex_anthropic" => {
            let model = model.ok_or("it names no model: add override_params.model")?;
            let name = vertex(model.trim_start_matches("anthropic."))
                .ok_or("at Vertex only the models of Google and Anthropic are called")?;
            let mut provider = DraftProvider::built_in(name);
            for key in ["project", "region"] {
                if let Some(text) = node.place(key) {
                    provider.set(&[key], YamlTree::literal(text));
                }
            }
            Ok(provider)
        }
        _ => Ok(match &node.host {
            Some(url) if entry.local => {
                let mut provider = DraftProvider::built_in(&entry.id);
                let url = url.trim().trim_end_matches('/');
                // A server's root is meant; its OpenAI API is under /v1.
                let url = if url.ends_with("/v1") {
                    url.to_owned()
                } else {
                    format!("{url}/v1")
                };
                provider.set(&["base_url"], YamlTree::literal(&url));
                provider
            }
            Some(url) => {
                let mut provider = at_host(&name_of_host(url), url, importer);
                let dialect = entry.dialect().id();
                if dialect != "openai" {
                    provider.set(&["dialect"], YamlTree::bare(dialect));
                }
                provider
            }
            None => DraftProvider::built_in(&entry.id),
        }),
    }
}

fn at_host(name: &str, url: &str, importer: &mut Importer<'_>) -> DraftProvider {
    let mut provider = DraftProvider::own(name);
    let url = importer.address(url, name);
    provider.set(&["base_url"], url);
    provider
}

/// A provider that only Portkey knows, by the name of its integration: what the name tells, or a placeholder.
fn integration(slug: &str, node: &PortkeyNode, importer: &mut Importer<'_>) -> DraftProvider {
    let parts = slug.split(|c: char| !c.is_ascii_alphanumeric());
    let guess = |part: &str| {
        catalog::find(&part.to_ascii_lowercase())
            .filter(|entry| entry.cloud.is_none() && entry.dialect().is_remote())
    };
    let found = parts.into_iter().find_map(guess);
    let (provider, why) = match (found, &node.host) {
        (_, Some(url)) => (
            at_host(slug, url, importer),
            "the key stays at Portkey: set its variable".to_owned(),
        ),
        (Some(entry), None) => (
            DraftProvider::built_in(&entry.id),
            format!(
                "taken for {} by its name; the key stays at Portkey: set its variable",
                entry.id
            ),
        ),
        (None, None) => {
            let name = format!("PORTKEY_{}_BASE_URL", variable_name(slug));
            let mut provider = DraftProvider::own(slug);
            let url = importer.variable(&name);
            provider.set(&["base_url"], url);
            (
                provider,
                format!(
                    "only Portkey knows whose it is: set {name} to the address of its API, and its key's variable"
                ),
            )
        }
    };
    let mut keys = vec!["virtual_key", "virtualKey", "provider"];
    if node.virtual_key.is_none() && node.provider.is_none() {
        // The model named it.
        keys.extend(["override_params.model", "overrideParams.model"]);
    }
    for key in keys {
        let path = crate::import::table::joined(&node.path, key);
        importer
            .reports
            .revise(&path, approximated("llm.providers[].api_key", why.clone()));
    }
    provider
}

/// Keys and credentials.
fn keys(
    node: &PortkeyNode,
    slug: Option<&str>,
    provider: &mut DraftProvider,
    importer: &mut Importer<'_>,
) {
    let mut credentials = YamlTree::map();
    for (name, path, text) in &node.secrets {
        if *name == "google" {
            let key = importer.variable("GOOGLE_APPLICATION_CREDENTIALS");
            provider.set(&["api_key"], key);
            let why = "the credentials are not copied: write them into a file, and set GOOGLE_APPLICATION_CREDENTIALS to its name";
            importer
                .reports
                .revise(path, approximated("llm.providers[].api_key", why));
            continue;
        }
        let wanted = match *name {
            "api_key" => provider.usual_variable(),
            "azure_ad_token" => "AZURE_AD_TOKEN".to_owned(),
            "access_key_id" | "secret_access_key" | "session_token" => format!("AWS_{name}"),
            name => format!("AZURE_{name}"),
        };
        let Some((value, why)) = importer.secret(text, &wanted) else {
            importer.reports.revise(
                path,
                needless("stands for no key: calls are made without one"),
            );
            continue;
        };
        match *name {
            "api_key" => provider.set(&["api_key"], value),
            "azure_ad_token" => {
                provider.set(&["api_key"], value);
                provider.set(&["auth"], YamlTree::bare("azure"));
            }
            name => credentials.set(&[name], value),
        }
        importer.reports.revise(
            path,
            mapped_with(
                format!(
                    "llm.providers[].{}",
                    if *name == "api_key" {
                        "api_key"
                    } else {
                        "credentials"
                    }
                ),
                why,
            ),
        );
    }
    if !credentials.is_empty() {
        provider.set(&["credentials"], credentials);
    }
    if let Some(slug) = slug.filter(|_| !provider.has("api_key") && !provider.has("credentials")) {
        let name = format!("PORTKEY_{}", variable_name(slug));
        let key = importer.variable(&name);
        provider.set(&["api_key"], key);
        if node
            .provider
            .as_deref()
            .is_some_and(|provider| !provider.starts_with('@'))
        {
            let why = format!("the key stays at Portkey: set {name} to it");
            for key in ["virtual_key", "virtualKey"] {
                let path = crate::import::table::joined(&node.path, key);
                let verdict = approximated("llm.providers[].api_key", why.clone());
                importer.reports.revise(&path, verdict);
            }
        }
    }
}
