//! The validated, immutable result: everything the other floors are built from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::additions::{AdditionRules, PlacedAddition};
use super::cache_server::CacheServer;
use super::fleet_config::FleetConfig;
use super::known_lists::{CatalogConfig, Discovery, Offering};
use super::listen::Listen;
use super::listeners::Listeners;
use super::pages::Pages;
use super::telemetry::TelemetryPolicy;
use crate::domain::breaker::BreakerPolicy;
use crate::domain::budget::BudgetPolicy;
use crate::domain::caching::CacheTable;
use crate::domain::catalog::lists::Catalog;
use crate::domain::catalog::offer::Offer;
use crate::domain::chain::{Targets, VirtualEntry};
use crate::domain::client::ClientPolicy;
use crate::domain::cooldown::CooldownPolicy;
use crate::domain::dialect::NativeRoute;
use crate::domain::dropped::Unsupported;
use crate::domain::hint_fields::DataPolicy;
use crate::domain::ids::{ModelName, ProviderName};
use crate::domain::limits::{DispatchPolicy, KeyLimits, RetryPolicy, Timeouts};
use crate::domain::price::Prices;
use crate::domain::profile::Fetch;
use crate::domain::profile::TargetPolicies;
use crate::domain::rescue::Prefill;
use crate::domain::rotation::KeyRotation;
use crate::domain::secret::ApiKey;
use crate::domain::tags::ProviderTags;
use crate::domain::unmet::KnownCapabilities;
use crate::wire::auth::AuthScheme;
use crate::wire::dialects::Dialect;
use crate::wire::token::TokenDigest;

/// One valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the process listens and protects itself.
    pub server: ServerConfig,
    /// The format and level of the log.
    pub log: LogConfig,
    /// The file that keeps the state of keys for the next process; `None`: it is not kept.
    pub state_path: Option<PathBuf>,
    /// What was added, and what has become of each.
    pub additions: Vec<PlacedAddition>,
    /// Metrics, traces and the records of recent requests.
    pub telemetry: TelemetryPolicy,
    /// The clients; empty: no caller needs a token.
    pub clients: Vec<ClientConfig>,
    /// Lists of models.
    pub catalog: CatalogConfig,
    /// What these lists come to; `None` while there are none.
    pub known: Option<Arc<Catalog>>,
    /// What the indexes among them offer.
    pub offer: Arc<Offer>,
    /// What the targets are made of.
    pub offering: Offering,
    /// What bounds one request.
    pub dispatch: DispatchPolicy,
    /// The budgets of clients, providers and the whole.
    pub budgets: Vec<BudgetPolicy>,
    /// Tokens of an answer that are reserved where a request names no bound.
    pub assume_output: u64,
    /// For which targets answers are kept, and how; whether equal requests are one call.
    pub cache: CacheTable,
    /// The server in which answers are kept; `None`: they are kept in memory alone.
    pub cache_server: Option<CacheServer>,
    /// The fleet that the process belongs to.
    pub fleet: Option<FleetConfig>,
    /// What may be asked for.
    pub targets: Arc<Targets>,
    /// The APIs to call: those of the file in its order, then built-in ones with keys.
    pub providers: Vec<ProviderConfig>,
    /// The virtual providers, with upstreams that cannot be served left out.
    pub virtuals: Vec<VirtualEntry>,
    /// What holds for which target: profiles and what they set.
    pub policies: TargetPolicies,
    /// What works but may not be meant.
    pub warnings: Vec<String>,
    /// What was read, in the order of precedence, lowest first.
    pub sources: Vec<String>,
    /// The files that it came from, keys' files included.
    pub files: Vec<PathBuf>,
}

/// How the process listens and protects itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerConfig {
    /// At least one address.
    pub listen: Vec<Listen>,
    /// The admin listener.
    pub admin: AdminConfig,
    /// What may be added by way of it.
    pub additions: AdditionRules,
    /// Bytes; larger requests are refused.
    pub max_body: usize,
    /// Bytes; a larger whole answer of an upstream is malformed.
    pub max_answer: usize,
    /// Bytes; a larger event of an upstream's stream is malformed.
    pub max_event: usize,
    /// Bytes; larger forms and passed-through bodies are refused.
    pub max_upload: usize,
    /// Bytes of each of these that are kept in memory.
    pub spool: usize,
    /// Bytes of these in temporary files at the same time, at least `max_upload`; what comes beyond that is refused.
    pub max_spooled: usize,
    /// Bytes of bodies and answers at the same time, at least `max_body`; what comes beyond that is refused.
    pub max_buffered: usize,
    /// How the names of providers are looked up.
    pub dns: DnsConfig,
    /// Requests at the same time, at least 1.
    pub max_in_flight: usize,
    /// How connections are taken in.
    pub listeners: Listeners,
    /// Which pages in browsers may call.
    pub pages: Pages,
    /// Whether addresses that others can reach may be open to anyone.
    pub insecure_open: bool,
    /// From the signal to refusing new connections.
    pub drain_delay: Duration,
    /// How long requests under way may take to finish.
    pub drain_timeout: Duration,
    /// How often a comment keeps a silent stream alive; zero means never.
    pub stream_keepalive: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: vec![Listen::Tcp("127.0.0.1:8080".to_owned())],
            admin: AdminConfig::default(),
            additions: AdditionRules::default(),
            max_body: 32 * 1024 * 1024,
            max_answer: 64 * 1024 * 1024,
            max_event: crate::wire::sse::MAX_EVENT,
            max_upload: 512 * 1024 * 1024,
            spool: 8 * 1024 * 1024,
            max_spooled: 4 * 1024 * 1024 * 1024,
            max_buffered: 1024 * 1024 * 1024,
            dns: DnsConfig::default(),
            max_in_flight: 10_000,
            listeners: Listeners::default(),
            pages: Pages::default(),
            insecure_open: false,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            stream_keepalive: Duration::from_secs(15),
        }
    }
}

/// The admin listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminConfig {
    /// Its addresses; none: there is no admin listener.
    pub listen: Vec<Listen>,
    /// Whether the addresses are configured. When a default address is taken, the process starts without it.
    pub named: bool,
    /// The hashes of the tokens of which each request needs one; empty: no token is needed.
    pub tokens: Vec<TokenDigest>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: vec![Listen::Tcp("127.0.0.1:8081".to_owned())],
            named: false,
            tokens: Vec::new(),
        }
    }
}

/// One client and its tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientConfig {
    /// What it may do.
    pub policy: ClientPolicy,
    /// Its tokens' hashes: at least one, each once.
    pub tokens: Vec<TokenDigest>,
    /// How much its requests may cost.
    pub budgets: Vec<BudgetPolicy>,
}

/// How long lookups of names hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DnsConfig {
    /// How long an address that was found is kept.
    pub ttl: Duration,
    /// How long a failed lookup is kept.
    pub negative_ttl: Duration,
    /// An answer beyond `ttl`, while lookups fail.
    pub max_stale: Duration,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            negative_ttl: Duration::from_secs(1),
            max_stale: Duration::from_secs(600),
        }
    }
}

/// The format and level of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// A level or directives.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: "info".to_owned(),
        }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// One API with its keys and policies.
#[derive(Clone)]
pub struct ProviderConfig {
    /// The configured name.
    pub name: ProviderName,
    /// The built-in provider that it is, or empty.
    pub kind: String,
    /// API root without a trailing slash; empty for echo.
    pub base_url: String,
    /// The full URL of chat completions, when it is not `base_url` + `/chat/completions`.
    pub chat_url: Option<String>,
    /// The dialect of its API.
    pub dialect: Dialect,
    /// What its name alone means.
    pub model: Option<ModelName>,
    /// An ordered pool; when given, no other models (but `model`) may be asked for.
    pub models: Vec<ModelName>,
    /// At least one; a provider that needs none has one without material.
    pub keys: Vec<KeyConfig>,
    /// How the keys take turns.
    pub key_rotation: KeyRotation,
    /// Extra request headers, legal ones; values may be secrets.
    pub headers: Vec<(String, ApiKey)>,
    /// Certificate authorities to trust besides the usual ones, in DER.
    pub authorities: Vec<Vec<u8>>,
    /// The proxy on the way; `None` when none is.
    pub proxy: Option<ProxyConfig>,
    /// Whether it may be at a link-local address.
    pub allow_link_local: bool,
    /// Tokens that prompt and answer may have together.
    pub context_window: Option<u64>,
    /// Filled in where the request has none.
    pub params: Map<String, Value>,
    /// What one key may do.
    pub limits: KeyLimits,
    /// How long the parts of an attempt may take.
    pub timeouts: Timeouts,
    /// How often it is asked again after a failure that may pass.
    pub retry: RetryPolicy,
    /// How long a rate-limited key stays away.
    pub cooldown: CooldownPolicy,
    /// When it is left alone.
    pub breaker: BreakerPolicy,
    /// Failures and delays that are made up.
    pub mock: Mock,
    /// Lower first, where a policy asks for tiers.
    pub priority: u32,
    /// The factor of its scores.
    pub base_priority: f64,
    /// What it does with prompts.
    pub data_policy: DataPolicy,
    /// What is known of what its models can do.
    pub capabilities: KnownCapabilities,
    /// What expressions may ask for.
    pub tags: ProviderTags,
    /// What its models cost.
    pub prices: Prices,
    /// How much calls to it may cost.
    pub budgets: Vec<BudgetPolicy>,
    /// How it is asked to continue the beginning of an answer; `None` when it cannot.
    pub prefill: Option<Prefill>,
    /// Where it takes that, if not at `base_url`.
    pub prefill_url: Option<String>,
    /// Whether its calls say which trace they belong to.
    pub trace_context: bool,
    /// Whether the caller's `user-agent` goes on behind our own.
    pub forward_user_agent: bool,
    /// Where calls carry the key; `None`: as the dialect has it.
    pub auth: Option<AuthScheme>,
    /// The region that signatures are for.
    pub region: String,
    /// What stands in the query of every call; values may be secrets.
    pub query: Vec<(String, ApiKey)>,
    /// What is done where its dialect has no place for something.
    pub unsupported: Unsupported,
    /// Whether it has the operations that not all providers of its dialect have.
    pub responses: NativeRoute,
    /// Whether clients may call any path of it.
    pub passthrough: bool,
    /// Where its own list of models is fetched from; `None`: it is not.
    pub discover: Option<Discovery>,
    /// How whole answers are fetched, if that is said.
    pub fetch: Option<Fetch>,
}

impl fmt::Debug for ProviderConfig {
    /// Names and counts; header values and parameters stay out, they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("dialect", &self.dialect)
            .field("model", &self.model)
            .field("models", &self.models)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// The proxy on the way to a provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ProxyConfig {
    /// No proxy.
    #[default]
    Off,
    /// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    Environment,
    /// The one at this URL, which may hold a password.
    Url(ApiKey),
}

/// One API key and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyConfig {
    /// `None`: called without an Authorization header.
    pub material: Option<ApiKey>,
    /// `env GROQ_API_KEYS[2]`, `file pointsman.yaml llm.providers[0].api_keys[1]`.
    pub source: String,
    /// The account that it belongs to, if that is said: keys of one account share a cache of prompts.
    pub account: Option<Arc<str>>,
}

/// Failures and delays that are made up, for tests and demonstrations.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Mock {
    /// The share of calls that fail, 0..=1.
    pub failure_rate: f64,
    /// The seed of the mock's random failures; `None`: a random one.
    pub seed: Option<u64>,
    /// Added before each call.
    pub latency: Duration,
}
