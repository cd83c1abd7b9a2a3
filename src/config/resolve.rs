//! From what was typed to what is meant: defaults, built-in providers, keys, chains, and the rules that
//! span several keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::added;
use super::addition_rules::{self, AdditionsSection};
use super::additions::PlacedAddition;
use super::admin;
use super::budgets;
use super::caching;
use super::catalog::{self, BuiltIn};
use super::clients;
use super::clouds::{self, CloudSettings};
use super::context::{Context, Placed};
use super::dispatch;
use super::error::ConfigErrors;
use super::keys;
use super::known_lists::{Discovery, Offering};
use super::listen::Listen;
use super::listeners;
use super::model_lists;
use super::outbound;
use super::pages;
use super::policies;
use super::provider;
use super::raw::{self, Root};
use super::read::Report;
use super::resolved::{Config, LogConfig, ProviderConfig, ServerConfig};
use super::tokens::TokenKeys;
use super::values::Span;
use super::virtuals::{self, NameTable};
use super::{fleet, state, telemetry};
use crate::domain::caching::CacheRules;
use crate::domain::chain::{ChainError, NameMatch, Targets, VirtualEntry};
use crate::domain::ids::ProviderName;
use crate::domain::profile::{ExplicitSettings, Profile};

/// Builds the configuration.
///
/// # Errors
/// Every mistake, those of reading first.
pub(super) fn resolve(
    raw: Root,
    context: &Context<'_>,
    mut report: Report,
    sources: Vec<String>,
) -> Result<Config, ConfigErrors> {
    let llm = raw.llm.unwrap_or_default();
    let clients = clients::resolve(raw.clients.unwrap_or_default(), context, &mut report);
    let named = !clients.is_empty();
    let server = server((raw.server, raw.additions), context, named, &mut report);
    let mut typed = raw.dispatch.unwrap_or_default();
    let (whole, assume_output) = typed.budgets(&mut report);
    let (profile, said) = profile(&typed);
    let (cache, cache_server) = caching::usual(raw.cache, typed.coalesce, context, &mut report);
    let fleet = fleet::resolve(raw.fleet, context, &mut report);
    let timeout = llm.timeout.map(|raw::AwaitTimeout(Span(span))| span);
    let dispatch = dispatch::resolve(typed, timeout, &mut report);
    let log = log(raw.log.unwrap_or_default(), &mut report);
    let telemetry = telemetry_policy(raw.telemetry, context, &mut report);
    let catalog = model_lists::resolve(raw.catalog.unwrap_or_default(), context, &mut report);

    // Providers, before the chains that name them.
    let cooldowns = llm.cooldown.map_or_else(Vec::new, |cooldowns| cooldowns.0);
    let mut virtuals = llm.r#virtual.unwrap_or_default();
    let named = llm.providers.unwrap_or_default();
    let (mut placed, caches) = providers(named, &cooldowns, &virtuals, context, &mut report);
    if placed.is_empty() && context.bare && report.problems.is_empty() {
        let unread = report.unread;
        return Err(ConfigErrors::NothingConfigured { unread });
    }

    // Local built-in providers need no key, so they are added only where something names them; then names are looked up
    // among all.
    let cache = caching::settled(cache, virtuals::caches(&mut virtuals), caches, &mut report);
    let default_model = usual_model(llm.default_model, &placed, report.lenient);
    let local = locals(&placed, &virtuals, default_model.as_deref()).into_iter();
    placed.extend(local.map(|local| built_in(local, &cooldowns, context, &mut report)));
    let known = NameTable::of(&placed);
    let chains = virtuals::resolve(&virtuals, &known, &context.dir, &mut report);
    let usual = usual_target(default_model, &virtuals, &known, &mut report);
    let usual = (&cooldowns[..], usual);
    let (additions, default_model) = beside(&mut placed, &virtuals, usual, context, &mut report);
    settle(&mut placed, llm.proxy, &mut report);

    // The graph of targets; what is wrong in it is reported with everything else.
    let usual = (default_model.as_deref(), llm.r#match);
    let offering = offering_of(&placed, &chains, &known, usual);
    let providers = discovering(placed, context);
    let offered = offering.at_first(&providers, &catalog);
    let targets = built(offered.targets, &offered.warnings, &virtuals, &mut report);
    let payers = (&whole[..], &clients[..], &providers[..]);
    let budgets = budgets::settle(payers, &targets, !catalog.sources.is_empty(), &mut report);
    if !report.problems.is_empty() {
        return Err(report.into_errors());
    }
    clients::check_targets(&clients, &targets, &mut report);
    Ok(Config {
        server,
        clients,
        log,
        additions,
        state_path: state::path(raw.state, context),
        telemetry,
        dispatch,
        budgets,
        assume_output,
        cache,
        cache_server,
        fleet,
        catalog,
        known: offered.known,
        offer: offered.offer,
        offering,
        targets: Arc::new(targets),
        providers,
        policies: virtuals::policies(&virtuals, profile, said),
        virtuals: chains,
        warnings: report.take_warnings(),
        sources,
        files: report.files,
    })
}

/// What is asked for by default, where that may be asked for.
fn usual_target(
    named: Option<String>,
    virtuals: &[raw::Virtual],
    known: &NameTable,
    report: &mut Report,
) -> Option<String> {
    virtuals::default_model(&named?, virtuals, known, report)
}

/// Puts what was added beside the providers. Returns what became of it, and the usual model, which is as it was.
fn beside(
    placed: &mut Vec<Placed>,
    virtuals: &[raw::Virtual],
    (cooldowns, default_model): (&[(String, Span, String)], Option<String>),
    context: &Context<'_>,
    report: &mut Report,
) -> (Vec<PlacedAddition>, Option<String>) {
    check_any(placed, report);
    let only = added::usual(placed);
    let additions = added::place(placed, virtuals, cooldowns, context, report);
    let default_model = default_model.or(only.filter(|_| !additions.is_empty()));
    (additions, default_model)
}

/// The built-in providers that are added because something names them.
fn locals(
    placed: &[Placed],
    virtuals: &[raw::Virtual],
    usual: Option<&str>,
) -> Vec<&'static BuiltIn> {
    virtuals::locals(virtuals, usual, &NameTable::of(placed))
}

/// What holds for all providers, once they are known.
fn settle(placed: &mut [Placed], proxy: Option<outbound::ProxyForm>, report: &mut Report) {
    warn_of_notes(placed, report);
    outbound::settle(placed, proxy, report);
}

/// What the targets are made of.
fn offering_of(
    placed: &[Placed],
    chains: &[VirtualEntry],
    known: &NameTable,
    (default_model, matching): (Option<&str>, Option<NameMatch>),
) -> Offering {
    Offering {
        entries: placed.iter().map(Placed::entry).collect(),
        chains: chains.to_vec(),
        aliases: known.aliases(),
        default_model: default_model.map(str::to_owned),
        matching: matching.unwrap_or_default(),
    }
}

/// The providers, those that the file does not name with what holds for all.
fn discovering(placed: Vec<Placed>, context: &Context<'_>) -> Vec<ProviderConfig> {
    let providers = placed.into_iter().map(|mut placed| {
        if placed.builtin && !placed.added && context.discover {
            placed.provider.discover = Some(Discovery::default());
        }
        placed.provider
    });
    providers.collect()
}

/// The targets, or none and why; and what is odd in lists of models.
fn built(
    targets: Result<Targets, Vec<ChainError>>,
    warnings: &[String],
    virtuals: &[raw::Virtual],
    report: &mut Report,
) -> Targets {
    for warning in warnings {
        report.warn("catalog", warning);
    }
    targets.unwrap_or_else(|errors| {
        for error in &errors {
            virtuals::report_chain_error(error, virtuals, report);
        }
        Targets::default()
    })
}

fn telemetry_policy(
    raw: Option<telemetry::Telemetry>,
    context: &Context<'_>,
    report: &mut Report,
) -> telemetry::TelemetryPolicy {
    let authorities = |files, report: &mut Report| {
        outbound::authorities(files, "telemetry.otlp", &context.dir, report)
    };
    telemetry::policy(raw, context.env, &authorities, report)
}

/// The profile of all targets, and the settings that are written explicitly.
fn profile(typed: &dispatch::DispatchSection) -> (Option<Profile>, ExplicitSettings) {
    let profile = typed.profile.as_ref().and_then(|profile| profile.0);
    let said = ExplicitSettings {
        rescue: None,
        patience: typed.patience.as_ref().map(|Span(span)| *span),
        hedge: typed.hedge.is_some(),
        unsupported: None,
        fetch: None,
    };
    (profile, said)
}

/// A local built-in provider that is referred to.
fn built_in(
    entry: &'static BuiltIn,
    cooldowns: &[(String, Span, String)],
    context: &Context<'_>,
    report: &mut Report,
) -> Placed {
    let keys = context.keys(&entry.variables(), report);
    Placed {
        provider: provider::from_catalogue(
            entry,
            entry.base_url.clone(),
            CloudSettings::default(),
            keys,
            cooldowns,
        ),
        builtin: true,
        added: false,
    }
}

/// The providers of the file, and the built-in ones whose keys are in the environment.
fn providers(
    named: Vec<raw::ProviderSection>,
    cooldowns: &[(String, Span, String)],
    virtuals: &[raw::Virtual],
    context: &Context<'_>,
    report: &mut Report,
) -> (Vec<Placed>, BTreeMap<ProviderName, CacheRules>) {
    let (mut placed, mut caches) = (Vec::new(), BTreeMap::new());
    let mut keyless: Vec<&'static BuiltIn> = Vec::new();
    let names: Vec<&str> = named.iter().filter_map(|raw| raw.name.as_deref()).collect();
    policies::check_cooldown_names(&names, cooldowns, report);
    for (at, mut raw) in named.into_iter().enumerate() {
        let path = format!("llm.providers[{at}]");
        let cache = raw.cache.take();
        let cache = cache.map(|raw| caching::rules(raw, &format!("{path}.cache"), report));
        match provider::resolve(raw, &path, cooldowns, context, report) {
            provider::Outcome::Ready(provider) => {
                caches.extend(cache.map(|rules| (provider.name.clone(), rules)));
                placed.push(Placed {
                    provider: *provider,
                    builtin: false,
                    added: false,
                });
            }
            provider::Outcome::Keyless(entry) => keyless.push(entry),
            provider::Outcome::LeftOut | provider::Outcome::Nameless => {}
        }
    }
    if context.with_environment {
        let free =
            |entry: &&BuiltIn| entry.is_automatic() && !virtuals::takes_name(virtuals, &entry.id);
        let free: Vec<&'static BuiltIn> = catalog::all().iter().filter(free).collect();
        add_from_environment(&mut placed, &free, &keyless, cooldowns, context, report);
    }
    (placed, caches)
}

/// What is asked for by default. BorgLLM takes the first provider of the file.
fn usual_model(named: Option<String>, placed: &[Placed], lenient: bool) -> Option<String> {
    let named = named.filter(|name| !name.trim().is_empty());
    named.or_else(|| first_of_file(placed).filter(|_| lenient))
}

/// The first provider of the file, if it has a model.
fn first_of_file(placed: &[Placed]) -> Option<String> {
    let first = placed.iter().find(|placed| !placed.builtin)?;
    let has_model = first.provider.model.is_some() || !first.provider.models.is_empty();
    has_model.then(|| first.provider.name.to_string())
}

/// There must be a provider.
fn check_any(placed: &[Placed], report: &mut Report) {
    if placed.is_empty() && report.problems.is_empty() {
        report.problem(
            "llm.providers",
            "no provider is configured, and no provider key is in the environment",
            &report.missing("name a provider, or set a key such as GROQ_API_KEY"),
        );
    }
}

/// What the catalogue has to say of providers that are used where it says they are.
fn warn_of_notes(placed: &[Placed], report: &mut Report) {
    for placed in placed {
        let entry = catalog::find(&placed.provider.kind);
        let entry = entry.filter(|entry| entry.base_url == placed.provider.base_url);
        if let Some(note) = entry.and_then(|entry| entry.note.as_deref()) {
            report.warn("", format!("provider {}: {note}", placed.provider.name));
        }
    }
}

/// Built-in providers whose keys are in the environment, unless the file has them under any name.
fn add_from_environment(
    placed: &mut Vec<Placed>,
    free: &[&'static BuiltIn],
    keyless: &[&'static BuiltIn],
    cooldowns: &[(String, Span, String)],
    context: &Context<'_>,
    report: &mut Report,
) {
    for entry in free.iter().copied() {
        let there = |placed: &Placed| {
            placed.provider.kind == entry.id || placed.provider.name.as_str() == entry.id
        };
        if placed.iter().any(there) || keyless.contains(&entry) {
            continue;
        }
        let mut keys = context.keys(&entry.variables(), report);
        for key in keys.iter().filter(|key| !keys::sendable(key)) {
            let message = "is not used: it holds characters that a header can't carry";
            report
                .warnings
                .push(format!("the key from {} {message}", key.source));
        }
        keys.retain(keys::sendable);
        if !keys.is_empty() {
            let mut cloud = CloudSettings::default();
            let made = clouds::base_url(entry, entry.dialect(), &keys, &mut cloud, context.env);
            let base_url = match made {
                Ok(url) => url,
                Err((message, suggestion)) => {
                    let text = format!("{} is left out: {message}; {suggestion}", entry.id);
                    report.warn("", text);
                    continue;
                }
            };
            placed.push(Placed {
                provider: provider::from_catalogue(entry, base_url, cloud, keys, cooldowns),
                builtin: true,
                added: false,
            });
        }
    }
}

/// `clients`: callers need a token.
fn server(
    (raw, additions): (Option<raw::ServerSection>, Option<AdditionsSection>),
    context: &Context<'_>,
    clients: bool,
    report: &mut Report,
) -> ServerConfig {
    let (raw, usual) = (raw.unwrap_or_default(), ServerConfig::default());
    let typed = listeners::ListenerKeys {
        max_connections: raw.max_connections,
        max_head: raw.max_head,
        timeouts: raw.timeouts,
        http2: raw.http2,
        tls: raw.tls,
        unix: raw.unix,
        reuse_port: raw.reuse_port,
    };
    let listeners = listeners::resolve(typed, &context.dir, report);
    let typed = TokenKeys {
        token: raw.admin_token,
        file: raw.admin_token_file,
        sha256: raw.admin_token_sha256,
        names: ["admin_token", "admin_token_file", "admin_token_sha256"],
    };
    let insecure = raw.insecure_open == Some(true);
    let admin = admin::resolve(raw.admin_listen, &typed, insecure, context, report);
    let additions = addition_rules::rules(additions, !admin.tokens.is_empty(), report);
    let pages = pages::resolve(raw.allowed_hosts, raw.allowed_origins, !clients, report);
    let drain = raw.drain.unwrap_or_default();
    let listen = raw
        .listen
        .map(|listens| listens.0)
        .filter(|all| !all.is_empty());
    let max_upload = raw.max_upload.map_or(usual.max_upload, |size| size.0);
    let server = ServerConfig {
        listen: listen.unwrap_or(usual.listen),
        admin,
        additions,
        max_body: raw.max_body.map_or(usual.max_body, |size| size.0),
        max_answer: raw.max_answer.map_or(usual.max_answer, |size| size.0),
        max_event: raw.max_event.map_or(usual.max_event, |size| size.0),
        max_upload,
        spool: raw.spool.map_or(usual.spool, |size| size.0),
        max_spooled: raw
            .max_spooled
            .map_or(usual.max_spooled.max(max_upload), |size| size.0),
        max_buffered: raw.max_buffered.map_or(usual.max_buffered, |size| size.0),
        dns: outbound::dns(raw.dns),
        max_in_flight: raw
            .max_in_flight
            .map_or(usual.max_in_flight, |count| count.get()),
        listeners,
        pages,
        insecure_open: raw.insecure_open == Some(true),
        drain_delay: drain.delay.map_or(usual.drain_delay, |span| span.0),
        drain_timeout: drain.timeout.map_or(usual.drain_timeout, |span| span.0),
        stream_keepalive: raw
            .stream_keepalive
            .map_or(usual.stream_keepalive, |span| span.0),
    };
    check_sizes(&server, report);
    check_open(&server, clients, report);
    server
}

/// What holds several has room for one.
fn check_sizes(server: &ServerConfig, report: &mut Report) {
    for (path, size, what, of_one, least) in [
        (
            "server.max_buffered",
            server.max_buffered,
            "body",
            "server.max_body",
            server.max_body,
        ),
        (
            "server.max_spooled",
            server.max_spooled,
            "upload",
            "server.max_upload",
            server.max_upload,
        ),
    ] {
        if size < least {
            let text =
                format!("{size} bytes are less than one {what} may have ({least} bytes, {of_one})");
            report.problem(path, text, &format!("raise it, or lower {of_one}"));
        }
    }
}

/// Whether anyone may call from outside, and is meant to. `clients`: callers need a token.
fn check_open(server: &ServerConfig, clients: bool, report: &mut Report) {
    let open = |listen: &&Listen| listen.is_open(server.listeners.identifies(listen), clients);
    for listen in server.listen.iter().filter(open) {
        if server.insecure_open {
            let text = format!("anyone who can reach {listen} may call, and spend your keys");
            report.warn("server.listen", text);
        } else {
            report.problem(
                "server.listen",
                format!("{listen} can be reached from outside, and no token is needed"),
                "listen on 127.0.0.1 or a unix: socket, name `clients` with tokens, ask for client certificates \
                 (server.tls.client_ca), or set server.insecure_open: true",
            );
        }
    }
}

fn log(raw: raw::LogSection, report: &mut Report) -> LogConfig {
    let usual = LogConfig::default();
    let level = raw.level.unwrap_or(usual.level).trim().to_owned();
    let plain = ["off", "error", "warn", "info", "debug", "trace"];
    let directives = level.contains(['=', ',']);
    if !directives && !plain.contains(&level.to_lowercase().as_str()) {
        report.problem(
            "log.level",
            format!("`{level}` is no level"),
            "write error, warn, info, debug, trace or off",
        );
    }
    LogConfig {
        format: raw.format.unwrap_or(usual.format),
        level,
    }
}
