//! Calls over HTTP: the URLs of a provider, and one call over its `ProviderClients`, which hides what a kept connection did.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header};
use url::Url;

use super::call_error::{CallError, explain, explain_call};
use super::call_stream::CallStream;
pub use super::client_options::{ClientError, ClientOptions, ProxySetting};
use super::clients::ProviderClients;
use super::paced_body::{FirstByteFlag, LARGE, PacedBody};
use super::passed_url::passed_url;
use super::upstream_body::UpstreamBody;
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
    urls: Arc<[(&'static str, Uri)]>,
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
            urls: urls
                .into_iter()
                .map(|(path, url)| Ok((path, known_uri(&url)?)))
                .collect::<Result<_, ClientError>>()?,
            query: Arc::new([]),
        })
    }

    /// The same with these pairs in the query of every URL that does not have them.
    ///
    /// # Errors
    /// A URL that becomes none.
    pub fn with_query(self, query: &[(String, ApiKey)]) -> Result<Self, ClientError> {
        if query.is_empty() {
            return Ok(self);
        }
        let queried = |(path, uri): &(&'static str, Uri)| {
            let url = uri.to_string();
            let url = Url::parse(&url).map_err(|_| ClientError::Url { url })?;
            Ok((*path, known_uri(&queried(url, query))?))
        };
        Ok(Self {
            urls: self
                .urls
                .iter()
                .map(queried)
                .collect::<Result<_, ClientError>>()?,
            query: query.into(),
            ..self
        })
    }

    /// Whether calls that need a certificate can be made at all: without any certificate authority they fail.
    pub fn trusts(&self) -> bool {
        self.clients.trusts()
    }

    /// Where a path is. One that is not known beforehand, as it names a model, say, is below the root.
    fn uri(&self, path: &str, model: &ModelName, passed: bool) -> Option<Uri> {
        if passed {
            let url = Url::parse(&passed_url(shared_root(&self.root), path)).ok()?;
            return uri(&queried(url, &self.query));
        }
        let known = self.urls.iter().find(|(known, _)| *known == path);
        if let Some((_, uri)) = known {
            return Some(uri.clone());
        }
        let mut root = Cow::Borrowed(&*self.root);
        for place in PLACES {
            if root.contains(place) {
                root = Cow::Owned(root.replace(place, &segment::escaped(model.as_str())));
            }
        }
        let url = Url::parse(&format!("{root}{path}")).ok()?;
        uri(&queried(url, &self.query))
    }
}

/// A URL in the form in which calls take it.
fn uri(url: &Url) -> Option<Uri> {
    url.as_str().parse().ok()
}

/// The same of one that is known beforehand.
fn known_uri(url: &Url) -> Result<Uri, ClientError> {
    uri(url).ok_or_else(|| ClientError::Url {
        url: url.to_string(),
    })
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
        let uri = self.uri(&call.path, &call.model, call.passed);
        let clients = Arc::clone(&self.clients);
        Box::pin(async move {
            let Some(uri) = uri else {
                return Err(SendError::Connect(BAD_PATH.to_owned()));
            };
            if !clients.trusts() && uri.scheme() == Some(&Scheme::HTTPS) {
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
                    return send_spooled(&clients, &method, uri, headers, &body).await;
                }
            };
            if let Some(signing) = signing {
                let signed = signing.sign(method.as_str(), &uri.to_string(), &mut headers, &body);
                signed.map_err(|error| SendError::Unsigned(error.to_string()))?;
            }
            let whole = CallStream::whole(body.clone());
            let first = request(&method, uri.clone(), headers.clone(), whole);
            let error = match clients.call(first).await {
                Ok(response) => return Ok(reply(response)),
                Err(error) if is_repeatable(&error, body.len()) => error,
                Err(error) => return Err(explain_call(&error)),
            };
            tracing::debug!(
                error = %explain_call(&error),
                "the connection was gone before an answer: asking once more on a fresh one"
            );
            let heard = FirstByteFlag::default();
            let body = if body.len() > LARGE {
                CallStream::Paced(PacedBody::new(body, heard.clone()))
            } else {
                CallStream::whole(body)
            };
            let again = request(&method, uri, headers, body);
            let answer = clients.call_afresh(again).await;
            heard.tell();
            answer.map(reply).map_err(|error| explain_call(&error))
        })
    }
}

/// Sends what is in a spool, once more where a kept connection was gone.
async fn send_spooled(
    clients: &ProviderClients,
    method: &Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: &SpooledBody,
) -> Result<UpstreamResponse, SendError> {
    if let Some(length) = body.length() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let stream = || CallStream::spooled(body.read());
    let first = request(method, uri.clone(), headers.clone(), stream());
    let size = body
        .length()
        .and_then(|length| usize::try_from(length).ok());
    let error = match clients.call(first).await {
        Ok(response) => return Ok(reply(response)),
        Err(error)
            if body.spool.fault().is_none()
                && is_repeatable(&error, size.unwrap_or(usize::MAX)) =>
        {
            error
        }
        Err(error) => return Err(explain_call(&error)),
    };
    tracing::debug!(
        error = %explain_call(&error),
        "the connection was gone before an answer: asking once more on a fresh one"
    );
    let again = clients
        .call_afresh(request(method, uri, headers, stream()))
        .await;
    again.map(reply).map_err(|error| explain_call(&error))
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

fn request(method: &Method, uri: Uri, headers: HeaderMap, body: CallStream) -> Request<CallStream> {
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

fn reply(response: Response<UpstreamBody>) -> UpstreamResponse {
    let (mut head, body) = response.into_parts();
    let framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let framed = framed.iter().any(|name| head.headers.contains_key(name));
    if !framed && head.version < Version::HTTP_2 {
        // RFC 9112, 6.3: such a body ends with its connection, whether or not the answer says so.
        head.headers
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let refused = head.status.is_client_error() || head.status.is_server_error();
    let chunks = body.map(|chunk| chunk.map_err(|error| explain(&error)));
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
fn is_repeatable(error: &CallError, size: usize) -> bool {
    let CallError::Answer { kept, .. } = error else {
        return false;
    };
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
    *kept || (closed && size > LARGE)
}

#[cfg(test)]
mod tests;
