//! One connection: TLS if configured, recognised as HTTP/1.1 or HTTP/2, served, and ended.
//!
//! `axum::serve` is not used: it never sets a timer, so a client that sends half a head is held without a bound,
//! and its graceful shutdown waits for open streams without a bound.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bytes::{HangsUp, Watched};
use super::drain::{DrainPhase, ShutdownHandle};
use super::head_lines::HeadLines;
use super::monitor::{ConnectionEnd, ConnectionMonitor};
use super::room::{Leaves, Room};
use super::service::{ConnectionService, Serves};
use super::tls::{H2, Tls};
use crate::domain::connection::{ConnectionPolicy, Http2Policy};
use crate::runtime::task;
use crate::runtime::wake_relay::WakeRelay;

/// What a client sends first that speaks HTTP/2 without having been asked.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A first read takes in a usual request as a whole.
const FIRST_READ: usize = 8 * 1024;
/// Bodies are read in pieces of at most this size, whatever a head may have.
const READ_BUFFER: usize = 64 * 1024;
/// How long a client may take to read the last bytes of an error or a close.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long an HTTP/2 client may take after its last request to close a connection that is shutting down.
const LEAVE: Duration = Duration::from_secs(5);
/// The connections that may wait for a place at once, and get an error if they get none; others are just closed.
const REFUSALS: usize = 64;

const TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
    content-type: text/plain\r\ncontent-length: 60\r\n\r\n\
    too many connections (server.max_connections): retry later.\n";

/// At least this many connections may wait for a place, or get the error, at the same time.
const FEWEST_REFUSALS: usize = 8;

/// The connections of listeners that share their limits.
#[derive(Clone, Debug)]
pub struct Connections {
    policy: ConnectionPolicy,
    room: Arc<Room>,
    refusals: Arc<Semaphore>,
}

impl Connections {
    /// None yet, and at most as many as the policy says.
    pub fn new(policy: ConnectionPolicy) -> Self {
        let room = Room::new(policy.max_connections);
        let refusals = REFUSALS.min(room.most() / 4).max(FEWEST_REFUSALS);
        Self {
            policy,
            room: Arc::new(room),
            refusals: Arc::new(Semaphore::new(refusals)),
        }
    }

    /// Asks connections to leave that do nothing: there is no file descriptor left.
    pub(super) fn make_room(&self, leaves: Leaves) {
        self.room.make_room(leaves);
    }

    pub(super) fn has_http2(&self) -> bool {
        self.policy.http2.is_some()
    }
}

/// What a connection is made of.
pub(super) trait ConnectionIo:
    AsyncRead + AsyncWrite + HangsUp + Unpin + Send + 'static
{
}

impl<S: AsyncRead + AsyncWrite + HangsUp + Unpin + Send + 'static> ConnectionIo for S {}

/// How a listener's connections are served.
#[derive(Clone, Debug)]
pub(super) struct ServeOptions {
    pub(super) connections: Connections,
    pub(super) tls: Option<Arc<Tls>>,
    /// Whether HTTP/2 is recognised without TLS.
    pub(super) sniff: bool,
}

impl ServeOptions {
    /// Serves this connection in the background, perhaps when another one has given way, or refuses it.
    pub(super) fn take<S: Serves>(
        &self,
        stream: impl ConnectionIo,
        service: S,
        guest: ShutdownHandle,
    ) {
        if let Some(place) = self.connections.room.enter() {
            self.serve(stream, service, guest, place);
            return;
        }
        let Ok(told) = Arc::clone(&self.connections.refusals).try_acquire_owned() else {
            tracing::debug!("connection refused: too many (server.max_connections)");
            return;
        };
        let how = self.clone();
        task::detach(async move {
            if let Some(place) = how.connections.room.enter_late().await {
                drop(told);
                how.serve(stream, service, guest, place);
                return;
            }
            tracing::debug!("connection refused: too many (server.max_connections)");
            if how.tls.is_none() {
                refuse(stream, told).await;
            }
        });
    }

    fn serve<S: Serves>(
        &self,
        stream: impl ConnectionIo,
        service: S,
        guest: ShutdownHandle,
        place: OwnedSemaphorePermit,
    ) {
        let policy = self.connections.policy;
        let keeper = ConnectionMonitor::new(policy, guest, self.connections.room.ear());
        let bytes = Watched::new(stream, Arc::clone(&keeper.activity), policy.write);
        let context = ConnectionTask {
            keeper,
            policy,
            service,
        };
        match (&self.tls, self.sniff) {
            (None, false) => task::detach(async move {
                context.http1(bytes).await;
                drop(place);
            }),
            (None, true) => task::detach(async move {
                context.sniff(bytes).await;
                drop(place);
            }),
            (Some(tls), _) => {
                let acceptor = tls.acceptor();
                task::detach(async move {
                    context.tls(bytes, acceptor).await;
                    drop(place);
                });
            }
        }
    }
}

/// Sends the error, and waits until the client has read it: closing with unread bytes would discard it.
async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, _told: OwnedSemaphorePermit) {
    let telling = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    drop(tokio::time::timeout(GOODBYE, telling).await);
}

/// A connection's way from its first byte to its last.
struct ConnectionTask<S> {
    keeper: ConnectionMonitor,
    policy: ConnectionPolicy,
    service: S,
}

impl<S: Serves> ConnectionTask<S> {
    async fn tls<I>(mut self, bytes: Watched<I>, acceptor: tokio_rustls::TlsAcceptor)
    where
        I: AsyncRead + AsyncWrite + HangsUp + Unpin + Send + 'static,
    {
        let mut shaking = pin!(acceptor.accept(bytes));
        let stream = match self.keeper.watch(shaking.as_mut(), |_, _| {}).await {
            ConnectionEnd::Done(Ok(stream)) => stream,
            ConnectionEnd::Done(Err(error)) => {
                tracing::debug!(%error, "TLS handshake failed");
                return;
            }
            ConnectionEnd::Idle | ConnectionEnd::Slow | ConnectionEnd::Gone => return,
        };
        self.keeper.activity.settle();
        match stream.get_ref().1.alpn_protocol() {
            Some(H2) => self.http2(stream).await,
            _ => self.http1(stream).await,
        }
    }

    /// Recognises HTTP/2 by its first bytes.
    async fn sniff<I>(mut self, mut bytes: Watched<I>)
    where
        I: AsyncRead + AsyncWrite + HangsUp + Unpin + Send + 'static,
    {
        let mut first = BytesMut::with_capacity(FIRST_READ);
        let sniffing = async {
            while bytes.read_buf(&mut first).await? > 0 {
                let length = first.len().min(PREFACE.len());
                if first.get(..length) != PREFACE.get(..length) {
                    return Ok(false);
                }
                if length == PREFACE.len() {
                    return Ok(true);
                }
            }
            io::Result::Ok(false)
        };
        let found = match self.keeper.watch(pin!(sniffing), |_, _| {}).await {
            ConnectionEnd::Done(Ok(found)) => found,
            ConnectionEnd::Done(Err(_)) | ConnectionEnd::Idle | ConnectionEnd::Gone => return,
            ConnectionEnd::Slow => return close(bytes, TIMED_OUT).await,
        };
        bytes.unread(first.freeze());
        if found {
            self.http2(bytes).await;
        } else {
            self.http1(bytes).await;
        }
    }

    async fn http1<I>(mut self, stream: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::clone(&self.keeper.activity);
        let mut stream = HeadLines::new(stream, Arc::clone(&activity));
        // What reads a request's body wakes what reads from the socket, and is woken by it: both are this task.
        let relay = WakeRelay::default();
        let mut service = ConnectionService {
            service: self.service,
            activity: Arc::clone(&activity),
            pump: None,
            relay: Some(Arc::new(relay.part())),
        };
        let mut builder = http1::Builder::new();
        builder
            .header_read_timeout(None)
            .max_header_size(self.policy.max_head)
            .max_buf_size(self.policy.max_head.max(READ_BUFFER));
        loop {
            let held = stream.held();
            let mut serving = builder.serve_connection(TokioIo::new(stream), service);
            let parsing = poll_fn(|cx| {
                relay.poll(cx, |cx| match Pin::new(&mut serving).poll(cx) {
                    Poll::Ready(end) => Poll::Ready(Some(end)),
                    // An answer that waits for its client is written first.
                    Poll::Pending if held.load(Relaxed) && !activity.is_busy() => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                })
            });
            match self.keeper.watch(pin!(parsing), |_, _| {}).await {
                ConnectionEnd::Done(Some(Ok(()))) | ConnectionEnd::Gone => {}
                ConnectionEnd::Done(Some(Err(error))) => {
                    tracing::debug!(%error, "connection ended early");
                }
                ConnectionEnd::Done(None) => {
                    let parts = serving.into_parts();
                    (stream, service) = (parts.io.into_inner(), parts.service);
                    stream.release(&parts.read_buf);
                    builder.max_headers(lines(self.policy.max_head));
                    continue;
                }
                ConnectionEnd::Idle => {
                    let mut serving = Pin::new(&mut serving);
                    serving.as_mut().graceful_shutdown();
                    self.keeper.close(GOODBYE);
                    drop(self.keeper.watch(serving, |_, _| {}).await);
                }
                ConnectionEnd::Slow => {
                    close(serving.into_parts().io.into_inner().into_inner(), TIMED_OUT).await;
                }
            }
            return;
        }
    }

    async fn http2<I>(mut self, stream: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.keeper.activity.multiplex();
        let service = ConnectionService {
            service: self.service,
            activity: Arc::clone(&self.keeper.activity),
            pump: Some(self.policy.write),
            relay: None,
        };
        let h2 = self.policy.http2.unwrap_or_default();
        let serving =
            builder(h2, self.policy.max_head).serve_connection(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        // A connection that comes late into a shutdown is served before it is closed.
        let late = self.keeper.phase() > DrainPhase::Serving;
        let mut end = None;
        if late {
            let mut guest = self.keeper.guest();
            let grace = async {
                guest.reached(DrainPhase::Closed).await;
                tokio::time::sleep(GOODBYE).await;
            };
            end = tokio::select! {
                biased;
                end = self.keeper.watch(serving.as_mut(), |_, _| {}) => Some(end),
                () = grace => None,
            };
        }
        let end = match end {
            Some(end) => end,
            None => {
                let leave = |serving: Pin<&mut _>, _| http2::Connection::graceful_shutdown(serving);
                self.keeper.watch(serving.as_mut(), leave).await
            }
        };
        match end {
            ConnectionEnd::Done(Ok(())) | ConnectionEnd::Gone => {}
            ConnectionEnd::Done(Err(error)) => tracing::debug!(%error, "connection ended early"),
            // GOAWAY first, so that the client sends nothing more that would be lost.
            ConnectionEnd::Idle | ConnectionEnd::Slow => {
                serving.as_mut().graceful_shutdown();
                self.keeper.close(LEAVE);
                drop(self.keeper.watch(serving.as_mut(), |_, _| {}).await);
            }
        }
    }
}

/// The number of lines that a head of `max_head` bytes may have: enough that usual heads are limited by their bytes.
/// The HTTP library needs room for them before it parses, 64 bytes each, which only those connections take that need more
/// than its default of 100.
fn lines(max_head: usize) -> usize {
    (max_head / 64).clamp(100, 4 * 1024)
}

/// Streams run on tasks of their own.
#[derive(Clone, Copy)]
pub(super) struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, stream: F) {
        task::detach(stream);
    }
}

fn builder(policy: Http2Policy, max_head: usize) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(Tasks);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(policy.max_streams)
        .max_pending_accept_reset_streams(policy.max_resets)
        .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX));
    if !policy.ping_interval.is_zero() {
        builder
            .keep_alive_interval(policy.ping_interval)
            .keep_alive_timeout(policy.ping_timeout);
    }
    builder
}

/// Ends a connection with these words.
async fn close(mut stream: impl AsyncWrite + Unpin, words: &[u8]) {
    let telling = async {
        stream.write_all(words).await?;
        stream.shutdown().await
    };
    drop(tokio::time::timeout(GOODBYE, telling).await);
}
