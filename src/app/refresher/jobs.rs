//! The lists that a configuration names, each with its state between two fetches.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::fetch::{self, FetchedList, ListReader, ListRequest, ServerDetails};
use crate::app::access;
use crate::config::{
    CatalogConfig, Config, Discovery, FetchedLists, ListKey, ListPlace, ProviderConfig,
    ProxyConfig, hosts, shown_notes, shown_url,
};
use crate::domain::catalog::entry::{ModelList, Origin};
use crate::domain::catalog::notes::Notes;
use crate::domain::catalog::offer::ModelGroup;
use crate::domain::catalog::refresh::{KeptList, Verdict, next_read};
use crate::domain::ids::ProviderName;
use crate::domain::secret::ApiKey;
use crate::runtime::clock::Clock;
use crate::store::kept_lists::SavedList;
use crate::upstream::dns::{DnsCache, DnsPolicy};
use crate::upstream::http_client::{ClientOptions, HttpUpstream, ProxySetting};
use crate::wire::auth::AuthScheme;
use crate::wire::catalog::{self, Page};

/// Until a connection to a list of the operator's is established.
const CONNECT: Duration = Duration::from_secs(5);

/// What is to be fetched: jobs go on while this stays the same.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    catalog: CatalogConfig,
    providers: Vec<WantedList>,
}

/// Everything that a request for a provider's own list is made of.
#[derive(Clone, PartialEq, Eq)]
struct WantedList {
    provider: ProviderName,
    base_url: String,
    query: Vec<(String, ApiKey)>,
    discovery: Discovery,
    key: Option<ApiKey>,
    headers: Vec<(String, ApiKey)>,
    authorities: Vec<Vec<u8>>,
    proxy: Option<ProxyConfig>,
}

pub(super) fn wanted(config: &Config) -> Wanted {
    let providers = config.providers.iter().filter_map(|provider| {
        Some(WantedList {
            provider: provider.name.clone(),
            base_url: provider.base_url.clone(),
            query: provider.query.clone(),
            discovery: provider.discover.clone()?,
            key: first_key(provider).cloned(),
            headers: provider.headers.clone(),
            authorities: provider.authorities.clone(),
            proxy: provider.proxy.clone(),
        })
    });
    Wanted {
        catalog: config.catalog.clone(),
        providers: providers.collect(),
    }
}

/// The key with which a provider's list is asked for.
fn first_key(provider: &ProviderConfig) -> Option<&ApiKey> {
    provider.keys.iter().find_map(|key| key.material.as_ref())
}

/// What came of a fetch.
pub(super) enum Refreshed {
    /// There is something new to publish, if only its age.
    New,
    /// The list before stays in use, for this reason.
    NotTaken(String),
}

/// One list and its state.
pub(super) struct ListJob {
    pub key: ListKey,
    pub name: String,
    source: ListRequest,
    ttl: Duration,
    pub due: Instant,
    etag: Option<String>,
    kept: KeptList,
    groups: Vec<ModelGroup>,
    notes: Notes,
    read_at: Option<u64>,
    pages: Arc<[String]>,
}

impl ListJob {
    /// Fetches the list, and says what came of it.
    pub(super) async fn refresh(&mut self, clock: Clock) -> Refreshed {
        let fetched = fetch::fetch(&self.source, self.etag.as_deref()).await;
        let succeeded = fetched.is_ok();
        let now = clock
            .wall()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let new = match fetched {
            Ok(FetchedList::Unchanged) => {
                let gone = self.kept.confirm();
                if gone > 0 {
                    tracing::info!(list = self.name, gone, "models have left a list");
                }
                self.read_at = Some(now);
                Refreshed::New
            }
            Ok(FetchedList::New { page, pages, etag }) => {
                let models = page.entries.len();
                match self.kept.take(page.entries) {
                    Verdict::HeldBack { before, now } => {
                        tracing::warn!(
                            list = self.name,
                            before,
                            now,
                            "a list of models has shrunk by more than half: the one before stays in use"
                        );
                        Refreshed::NotTaken(format!(
                            "{}: it has shrunk from {before} models to {now}",
                            self.name
                        ))
                    }
                    Verdict::Taken { gone } => {
                        for warning in shown_notes(&page.notes) {
                            tracing::warn!(list = self.name, "{warning}");
                        }
                        tracing::info!(list = self.name, models, gone, "a list of models was read");
                        self.groups = page.groups;
                        self.notes = page.notes;
                        self.etag = etag;
                        self.read_at = Some(now);
                        self.pages = pages.into();
                        Refreshed::New
                    }
                }
            }
            Err(error) => {
                let last = Origin {
                    name: self.name.as_str().into(),
                    read_at: self.read_at,
                };
                let days = last.stale_days(now);
                tracing::warn!(list = self.name, %error, days_old = days, "a list of models could not be read: the last one stays in use");
                Refreshed::NotTaken(format!("{}: {error}", self.name))
            }
        };
        self.due = Instant::now() + next_read(self.ttl, succeeded, fastrand::f64());
        new
    }

    /// The list as it is now; `None` while there is none.
    pub(super) fn list(&self) -> Option<Arc<ModelList>> {
        let read_at = self.read_at?;
        Some(list_of(
            &self.key,
            &self.name,
            read_at,
            Page {
                entries: self.kept.entries.clone(),
                groups: self.groups.clone(),
                notes: self.notes.clone(),
                next: None,
            },
        ))
    }

    /// The list as it is kept for the next process.
    pub(super) fn saved(&self) -> Option<SavedList> {
        let (place, own) = place(&self.key);
        Some(SavedList {
            place,
            own,
            read_at: self.read_at?,
            etag: self.etag.clone(),
            pages: Arc::clone(&self.pages),
        })
        .filter(|saved| !saved.pages.is_empty())
    }
}

fn list_of(key: &ListKey, name: &str, read_at: u64, page: Page) -> Arc<ModelList> {
    Arc::new(ModelList {
        origin: Arc::new(Origin {
            name: name.into(),
            read_at: Some(read_at),
        }),
        of: match key {
            ListKey::Provider(provider) => Some(provider.as_str().into()),
            ListKey::Url(_) => None,
        },
        entries: page.entries,
        groups: page.groups,
        notes: page.notes,
    })
}

fn place(key: &ListKey) -> (String, bool) {
    match key {
        ListKey::Provider(provider) => (provider.to_string(), true),
        ListKey::Url(url) => (url.clone(), false),
    }
}

/// What is to be fetched, by key: how it is called in messages, how it is read, and how often.
fn named(config: &Config) -> Vec<(ListKey, String, ListReader, Duration)> {
    let own = config.providers.iter().filter_map(|provider| {
        let discovery = provider
            .discover
            .as_ref()
            .filter(|_| provider.dialect.is_remote())?;
        let name = format!("{} {}", provider.name, catalog::own_path(kind_of(provider)));
        let reader = ListReader::Own(kind_of(provider).to_owned());
        Some((
            ListKey::Provider(provider.name.clone()),
            name,
            reader,
            discovery.ttl,
        ))
    });
    let urls = config
        .catalog
        .sources
        .iter()
        .filter_map(|source| match &source.place {
            ListPlace::File(_) => None,
            ListPlace::Url(url) => {
                let reader = ListReader::Named(source.format);
                Some((
                    ListKey::Url(url.clone()),
                    shown_url(url).to_owned(),
                    reader,
                    source.ttl,
                ))
            }
        });
    own.chain(urls).collect()
}

fn kind_of(provider: &ProviderConfig) -> &str {
    hosts::kind_of(&provider.kind, provider.name.as_str(), &provider.base_url)
}

fn find<'a>(saved: &'a [SavedList], key: &ListKey) -> Option<&'a SavedList> {
    let (place, own) = place(key);
    saved
        .iter()
        .find(|saved| saved.place == place && saved.own == own)
}

/// The lists of a file, as far as they are still named and can be read.
pub(super) fn restore(config: &Config, saved: &[SavedList]) -> FetchedLists {
    let lists = named(config)
        .into_iter()
        .filter_map(|(key, name, reader, _)| {
            let saved = find(saved, &key)?;
            let page = reader.read_all(&saved.pages).ok()?;
            let list = list_of(&key, &name, saved.read_at, page);
            Some((key, list))
        });
    lists.collect()
}

/// The jobs of a configuration. A list that is known already is fetched when its time is over.
pub(super) fn jobs(
    config: &Config,
    saved: &[SavedList],
    known: &FetchedLists,
    clock: Clock,
) -> Vec<ListJob> {
    let now = clock
        .wall()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let dns = DnsCache::new(DnsPolicy {
        ttl: config.server.dns.ttl,
        negative_ttl: config.server.dns.negative_ttl,
        max_stale: config.server.dns.max_stale,
    });
    let jobs = named(config)
        .into_iter()
        .filter_map(|(key, name, reader, ttl)| {
            let made = match &key {
                ListKey::Provider(provider) => {
                    let mut all = config.providers.iter();
                    let provider = all.find(|other| other.name == *provider)?;
                    own_source(provider, reader, &dns)
                }
                ListKey::Url(url) => url_source(url, reader, &dns),
            };
            let source = match made {
                Ok(source) => source,
                Err(why) => {
                    tracing::warn!(list = name, "a list of models is not fetched: {why}");
                    return None;
                }
            };
            let list = known.get(&key);
            let saved = find(saved, &key).filter(|_| list.is_some());
            let read_at = list.and_then(|list| list.origin.read_at);
            let age = read_at.map(|read_at| Duration::from_secs(now.saturating_sub(read_at)));
            let wait = age.map_or(Duration::ZERO, |age| ttl.saturating_sub(age));
            Some(ListJob {
                key,
                name,
                source,
                ttl,
                due: Instant::now() + wait,
                etag: saved.and_then(|saved| saved.etag.clone()),
                kept: KeptList {
                    entries: list.map(|list| list.entries.clone()).unwrap_or_default(),
                    ..KeptList::default()
                },
                groups: list.map(|list| list.groups.clone()).unwrap_or_default(),
                notes: list.map(|list| list.notes.clone()).unwrap_or_default(),
                read_at,
                pages: saved.map_or_else(Arc::default, |saved| Arc::clone(&saved.pages)),
            })
        });
    jobs.collect()
}

/// The URL in front of its query, and the query.
fn split(url: &str) -> (&str, &str) {
    let url = url.split('#').next().unwrap_or_default();
    url.split_once('?').unwrap_or((url, ""))
}

fn url_source(url: &str, reader: ListReader, dns: &DnsCache) -> Result<ListRequest, String> {
    let way = ClientOptions {
        connect: CONNECT,
        dns,
        allow_link_local: false,
        proxy: ProxySetting::Off,
        authorities: &[],
    };
    at_url(url, reader, &way)
}

fn at_url(url: &str, reader: ListReader, way: &ClientOptions<'_>) -> Result<ListRequest, String> {
    let (root, query) = split(url);
    let transport = HttpUpstream::new(root, &[], None, way).map_err(|error| error.to_string())?;
    Ok(ListRequest {
        transport: Arc::new(transport),
        path: String::new(),
        query: query.to_owned(),
        headers: HeaderMap::new(),
        query_key: None,
        reader,
        details: None,
    })
}

fn own_source(
    provider: &ProviderConfig,
    reader: ListReader,
    dns: &DnsCache,
) -> Result<ListRequest, String> {
    let way = access::way_of(provider, dns);
    let scheme = provider.auth;
    if scheme.is_some_and(AuthScheme::makes) {
        return Err(
            "its keys are no text that is sent; name its list as a source, or leave `discover` out"
                .to_owned(),
        );
    }
    let url = provider
        .discover
        .as_ref()
        .and_then(|discovery| discovery.url.as_deref());
    let all = catalog::own_query(kind_of(provider), provider.dialect);
    let mut source = match url {
        Some(url) => {
            let mut source = at_url(url, reader, &way)?;
            if source.query.is_empty() {
                all.clone_into(&mut source.query);
            }
            source
        }
        None if provider.base_url.contains('{') => {
            return Err("its base_url depends on the model: set discover.url".to_owned());
        }
        None => {
            let transport = HttpUpstream::new(&provider.base_url, &[], None, &way)
                .and_then(|transport| transport.with_query(&provider.query));
            ListRequest {
                transport: Arc::new(transport.map_err(|error| error.to_string())?),
                path: catalog::own_path(kind_of(provider)).to_owned(),
                query: all.to_owned(),
                headers: HeaderMap::new(),
                query_key: None,
                reader,
                details: details(provider, &way)?,
            }
        }
    };
    // A key goes nowhere but to its provider.
    let is_own = |url: &str| {
        origin(url) == origin(&provider.base_url) || hosts::same_vendor(url, &provider.base_url)
    };
    if url.is_some_and(|url| !is_own(url)) {
        return Ok(source);
    }
    for (name, value) in &provider.headers {
        if let (Ok(name), Ok(mut value)) = (
            HeaderName::try_from(name),
            HeaderValue::from_str(value.expose()),
        ) {
            value.set_sensitive(true);
            source.headers.insert(name, value);
        }
    }
    provider
        .dialect
        .complete_headers(&HeaderMap::new(), &mut source.headers);
    if let Some(key) = first_key(provider) {
        match scheme {
            Some(AuthScheme::Query) => source.query_key = Some(key.clone()),
            Some(scheme) => scheme.put(&mut source.headers, key),
            None => provider.dialect.authenticate(&mut source.headers, key),
        }
    }
    Ok(source)
}

/// The server of a provider, if it tells more than its list.
fn details(
    provider: &ProviderConfig,
    way: &ClientOptions<'_>,
) -> Result<Option<ServerDetails>, String> {
    let kind = kind_of(provider);
    if !catalog::tells_details(kind) {
        return Ok(None);
    }
    let root = provider.base_url.trim_end_matches('/');
    let root = root.strip_suffix("/v1").unwrap_or(root);
    let transport = HttpUpstream::new(root, &[], None, way).map_err(|error| error.to_string())?;
    Ok(Some(ServerDetails {
        transport: Arc::new(transport),
        kind: kind.to_owned(),
    }))
}

/// Scheme, host and port.
fn origin(url: &str) -> String {
    let uri: Option<http::Uri> = url.parse().ok();
    let scheme = uri
        .as_ref()
        .and_then(http::Uri::scheme_str)
        .unwrap_or_default();
    let authority = uri.as_ref().and_then(http::Uri::authority);
    let authority = authority
        .map(|authority| authority.as_str())
        .unwrap_or_default();
    format!("{scheme}://{authority}").to_ascii_lowercase()
}
