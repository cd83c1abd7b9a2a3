//! The HTTP clients of one provider: the usual one, which keeps connections, and one that makes a fresh connection for
//! each call, for what died on a kept one. Both are made by one recipe.
//!
//! Six defaults of the library are changed here. Redirects are off: it would carry `x-api-key` and other key headers to
//! whatever host the redirect names. Its own retries are off: retries are decided here and in dispatch. Proxies
//! from the environment are off unless configured. A connect timeout is set: there is none by default. Names are looked
//! up by [`super::dns::Dns`], which leaves out addresses that no provider has. Heads of answers are bounded by their bytes and read
//! forgivingly. It never decompresses: the readers of an answer do that, within their limits.

use std::cell::Cell;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::{Certificate, Client, ClientBuilder, Request, Response};
use tokio::sync::OnceCell;
use tower::{Layer, Service};

use super::client_options::{ClientError, ClientOptions, ProxySetting};
use super::dns::Resolver;
use crate::domain::secret::ApiKey;
use crate::wire::headers::AGENT;

/// How long an unused connection is kept. Below the idle timeouts of common load balancers (60 s), so that
/// a request is rarely sent into a connection that the other side is just closing.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Lines that the head of an answer may have. The library reads a head of at most 408 KiB and wants room for its lines
/// before it parses, so that more of them make every call dearer; its own number is 100, which proxies that describe a
/// request in headers exceed.
const HEAD_LINES: usize = 1024;

tokio::task_local! {
    /// Whether the call that is scoped has had a connection made for it.
    static CONNECTED: Cell<bool>;
}

/// The clients of one provider.
#[derive(Debug)]
pub(super) struct ProviderClients {
    recipe: Recipe,
    keeping: Client,
    /// Keeps no connection; made when it is needed for the first time.
    fresh: OnceCell<Client>,
    trusts: bool,
}

/// A [`ClientOptions`] that owns its parts.
#[derive(Clone, Debug)]
struct Recipe {
    connect: Duration,
    resolver: Resolver,
    proxy: OwnProxy,
    authorities: Vec<Certificate>,
    /// Whether a certificate may have to be verified.
    secure: bool,
}

#[derive(Clone, Debug)]
enum OwnProxy {
    Off,
    Environment,
    Url(ApiKey),
}

impl ProviderClients {
    /// `secure` says whether a URL of the provider begins with `https`.
    ///
    /// # Errors
    /// Proxies, certificates or settings that the library refuses.
    pub(super) fn new(way: &ClientOptions<'_>, secure: bool) -> Result<Self, ClientError> {
        let recipe = Recipe::new(way, secure)?;
        let (keeping, trusts) = recipe.client(true)?;
        Ok(Self {
            recipe,
            keeping,
            fresh: OnceCell::new(),
            trusts,
        })
    }

    /// Whether there is any certificate authority, where one may be needed.
    pub(super) fn trusts(&self) -> bool {
        self.trusts
    }

    /// Makes the call, on a kept connection if there is one; the flag says whether it was a kept one.
    pub(super) async fn call(&self, request: Request) -> (reqwest::Result<Response>, bool) {
        let calling = self.keeping.execute(request);
        let scope = CONNECTED.scope(Cell::new(false), async move {
            let answer = calling.await;
            (answer, !CONNECTED.with(Cell::get))
        });
        scope.await
    }

    /// Makes the call on a connection of its own.
    ///
    /// # Errors
    /// As [`Self::new`], which had no error with the same settings.
    pub(super) async fn call_afresh(
        &self,
        request: Request,
    ) -> Result<reqwest::Result<Response>, ClientError> {
        let make = async || {
            let recipe = self.recipe.clone();
            // Certificates are read from the disk.
            let made = tokio::task::spawn_blocking(move || recipe.client(false)).await;
            let (client, _) = made.map_err(|_| ClientError::Unmade)??;
            Ok::<_, ClientError>(client)
        };
        Ok(self
            .fresh
            .get_or_try_init(make)
            .await?
            .execute(request)
            .await)
    }
}

impl Recipe {
    fn new(way: &ClientOptions<'_>, secure: bool) -> Result<Self, ClientError> {
        let authorities = way.authorities.iter().map(|der| Certificate::from_der(der));
        let (proxy, by_proxy) = match way.proxy {
            ProxySetting::Off => (OwnProxy::Off, false),
            ProxySetting::Environment => (OwnProxy::Environment, true),
            ProxySetting::Url(url) => (OwnProxy::Url(ApiKey::new(url)), url.starts_with("https")),
        };
        Ok(Self {
            connect: way.connect,
            resolver: Resolver {
                dns: way.dns.clone(),
                allow_link_local: way.allow_link_local,
            },
            proxy,
            authorities: authorities
                .collect::<Result<_, _>>()
                .map_err(ClientError::Authority)?,
            secure: secure || by_proxy,
        })
    }

    /// A client, and whether it knows any certificate authority that may be needed.
    fn client(&self, keeping: bool) -> Result<(Client, bool), ClientError> {
        let builder = self.builder(keeping)?;
        let authorities = self.authorities.clone();
        if !self.secure {
            // The system's certificates are neither needed nor read.
            return Ok((builder.tls_certs_only(authorities).build()?, true));
        }
        if !authorities.is_empty() {
            return Ok((builder.tls_certs_merge(authorities).build()?, true));
        }
        match builder.build() {
            Ok(client) => Ok((client, true)),
            // Only the system's certificates can fail here and not at the start: the client is made without any.
            Err(_) => Ok((self.builder(keeping)?.tls_certs_only([]).build()?, false)),
        }
    }

    fn builder(&self, keeping: bool) -> Result<ClientBuilder, ClientError> {
        let builder = Client::builder();
        let builder = match &self.proxy {
            OwnProxy::Off => builder.no_proxy(),
            OwnProxy::Environment => builder,
            OwnProxy::Url(url) => {
                let proxy = reqwest::Proxy::all(url.expose()).map_err(|_| ClientError::Proxy)?;
                builder.no_proxy().proxy(proxy)
            }
        };
        let builder = if keeping {
            builder.connector_layer(Noting)
        } else {
            builder.pool_max_idle_per_host(0)
        };
        Ok(builder
            .user_agent(AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .dns_resolver(self.resolver.clone())
            .connect_timeout(self.connect)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_nodelay(true)
            .http1_max_headers(HEAD_LINES)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_only())
    }
}

/// Round the connector: notes that the call that is scoped has got a connection made. A call that takes a kept one from
/// the pool does not come by here, or is not the one that goes on.
#[derive(Clone, Copy)]
struct Noting;

#[derive(Clone)]
struct NotedConnector<S>(S);

impl<S> Layer<S> for Noting {
    type Service = NotedConnector<S>;

    fn layer(&self, connector: S) -> NotedConnector<S> {
        NotedConnector(connector)
    }
}

impl<S, R> Service<R> for NotedConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let connecting = self.0.call(destination);
        Box::pin(async move {
            let connected = connecting.await;
            // Connections that are finished in the background belong to no call: then there is nothing to note.
            CONNECTED.try_with(|noted| noted.set(true)).ok();
            connected
        })
    }
}
