//! One provider: what was typed, completed from the catalogue and the environment.

use std::collections::BTreeMap;

use super::budgets::of_provider;
use super::catalog::{self, BuiltIn};
use super::clouds::{self, CloudSettings};
use super::context::Context;
use super::endpoint::ProviderAddress;
use super::mask::looks_like_key;
use super::model_lists;
use super::outbound;
use super::policies::{
    breaker, cooldown, cooldown_of, limits, mock, retry, timeouts, with_default,
};
use super::price::prices;
use super::provider_access::{self, Access};
use super::provider_address::{address, endpoint, prefill_url};
use super::provider_keys::{left_out, no_key};
use super::raw;
use super::read::Report;
use super::resolved::{KeyConfig, Mock, ProviderConfig};
use super::values::{Amount, Span};
use crate::domain::breaker::BreakerPolicy;
use crate::domain::cooldown::CooldownPolicy;
use crate::domain::dialect::{NativeRoute, Operation};
use crate::domain::ids::ModelName;
use crate::domain::limits::{KeyLimits, RetryPolicy, Timeouts};
use crate::domain::secret::ApiKey;
use crate::wire::auth::AuthScheme;
use crate::wire::dialects::{self, Dialect};
use crate::wire::ir::Loss;
use crate::wire::request::RequestDoc;

/// What became of a provider of the file.
pub(super) enum Outcome {
    Ready(Box<ProviderConfig>),
    /// A built-in provider without a key, in a file that may name such.
    Keyless(&'static BuiltIn),
    /// One without a key that may be without.
    LeftOut,
    /// It has no name, which is reported.
    Nameless,
}

/// Completes and checks the provider at `path`.
pub(super) fn resolve(
    mut raw: raw::ProviderSection,
    path: &str,
    cooldowns: &[(String, Span, String)],
    context: &Context<'_>,
    report: &mut Report,
) -> Outcome {
    let before = report.problems.len();
    let Some(name) = name(raw.name.take(), path, report) else {
        return Outcome::Nameless;
    };
    // Where it is: typed, else as the catalogue says.
    let entry = catalog::find(&name);
    let own_url = raw.base_url.is_some();
    let dialect = raw
        .dialect
        .unwrap_or_else(|| entry.map_or_else(dialects::usual, BuiltIn::dialect));
    // Where the provider has another API for this dialect, that one is meant.
    let entry = entry.map(|entry| {
        if own_url {
            entry
        } else {
            entry.speaking(dialect)
        }
    });
    let allow_link_local = raw.allow_link_local.unwrap_or_default();
    let (optional, named_keys) = (raw.is_optional(), raw.api_key_env.is_some());
    let reached = reach(&mut raw, &name, entry, dialect, (path, context), report);
    let Reached {
        access: Access {
            scheme,
            keys,
            written,
        },
        cloud,
        dialect,
        endpoint,
    } = reached;
    let free = !dialect.is_remote() || entry.is_some_and(|entry| entry.local);
    if keys.is_empty() && !free && report.problems.len() == before {
        let standard = entry.filter(|_| !own_url);
        let may_lack = optional && (standard.is_some() || named_keys);
        if let Some(outcome) = keyless(&name, standard, may_lack, endpoint.local, path, report) {
            return outcome;
        }
    }
    check_headers(&raw, written, own_url, path, report);
    outbound::check_address(
        &endpoint.base_url,
        allow_link_local,
        &format!("{path}.base_url"),
        report,
    );
    let base_url = endpoint.base_url.clone();
    let (model, models) = models_of(&mut raw, entry);
    if dialect.is_remote() && report.lenient && model.is_none() && models.is_empty() {
        report.warn(
            path,
            format!("{name} has no model: only {name}:<model> can be asked for"),
        );
    }
    // At another address than the built-in provider's there may be another API.
    let usual = entry.filter(|entry| !own_url || entry.local);
    let parts = ProviderParts {
        name: &name,
        kind: entry
            .map(|entry| entry.kind().to_owned())
            .unwrap_or_default(),
        endpoint,
        dialect,
        models: (model, models),
        keys: or_none(keys, free),
        region: clouds::region(&cloud, &base_url, context.env),
        query: cloud.query,
        scheme,
        usual,
    };
    // Also with mistakes, which refuse the whole configuration: what refers to it must not seem wrong too.
    Outcome::Ready(Box::new(complete(
        raw, parts, path, cooldowns, context, report,
    )))
}

/// How a provider is let in, and where it is called.
struct Reached {
    access: Access,
    cloud: CloudSettings,
    dialect: Dialect,
    endpoint: ProviderAddress,
}

/// Finds its keys first: its address may be made of what they tell.
fn reach(
    raw: &mut raw::ProviderSection,
    name: &str,
    entry: Option<&'static BuiltIn>,
    dialect: Dialect,
    (path, context): (&str, &Context<'_>),
    report: &mut Report,
) -> Reached {
    let variables = match entry {
        _ if !dialect.is_remote() => Vec::new(),
        Some(entry) => entry.variables(),
        None => vec![own_variable(name)],
    };
    let access = provider_access::resolve(raw, entry, &variables, path, context, report);
    let mut cloud = CloudSettings::taken(raw);
    let on_google = dialect.on_google();
    let on_google = on_google.filter(|_| access.scheme == Some(AuthScheme::Google));
    let called = (
        on_google.unwrap_or(dialect),
        on_google.is_some(),
        &*access.keys,
    );
    let (dialect, url) = (called.0, raw.base_url.take());
    let place = (path, context);
    let url = address(url, name, entry, called, &mut cloud, place, report);
    Reached {
        endpoint: endpoint(&url, name, dialect, path, report),
        access,
        cloud,
        dialect,
    }
}

/// What is resolved of a provider before its other settings.
struct ProviderParts<'a> {
    name: &'a str,
    kind: String,
    endpoint: ProviderAddress,
    dialect: Dialect,
    /// The usual one, and those that it is restricted to.
    models: (Option<ModelName>, Vec<ModelName>),
    keys: Vec<KeyConfig>,
    /// What is made of its keys, the region of signatures, and what stands in every query.
    scheme: Option<AuthScheme>,
    region: String,
    query: Vec<(String, ApiKey)>,
    /// The catalogue's entry, where it describes what is called.
    usual: Option<&'static BuiltIn>,
}

/// The provider with its other settings.
fn complete(
    mut raw: raw::ProviderSection,
    parts: ProviderParts<'_>,
    path: &str,
    cooldowns: &[(String, Span, String)],
    context: &Context<'_>,
    report: &mut Report,
) -> ProviderConfig {
    let allow_link_local = raw.allow_link_local.unwrap_or_default();
    let (model, models) = parts.models;
    let usual = parts.usual;
    ProviderConfig {
        name: parts.name.into(),
        kind: parts.kind,
        base_url: parts.endpoint.base_url,
        chat_url: parts.endpoint.chat_url,
        dialect: parts.dialect,
        model,
        models,
        keys: parts.keys,
        key_rotation: raw.key_rotation.unwrap_or_default(),
        headers: raw
            .headers
            .take()
            .map(|headers| headers.0)
            .unwrap_or_default(),
        authorities: outbound::authorities(raw.ca_file.take(), path, &context.dir, report),
        proxy: raw.proxy.take().map(|form| form.0),
        allow_link_local,
        context_window: raw.context_window.map(|window| window.get()),
        params: params(&mut raw, parts.dialect, path, report),
        limits: limits(
            &raw.limits.take().unwrap_or_default(),
            &raw.pacing.take().unwrap_or_default(),
        ),
        timeouts: timeouts(&raw.timeouts.take().unwrap_or_default()),
        retry: retry(raw.retry.take().unwrap_or_default(), path, report),
        cooldown: cooldown(
            raw.cooldown.take(),
            cooldown_of(parts.name, cooldowns),
            path,
            report,
        ),
        breaker: breaker(raw.circuit_breaker.take().unwrap_or_default()),
        mock: mock(raw.mock_failure_rate, raw.mock_seed, raw.mock_latency),
        priority: raw.priority.unwrap_or(100),
        base_priority: raw.base_priority.map_or(1.0, |Amount(factor)| factor),
        data_policy: raw.data_policy.unwrap_or_default(),
        capabilities: raw.capabilities.take().unwrap_or_default().capabilities(),
        tags: super::tags::tags(raw.tags.take(), raw.model_tags.take()),
        prices: prices(raw.price.take(), raw.prices.take()),
        budgets: of_provider(raw.budgets.take(), parts.name, path, report),
        trace_context: raw.trace_context.unwrap_or(false),
        forward_user_agent: raw.forward_user_agent.unwrap_or(false),
        auth: parts.scheme,
        region: parts.region,
        query: parts.query,
        unsupported: raw.unsupported.unwrap_or_default(),
        responses: responses(raw.responses, &parts.dialect, usual, path, report),
        passthrough: raw.passthrough.unwrap_or(false),
        discover: model_lists::discovery(raw.discover.take(), context.discover),
        fetch: raw.fetch,
        prefill: match raw.prefill {
            Some(form) => form.0,
            None => usual.and_then(BuiltIn::prefill),
        },
        prefill_url: prefill_url(
            raw.prefill_url,
            parts.dialect,
            allow_link_local,
            path,
            report,
        )
        .or_else(|| usual.and_then(|entry| entry.prefill_url.clone())),
    }
}

/// Whether it has the operations that not all providers of its dialect have. `usual`: what is called is the catalogue's.
fn responses(
    said: Option<NativeRoute>,
    dialect: &Dialect,
    usual: Option<&'static BuiltIn>,
    path: &str,
    report: &mut Report,
) -> NativeRoute {
    let means_something = Operation::ALL
        .into_iter()
        .any(|one| dialect.is_doubtful(one));
    if said.is_some() && !means_something {
        let message = format!(
            "means nothing for a provider of the dialect {}",
            dialect.id()
        );
        report.problem(&format!("{path}.responses"), message, "remove it");
    }
    let known = || usual.map_or(NativeRoute::Auto, BuiltIn::responses);
    match said {
        Some(said @ (NativeRoute::Native | NativeRoute::Translate)) => said,
        Some(NativeRoute::Auto) | None => known(),
    }
}

/// What becomes of a provider that needs a key and has none; `None`: it goes on without. `may_lack`: it may be left out.
fn keyless(
    name: &str,
    standard: Option<&'static BuiltIn>,
    may_lack: bool,
    local: bool,
    path: &str,
    report: &mut Report,
) -> Option<Outcome> {
    if may_lack {
        left_out(name, standard, path, report);
        return Some(Outcome::LeftOut);
    }
    no_key(name, standard, local, path, report).map(Outcome::Keyless)
}

/// Reports headers that contradict other settings. `written`: there are keys.
fn check_headers(
    raw: &raw::ProviderSection,
    written: bool,
    own_url: bool,
    path: &str,
    report: &mut Report,
) {
    let Some(headers) = &raw.headers else { return };
    let has = |wanted: &str| {
        let mut names = headers.0.iter().map(|(name, _)| name);
        names.any(|name| name.eq_ignore_ascii_case(wanted))
    };
    let place = format!("{path}.headers");
    if written && has("authorization") {
        let message = "there are keys and an Authorization header";
        report.problem(&place, message, "remove one of them");
    }
    if !own_url && has("host") {
        let message = "a Host header goes only with a base_url of your own";
        report.problem(&place, message, "remove it");
    }
}

/// Its usual model, and those that it is restricted to.
fn models_of(
    raw: &mut raw::ProviderSection,
    entry: Option<&'static BuiltIn>,
) -> (Option<ModelName>, Vec<ModelName>) {
    let models: Vec<ModelName> = raw
        .models
        .take()
        .map(|models| models.0.into_iter().map(ModelName::from).collect())
        .unwrap_or_default();
    let usual_model = entry
        .filter(|_| models.is_empty())
        .and_then(|entry| entry.model.clone());
    let model = raw
        .model
        .take()
        .map(|model| model.trim().to_owned())
        .or(usual_model);
    let model = model.filter(|model| !model.is_empty()).map(ModelName::from);
    (model, models)
}

/// A built-in provider as it is without a file.
pub(super) fn from_catalogue(
    entry: &'static BuiltIn,
    base_url: String,
    cloud: CloudSettings,
    keys: Vec<KeyConfig>,
    cooldowns: &[(String, Span, String)],
) -> ProviderConfig {
    ProviderConfig {
        name: entry.id.as_str().into(),
        kind: entry.id.clone(),
        region: clouds::region(&cloud, &base_url, &BTreeMap::new()),
        base_url,
        chat_url: None,
        dialect: entry.dialect(),
        model: entry.model.as_deref().map(ModelName::from),
        models: Vec::new(),
        keys: or_none(keys, entry.local),
        key_rotation: Default::default(),
        headers: Vec::new(),
        authorities: Vec::new(),
        proxy: None,
        allow_link_local: false,
        context_window: None,
        params: Default::default(),
        limits: KeyLimits::default(),
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        cooldown: with_default(CooldownPolicy::default(), cooldown_of(&entry.id, cooldowns)),
        breaker: BreakerPolicy::default(),
        mock: Mock::default(),
        priority: 100,
        base_priority: 1.0,
        data_policy: Default::default(),
        capabilities: Default::default(),
        tags: Default::default(),
        prices: Default::default(),
        budgets: Vec::new(),
        trace_context: false,
        forward_user_agent: false,
        auth: clouds::usual_scheme(entry),
        query: cloud.query,
        unsupported: Default::default(),
        responses: entry.responses(),
        passthrough: false,
        discover: None,
        fetch: None,
        prefill: entry.prefill(),
        prefill_url: entry.prefill_url.clone(),
    }
}

fn name(raw: Option<String>, path: &str, report: &mut Report) -> Option<String> {
    let name = raw.map(|name| name.trim().to_owned()).unwrap_or_default();
    if name.is_empty() {
        report.problem(path, "a provider has no name", "add `name:`");
        return None;
    }
    if name.chars().any(char::is_control) {
        report.problem(
            path,
            "a provider's name holds control characters",
            "rename it",
        );
        return None;
    }
    // It would be in every log line.
    if looks_like_key(&name) {
        let message = format!("a provider is named `{name}`, which looks like a key");
        report.problem(
            path,
            message,
            "write the key as `api_key:`, and a name as `name:`",
        );
        return None;
    }
    Some(name)
}

/// The variable of a provider that is not built in: `my-api` has `MY_API_API_KEY`.
fn own_variable(name: &str) -> String {
    let letters = name.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    });
    format!("{}_API_KEY", letters.collect::<String>())
}

fn or_none(keys: Vec<KeyConfig>, free: bool) -> Vec<KeyConfig> {
    if !keys.is_empty() {
        return keys;
    }
    let source = if free { "none needed" } else { "none" };
    vec![KeyConfig {
        account: None,
        material: None,
        source: source.to_owned(),
    }]
}

fn params(
    raw: &mut raw::ProviderSection,
    dialect: Dialect,
    path: &str,
    report: &mut Report,
) -> serde_json::Map<String, serde_json::Value> {
    let mut params = raw.params.take().map(|params| params.0).unwrap_or_default();
    let temperature = raw.temperature.take().and_then(|Amount(number)| {
        serde_json::Number::from_f64(number).map(serde_json::Value::Number)
    });
    // BorgLLM never put it into OpenAI requests, and models that refuse it are common.
    if let Some(temperature) = temperature.filter(|_| !report.lenient) {
        if params.contains_key("temperature") {
            report.problem(
                &format!("{path}.temperature"),
                "params.temperature is the same setting",
                "remove one of the two",
            );
        }
        params.insert("temperature".to_owned(), temperature);
    }
    let doc = RequestDoc::parse(serde_json::Value::Object(params.clone()).to_string().into());
    let lost = dialect.conversation().zip(doc.ok());
    let lost = lost.map(|(operation, doc)| dialect.left_out(operation, &doc));
    for Loss {
        path: name, why, ..
    } in lost.into_iter().flatten()
    {
        let warning = format!("{path}.params.{name} is left out of every call: {why}");
        report.warnings.push(warning);
    }
    params
}
