//! `pointsman catalog build`: an index of the models that all of some providers have, in the form of llmrouter's.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::common::{CatalogError, list_in, runtime};
use crate::app::current_lists;
use crate::cli::arguments::CatalogBuild;
use crate::cli::exit::{complain, load, say, say_json, tell};
use crate::config::{self, Config, ListKey, ProviderConfig, wanted_variables};
use crate::domain::catalog::index::{ListedModels, NotIndexed, index_of};
use crate::domain::catalog::names::provider_key;
use crate::domain::catalog::offer::ModelGroup;

pub(super) fn run(arguments: &CatalogBuild) -> Result<ExitCode, CatalogError> {
    let config = load(&arguments.reading).map_err(CatalogError::Told)?;
    let seed = arguments.seed.as_deref().map(list_in).transpose()?;
    let providers = wanted(&config, &arguments.providers)?;
    let listed = fetched(&config, &providers)?;
    let seed = seed.as_ref().map(|page| page.groups.as_slice());
    let (groups, left_out) = index_of(&listed, seed, !arguments.include_paid);
    let index = index(&groups, &listed, &providers, arguments.include_paid);
    let text = match arguments.pretty {
        true => format!("{index:#}\n"),
        false => format!("{index}\n"),
    };
    if groups.is_empty() {
        report(arguments, &groups, &left_out);
        let names: Vec<&str> = listed.iter().map(|from| from.kind.as_str()).collect();
        let none = format!("no model is listed by all of {}", names.join(", "));
        return Err(CatalogError::No(none));
    }
    if arguments.output == Path::new("-") {
        say(&text);
    } else {
        write(&arguments.output, &text).map_err(|source| CatalogError::Write {
            path: arguments.output.clone(),
            source,
        })?;
    }
    report(arguments, &groups, &left_out);
    Ok(ExitCode::SUCCESS)
}

/// The providers, each with its type.
type WantedProviders<'c> = Vec<(String, &'c ProviderConfig)>;

fn wanted<'c>(config: &'c Config, names: &[String]) -> Result<WantedProviders<'c>, CatalogError> {
    let names = match (names, config.catalog.required.as_slice()) {
        ([], []) => {
            let all = config.providers.iter();
            let remote = all.filter(|provider| provider.dialect.is_remote());
            return Ok(remote.map(|it| (it.name.to_string(), it)).collect());
        }
        ([], required) => required,
        (names, _) => names,
    };
    let mut found = WantedProviders::new();
    let mut missing = Vec::new();
    for name in names.iter().map(|name| name.trim().to_lowercase()) {
        let key = provider_key(&name);
        let mut all = config.providers.iter();
        let means = |it: &&ProviderConfig| {
            provider_key(it.name.as_str()) == key || provider_key(&it.kind) == key
        };
        match all.find(means) {
            Some(provider) => found.push((name, provider)),
            None => missing.push(wanted_variables(&name).unwrap_or_else(|| {
                format!("`{name}` is no provider of the configuration and none that is built in")
            })),
        }
    }
    match missing.is_empty() {
        true => Ok(found),
        false => {
            let missing = missing.join(", ");
            Err(CatalogError::Missing(format!(
                "missing environment variables: {missing}"
            )))
        }
    }
}

/// The providers' lists, fetched now.
fn fetched(
    config: &Config,
    providers: &WantedProviders<'_>,
) -> Result<Vec<ListedModels>, CatalogError> {
    let mut asking = config.clone();
    asking.catalog.sources.clear();
    asking.catalog.state = None;
    for provider in &mut asking.providers {
        let is_wanted = providers.iter().any(|(_, it)| it.name == provider.name);
        provider.discover = is_wanted.then(|| provider.discover.clone().unwrap_or_default());
    }
    let (lists, failures) = runtime()?.block_on(current_lists(&asking, true));
    for failure in &failures {
        complain(failure);
    }
    let of = |(kind, provider): &(String, &ProviderConfig)| {
        let list = lists.get(&ListKey::Provider(provider.name.clone()));
        let list = list.ok_or_else(|| {
            CatalogError::No(format!("{}: there is no list of models", provider.name))
        })?;
        Ok(ListedModels {
            kind: kind.clone(),
            entries: list.entries.clone(),
        })
    };
    providers.iter().map(of).collect()
}

/// The index as JSON.
fn index(
    groups: &[ModelGroup],
    listed: &[ListedModels],
    providers: &WantedProviders<'_>,
    paid: bool,
) -> Value {
    let described: BTreeMap<&str, Value> = providers
        .iter()
        .map(|(kind, provider)| (kind.as_str(), described(provider, paid)))
        .collect();
    let models = groups.iter().map(|group| {
        let members = group.members.iter().map(|member| {
            let mut object = described
                .get(&*member.provider)
                .cloned()
                .unwrap_or_default();
            object["model"] = json!(member.model);
            object["priority_offset"] = json!(member.offset);
            (member.provider.to_string(), object)
        });
        json!({
            "canonical": group.name,
            "aliases": group.aliases,
            "providers": members.collect::<Map<String, Value>>(),
        })
    });
    let catalogs = listed.iter().map(|from| {
        let ids = from.entries.iter().map(|entry| json!(entry.id));
        (from.kind.clone(), ids.collect::<Value>())
    });
    let kinds: Vec<&str> = listed.iter().map(|from| from.kind.as_str()).collect();
    json!({
        "providers": kinds,
        "models": models.collect::<Vec<_>>(),
        "provider_catalogs": catalogs.collect::<Map<String, Value>>(),
    })
}

/// How an index says where a provider is.
fn described(provider: &ProviderConfig, paid: bool) -> Value {
    let built_in = config::catalog::find(&provider.kind);
    let env = built_in.and_then(|entry| entry.env.first());
    let url = built_in.map(|entry| entry.base_url.as_str());
    let own_url = Some(provider.base_url.as_str()).filter(|own| url != Some(own));
    json!({
        "model": null,
        "api_key_env": env,
        "base_url": own_url,
        "extra_headers": {},
        "allow_paid": paid,
        "priority_offset": 0,
    })
}

/// Puts a whole file in the place of the one before.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn report(arguments: &CatalogBuild, groups: &[ModelGroup], left_out: &[NotIndexed]) {
    let left_out: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = groups.iter().map(|group| &*group.name).collect();
    let to_stdout = arguments.output == Path::new("-");
    if arguments.reading.json {
        let document = json!({
            "output": arguments.output,
            "models": names,
            "left_out": left_out,
        });
        let text = format!("{document:#}\n");
        match to_stdout {
            true => tell(&text, true),
            false => say_json(&text),
        }
        return;
    }
    let mut text = format!(
        "{} models in {}, {} left out\n",
        names.len(),
        arguments.output.display(),
        left_out.len()
    );
    for why in &left_out {
        text.push_str(&format!("  {why}\n"));
    }
    tell(&text, false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalog::entry::Entry;
    use crate::domain::catalog::offer::GroupMember;
    use crate::wire::catalog;

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let groups = [ModelGroup {
            name: "m".into(),
            aliases: vec!["also".into()],
            members: vec![GroupMember {
                provider: "groq".into(),
                model: "maker/m".into(),
                offset: 3,
            }],
        }];
        let listed = [ListedModels {
            kind: "groq".to_owned(),
            entries: vec![Entry {
                id: "maker/m".into(),
                ..Entry::default()
            }],
        }];
        let text = index(&groups, &listed, &WantedProviders::new(), false).to_string();
        let (page, format) = catalog::read(&text, None).unwrap();
        assert_eq!(format.name(), "llmrouter");
        assert_eq!(page.groups, groups);
        assert_eq!(page.entries.len(), 1);
    }
}
