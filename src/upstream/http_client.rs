//! Calls over HTTP: one client, and so one connection pool, per provider.
//!
//! Five defaults of the client are changed here. Redirects are off: it would carry `x-api-key` and other
//! key headers to whatever host the redirect names. Its own retries are off: every attempt is ours, counted
//! and explained. Proxies from the environment are off unless configured. A connect timeout is set: there
//! is none by default. Names are looked up by [`Dns`], which leaves out addresses that no provider has.
//! It never decompresses: that is left to those who look into an answer, within their limits.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::Method;
use reqwest::{Certificate, Client, Url};

use super::dns::{Dns, Resolver};
use super::{Call, Reply, SendError, Upstream};
use crate::domain::address::{self, Refused};
use crate::domain::dialect::Operation;

/// How long an unused connection is kept. Below the idle timeouts of common load balancers (60 s), so that
/// a request is rarely sent into a connection that the other side is just closing.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// The way to a provider.
#[derive(Debug)]
pub struct Way<'a> {
    /// Until a connection stands.
    pub connect: Duration,
    /// Looks names up, those of proxies too.
    pub dns: &'a Dns,
    /// Whether link-local addresses and metadata services are called.
    pub allow_link_local: bool,
    /// The proxy on it.
    pub proxy: Proxy<'a>,
    /// Certificate authorities to trust besides those of the system, in DER.
    pub authorities: &'a [Vec<u8>],
}

/// The proxy on the way.
#[derive(Clone, Copy)]
pub enum Proxy<'a> {
    /// None, whatever the environment says.
    Off,
    /// As the process's environment says.
    Environment,
    /// The one at this URL, which may hold a password.
    Url(&'a str),
}

impl std::fmt::Debug for Proxy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Environment => "Environment",
            Self::Url(_) => "Url(****)",
        })
    }
}

/// One provider over HTTP.
#[derive(Clone, Debug)]
pub struct HttpUpstream {
    client: Client,
    urls: [Url; Operation::ALL.len()],
}

/// Why a provider's client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A URL that does not parse.
    #[error("`{url}` is not a URL: write it like https://api.example.com/v1")]
    Url {
        /// As configured.
        url: String,
    },
    /// An address that is not called.
    #[error("{host} is {why}, which is not called")]
    Address {
        /// As it is called.
        host: String,
        /// Why not.
        why: Refused,
    },
    /// A proxy's URL that the HTTP client refuses.
    #[error("the proxy's URL cannot be used: write it like http://proxy.example.com:3128")]
    Proxy,
    /// A certificate authority that the HTTP client refuses.
    #[error("a certificate of ca_file cannot be used")]
    Authority(#[source] reqwest::Error),
    /// TLS or other settings that the HTTP client refuses.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

impl HttpUpstream {
    /// A client for the API at `base_url`; `chat_url`, when given, is the full URL of chat completions.
    ///
    /// # Errors
    /// URLs that do not parse, TLS that cannot be set up.
    pub fn new(base_url: &str, chat_url: Option<&str>, way: &Way<'_>) -> Result<Self, ClientError> {
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
        let url = |operation: Operation| match (operation, chat_url) {
            (Operation::Chat, Some(url)) => parse(url.to_owned()),
            _ => parse(format!("{root}{}", operation.path())),
        };
        let [chat, completions, embeddings, moderations, responses] = Operation::ALL.map(url);
        let builder = Client::builder();
        let builder = match way.proxy {
            Proxy::Off => builder.no_proxy(),
            Proxy::Environment => builder,
            Proxy::Url(url) => {
                let proxy = reqwest::Proxy::all(url).map_err(|_| ClientError::Proxy)?;
                builder.no_proxy().proxy(proxy)
            }
        };
        let authorities = way.authorities.iter().map(|der| Certificate::from_der(der));
        let authorities: Vec<Certificate> = authorities
            .collect::<Result<_, _>>()
            .map_err(ClientError::Authority)?;
        let builder = match authorities.is_empty() {
            true => builder,
            false => builder.tls_certs_merge(authorities),
        };
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .dns_resolver(Resolver {
                dns: way.dns.clone(),
                allow_link_local: way.allow_link_local,
            })
            .connect_timeout(way.connect)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_nodelay(true)
            .http1_only()
            .build()?;
        Ok(Self {
            client,
            urls: [chat?, completions?, embeddings?, moderations?, responses?],
        })
    }

    fn url(&self, operation: Operation) -> Url {
        let [chat, completions, embeddings, moderations, responses] = &self.urls;
        match operation {
            Operation::Chat => chat,
            Operation::Completions => completions,
            Operation::Embeddings => embeddings,
            Operation::Moderations => moderations,
            Operation::Responses => responses,
        }
        .clone()
    }
}

impl Upstream for HttpUpstream {
    fn send(&self, call: Call) -> BoxFuture<'static, Result<Reply, SendError>> {
        let mut request = reqwest::Request::new(Method::POST, self.url(call.operation));
        *request.headers_mut() = call.headers;
        *request.body_mut() = Some(call.body.into());
        let sent = self.client.execute(request);
        Box::pin(async move {
            let response = sent.await.map_err(|error| explain(&error))?;
            let response: http::Response<reqwest::Body> = response.into();
            let (head, body) = response.into_parts();
            let body = http_body_util::BodyDataStream::new(body)
                .map(|chunk| chunk.map_err(|error| explain(&error)));
            Ok(Reply {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.boxed(),
            })
        })
    }
}

/// Whether this says that there is no file descriptor left (EMFILE, ENFILE).
fn lacks_descriptor(cause: &(dyn std::error::Error + 'static)) -> bool {
    let io = cause.downcast_ref::<std::io::Error>();
    matches!(io.and_then(std::io::Error::raw_os_error), Some(23 | 24))
}

/// The innermost cause says it best; the URL is left out, it may hold what only the configuration should.
fn explain(error: &reqwest::Error) -> SendError {
    let mut cause: &dyn std::error::Error = error;
    let mut local = false;
    while let Some(source) = cause.source() {
        cause = source;
        local |= lacks_descriptor(cause);
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

    use bytes::Bytes;
    use http::HeaderMap;

    use super::super::dns::{Lookup, Terms};
    use super::*;

    /// Every name has this address.
    fn all_at(address: &'static str) -> Dns {
        let lookup: Lookup = Arc::new(move |_host| {
            Box::pin(async move { Ok(vec![address.parse::<IpAddr>().unwrap()]) })
        });
        let second = Duration::from_secs(1);
        let terms = Terms {
            ttl: second,
            negative_ttl: second,
            max_stale: second,
        };
        Dns::asking(lookup, terms)
    }

    fn way<'a>(dns: &'a Dns, proxy: Proxy<'a>) -> Way<'a> {
        Way {
            connect: Duration::from_secs(1),
            dns,
            allow_link_local: false,
            proxy,
            authorities: &[],
        }
    }

    async fn failure(url: &str, way: &Way<'_>) -> SendError {
        let upstream = HttpUpstream::new(url, None, way).unwrap();
        let call = Call {
            operation: Operation::Chat,
            headers: HeaderMap::new(),
            body: Bytes::new(),
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
            let direct = failure("http://api.example/v1", &way(&dns, Proxy::Off)).await;
            let by_proxy = way(&dns, Proxy::Url("http://proxy.example:3128"));
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
            let made =
                HttpUpstream::new(&format!("http://{host}/v1"), None, &way(&dns, Proxy::Off));
            assert!(matches!(made, Err(ClientError::Address { .. })), "{host}");
        }
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let shown = format!("{:?}", Proxy::Url("http://me:hunter2@proxy.example"));
        assert!(!shown.contains("hunter2"));
    }
}
