//! The calls that test the keys of one provider, and what their answers say.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::key_test::{KeyTest, KeyTestOptions};
use crate::app::access;
use crate::config::{ProviderConfig, hosts};
use crate::domain::dialect::Operation;
use crate::domain::ids::ModelName;
use crate::domain::key_verdict::KeyVerdict;
use crate::domain::secret::ApiKey;
use crate::runtime::clock::Clock;
use crate::upstream::access::ProviderAccess;
use crate::upstream::dns::DnsCache;
use crate::upstream::http_client::HttpUpstream;
use crate::upstream::{CallBody, SendError, Transport, UpstreamRequest};
use crate::wire::auth::{self, AuthScheme};
use crate::wire::catalog;
use crate::wire::dialects;
use crate::wire::exchange::Exchange;
use crate::wire::grant::TokenError;
use crate::wire::probe::{self, ListProof, ProbePlace};
use crate::wire::redact::Redactor;

/// The most bytes of an answer that are read; lists of models are the longest.
const MOST_BYTES: usize = catalog::MOST_BYTES;
/// What is said where nothing free proves a key.
const NOTHING_FREE: &str = "nothing free proves a key here: --live asks for one token";

/// The answer to a test's call.
struct ProbeAnswer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    millis: u64,
}

impl ProbeAnswer {
    const fn is_good(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// Why there is none.
enum NoProbeAnswer {
    /// Nobody was met.
    Silence(String),
    /// What the key stands for could not be had, and the key is to blame.
    BadKey(String),
    /// It cannot be asked for.
    Unaskable(String),
}

/// What tests the keys of one provider.
pub(super) struct ProviderProbe<'c> {
    provider: &'c ProviderConfig,
    dns: &'c DnsCache,
    kind: &'c str,
    /// The API; or why there is no client for it.
    api: Result<Arc<HttpUpstream>, String>,
    access: Result<Option<Arc<ProviderAccess>>, String>,
    live: bool,
    timeout: Duration,
    clock: Clock,
    /// Whether the list can be had without a key: asked once.
    open_list: OnceCell<bool>,
}

impl<'c> ProviderProbe<'c> {
    pub(super) fn new(
        provider: &'c ProviderConfig,
        dns: &'c DnsCache,
        clock: Clock,
        options: &KeyTestOptions,
    ) -> Self {
        let way = access::way_of(provider, dns);
        let dialect = provider.dialect;
        let full = dialect.full_path();
        let elsewhere = provider.chat_url.as_deref().map(|url| (full, url));
        let paths: &[&'static str] = match elsewhere {
            Some(_) => &[full],
            None => &[],
        };
        let api = HttpUpstream::new(&provider.base_url, paths, elsewhere, &way)
            .and_then(|http| http.with_query(&provider.query));
        Self {
            provider,
            dns,
            kind: hosts::kind_of(&provider.kind, provider.name.as_str(), &provider.base_url),
            api: api.map(Arc::new).map_err(|error| error.to_string()),
            access: access::of(provider, dns, clock).map_err(|error| error.to_string()),
            live: options.live,
            timeout: options.timeout,
            clock,
            open_list: OnceCell::new(),
        }
    }

    /// Tests one key, and notes what comes of it.
    pub(super) async fn test(&self, key: Option<&ApiKey>, test: &mut KeyTest) {
        test.note = String::new();
        if !self.provider.dialect.is_remote() {
            test.verdict = KeyVerdict::Ok;
            test.note = "answered by the process itself".to_owned();
            return;
        }
        self.free(key, test).await;
        let unproven = test.verdict == KeyVerdict::Unproven;
        if unproven && self.live {
            self.live(key, test).await;
        }
        let secrets = access::secrets(self.provider);
        let all = secrets.iter().chain(key);
        let redactor = all.fold(Redactor::default(), |all, secret| all.with(secret.expose()));
        if let Some(masked) = redactor.masked_text(&test.note) {
            test.note = masked;
        }
    }

    /// Asks what costs nothing.
    async fn free(&self, key: Option<&ApiKey>, test: &mut KeyTest) {
        let account = probe::account_place(self.kind).filter(|_| key.is_some());
        if let Some(answer) = self.account(account, key).await {
            self.read(answer, test, |answer, test| {
                let state = probe::account_state(self.kind, &answer.body);
                test.note = state.note;
                test.verdict = match state.is_spent {
                    true => KeyVerdict::NoCredit,
                    false => KeyVerdict::Ok,
                };
            });
            if test.verdict != KeyVerdict::Ok {
                return;
            }
            // The account is good; the list is asked for the number of models alone.
            if let Ok(list) = self.list(key).await
                && list.is_good()
            {
                test.models = models(&list, self.kind).map(|ids| ids.len());
            }
            return;
        }
        let answered = self.list(key).await;
        let is_good = answered.as_ref().is_ok_and(ProbeAnswer::is_good);
        self.read(answered, test, |answer, test| {
            test.models = models(answer, self.kind).map(|ids| ids.len());
            test.verdict = KeyVerdict::Ok;
            // A page of something in between; another JSON than was expected is an API's.
            if serde_json::from_slice::<Value>(&answer.body).is_err() {
                test.verdict = KeyVerdict::Unproven;
                test.note = "what it answers is no list of models".to_owned();
            }
        });
        if is_good && test.verdict == KeyVerdict::Ok && key.is_some() && !self.list_proves().await {
            test.verdict = KeyVerdict::Unproven;
            test.note = "everyone gets its list of models: --live asks for one token".to_owned();
        }
        if test.verdict == KeyVerdict::Unproven && test.note.is_empty() {
            test.note = NOTHING_FREE.to_owned();
        }
    }

    /// What a key's own account says; `None` where there is no such call for it.
    async fn account(
        &self,
        place: Option<ProbePlace>,
        key: Option<&ApiKey>,
    ) -> Option<Result<ProbeAnswer, NoProbeAnswer>> {
        let provider = self.provider;
        let way = access::way_of(provider, self.dns);
        let at = |url: &str| HttpUpstream::new(url, &[], None, &way).map(Arc::new).ok();
        let (http, path) = match place? {
            ProbePlace::Api(path) => (Arc::clone(self.api.as_ref().ok()?), path),
            ProbePlace::Host(path) => (at(&root(&provider.base_url)?)?, path),
            // A key goes nowhere but to its vendor.
            ProbePlace::Vendor(url) if hosts::same_vendor(url, &provider.base_url) => {
                (at(url)?, "")
            }
            ProbePlace::Vendor(_) => return None,
        };
        Some(self.get(&http, path.to_owned(), key).await)
    }

    async fn list(&self, key: Option<&ApiKey>) -> Result<ProbeAnswer, NoProbeAnswer> {
        if self.provider.base_url.contains('{') || self.is_made() {
            return Err(NoProbeAnswer::Unaskable(NOTHING_FREE.to_owned()));
        }
        let http = self.api.as_ref().map_err(|why| unaskable(why))?;
        let query = catalog::own_query(self.kind, self.provider.dialect);
        let mark = if query.is_empty() { "" } else { "?" };
        let path = format!("{}{mark}{query}", catalog::own_path(self.kind));
        self.get(http, path, key).await
    }

    /// Whether calls carry something else that is made with the key: clouds, which have no list behind their roots.
    fn is_made(&self) -> bool {
        self.provider.auth.is_some_and(AuthScheme::makes)
    }

    /// Whether the provider's list cannot be had without a good key. A server of which that is not known is asked once.
    async fn list_proves(&self) -> bool {
        match probe::list_proof(self.kind) {
            ListProof::Proves => true,
            ListProof::ProvesNothing => false,
            ListProof::Unknown => {
                let asked = self.open_list.get_or_init(|| async {
                    let bare = self.list(None).await;
                    bare.is_ok_and(|answer| answer.is_good())
                });
                !*asked.await
            }
        }
    }

    async fn get(
        &self,
        http: &HttpUpstream,
        path: String,
        key: Option<&ApiKey>,
    ) -> Result<ProbeAnswer, NoProbeAnswer> {
        let call = UpstreamRequest {
            method: Method::GET,
            path: path.into(),
            passed: false,
            model: ModelName::from(""),
            headers: HeaderMap::new(),
            body: CallBody::Bytes(Bytes::new()),
            signing: None,
        };
        self.send(http, call, key).await
    }

    /// Makes a call with this key, within the time of one.
    async fn send(
        &self,
        http: &HttpUpstream,
        mut call: UpstreamRequest,
        key: Option<&ApiKey>,
    ) -> Result<ProbeAnswer, NoProbeAnswer> {
        self.complete(&mut call.headers);
        if let Some(key) = key {
            match self.provider.auth {
                Some(AuthScheme::Query) => call.path = auth::with_key(&call.path, key).into(),
                Some(scheme) => scheme.put(&mut call.headers, key),
                None => self.provider.dialect.authenticate(&mut call.headers, key),
            }
            let access = self.access.as_ref().map_err(|why| unaskable(why))?;
            if let Some(access) = access {
                access
                    .let_in(key, &mut call)
                    .await
                    .map_err(|error| no_token(&error))?;
            }
        }
        let started = Instant::now();
        let work = async {
            let answer = http.send(call).await?;
            let mut body = Vec::new();
            let mut chunks = answer.body;
            while let Some(chunk) = chunks.next().await {
                body.extend_from_slice(&chunk?);
                if body.len() > MOST_BYTES {
                    break;
                }
            }
            let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            Ok::<_, SendError>(ProbeAnswer {
                status: answer.status,
                headers: answer.headers,
                body: body.into(),
                millis,
            })
        };
        match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(NoProbeAnswer::Silence(error.to_string())),
            Err(_) => {
                let seconds = self.timeout.as_secs();
                Err(NoProbeAnswer::Silence(format!(
                    "no answer within {seconds} s"
                )))
            }
        }
    }

    /// The headers of every call to the provider.
    fn complete(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let identity = HeaderValue::from_static("identity");
        headers.insert(header::ACCEPT_ENCODING, identity);
        for (name, value) in &self.provider.headers {
            if let (Ok(name), Ok(mut value)) = (
                HeaderName::try_from(name),
                HeaderValue::from_str(value.expose()),
            ) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        let dialect = self.provider.dialect;
        dialect.complete_headers(&HeaderMap::new(), headers);
    }

    /// Notes what an answer says; `good` reads one that is a 2xx.
    fn read(
        &self,
        answered: Result<ProbeAnswer, NoProbeAnswer>,
        test: &mut KeyTest,
        good: impl FnOnce(&ProbeAnswer, &mut KeyTest),
    ) {
        match answered {
            Ok(answer) => {
                test.http = Some(answer.status);
                test.millis = Some(answer.millis);
                if answer.is_good() {
                    good(&answer, test);
                } else {
                    let now: SystemTime = self.clock.wall();
                    let (kind, status) = (self.kind, answer.status);
                    let refused = probe::refused(kind, status, &answer.headers, &answer.body, now);
                    (test.verdict, test.note) = refused;
                }
            }
            Err(NoProbeAnswer::Silence(why)) => {
                (test.verdict, test.note) = (KeyVerdict::Unreachable, why);
            }
            Err(NoProbeAnswer::BadKey(why)) => {
                (test.verdict, test.note) = (KeyVerdict::Invalid, why);
            }
            Err(NoProbeAnswer::Unaskable(why)) => {
                (test.verdict, test.note) = (KeyVerdict::Unproven, why);
            }
        }
    }

    /// Asks for one token.
    async fn live(&self, key: Option<&ApiKey>, test: &mut KeyTest) {
        let Some(model) = self.model(key).await else {
            test.note = format!(
                "no model is known to ask: set llm.providers[{}].model",
                self.provider.name
            );
            return;
        };
        for limit in ["max_tokens", "max_completion_tokens"] {
            let answered = match self.chat(&model, limit) {
                Ok(call) => match &self.api {
                    Ok(http) => self.send(http, call, key).await,
                    Err(why) => Err(unaskable(why)),
                },
                Err(why) => Err(NoProbeAnswer::Unaskable(why)),
            };
            // Some models know the limit of an answer by its newer name alone.
            let other_name = answered.as_ref().is_ok_and(|answer| {
                let text = String::from_utf8_lossy(&answer.body);
                answer.status == 400 && text.contains("max_completion_tokens")
            });
            if other_name && limit == "max_tokens" {
                continue;
            }
            self.read(answered, test, |_, test| {
                test.verdict = KeyVerdict::Ok;
                test.note = format!("{model} answered");
            });
            return;
        }
    }

    /// The model that is asked: the provider's own, or the first of its list that is not known to do something else.
    async fn model(&self, key: Option<&ApiKey>) -> Option<String> {
        let own = self.provider.model.iter().chain(&self.provider.models);
        if let Some(model) = own.map(|model| model.to_string()).next() {
            return Some(model);
        }
        let list = self.list(key).await.ok().filter(ProbeAnswer::is_good)?;
        models(&list, self.kind)?.into_iter().next()
    }

    fn chat(&self, model: &str, limit: &str) -> Result<UpstreamRequest, String> {
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
        body[limit] = json!(1);
        let dialect = self.provider.dialect;
        let doc = dialects::usual_caller()
            .parse(Operation::Chat, Bytes::from(body.to_string()))
            .map_err(|error| error.to_string())?;
        let exchange = Exchange::new(Operation::Chat, dialect);
        let exchange = exchange.ok_or("its API has no conversations")?;
        let params = &self.provider.params;
        let made = exchange.outgoing(&doc, model, params, false);
        let mut outgoing = made.map_err(|_| "its API cannot be asked for one token")?;
        exchange.complete(&mut outgoing, model, &HeaderMap::new());
        let json = HeaderValue::from_static("application/json");
        Ok(UpstreamRequest {
            method: Method::POST,
            path: outgoing.path,
            passed: false,
            model: ModelName::from(model),
            headers: [(header::CONTENT_TYPE, json)].into_iter().collect(),
            body: CallBody::Bytes(outgoing.body),
            signing: None,
        })
    }
}

fn unaskable(why: &str) -> NoProbeAnswer {
    NoProbeAnswer::Unaskable(why.to_owned())
}

fn no_token(error: &TokenError) -> NoProbeAnswer {
    let why = error.to_string();
    match error {
        TokenError::Unsigned | TokenError::Refused { .. } => NoProbeAnswer::BadKey(why),
        _ => NoProbeAnswer::Silence(why),
    }
}

/// The ids of a list of models, those that chat first; `None` when it is none.
fn models(answer: &ProbeAnswer, kind: &str) -> Option<Vec<String>> {
    let text = std::str::from_utf8(&answer.body).ok()?;
    let page = match catalog::read_own(text, kind) {
        Ok(page) => page,
        Err(catalog::ListError::Empty) => return Some(Vec::new()),
        Err(_) => return None,
    };
    let (chatting, others): (Vec<_>, Vec<_>) = page
        .entries
        .into_iter()
        .partition(|entry| entry.chats != Some(false));
    let all = chatting.into_iter().chain(others);
    Some(all.map(|entry| entry.id.into_string()).collect())
}

/// Scheme, host and port of a URL.
fn root(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_a_url_is_its_host() {
        let found = root("https://api.deepseek.com:8443/v1");
        assert_eq!(found.as_deref(), Some("https://api.deepseek.com:8443"));
        assert_eq!(root("nowhere"), None);
    }
}
