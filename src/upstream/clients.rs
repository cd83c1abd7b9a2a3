//! Calls over the connections of one provider: on kept ones, or on a fresh one for what died on a kept one. All are made
//! alike.
//!
//! A call is made by the task that asks for it, which drives the connection until the answer's body has ended: no other
//! task, and so mostly no other thread, has a part in it. No redirect is followed, which would carry `x-api-key` and other
//! key headers to whatever host it names, and nothing is decompressed: the readers of an answer do that, within their
//! limits. Retries are decided in [`super::http_client`] and in dispatch; here a call is sent again only if none of it went
//! out on a kept connection. Proxies from the environment are off unless configured. Names are looked up by
//! [`super::dns::DnsCache`], which leaves out addresses that no provider has. Heads of answers are bounded by their bytes
//! and read forgivingly.

use std::sync::Arc;

use http::{HeaderValue, Request, Response, Uri, header};
use hyper::client::conn::http1::Builder;
use hyper_util::client::proxy::matcher::Matcher;
use rustls_pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use tokio::time::Instant;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::call_error::CallError;
use super::call_stream::CallStream;
use super::client_options::{ClientError, ClientOptions, ProxySetting};
use super::connector::{Connector, is_spoken};
use super::dns::Resolver;
use super::http_connection::{ConnectionOrigin, HttpConnection};
use super::idle_pool::IdlePool;
use super::upstream_body::UpstreamBody;
use crate::runtime::task;
use crate::wire::headers::AGENT;

/// Lines that the head of an answer may have. The library reads a head of at most 408 KiB and wants room for its lines
/// before it parses, so that more of them make every call dearer; its own number is 100, which proxies that describe a
/// request in headers exceed.
const HEAD_LINES: usize = 1024;

/// A URL that names no host.
const NO_HOST: &str = "the URL of the call names no host";

/// The clients of one provider.
pub(super) struct ProviderClients {
    connector: Connector,
    builder: Builder,
    pool: Arc<IdlePool>,
    trusts: bool,
}

impl std::fmt::Debug for ProviderClients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderClients")
    }
}

impl ProviderClients {
    /// `secure` says whether a URL of the provider begins with `https`.
    ///
    /// # Errors
    /// Proxies and certificates that cannot be used.
    pub(super) fn new(way: &ClientOptions<'_>, secure: bool) -> Result<Self, ClientError> {
        let (proxies, by_proxy) = proxies(way.proxy)?;
        let (tls, trusts) = tls(way.authorities, secure || by_proxy)?;
        let resolver = Resolver {
            dns: way.dns.clone(),
            allow_link_local: way.allow_link_local,
        };
        let connector = Connector::new(resolver, tls, proxies, way.connect);
        Ok(Self {
            connector,
            builder: builder(),
            pool: IdlePool::new(),
            trusts,
        })
    }

    /// Whether there is any certificate authority, where one may be needed.
    pub(super) fn trusts(&self) -> bool {
        self.trusts
    }

    /// Makes the call, on a kept connection if there is one.
    ///
    /// # Errors
    /// Why there is no answer's head.
    pub(super) async fn call(
        &self,
        request: Request<CallStream>,
    ) -> Result<Response<UpstreamBody>, CallError> {
        let started = Instant::now();
        let mut request = self.completed(request);
        let uri = request.uri().clone();
        loop {
            let (mut connection, kept) = match self.pool.take(&uri) {
                Some(connection) => (connection, true),
                None => Box::pin(self.connect_or_wait(&uri)).await?,
            };
            let mut error = match connection.call(request).await {
                Ok(response) => {
                    let pool = Some(Arc::clone(&self.pool));
                    return Ok(response.map(|body| UpstreamBody::new(body, connection, pool)));
                }
                Err(error) => error,
            };
            match error.take_message() {
                // None of it was sent.
                Some(back) if kept => request = back,
                _ => {
                    return Err(CallError::Answer {
                        source: error.into_error(),
                        kept: connection.is_older_than(started),
                    });
                }
            }
            request.uri_mut().clone_from(&uri);
        }
    }

    /// Makes the call on a connection of its own.
    ///
    /// # Errors
    /// Why there is no answer's head.
    pub(super) async fn call_afresh(
        &self,
        request: Request<CallStream>,
    ) -> Result<Response<UpstreamBody>, CallError> {
        let request = self.completed(request);
        let origin = origin(request.uri())?;
        let connecting = connect(self.connector.clone(), self.builder.clone(), origin);
        let mut connection = Box::pin(connecting).await?;
        match connection.call(request).await {
            Ok(response) => Ok(response.map(|body| UpstreamBody::new(body, connection, None))),
            Err(error) => Err(CallError::Answer {
                source: error.into_error(),
                kept: false,
            }),
        }
    }

    /// A new connection, or one that another call has just done with; the flag says which.
    async fn connect_or_wait(&self, uri: &Uri) -> Result<(Box<HttpConnection>, bool), CallError> {
        self.pool.start();
        let origin = origin(uri)?;
        let mut waiting = self.pool.wait(origin.clone());
        let connecting = connect(self.connector.clone(), self.builder.clone(), origin);
        let mut connecting = Box::pin(connecting);
        tokio::select! {
            biased;
            Ok(connection) = &mut waiting.given => {
                // What has begun may as well be there for the next one.
                let pool = Arc::clone(&self.pool);
                task::detach(async move {
                    if let Ok(mut connection) = connecting.await {
                        connection.settle().await;
                        pool.put(connection);
                    }
                });
                Ok((connection, true))
            }
            made = &mut connecting => Ok((made?, false)),
        }
    }

    /// The request with the headers that every call has.
    fn completed(&self, mut request: Request<CallStream>) -> Request<CallStream> {
        let proxy = self.connector.proxy_authorization(request.uri());
        let headers = request.headers_mut();
        let any = HeaderValue::from_static("*/*");
        headers.entry(header::ACCEPT).or_insert(any);
        let agent = HeaderValue::from_static(AGENT);
        headers.entry(header::USER_AGENT).or_insert(agent);
        if let Some(authorization) = proxy {
            headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        request
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_headers(HEAD_LINES)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    builder
}

/// Where a call goes.
fn origin(uri: &Uri) -> Result<ConnectionOrigin, CallError> {
    ConnectionOrigin::of(uri).ok_or_else(|| CallError::Connect(NO_HOST.into()))
}

/// Makes a connection.
async fn connect(
    connector: Connector,
    builder: Builder,
    origin: ConnectionOrigin,
) -> Result<Box<HttpConnection>, CallError> {
    let root = origin.uri();
    let root = root.ok_or_else(|| CallError::Connect(NO_HOST.into()))?;
    let stream = connector.connect(root).await.map_err(CallError::Connect)?;
    let over = HttpConnection::over(stream, origin, &builder).await;
    over.map(Box::new).map_err(|source| CallError::Answer {
        source,
        kept: false,
    })
}

/// The proxies on the way, and whether one of them may be reached with TLS.
fn proxies(setting: ProxySetting<'_>) -> Result<(Option<Matcher>, bool), ClientError> {
    match setting {
        ProxySetting::Off => Ok((None, false)),
        ProxySetting::Environment => Ok((Some(Matcher::from_env()), true)),
        ProxySetting::Url(url) => {
            let parsed = match url.contains("://") {
                true => Url::parse(url),
                false => Url::parse(&format!("http://{url}")),
            };
            // Escaped, as a password with an `@` in it has to be.
            let parsed = parsed.map_err(|_| ClientError::Proxy)?;
            let matcher = Matcher::builder().all(String::from(parsed)).build();
            // A URL that is none is left out in silence: then it is on the way to no host.
            let anywhere = http::Uri::from_static("http://a.example/");
            let proxy = matcher.intercept(&anywhere).ok_or(ClientError::Proxy)?;
            if !is_spoken(&proxy) {
                return Err(ClientError::Proxy);
            }
            let secure = proxy.uri().scheme_str() == Some("https");
            Ok((Some(matcher), secure))
        }
    }
}

/// What certificates are verified with, and whether any authority is known that may be needed.
fn tls(authorities: &[Vec<u8>], needed: bool) -> Result<(Arc<ClientConfig>, bool), ClientError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let der = |der: &Vec<u8>| CertificateDer::from(der.clone());
    let mut own = RootCertStore::empty();
    for authority in authorities {
        own.add(der(authority)).map_err(ClientError::Authority)?;
    }
    let verifier = needed.then(|| system_verifier(authorities.iter().map(der), provider));
    let (mut config, trusts) = match verifier {
        Some(Ok(verifier)) => {
            let builder = builder.dangerous();
            let config = builder.with_custom_certificate_verifier(Arc::new(verifier));
            (config.with_no_client_auth(), true)
        }
        // The system's certificates are neither needed nor read, or there are none.
        none => {
            let trusts = none.is_none() || !own.is_empty();
            let config = builder.with_root_certificates(own);
            (config.with_no_client_auth(), trusts)
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), trusts))
}

/// Verifies by the system's certificate authorities and these.
fn system_verifier(
    authorities: impl Iterator<Item = CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, tokio_rustls::rustls::Error> {
    Verifier::new_with_extra_roots(authorities, provider)
}

#[cfg(test)]
mod tests;
