//! The HTTP clients of one provider: the usual one, which keeps connections, and one that makes a fresh connection for
//! each call, for what died on a kept one. Both make their connections alike.
//!
//! The library that pools the connections follows no redirect, which would carry `x-api-key` and other key headers to
//! whatever host it names, and never decompresses: the readers of an answer do that, within their limits. Retries are
//! decided here and in dispatch; the library sends again only what it could not begin to send on a kept connection.
//! Proxies from the environment are off unless configured. Names are looked up by [`super::dns::DnsCache`], which leaves
//! out addresses that no provider has. Heads of answers are bounded by their bytes and read forgivingly.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use tokio::time::Instant;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::call_stream::CallStream;
use super::client_options::{ClientError, ClientOptions, ProxySetting};
use super::connector::{ConnectionStart, Connector, is_spoken};
use super::dns::Resolver;
use crate::wire::headers::AGENT;

/// How long an unused connection is kept. Below the idle timeouts of common load balancers (60 s), so that
/// a request is rarely sent into a connection that the other side is just closing.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Lines that the head of an answer may have. The library reads a head of at most 408 KiB and wants room for its lines
/// before it parses, so that more of them make every call dearer; its own number is 100, which proxies that describe a
/// request in headers exceed.
const HEAD_LINES: usize = 1024;

type HttpClient = Client<Connector, CallStream>;

/// The clients of one provider.
pub(super) struct ProviderClients {
    connector: Connector,
    keeping: HttpClient,
    /// Keeps no connection.
    fresh: HttpClient,
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
            keeping: builder().build(connector.clone()),
            fresh: builder().pool_max_idle_per_host(0).build(connector.clone()),
            connector,
            trusts,
        })
    }

    /// Whether there is any certificate authority, where one may be needed.
    pub(super) fn trusts(&self) -> bool {
        self.trusts
    }

    /// Makes the call, on a kept connection if there is one; the flag says whether it failed on a kept one.
    pub(super) async fn call(
        &self,
        request: Request<CallStream>,
    ) -> Result<Response<Incoming>, (legacy::Error, bool)> {
        let started = Instant::now();
        match self.keeping.request(self.completed(request)).await {
            Ok(response) => Ok(response),
            Err(error) => {
                let mut told = http::Extensions::new();
                if let Some(connection) = error.connect_info() {
                    connection.get_extras(&mut told);
                }
                let kept = told
                    .get::<ConnectionStart>()
                    .is_some_and(|start| start.is_older_than(started));
                Err((error, kept))
            }
        }
    }

    /// Makes the call on a connection of its own.
    pub(super) async fn call_afresh(
        &self,
        request: Request<CallStream>,
    ) -> Result<Response<Incoming>, legacy::Error> {
        self.fresh.request(self.completed(request)).await
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

fn builder() -> legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_headers(HEAD_LINES)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true);
    builder
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
