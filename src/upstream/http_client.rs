//! Calls over HTTP: the URLs of a provider, and one call over its `ProviderClients`, which hides what a kept connection did.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use reqwest::{Body, Request, Response, Url};

pub use super::client_options::{ClientError, ClientOptions, ProxySetting};
use super::clients::ProviderClients;
use super::dns::LookupError;
use super::lack::is_local;
use super::passed_url::passed_url;
use super::response_body::{FirstByteFlag, LARGE, ResponseBody};
use super::{CallBody, SendError, SpooledBody, Transport, UpstreamRequest, UpstreamResponse};
use crate::domain::address;
use crate::domain::ids::ModelName;
use crate::domain::secret::ApiKey;
use crate::wire::segment;

/// Why calls fail where a certificate is needed and none can be verified.
const UNTRUSTING: &str = "no certificate authorities are known on this machine, so no certificate can be verified: \
    install the package ca-certificates, name a bundle in SSL_CERT_FILE, or set ca_file on the provider; then restart";

/// The most bytes of a body in a spool that are read into memory to be signed.
const MOST_SIGNED: usize = 64 << 20;

/// A path that names no place on the provider's host.
const BAD_PATH: &str = "the path of the call makes no URL with the provider's base_url";

/// One provider over HTTP.
#[derive(Clone, Debug)]
pub struct HttpUpstream {
    clients: Arc<ProviderClients>,
    /// The API root, without a trailing slash.
    root: Arc<str>,
    /// The URLs of the paths that are known beforehand: none of these is parsed per call.
    urls: Arc<[(&'static str, Url)]>,
    /// What the query of every URL has besides its own.
    query: Arc<[(String, ApiKey)]>,
}

/// What stands in an API root for the model that is asked.
const PLACES: [&str; 2] = ["{model}", "{deployment}"];

impl HttpUpstream {
    /// A client for the API at `base_url`. `paths` are those below it that are known beforehand; `elsewhere` is one of
    /// them that has a full URL of its own.
    ///
    /// # Errors
    /// URLs that do not parse, proxies and certificates that cannot be used.
    pub fn new(
        base_url: &str,
        paths: &[&'static str],
        elsewhere: Option<(&str, &str)>,
        way: &ClientOptions<'_>,
    ) -> Result<Self, ClientError> {
        let parse = |url: String| {
            let url = Url::parse(&url).map_err(|_| ClientError::Url { url })?;
            // Hosts that are addresses are never looked up, so they are judged here.
            let host = url.host_str().unwrap_or_default();
            let judged = address::literal(host)
                .and_then(|address| address::refused(address, way.allow_link_local));
            match judged {
                None => Ok(url),
                Some(why) => Err(ClientError::Address {
                    host: host.to_owned(),
                    why,
                }),
            }
        };
        let root = base_url.trim_end_matches('/');
        let has_place = PLACES.iter().any(|place| root.contains(place));
        let paths = if has_place { &[] } else { paths };
        let url = |path: &&'static str| {
            let full = elsewhere.filter(|(own, _)| own == path);
            let url = full.map_or_else(|| format!("{root}{path}"), |(_, url)| url.to_owned());
            Ok((*path, parse(url)?))
        };
        let urls = paths
            .iter()
            .map(url)
            .collect::<Result<Vec<_>, ClientError>>()?;
        let base = parse(root.to_owned())?;
        let secure = urls
            .iter()
            .map(|(_, url)| url)
            .chain([&base])
            .any(|url| url.scheme() == "https");
        Ok(Self {
            clients: Arc::new(ProviderClients::new(way, secure)?),
            root: root.into(),
            urls: urls.into(),
            query: Arc::new([]),
        })
    }

    /// The same with these pairs in the query of every URL that does not have them.
    #[must_use]
    pub fn with_query(self, query: &[(String, ApiKey)]) -> Self {
        if query.is_empty() {
            return self;
        }
        let known = self.urls.iter();
        let urls = known.map(|(path, url)| (*path, queried(url.clone(), query)));
        Self {
            urls: urls.collect(),
            query: query.into(),
            ..self
        }
    }

    /// Whether calls that need a certificate can be made at all: without any certificate authority they fail.
    pub fn trusts(&self) -> bool {
        self.clients.trusts()
    }

    /// Where a path is. One that is not known beforehand, as it names a model, say, is below the root.
    fn url(&self, path: &str, model: &ModelName, passed: bool) -> Option<Url> {
        if passed {
            let url = Url::parse(&passed_url(shared_root(&self.root), path)).ok()?;
            return Some(queried(url, &self.query));
        }
        let known = self.urls.iter().find(|(known, _)| *known == path);
        if let Some((_, url)) = known {
            return Some(url.clone());
        }
        let mut root = Cow::Borrowed(&*self.root);
        for place in PLACES {
            if root.contains(place) {
                root = Cow::Owned(root.replace(place, &segment::escaped(model.as_str())));
            }
        }
        let url = Url::parse(&format!("{root}{path}")).ok()?;
        Some(queried(url, &self.query))
    }
}

/// What of an API root all models have in common: for one with a model in its path, such as
/// `/openai/deployments/{deployment}`, what is in front of the collection of models.
fn shared_root(root: &str) -> &str {
    let Some(at) = PLACES.iter().filter_map(|place| root.find(place)).min() else {
        return root;
    };
    let before = root.get(..at).unwrap_or(root).trim_end_matches('/');
    before.rsplit_once('/').map_or(before, |(shared, _)| shared)
}

/// A URL with these pairs in its query, but for those whose names it has.
fn queried(mut url: Url, query: &[(String, ApiKey)]) -> Url {
    for (name, value) in query {
        let has = url.query_pairs().any(|(own, _)| own == name.as_str());
        if !has {
            url.query_pairs_mut().append_pair(name, value.expose());
        }
    }
    url
}

impl Transport for HttpUpstream {
    fn send(
        &self,
        call: UpstreamRequest,
    ) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
        let url = self.url(&call.path, &call.model, call.passed);
        let lines = Arc::clone(&self.clients);
        Box::pin(async move {
            let Some(url) = url else {
                return Err(SendError::Connect(BAD_PATH.to_owned()));
            };
            if !lines.trusts() && url.scheme() == "https" {
                return Err(SendError::Connect(UNTRUSTING.to_owned()));
            }
            let UpstreamRequest {
                method,
                mut headers,
                body,
                signing,
                ..
            } = call;
            let body = match (body, &signing) {
                (CallBody::Bytes(body), _) => body,
                // A signature holds for all of a body, so that all of it must be there.
                (CallBody::Spooled(body), Some(_)) => gathered(&body).await?,
                (CallBody::Spooled(body), None) => {
                    return send_spooled(&lines, &method, url, headers, &body).await;
                }
            };
            if let Some(signing) = signing {
                let signed = signing.sign(method.as_str(), url.as_str(), &mut headers, &body);
                signed.map_err(|error| SendError::Unsigned(error.to_string()))?;
            }
            let first = request(&method, url.clone(), headers.clone(), body.clone().into());
            let error = match lines.call(first).await {
                (Ok(response), _) => return Ok(reply(response)),
                (Err(error), kept) if is_repeatable(&error, kept, body.len()) => error,
                (Err(error), _) => return Err(explain(&error)),
            };
            tracing::debug!(
                error = %explain(&error),
                "the connection was gone before an answer: asking once more on a fresh one"
            );
            let heard = FirstByteFlag::default();
            let body = if body.len() > LARGE {
                Body::wrap(ResponseBody::new(body, heard.clone()))
            } else {
                body.into()
            };
            let answer = lines
                .call_afresh(request(&method, url, headers, body))
                .await;
            heard.tell();
            match answer {
                Ok(Ok(response)) => Ok(reply(response)),
                Ok(Err(error)) => Err(explain(&error)),
                Err(error) => Err(SendError::Connect(error.to_string())),
            }
        })
    }
}

/// Sends what is in a spool, once more where a kept connection was gone.
async fn send_spooled(
    lines: &ProviderClients,
    method: &Method,
    url: Url,
    mut headers: HeaderMap,
    body: &SpooledBody,
) -> Result<UpstreamResponse, SendError> {
    if let Some(length) = body.length() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let stream = || Body::wrap_stream(body.read());
    let first = request(method, url.clone(), headers.clone(), stream());
    let size = body
        .length()
        .and_then(|length| usize::try_from(length).ok());
    let error = match lines.call(first).await {
        (Ok(response), _) => return Ok(reply(response)),
        (Err(error), kept)
            if body.spool.fault().is_none()
                && is_repeatable(&error, kept, size.unwrap_or(usize::MAX)) =>
        {
            error
        }
        (Err(error), _) => return Err(explain(&error)),
    };
    tracing::debug!(
        error = %explain(&error),
        "the connection was gone before an answer: asking once more on a fresh one"
    );
    let again = request(method, url, headers, stream());
    match lines.call_afresh(again).await {
        Ok(Ok(response)) => Ok(reply(response)),
        Ok(Err(error)) => Err(explain(&error)),
        Err(error) => Err(SendError::Connect(error.to_string())),
    }
}

/// All of a spool's bytes, for a signature.
async fn gathered(body: &SpooledBody) -> Result<Bytes, SendError> {
    let mut all = BytesMut::new();
    let mut pieces = body.read();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|fault| SendError::Unsigned(fault.to_string()))?;
        if all.len() + piece.len() > MOST_SIGNED {
            let message = format!("a body of more than {MOST_SIGNED} bytes cannot be signed");
            return Err(SendError::Unsigned(message));
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

fn request(method: &Method, url: Url, headers: HeaderMap, body: Body) -> Request {
    let mut request = Request::new(method.clone(), url);
    *request.headers_mut() = headers;
    // A GET without a body has none, and no length of it.
    if body.as_bytes().is_some_and(<[u8]>::is_empty) && method != Method::POST {
        return request;
    }
    *request.body_mut() = Some(body);
    request
}

fn reply(response: Response) -> UpstreamResponse {
    let response: http::Response<Body> = response.into();
    let (mut head, body) = response.into_parts();
    let framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let framed = framed.iter().any(|name| head.headers.contains_key(name));
    if !framed && head.version < Version::HTTP_2 {
        // RFC 9112, 6.3: such a body ends with its connection, whether or not the answer says so.
        head.headers
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let refused = head.status.is_client_error() || head.status.is_server_error();
    let chunks = http_body_util::BodyDataStream::new(body)
        .map(|chunk| chunk.map_err(|error| explain(&error)));
    let body = match refused {
        // A refusal is one without its words, too: it came before the request was read, and then the connection went.
        true => chunks
            .take_while(|chunk| std::future::ready(chunk.is_ok()))
            .boxed(),
        false => chunks.boxed(),
    };
    UpstreamResponse {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    }
}

/// Whether a call that failed before its answer's head may be made once more, on a fresh connection, without counting.
///
/// A kept connection may have been forgotten by what lies between (load balancers, NAT), which shows only when it is used
/// again. And a large body that met a closed connection while it was written may have been refused with words that were
/// not read. A fresh connection that died otherwise is the upstream's failure.
fn is_repeatable(error: &reqwest::Error, kept: bool, size: usize) -> bool {
    if error.is_connect() || error.is_builder() {
        return false;
    }
    let mut closed = false;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        // Something came back, even if it was no answer.
        if error.downcast_ref().is_some_and(hyper::Error::is_parse) {
            return false;
        }
        closed |= error.downcast_ref().is_some_and(|error: &io::Error| {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
            matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset
            )
        });
        cause = error.source();
    }
    kept || (closed && size > LARGE)
}

/// Whether a cause says that this machine lacks something for a connection.
fn is_local_cause(cause: &(dyn Error + 'static)) -> bool {
    let lookup = cause.downcast_ref::<LookupError>();
    cause.downcast_ref::<io::Error>().is_some_and(is_local)
        || matches!(lookup, Some(LookupError::Local { .. }))
}

/// The innermost cause says it best; the URL is left out, it may hold what only the configuration should.
fn explain(error: &reqwest::Error) -> SendError {
    let mut cause: &dyn std::error::Error = error;
    let mut local = false;
    while let Some(source) = cause.source() {
        cause = source;
        local |= is_local_cause(cause);
    }
    let detail = cause.to_string();
    if local {
        SendError::Local(detail)
    } else if error.is_connect() && error.is_timeout() {
        SendError::ConnectTimeout(detail)
    } else if error.is_connect() {
        SendError::Connect(detail)
    } else {
        SendError::Broken(detail)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use http::HeaderMap;

    use std::time::Duration;

    use super::super::dns::{DnsCache, DnsPolicy, Lookup};
    use super::*;

    /// Every name has this address.
    fn all_at(address: &'static str) -> DnsCache {
        let lookup: Lookup = Arc::new(move |_host| {
            Box::pin(async move { Ok(vec![address.parse::<IpAddr>().unwrap()]) })
        });
        let second = Duration::from_secs(1);
        let terms = DnsPolicy {
            ttl: second,
            negative_ttl: second,
            max_stale: second,
        };
        DnsCache::asking(lookup, terms)
    }

    fn way<'a>(dns: &'a DnsCache, proxy: ProxySetting<'a>) -> ClientOptions<'a> {
        ClientOptions {
            connect: Duration::from_secs(1),
            dns,
            allow_link_local: false,
            proxy,
            authorities: &[],
        }
    }

    async fn failure(url: &str, way: &ClientOptions<'_>) -> SendError {
        let upstream = HttpUpstream::new(url, &["/chat/completions"], None, way).unwrap();
        let call = UpstreamRequest {
            method: Method::POST,
            path: "/chat/completions".into(),
            passed: false,
            model: ModelName::from("m"),
            headers: HeaderMap::new(),
            body: Bytes::new().into(),
            signing: None,
        };
        upstream.send(call).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_metadata_service_is_not_called() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "0.0.0.0",
        ] {
            let dns = all_at(address);
            let direct = failure("http://api.example/v1", &way(&dns, ProxySetting::Off)).await;
            let by_proxy = way(&dns, ProxySetting::Url("http://proxy.example:3128"));
            let by_proxy = failure("http://api.example/v1", &by_proxy).await;
            for error in [direct, by_proxy] {
                assert!(
                    matches!(&error, SendError::Connect(why) if why.contains("not called")),
                    "{error}"
                );
            }
        }
    }

    #[tokio::test]
    async fn an_address_in_any_disguise_is_judged_too() {
        let dns = all_at("127.0.0.1");
        for host in [
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "%31%36%39.254.169.254",
            "[::ffff:a9fe:a9fe]",
        ] {
            let made = HttpUpstream::new(
                &format!("http://{host}/v1"),
                &[],
                None,
                &way(&dns, ProxySetting::Off),
            );
            assert!(matches!(made, Err(ClientError::Address { .. })), "{host}");
        }
    }

    #[tokio::test]
    async fn what_this_machine_lacks_for_a_lookup_is_no_failure_of_the_upstream() {
        // EMFILE, then EAGAIN, which says nothing about this machine.
        for (code, local) in [(24, true), (11, false)] {
            let lookup: Lookup = Arc::new(move |_host| {
                Box::pin(async move { Err(io::Error::from_raw_os_error(code)) })
            });
            let second = Duration::from_secs(1);
            let terms = DnsPolicy {
                ttl: second,
                negative_ttl: second,
                max_stale: second,
            };
            let dns = DnsCache::asking(lookup, terms);
            let error = failure("http://api.example/v1", &way(&dns, ProxySetting::Off)).await;
            assert_eq!(matches!(error, SendError::Local(_)), local, "{error}");
        }
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let shown = format!("{:?}", ProxySetting::Url("http://me:hunter2@proxy.example"));
        assert!(!shown.contains("hunter2"));
    }
}
