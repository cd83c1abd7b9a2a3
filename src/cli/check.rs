//! What `pointsman check` prints of a valid configuration: for people, and as JSON.
//!
//! Keys are masked; header values and the queries of URLs stay out, since they may be secrets.

mod additions;
mod caching;
mod clients;
mod fix;
mod members;
mod policies;

use std::fmt::Write;

pub(super) use self::fix::{FixEnd, fix};

use serde_json::{Value, json};

use crate::config::{Additions, Config, KeyConfig, ProviderConfig, ProxyConfig, show_duration};
use crate::domain::budget::BudgetPolicy;
use crate::domain::chain::{Chain, NameMatch};
use crate::domain::dialect::Operation;
use crate::domain::profile::Fetch;

/// The configuration for people, with what was added to a process that has it.
pub fn render(config: &Config, added: &Additions) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(config, added, &mut out);
    out
}

fn write(config: &Config, added: &Additions, out: &mut String) -> std::fmt::Result {
    let listen: Vec<String> = config
        .server
        .listen
        .iter()
        .map(|listen| match config.server.listeners.tls_at(listen) {
            Some(_) => format!("{listen} (TLS)"),
            None => listen.to_string(),
        })
        .collect();
    let sources = if config.sources.is_empty() {
        "environment".to_owned()
    } else {
        config.sources.join(", ")
    };
    writeln!(out, "read        {sources}")?;
    writeln!(out, "listen      {}", listen.join(", "))?;
    writeln!(out, "admin       {}", admin(config))?;
    clients::write(config, out)?;
    write_memory(config, out)?;
    let usual = config.policies.usual();
    if let Some(profile) = usual.profile {
        let policy = policies::shown(usual, config);
        writeln!(out, "profile     {}{policy}", profile.as_str())?;
    }
    writeln!(out, "\nproviders")?;
    for provider in &config.providers {
        write_provider(provider, config, out)?;
    }
    let chains: Vec<_> = config.targets.chains().collect();
    if !chains.is_empty() {
        writeln!(out, "\nvirtual providers")?;
        for chain in chains {
            let policy = policies::shown(config.policies.of(&chain.target), config);
            let upstreams = upstreams(chain).join(" -> ");
            let ranking = policies::ranking(config, &chain.target);
            writeln!(out, "  {} -> {upstreams}{ranking}{policy}", chain.target)?;
            let entry = config.targets.configured(&chain.target);
            for line in entry.into_iter().flat_map(members::lines) {
                writeln!(out, "    {line}")?;
            }
        }
    }
    if !config.budgets.is_empty() {
        writeln!(out, "\nbudgets")?;
    }
    for budget in &config.budgets {
        writeln!(out, "  {}", described(budget))?;
    }
    additions::write(config, added, out)?;
    caching::write(config, out)?;
    write_names(config, out)?;
    match config.targets.default_chain() {
        Some(chain) => {
            writeln!(
                out,
                "\ndefault     {} -> {}",
                chain.target,
                upstreams(chain).join(" -> ")
            )?;
        }
        None => writeln!(out, "\ndefault     none: each request must name a model")?,
    }
    if !config.warnings.is_empty() {
        writeln!(out, "\nwarnings")?;
        for warning in &config.warnings {
            writeln!(out, "  - {warning}")?;
        }
    }
    Ok(())
}

/// What outlives the process, and what is shared with others.
fn write_memory(config: &Config, out: &mut String) -> std::fmt::Result {
    if let Some(path) = &config.state_path {
        writeln!(out, "state file  {}", path.display())?;
    }
    match &config.fleet {
        Some(fleet) => writeln!(out, "fleet       {} at {}", fleet.name, fleet.server),
        None => Ok(()),
    }
}

/// What a budget bounds, and what happens when it is used up.
fn described(budget: &BudgetPolicy) -> String {
    let mode = budget.mode.as_str();
    let then = budget.then.as_ref();
    let then = then.map_or_else(String::new, |then| format!(", then `{then}`"));
    format!("{}: {mode}{then}", budget.described())
}

/// How names in requests are looked up, if not as they are.
fn write_names(config: &Config, out: &mut String) -> std::fmt::Result {
    match config.offering.matching {
        NameMatch::Exact => Ok(()),
        NameMatch::Substring => writeln!(
            out,
            "\nnames       a part of a model's id means every model that contains it"
        ),
    }
}

fn write_provider(
    provider: &ProviderConfig,
    config: &Config,
    out: &mut String,
) -> std::fmt::Result {
    writeln!(out, "  {}", title(provider))?;
    writeln!(out, "    models  {}", models(provider))?;
    let asked = asked(provider, config).into_iter();
    let asked = asked.filter_map(|(name, word)| Some(format!("{name} {}", word?)));
    writeln!(out, "    asked   {}", asked.collect::<Vec<_>>().join(", "))?;
    for (at, key) in provider.keys.iter().enumerate() {
        let label = if at == 0 { "keys" } else { "" };
        writeln!(out, "    {label:<6}  {}", shown_key(provider, at, key))?;
    }
    let limits = limits(provider);
    if !limits.is_empty() {
        writeln!(out, "    limits  {}, per key", limits.join(", "))?;
    }
    if !provider.headers.is_empty() {
        writeln!(out, "    headers {}", header_names(provider).join(", "))?;
    }
    if let Some(proxy) = proxy(provider) {
        writeln!(out, "    proxy   {proxy}")?;
    }
    if !provider.authorities.is_empty() {
        let count = provider.authorities.len();
        writeln!(out, "    CAs     {count} extra certificate authorities")?;
    }
    if provider.mock.failure_rate > 0.0 {
        let percent = provider.mock.failure_rate * 100.0;
        writeln!(
            out,
            "    mock    {percent}% of its calls fail without being made"
        )?;
    }
    if !provider.mock.latency.is_zero() {
        let latency = show_duration(provider.mock.latency);
        writeln!(out, "    mock    each call takes {latency} longer")?;
    }
    Ok(())
}

/// The same for machines.
pub fn render_json(config: &Config, added: &Additions) -> Value {
    let listen: Vec<String> = config
        .server
        .listen
        .iter()
        .map(ToString::to_string)
        .collect();
    let providers = config.providers.iter();
    let providers: Vec<Value> = providers
        .map(|provider| provider_json(provider, config))
        .collect();
    let chains: Vec<Value> = config
        .targets
        .chains()
        .map(|chain| {
            let mut entry = policies::to_json(config.policies.of(&chain.target), config);
            entry["name"] = json!(*chain.target);
            policies::add_ranking(&mut entry, config, &chain.target);
            entry["upstreams"] = json!(upstreams(chain));
            entry
        })
        .collect();
    let default = config
        .targets
        .default_chain()
        .map(|chain| json!({"name": *chain.target, "upstreams": upstreams(chain)}));
    json!({
        "sources": config.sources,
        "listen": listen,
        "admin_listen": config.server.admin.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "admin_token": !config.server.admin.tokens.is_empty(),
        "clients": clients::to_json(config),
        "state_path": config.state_path,
        "fleet": config.fleet.as_ref().map(|fleet| json!({
            "name": fleet.name,
            "server": fleet.server.to_string(),
        })),
        "providers": providers,
        "dispatch": policies::to_json(config.policies.usual(), config),
        "virtual": chains,
        "cache": caching::to_json(config),
        "coalesce": config.cache.coalesce,
        "additions": additions::to_json(config, added),
        "budgets": config.budgets.iter().map(described).collect::<Vec<_>>(),
        "default": default,
        "match": config.offering.matching.as_str(),
        "warnings": config.warnings,
    })
}

/// Where the admin listener is, and whether it asks for a token.
fn admin(config: &Config) -> String {
    let admin = &config.server.admin;
    let listen: Vec<String> = admin.listen.iter().map(ToString::to_string).collect();
    match (listen.is_empty(), admin.tokens.is_empty()) {
        (true, _) => "off".to_owned(),
        (false, true) => listen.join(", "),
        (false, false) => format!("{} (with a token)", listen.join(", ")),
    }
}

fn provider_json(provider: &ProviderConfig, config: &Config) -> Value {
    let keys: Vec<Value> = provider
        .keys
        .iter()
        .zip(1_u32..)
        .map(|(key, number)| {
            let masked = key.material.as_ref().map(|material| material.masked());
            let id = format!("{}#{number}", provider.name);
            json!({"id": id, "masked": masked, "source": key.source})
        })
        .collect();
    let models: Vec<&str> = provider.models.iter().map(|model| model.as_str()).collect();
    let mut shown = json!({
        "name": provider.name.as_str(),
        "kind": provider.kind,
        "dialect": provider.dialect.id(),
        "url": url(provider),
        "model": provider.model.as_ref().map(|model| model.as_str()),
        "models": models,
        "keys": keys,
        "key_rotation": provider.key_rotation.as_str(),
        "headers": header_names(provider),
        "proxy": proxy(provider),
        "context_window": provider.context_window,
        "limits": {
            "rpm": provider.limits.rpm,
            "tpm": provider.limits.tpm,
            "rpd": provider.limits.rpd,
            "max_in_flight": provider.limits.max_in_flight,
        },
        "priority": provider.priority,
    });
    for (name, word) in asked(provider, config) {
        shown[name] = json!(word);
    }
    shown
}

/// How it is asked, where no target says otherwise.
fn asked(provider: &ProviderConfig, config: &Config) -> [(&'static str, Option<&'static str>); 4] {
    let dialect = provider.dialect;
    let auth = provider.auth.unwrap_or_else(|| dialect.scheme());
    let doubtful = Operation::ALL
        .into_iter()
        .any(|one| dialect.is_doubtful(one));
    let usual = match config.policies.usual().profile {
        Some(_) => Fetch::Stream,
        None => Fetch::Whole,
    };
    [
        ("auth", Some(auth.as_str())),
        ("responses", doubtful.then(|| provider.responses.as_str())),
        ("fetch", Some(provider.fetch.unwrap_or(usual).as_str())),
        ("unsupported", Some(provider.unsupported.as_str())),
    ]
}

fn title(provider: &ProviderConfig) -> String {
    let kind = match provider.kind.as_str() {
        "" => String::new(),
        kind if kind == provider.name.as_str() => ", built in".to_owned(),
        kind => format!(", built in as {kind}"),
    };
    let url = url(provider).unwrap_or_default();
    let title = format!(
        "{}  ({}{kind})  {url}",
        provider.name,
        provider.dialect.id()
    );
    title.trim_end().to_owned()
}

/// Where it is called, without the query.
fn url(provider: &ProviderConfig) -> Option<String> {
    let full = provider.chat_url.as_ref().unwrap_or(&provider.base_url);
    let shown = match full.split_once('?') {
        Some((path, _)) => format!("{path}?…"),
        None => full.clone(),
    };
    (!shown.is_empty()).then_some(shown)
}

fn models(provider: &ProviderConfig) -> String {
    let pool: Vec<&str> = provider.models.iter().map(|model| model.as_str()).collect();
    let window = provider
        .context_window
        .map(|tokens| format!("; up to {tokens} tokens"))
        .unwrap_or_default();
    let shown = match (&provider.model, pool.is_empty()) {
        (Some(model), true) => format!("{model} by default, any other by name"),
        (None, true) => format!("none by default: ask for {}:<model>", provider.name),
        (Some(model), false) => {
            let first = std::iter::once(model.as_str());
            let rest = pool.into_iter().filter(|other| *other != model.as_str());
            format!(
                "{}; no others",
                first.chain(rest).collect::<Vec<_>>().join(", then ")
            )
        }
        (None, false) => format!("{}; no others", pool.join(", then ")),
    };
    shown + &window
}

fn shown_key(provider: &ProviderConfig, at: usize, key: &KeyConfig) -> String {
    match &key.material {
        Some(material) => {
            format!(
                "{}#{}  {:<8}  {}",
                provider.name,
                at + 1,
                material.masked(),
                key.source
            )
        }
        None => key.source.clone(),
    }
}

fn limits(provider: &ProviderConfig) -> Vec<String> {
    let limits = &provider.limits;
    [
        limits.rpm.map(|count| format!("{count} requests a minute")),
        limits.tpm.map(|count| format!("{count} tokens a minute")),
        limits.rpd.map(|count| format!("{count} requests a day")),
        limits
            .max_in_flight
            .map(|count| format!("{count} at the same time")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn header_names(provider: &ProviderConfig) -> Vec<&str> {
    provider
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect()
}

/// The proxy to it, without user and password.
fn proxy(provider: &ProviderConfig) -> Option<String> {
    match provider.proxy.as_ref()? {
        ProxyConfig::Off => None,
        ProxyConfig::Environment => Some("from the environment".to_owned()),
        ProxyConfig::Url(url) => {
            let url = url.expose();
            let (scheme, rest) = url.split_once("://")?;
            let host = rest.split('/').next()?.rsplit('@').next()?;
            Some(format!("{scheme}://{host}"))
        }
    }
}

fn upstreams(chain: &Chain) -> Vec<String> {
    chain.upstreams.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{LoadRequest, load};

    fn config() -> Config {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/check.yaml");
        let variables = [
            ("GROQ_API_KEYS", "gsk-0123456789abcdef,short"),
            ("TEAM", "secret-team-header"),
        ];
        let request = LoadRequest {
            config_path: Some(PathBuf::from(path)),
            env: variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ..LoadRequest::default()
        };
        load(&request).unwrap()
    }

    #[test]
    fn people_see_everything_but_secrets() {
        let text = render(&config(), &Additions::default());
        for part in [
            "listen      127.0.0.1:8080",
            "admin       127.0.0.1:8081",
            "batch  2 tokens; groq:*, smart; 10 requests a minute; 5000 tokens a minute; 2 at the same time; low priority",
            "web    1 token; all targets",
            "groq  (openai, built in)  https://api.groq.com/openai/v1",
            "groq#1  ****cdef  env GROQ_API_KEYS[0]",
            "groq#2  ****      env GROQ_API_KEYS[1]",
            "a, then b; no others; up to 4096 tokens",
            "30 requests a minute, 8 at the same time, per key",
            "headers X-Team",
            "azure  (openai, built in as azure_openai)  https://r.example.com/d/chat/completions?…",
            "none needed",
            "proxy   http://proxy.example.com:3128",
            "smart -> groq:a -> mirror:echo  (rescue: restart, hold 200ms)",
            "office -> groq:b -> groq:a -> mirror:echo  (affinity: auto, bound 1.25, ttl 1h; hints: openrouter)\n",
            "    groq:b  priority 10; when hours 08:00-18:00 days mon tue Europe/Berlin, min_prompt_tokens 10, has tools and images, header x-tier\n\n",
            "  the budget of all requests of 5.000000 per day: soft, then `mirror`",
            "cache       memory, up to 64.0 MiB in this process\n",
            "  all targets  ttl 5m, deterministic, scope client, entries up to 1.0 MiB\n",
            "  smart        ttl 1h, always, scope client, entries up to 1.0 MiB, 24h longer where no upstream can\n",
            "  mirror:*     off\n",
            "coalesce    equal requests at the same time are one call\n",
            "default     smart -> groq:a -> mirror:echo",
            "warnings",
            "cerebras is skipped in smart: no key; set CEREBRAS_API_KEY",
        ] {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
        hides(&text);
    }

    #[test]
    fn machines_see_the_same() {
        let json = render_json(&config(), &Additions::default());
        assert_eq!(json["providers"][0]["keys"][0]["masked"], "****cdef");
        assert_eq!(json["providers"][0]["keys"][1]["id"], "groq#2");
        assert_eq!(json["providers"][0]["limits"]["rpm"], 30);
        assert_eq!(
            json["virtual"][0]["upstreams"],
            json!(["groq:a", "mirror:echo"])
        );
        assert_eq!(json["virtual"][0]["rescue"]["mode"], "restart");
        assert_eq!(json["default"]["name"], "smart");
        assert_eq!(json["virtual"][1]["members"][0]["priority"], 10);
        assert_eq!(json["virtual"][1]["members"][1]["when"], Value::Null);
        assert_eq!(json["clients"][0]["allow"], json!(["groq:*", "smart"]));
        assert_eq!(json["clients"][0]["limits"]["tpm"], 5000);
        assert_eq!(json["clients"][1]["allow"], Value::Null);
        assert!(
            json["warnings"]
                .as_array()
                .is_some_and(|warnings| !warnings.is_empty())
        );
        hides(&json.to_string());
    }

    fn hides(text: &str) {
        for secret in ["0123456789", "short", "secret-", "version"] {
            assert!(!text.contains(secret), "{secret} is shown in:\n{text}");
        }
    }
}
