//! The keys of a configuration file, as typed by its author. These comments are the reference.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

use config::ValueKind;

use super::account_keys::AccountKeys;
use super::addition_rules::AdditionsSection;
use super::admin::AdminListen;
use super::budgets::BudgetSection;
use super::caching::{CacheSection, TargetCacheSection};
use super::clients::RawClient;
use super::credentials::CredentialList;
use super::dispatch::DispatchSection;
use super::fleet::FleetSection;
use super::listen::Listens;
use super::listeners::{ClientTimeouts, DrainSection, Http2, TlsSection, UnixFile};
use super::model_lists::{CatalogSection, DiscoverForm};
use super::outbound::{DnsForm, ProxyForm};
use super::policies::{
    BreakerSection, CooldownForm, KeyLimitsSection, Pacing, RetrySection, TimeoutsSection,
};
use super::price::{PriceForm, PricesForm};
use super::ranking::{AffinityForm, HintsForm, PolicyForm, SpillForm};
use super::read::{ConfigNode, FromNode, Report, section};
use super::resolved::LogFormat;
use super::state::State;
use super::streams::{PrefillForm, ProfileForm, RescueForm};
use super::tags::{ModelTagsForm, TagsForm};
use super::telemetry::Telemetry;
use super::values::{Amount, Fraction, Headers, KeyTexts, Names, Params, Size, Span};
use super::when::{self, CapabilitiesSection, WhenSection};
use crate::domain::chain::NameMatch;
use crate::domain::dialect::NativeRoute;
use crate::domain::dropped::Unsupported;
use crate::domain::hint_fields::DataPolicy;
use crate::domain::profile::Fetch;
use crate::domain::rotation::KeyRotation;
use crate::domain::when::When;
use crate::wire::auth::AuthScheme;
use crate::wire::dialects::Dialect;

section! {
    /// The whole file.
    Root {
        /// How the process listens and protects itself.
        server: ServerSection,
        /// The callers and their tokens. Absent or empty: no caller needs a token.
        clients: Vec<RawClient>,
        /// Providers, their keys and the chains of upstreams.
        llm: Llm,
        /// Lists of models: windows, limits, capabilities and prices (`docs/catalog.md`).
        catalog: CatalogSection,
        /// Limits of one request: time, attempts, waits.
        dispatch: DispatchSection,
        /// Answers that are kept for equal requests (`docs/cache.md`). Absent: none are.
        cache: CacheSection,
        /// What processes with the same keys tell each other (`docs/fleet.md`). Absent: nothing.
        fleet: FleetSection,
        /// The format and level of the log.
        log: LogSection,
        /// Whether the state of keys is kept in a file, for the next process.
        state: State,
        /// What may be added while the process runs (`docs/additions.md`).
        additions: AdditionsSection,
        /// Metrics and traces, in addition to the log.
        telemetry: Telemetry,
    }
}

section! {
    /// `server`
    ServerSection {
        /// One or several addresses: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/pointsman.sock`. Port 0
        /// binds a free one. Default `127.0.0.1:8080`.
        listen: Listens,
        /// One or several addresses of the admin listener, or `off`. Default `127.0.0.1:8081`.
        admin_listen: AdminListen,
        /// The token that the admin listener asks for; several while tokens are being rotated.
        admin_token | admin_tokens: KeyTexts,
        /// A file with one such token per line, relative to this file; read again when it changes.
        admin_token_file: String,
        /// The SHA-256 of such a token in hexadecimal digits, one or several.
        admin_token_sha256 | admin_tokens_sha256: Names,
        /// The largest request body; larger ones are answered with 413. Default `32MiB`.
        max_body: Size,
        /// The largest whole answer of an upstream; a larger one counts as malformed. Default `64MiB`.
        max_answer: Size,
        /// The largest event of an upstream's stream; a larger one counts as malformed. Default `8MiB`.
        max_event: Size,
        /// The largest form, and the largest body that passes through; larger ones are answered with 413. Default
        /// `512MiB`.
        max_upload: Size,
        /// So much of each of these is kept in memory; the rest goes into a temporary file. Default `8MiB`.
        spool: Size,
        /// Bytes of these in temporary files at the same time, all requests together; requests beyond that are answered
        /// with 503. At least `max_upload`. Default `4GiB`, or `max_upload` where that is more.
        max_spooled: Size,
        /// Bytes of bodies and answers held at the same time, all requests together; requests beyond that are answered
        /// with 503. At least `max_body`. Default `1GiB`.
        max_buffered: Size,
        /// How the names of providers are looked up.
        dns: DnsForm,
        /// Concurrent requests; more are answered with 503. Default 10000.
        max_in_flight: NonZeroUsize,
        /// Concurrent connections; more are refused. Default 20000.
        max_connections: NonZeroUsize,
        /// The largest head of a request; larger ones are answered with 431. Default `64KiB`.
        max_head: Size,
        /// How long clients may take.
        timeouts: ClientTimeouts,
        /// HTTP/2; `off` leaves HTTP/1.1.
        http2: Http2,
        /// How a shutdown proceeds.
        drain: DrainSection,
        /// TLS of the data listener.
        tls: TlsSection,
        /// The files of Unix sockets.
        unix: UnixFile,
        /// Whether another process may take the addresses over while this one still serves. Default false.
        reuse_port: bool,
        /// Allows a listener that other machines can reach although no client needs a token. Default false.
        insecure_open: bool,
        /// How often a comment keeps a silent stream alive; 0 means never. Default `15s`.
        stream_keepalive: Span,
        /// Names by which this process may be called when no client needs a token, in addition to addresses and
        /// `localhost`; `*.example` allows all subdomains.
        allowed_hosts: Names,
        /// Origins whose pages may call from a browser, such as `https://app.example`; `null` for those
        /// without a site (files, desktop programs, sandboxed frames), `*` for all. Default: none.
        allowed_origins: Names,
    }
}

section! {
    /// `log`
    LogSection {
        /// `text` or `json`. Default `text`.
        format: LogFormat,
        /// A level, or directives such as `info,pointsman::actors=debug`. Default `info`.
        level: String,
    }
}

section! {
    /// `llm`
    Llm {
        /// The target of a request without a model: a provider, a virtual provider or `provider:model`.
        default_model: String,
        /// What a name in a request means that nothing is called: `exact`, nothing; `substring`, every listed model whose id
        /// contains it, in order (`llama`). Default `exact`.
        r#match: NameMatch,
        /// The APIs to call.
        providers: Vec<ProviderSection>,
        /// The proxy to providers that are not in a private network: a URL, `environment` or `off`. Default `off`.
        proxy: ProxyForm,
        /// Named chains of upstreams.
        r#virtual: Vec<Virtual>,
        /// How long a rate-limited key is not used: one time for all providers, or a map of provider names
        /// and `default`. A provider's own `cooldown` comes first.
        cooldown: Cooldowns,
        /// How long a request may wait for a key: the same as `dispatch.await_cooldown`.
        timeout: AwaitTimeout,
    }
}

section! {
    /// `llm.providers[]`
    ProviderSection {
        /// The provider's name; that of a built-in provider inherits base_url, dialect, model and key variables.
        name: String = required,
        /// API root. One that ends in `/chat/completions` is taken as the full URL; `{model}` or `{deployment}` in it stands
        /// for the model that is asked.
        base_url: String,
        /// The dialect of its API. Default: the built-in provider's, else `openai`.
        dialect: Dialect,
        /// The model that the provider's name alone refers to.
        model: String,
        /// An ordered pool of models that are tried in turn. When given, other models are refused.
        models: Names,
        /// A key; several with commas between them.
        api_key: AccountKeys,
        /// Several keys; they replace `api_key`. `{key, account}` says which of them belong to one account: those share a
        /// cache of prompts, which `key_rotation: affinity` goes by.
        api_keys: AccountKeys,
        /// The variable that holds the key; its plural and numbered forms are read too.
        api_key_env: Names,
        /// Files with one key per line, or directories of such files, relative to this file.
        api_key_files | api_key_file | api_key_dir: Names,
        /// Credentials of a cloud, in place of keys: one, or a list. Each is a key of its own.
        credentials: CredentialList,
        /// Where calls carry the key: `bearer`, `x-api-key`, `api-key`, `x-goog-api-key`, `query` (`?key=`) or `none`; or what
        /// is made of it: a token of Google's (`google`) or of Microsoft Entra's (`azure`), or an AWS signature (`aws`).
        /// Default: as the dialect or the built-in provider has it.
        auth: AuthScheme,
        /// The region of a cloud, such as `eu-west-1`; at Google the location. Default: what the vendor's variables say.
        region: String,
        /// The project at Google. Default: what the vendor's variables or the credential file say.
        project: String,
        /// What stands in the query of every call, such as `api-version`.
        query: Headers,
        /// Certificate authorities to trust besides the usual ones, as files in PEM, relative to this file.
        ca_file | ca_files: Names,
        /// The proxy to it: a URL, `environment` or `off`. Default: `llm.proxy`.
        proxy: ProxyForm,
        /// Whether it may be at a link-local address or at that of a cloud's metadata service. Default false.
        allow_link_local: bool,
        /// `round_robin`, `sticky`, `sequential`, `least_in_flight`, or `affinity`: the requests of one conversation go to one
        /// account and one key of it, where their prompt is cached. Default `round_robin`.
        key_rotation: KeyRotation,
        /// Extra request headers.
        headers | extra_headers: Headers,
        /// Whether the caller's `user-agent` is appended to Pointsman's own. Default false.
        forward_user_agent: bool,
        /// Tokens that prompt and answer may have together.
        context_window | max_tokens: NonZeroU64,
        /// Request parameters that are filled in where the request has none.
        params: Params,
        /// The same as `params.temperature`.
        temperature: Amount,
        /// Configured limits of each key.
        limits: KeyLimitsSection,
        /// Which of the upstream's limits are learned from its answers.
        pacing: Pacing,
        /// How long the parts of an attempt may take.
        timeouts: TimeoutsSection,
        /// Retries at the same upstream after a transient failure.
        retry: RetrySection,
        /// How long a rate-limited key is not used; a time alone is the default one.
        cooldown: CooldownForm,
        /// When an upstream is not asked after failures, and for how long.
        circuit_breaker: BreakerSection,
        /// The share of calls that fail without being made, 0 to 1. Default 0.
        mock_failure_rate: Fraction,
        /// Makes these failures repeatable.
        mock_seed: u64,
        /// Latency that is added before each call. Default 0.
        mock_latency: Span,
        /// The tier of its upstreams in virtual providers whose policy is not `ordered`: lower first. Default 100.
        priority: u32,
        /// The factor of its scores under policy `score`. Default: 1.
        base_priority: Amount,
        /// What its models can do, before what lists of models say; what nobody says excludes nothing.
        capabilities: CapabilitiesSection,
        /// Words of your own for it, which expressions ask for (`target.tags`), such as `eu` or `gpu`: of letters, digits, `-`,
        /// `_`, `.`, `:` and `/`. Default: none.
        tags: TagsForm,
        /// The same for single models, besides: a map of models and lists.
        model_tags: ModelTagsForm,
        /// What it does with prompts, for requests that ask for that (`hints`): `no_collection`, `zdr` (it retains nothing) or
        /// `unknown`. Default `unknown`.
        data_policy: DataPolicy,
        /// The prices of its tokens, per million, and of what else is paid for, in any one currency (`docs/prices.md`).
        price: PriceForm,
        /// The same for each model that has a price of its own.
        prices: PricesForm,
        /// How much calls to it may cost; it is left out when one of them is used up (`docs/budgets.md`).
        budgets: Vec<BudgetSection>,
        /// How it is asked to continue the beginning of an answer: `prefix`, `prefix_echoed`, `partial`,
        /// `continue_final_message`, `assistant` or `off`. Default: the built-in provider's, else `off`.
        prefill: PrefillForm,
        /// The API root for `prefill`, when it differs from `base_url`.
        prefill_url: String,
        /// Whether its calls carry the trace context (`traceparent`, `tracestate`). Default false.
        trace_context: bool,
        /// What is done where its dialect has no place for something that a request says: `drop` leaves it out and names it
        /// in `x-pointsman-dropped`, `reject` asks another upstream, or answers with 400. Default `drop`.
        unsupported: Unsupported,
        /// Whether it has `/responses`: `native`, `translate` (requests go on as chat completions), or `auto`: what is known
        /// of a built-in provider, else it is asked once an hour. Of a provider of the dialect `openai` only. Default `auto`.
        responses: NativeRoute,
        /// Whether clients may call any path of it by `/passthrough/{name}/…`. Default false.
        passthrough: bool,
        /// Whether its own list of models is fetched in the background: true, false, or `{url, ttl}`. Default: what
        /// `catalog.discover` says.
        discover: DiscoverForm,
        /// Whether answers to requests for it are kept, and how. Default: as `cache` has it.
        cache: TargetCacheSection,
        /// How whole answers are fetched: `whole`, or `stream`, put together here, so that the limits on the first token and
        /// on silence, hedging and rescue hold for them too. Default: `stream` with `profile: interactive`, else `whole`.
        fetch: Fetch,
    }
}

/// `llm.cooldown`: times by provider name, with the path of each.
pub(super) struct Cooldowns(pub Vec<(String, Span, String)>);

impl FromNode for Cooldowns {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let ValueKind::Table(table) = &node.value.kind else {
            let span = Span::read(node, report)?;
            return Some(Self(vec![("default".to_owned(), span, node.path.clone())]));
        };
        let mut spans = Vec::new();
        for (name, value) in table {
            let entry = node.child(name, value);
            if let Some(span) = Span::read(&entry, report) {
                spans.push((name.clone(), span, entry.path));
            }
        }
        spans.sort_by(|a, b| a.0.cmp(&b.0));
        Some(Self(spans))
    }
}

/// `llm.timeout`: one time for all, or a map with nothing but `default`.
pub(super) struct AwaitTimeout(pub Span);

impl FromNode for AwaitTimeout {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let ValueKind::Table(table) = &node.value.kind else {
            return Span::read(node, report).map(Self);
        };
        let mut default = None;
        for (name, value) in table {
            let entry = node.child(name, value);
            if name == "default" {
                default = Span::read(&entry, report).map(Self);
            } else if report.lenient {
                report.warn(
                    &entry.path,
                    "waiting times per provider are not supported, ignored",
                );
            } else {
                entry.reject::<()>(
                    "waiting times per provider are not supported",
                    "set dispatch.await_cooldown for all of them",
                    report,
                );
            }
        }
        default
    }
}

section! {
    /// `llm.virtual[]`
    Virtual {
        /// The name by which requests ask for it.
        name: String = required,
        /// How the upstreams are ranked for each request (`docs/routing.md` describes each policy): its name, or its name and
        /// settings. Default `ordered`.
        policy: PolicyForm,
        /// Whether requests of one conversation go to one upstream, where its prompt is cached: by what they are known, or
        /// `off`. Default `off`.
        affinity: AffinityForm,
        /// Whether a part of the requests leaves a tier (`priority`) while a part of its keys is out, rather than only what
        /// the tier did not take: `true`, `false` or `{overprovisioning, panic}`. Default `false`.
        spill: SpillForm,
        /// Whether requests may narrow the choice by fields of their own: `openrouter` (`provider`, `models`, `route`) or
        /// `off`. Default `off`.
        hints: HintsForm,
        /// Providers, `provider:model` or other virtual providers, best first.
        upstreams: Vec<UpstreamRef> = required,
        /// How a stream that breaks off is continued: `off`, `restart`, `continue`, or `{mode, hold}`. Default: the
        /// profile's, else `off`.
        rescue: RescueForm,
        /// Defaults for people who read along: `interactive`, or `off`. Explicit keys take precedence. Default: that of
        /// `dispatch`.
        profile: ProfileForm,
        /// `drop` or `reject`, as on a provider, for all of its upstreams. Default: what each provider says.
        unsupported: Unsupported,
        /// Whether answers to requests for it are kept, and how. Default: what all of its providers allow.
        cache: TargetCacheSection,
        /// `whole` or `stream`, as on a provider, for all of its upstreams. Default: `stream` where one of the providers says
        /// so.
        fetch: Fetch,
    }
}

/// `llm.virtual[].upstreams[]`: `{name: …}`, or the name alone.
pub(super) struct UpstreamRef {
    pub(super) name: String,
    pub(super) weight: Option<u32>,
    pub(super) priority: Option<u32>,
    pub(super) when: Option<Arc<When>>,
    pub(super) tags: Vec<Arc<str>>,
}

section! {
    /// `llm.virtual[].upstreams[]`
    UpstreamTable {
        /// The upstream's name.
        name: String = required,
        /// Its share of the requests under policies `weighted` and `least_busy`, and for `affinity`; 0 means only after all
        /// others. Default 1.
        weight: u32,
        /// Its tier: all of a lower one are asked first. Default: the provider's, else 100.
        priority: u32,
        /// When it is asked at all. Default: always.
        when: WhenSection,
        /// Words of your own for it, as on a provider, for expressions of this virtual provider. Default: none.
        tags: TagsForm,
    }
}

impl FromNode for UpstreamRef {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let table = match &node.value.kind {
            ValueKind::Table(_) => UpstreamTable::read(node, report)?,
            _ => UpstreamTable {
                name: Some(String::read(node, report)?),
                ..UpstreamTable::default()
            },
        };
        match table.name {
            Some(name) if !name.trim().is_empty() => Some(Self {
                name: name.trim().to_owned(),
                weight: table.weight,
                priority: table.priority,
                when: table.when.and_then(when::when),
                tags: table.tags.map(|TagsForm(tags)| tags).unwrap_or_default(),
            }),
            _ => node.reject("has no name", "write {name: \"provider:model\"}", report),
        }
    }
}
