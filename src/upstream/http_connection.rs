//! One HTTP/1.1 connection, driven by whoever waits for what comes over it: it has no task of its own, so that a call is not
//! handed to another thread and back.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use tokio::time::Instant;

use super::call_stream::CallStream;
use super::connector::UpstreamConnection;
use crate::runtime::wake_relay::WakeRelay;

/// Where a connection leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ConnectionOrigin {
    scheme: Scheme,
    authority: Authority,
}

impl ConnectionOrigin {
    /// Where this URL is; `None` for one that names no host.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        Some(Self {
            scheme: uri.scheme()?.clone(),
            authority: uri.authority()?.clone(),
        })
    }

    /// Whether this URL is there.
    pub(super) fn has(&self, uri: &Uri) -> bool {
        uri.scheme() == Some(&self.scheme) && uri.authority() == Some(&self.authority)
    }

    /// Its root.
    pub(super) fn uri(&self) -> Option<Uri> {
        let builder = Uri::builder().scheme(self.scheme.clone());
        let builder = builder.authority(self.authority.clone());
        builder.path_and_query("/").build().ok()
    }

    /// What calls name as their host: without the scheme's own port.
    fn host(&self) -> Option<HeaderValue> {
        let host = self.authority.host();
        let own = match self.scheme == Scheme::HTTPS {
            true => 443,
            false => 80,
        };
        match self.authority.port() {
            Some(port) if port.as_u16() != own => format!("{host}:{port}").try_into().ok(),
            _ => HeaderValue::from_str(host).ok(),
        }
    }
}

/// A connection with what is known of it.
pub(super) struct HttpConnection {
    wires: Wires,
    relay: WakeRelay,
    origin: ConnectionOrigin,
    host: Option<HeaderValue>,
    /// A proxy reads the calls: they name their host in their first line.
    forwarded: bool,
    start: Instant,
}

/// Both ends of the library's connection.
struct Wires {
    sender: SendRequest<CallStream>,
    /// `None` when it is over.
    connection: Option<Connection<UpstreamConnection, CallStream>>,
}

impl Wires {
    fn drive(&mut self, cx: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        // What it failed with was told to whoever waits for its answer or its body. To nobody else it is news.
        if Pin::new(connection).poll(cx).is_ready() {
            self.connection = None;
        }
    }

    fn is_ready(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }
}

impl HttpConnection {
    /// Speaks HTTP over what a connector made.
    ///
    /// # Errors
    /// What the library says.
    pub(super) async fn over(
        stream: UpstreamConnection,
        origin: ConnectionOrigin,
        builder: &Builder,
    ) -> hyper::Result<Self> {
        let (forwarded, start) = (stream.is_forwarded(), stream.start());
        let (sender, connection) = builder.handshake(stream).await?;
        Ok(Self {
            wires: Wires {
                sender,
                connection: Some(connection),
            },
            relay: WakeRelay::default(),
            host: origin.host(),
            origin,
            forwarded,
            start,
        })
    }

    /// Where it leads.
    pub(super) fn origin(&self) -> &ConnectionOrigin {
        &self.origin
    }

    /// Whether it was there before a call began.
    pub(super) fn is_older_than(&self, call: Instant) -> bool {
        self.start < call
    }

    /// Whether it can take a call.
    pub(super) fn is_ready(&self) -> bool {
        self.wires.is_ready()
    }

    /// Whether nothing comes any more.
    pub(super) fn is_over(&self) -> bool {
        self.wires.connection.is_none()
    }

    /// Leaves it to itself: what happens from now on wakes `waker`. Returns whether it can take a call.
    pub(super) fn park(&mut self, waker: &Waker) -> bool {
        self.relay.aim(waker);
        self.is_still_ready()
    }

    /// Takes note of what happened while nobody drove it; returns whether it can take a call.
    pub(super) fn is_still_ready(&mut self) -> bool {
        let wires = &mut self.wires;
        self.relay.catch_up(|cx| wires.drive(cx));
        self.is_ready()
    }

    /// Whether something happened while nobody drove it.
    pub(super) fn is_woken(&self) -> bool {
        self.relay.is_woken()
    }

    /// Makes a call.
    ///
    /// # Errors
    /// What the library says, with the call itself if none of it was sent.
    pub(super) async fn call(
        &mut self,
        mut request: Request<CallStream>,
    ) -> Result<Response<Incoming>, TrySendError<Request<CallStream>>> {
        if let Some(host) = &self.host {
            let headers = request.headers_mut();
            headers.entry(header::HOST).or_insert_with(|| host.clone());
        }
        if !self.forwarded {
            let path = request.uri().path_and_query();
            let path = path.map_or_else(|| PathAndQuery::from_static("/"), PathAndQuery::clone);
            *request.uri_mut() = path.into();
        }
        // Handing it over wakes what waits for calls: nobody but the one who drives it from here on.
        self.relay.enter();
        let (relay, wires) = (&self.relay, &mut self.wires);
        let mut answer = pin!(wires.sender.try_send_request(request));
        poll_fn(|cx| {
            relay.poll(cx, |cx| {
                wires.drive(cx);
                answer.as_mut().poll(cx)
            })
        })
        .await
    }

    /// The next frame of an answer's body.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let wires = &mut self.wires;
        self.relay.poll(cx, |cx| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            wires.drive(cx);
            Pin::new(&mut *body).poll_frame(cx)
        })
    }

    /// Drives it until it can take another call, or is over.
    pub(super) async fn settle(&mut self) {
        let (relay, wires) = (&self.relay, &mut self.wires);
        poll_fn(|cx| {
            relay.poll(cx, |cx| {
                // Twice: the library (hyper 1.12) says that it takes calls when it looks for one, which it does before it
                // sends what is left of the last one. When all of that is gone, nothing wakes it to look again.
                wires.drive(cx);
                wires.drive(cx);
                match wires.connection.is_none() || wires.is_ready() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
        })
        .await;
    }
}
