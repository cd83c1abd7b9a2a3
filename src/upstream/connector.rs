//! Makes the connections of a provider: to its host or to a proxy on the way, with TLS where the URL says so, within the
//! connect timeout.

use std::error::Error;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Uri, header, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::rustls;
use tower_service::Service;

use super::dns::Resolver;
use crate::wire::headers::AGENT;

/// A connection that carries nothing is tested after so long, and then as often, by the operating system.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// So many tests without an answer end a connection.
const KEEPALIVE_TESTS: u32 = 3;
/// What was sent and not acknowledged for so long ends a connection, where the operating system knows this bound.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

pub(super) type ConnectError = Box<dyn Error + Send + Sync>;
type Direct = HttpsConnector<HttpConnector<Resolver>>;

/// The connect timeout has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no connection within {} s", .0.as_secs_f64())]
pub(super) struct ConnectTimeout(Duration);

/// A proxy that is reached in a way that is not spoken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a proxy with the scheme `{0}` is not supported: http and https are")]
struct ProxyScheme(String);

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connector(Arc<Ways>);

struct Ways {
    direct: Direct,
    tls: Arc<rustls::ClientConfig>,
    proxies: Option<Matcher>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(
        resolver: Resolver,
        tls: Arc<rustls::ClientConfig>,
        proxies: Option<Matcher>,
        timeout: Duration,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        // The scheme is looked at by what lies round it.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_TESTS));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Self(Arc::new(Ways {
            direct: HttpsConnector::from((tcp, Arc::clone(&tls))),
            tls,
            proxies,
            timeout,
        }))
    }

    /// Makes a connection to where this URL is.
    ///
    /// # Errors
    /// What the operating system, a proxy or TLS says, or that it took too long.
    pub(super) async fn connect(
        self,
        destination: Uri,
    ) -> Result<UpstreamConnection, ConnectError> {
        let ways = self.0;
        match tokio::time::timeout(ways.timeout, ways.connect(destination)).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectTimeout(ways.timeout).into()),
        }
    }

    /// What a call to this URL says to a proxy that reads it: with TLS the proxy reads only the request for a tunnel.
    pub(super) fn proxy_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        let proxies = self.0.proxies.as_ref()?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        proxies.intercept(uri)?.basic_auth().cloned()
    }
}

impl Ways {
    async fn connect(&self, destination: Uri) -> Result<UpstreamConnection, ConnectError> {
        let mut direct = self.direct.clone();
        let proxies = self.proxies.as_ref();
        let Some(proxy) = proxies.and_then(|proxies| proxies.intercept(&destination)) else {
            let stream = direct.call(destination).await?;
            return Ok(UpstreamConnection::new(Box::new(stream), false));
        };
        let scheme = proxy.uri().scheme_str().unwrap_or_default();
        if !is_spoken(&proxy) {
            return Err(ProxyScheme(scheme.to_owned()).into());
        }
        if destination.scheme() != Some(&Scheme::HTTPS) {
            let stream = direct.call(proxy.uri().clone()).await?;
            return Ok(UpstreamConnection::new(Box::new(stream), true));
        }
        let agent = HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_static(AGENT))]);
        let tunnel = Tunnel::new(proxy.uri().clone(), direct).with_headers(agent);
        let tunnel = match proxy.basic_auth() {
            Some(authorization) => tunnel.with_auth(authorization.clone()),
            None => tunnel,
        };
        let mut through = HttpsConnector::from((tunnel, Arc::clone(&self.tls)));
        let stream = through.call(destination).await?;
        Ok(UpstreamConnection::new(Box::new(stream), false))
    }
}

/// Whether a proxy is reached in a way that is spoken.
pub(super) fn is_spoken(proxy: &Intercept) -> bool {
    matches!(proxy.uri().scheme_str(), Some("http" | "https"))
}

/// What a connection reads from and writes to.
trait UpstreamStream: Read + Write + Send + Unpin {}

impl UpstreamStream for MaybeHttpsStream<TokioIo<TcpStream>> {}
impl UpstreamStream for MaybeHttpsStream<MaybeHttpsStream<TokioIo<TcpStream>>> {}

/// A connection to a provider, or to a proxy that forwards calls to it.
pub(super) struct UpstreamConnection {
    stream: Box<dyn UpstreamStream>,
    forwarded: bool,
    start: Instant,
}

impl UpstreamConnection {
    fn new(stream: Box<dyn UpstreamStream>, forwarded: bool) -> Self {
        Self {
            stream,
            forwarded,
            start: Instant::now(),
        }
    }

    /// Whether a proxy reads the calls: they name their host in their first line.
    pub(super) fn is_forwarded(&self) -> bool {
        self.forwarded
    }

    /// When it was there.
    pub(super) fn start(&self) -> Instant {
        self.start
    }
}

impl Read for UpstreamConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for UpstreamConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
