//! The list of models that callers get: what may be asked for, and what is known of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::api::ShownProvider;
use crate::config::{Config, shown_url};
use crate::domain::catalog::capability::Capability;
use crate::domain::catalog::entry::{Freshness, Origin};
use crate::domain::catalog::facts::Facts;
use crate::domain::chain::Listed;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::price_sheet::PriceSheet;
use crate::wire::model_entry::ModelEntry;

/// What is told of each provider.
pub(super) fn providers(config: &Config) -> HashMap<ProviderName, ShownProvider> {
    let providers = config.providers.iter().map(|provider| {
        let shown = ShownProvider {
            base_url: shown_address(&provider.base_url),
            tier: provider.priority,
        };
        (provider.name.clone(), shown)
    });
    providers.collect()
}

/// A URL without what may hold a credential: user information and query.
fn shown_address(url: &str) -> String {
    let url = shown_url(url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// The host of a provider, and its port if it has one.
fn host(config: &Config, name: &ProviderName) -> Option<String> {
    let provider = config.providers.iter().find(|it| it.name == *name)?;
    let address = shown_address(&provider.base_url);
    let (_, rest) = address.split_once("://")?;
    rest.split('/').next().map(str::to_owned)
}

/// The other names of each virtual provider that is one member under another name: of the models of an index.
fn aliases(config: &Config) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let lines = config.targets.listed().iter();
    for line in lines.filter(|line| line.provider.is_none()) {
        let entry = config.targets.configured(&line.id);
        let members = entry.map_or(&[][..], |entry| &entry.upstreams);
        if let [only] = members {
            all.entry(&only.name).or_default().insert(&line.id);
        }
    }
    all
}

/// Every line of the list.
pub(super) fn of(config: &Config) -> Vec<ModelEntry> {
    let aliases = aliases(config);
    let listed = config.targets.listed().iter();
    let entries = listed.map(|line| ModelEntry {
        id: line.id.to_string(),
        owned_by: match &line.provider {
            Some(provider) => provider.to_string(),
            None => "pointsman".to_owned(),
        },
        extra: extra(config, line, &aliases),
    });
    entries.collect()
}

fn extra(
    config: &Config,
    line: &Listed,
    aliases: &BTreeMap<&str, BTreeSet<&str>>,
) -> Map<String, Value> {
    let mut extra = Map::new();
    let upstreams = &line.chain.upstreams;
    match (&line.provider, upstreams.as_slice()) {
        (Some(provider), [upstream]) => {
            let host = host(config, provider);
            extra.extend(host.map(|host| ("host".to_owned(), host.into())));
            describe(&config.facts(upstream), &mut extra);
            let mut providers = config.providers.iter();
            let tags = providers.find(|it| it.name == *provider);
            let tags = tags
                .map(|it| it.tags.of(&upstream.model))
                .unwrap_or_default();
            if !tags.is_empty() {
                extra.insert("tags".to_owned(), json!(tags));
            }
        }
        _ => {
            let chain: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
            extra.insert("upstreams".to_owned(), json!(chain));
            extra.insert("providers".to_owned(), of_providers(config, upstreams));
            if let Some(others) = aliases.get(&*line.id) {
                extra.insert("aliases".to_owned(), json!(others));
            }
            let all: Vec<Arc<Facts>> = upstreams
                .iter()
                .map(|upstream| config.facts(upstream))
                .collect();
            // What holds whichever of them answers.
            let least = |field: &dyn Fn(&Facts) -> Option<u64>| {
                let values: Option<Vec<u64>> = all.iter().map(|facts| field(facts)).collect();
                values.and_then(|values| values.into_iter().min())
            };
            let window = least(&|facts| facts.window.as_ref().map(|known| known.value));
            let output = least(&|facts| facts.max_output.as_ref().map(|known| known.value));
            for (name, value) in [("context_window", window), ("max_output_tokens", output)] {
                if let Some(value) = value {
                    extra.insert(name.to_owned(), value.into());
                }
            }
        }
    }
    extra
}

/// The upstreams by their providers, of each the first, as llmrouter's clients read them; headers stay out, as they may hold
/// credentials.
fn of_providers(config: &Config, upstreams: &[Upstream]) -> Value {
    let mut all = Map::new();
    for upstream in upstreams {
        let mut providers = config.providers.iter();
        let provider = providers.find(|provider| provider.name == upstream.provider);
        let shown = || {
            json!({
                "name": upstream.to_string(),
                "model": upstream.model.as_str(),
                "base_url": provider.map(|provider| shown_address(&provider.base_url)),
            })
        };
        all.entry(upstream.provider.as_str()).or_insert_with(shown);
    }
    all.into()
}

fn describe(facts: &Facts, extra: &mut Map<String, Value>) {
    let mut sources = Map::new();
    let mut add = |name: &str, value: Value, origin: &Origin| {
        extra.insert(name.to_owned(), value);
        sources.insert(name.to_owned(), source(origin));
    };
    if let Some(window) = &facts.window {
        add("context_window", window.value.into(), &window.origin);
    }
    if let Some(output) = &facts.max_output {
        add("max_output_tokens", output.value.into(), &output.origin);
    }
    if let Some(sheet) = &facts.sheet
        && let Some(present) = sheet.value.at(now())
    {
        add("pricing", pricing(present), &sheet.origin);
    }
    if let Some(status) = &facts.status {
        add("status", status.value.name().into(), &status.origin);
    }
    if let Some(day) = &facts.retires {
        add("deprecation_date", (*day.value).into(), &day.origin);
    }
    let mut can = Map::new();
    let mut from = Map::new();
    for capability in Capability::ALL {
        if let Some(known) = facts.capabilities.get(capability) {
            can.insert(capability.name().to_owned(), known.value.into());
            from.insert(capability.name().to_owned(), source(&known.origin));
        }
    }
    if !can.is_empty() {
        extra.insert("capabilities".to_owned(), can.into());
        sources.insert("capabilities".to_owned(), from.into());
    }
    if !sources.is_empty() {
        extra.insert("source".to_owned(), sources.into());
    }
}

/// The present moment, in seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// Where a fact comes from, when it was read, in seconds since 1970, and whether that is long ago.
fn source(origin: &Origin) -> Value {
    let mut source = match origin.read_at {
        Some(read_at) => json!({"name": origin.name, "read_at": read_at}),
        None => json!({"name": origin.name}),
    };
    let now = u64::try_from(now()).unwrap_or(0);
    if origin.freshness(now) > Freshness::Fresh {
        source["old"] = true.into();
    }
    source
}

/// Prices as text: per million tokens by their names in the configuration, and per token as OpenRouter's clients read them.
fn pricing(sheet: &PriceSheet) -> Value {
    let rates = sheet.rates;
    let mut pricing = Map::new();
    for (million, token, rate) in [
        ("input", "prompt", rates.input),
        ("output", "completion", rates.output),
        ("cached_input", "input_cache_read", rates.cache_read()),
        ("cache_write", "input_cache_write", rates.cache_write),
    ] {
        if let Some(rate) = rate {
            pricing.insert(million.to_owned(), rate.decimal(6).into());
            pricing.insert(token.to_owned(), rate.decimal(12).into());
        }
    }
    pricing.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Pico;
    use crate::domain::price_sheet::Rates;

    #[test]
    fn addresses_are_told_without_credentials() {
        for (url, shown) in [
            ("https://api.x.com/v1", "https://api.x.com/v1"),
            ("http://u:secret@[::1]:8080?key=k", "http://[::1]:8080"),
            ("https://x@y@host/a@b#c", "https://host/a@b"),
            ("echo", "echo"),
        ] {
            assert_eq!(shown_address(url), shown);
        }
    }

    #[test]
    fn prices_are_told_as_text_in_both_units() {
        let rates = Rates {
            input: Some(Pico::new(2_500_000)),
            output: Some(Pico::new(10_000_000)),
            cached_input: Some(Pico::ZERO),
            ..Rates::default()
        };
        let told = pricing(&PriceSheet {
            rates,
            ..PriceSheet::default()
        });
        assert_eq!(
            told,
            json!({"input": "2.5", "prompt": "0.0000025", "output": "10", "completion": "0.00001",
                "cached_input": "0", "input_cache_read": "0"})
        );
    }
}
