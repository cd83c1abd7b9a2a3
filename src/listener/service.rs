//! Wraps the service of a listener: notes which requests are under way, and asks clients to close their connections.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service;

use super::activity::{Activity, Inside};
use super::pump::{BoxError, Pumped};
use crate::domain::connection::Unidentified;
use crate::runtime::clock::Until;
use crate::runtime::kept::Kept;
use crate::runtime::wake_relay::PartRelay;

/// On HTTP/2 larger bodies go out in pieces of this size. What was handed over is not seen any more, and may wait for
/// long until the client takes it; a piece is handed over when the one before it has gone.
const PIECE: usize = 64 * 1024;

/// What a listener serves: anything that answers every request, and whose future and body need no pin (a box does).
pub trait Serves:
    Service<
        Request<Incoming>,
        Response = Response<Self::Out>,
        Error = Infallible,
        Future: Future<Output = Result<Response<Self::Out>, Infallible>> + Unpin + Send + 'static,
    > + Clone
    + Send
    + 'static
{
    /// The body of its answers.
    type Out: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static;
}

impl<S, B, F> Serves for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future = F>
        + Clone
        + Send
        + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    type Out = B;
}

/// The service of one connection.
#[derive(Clone)]
pub(super) struct ConnectionService<S> {
    pub(super) service: S,
    pub(super) activity: Arc<Activity>,
    /// On HTTP/2: how long a client may leave a stream unread.
    pub(super) pump: Option<Duration>,
    /// On HTTP/1.1, where the connection's task does everything.
    pub(super) relay: Option<Arc<PartRelay>>,
}

impl<S: Serves> Service<Request<Incoming>> for ConnectionService<S> {
    type Response = Response<NotedBody<S::Out>>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let inside = self.activity.enter();
        Answering {
            answering: self.service.call(request),
            inside: Some(inside),
            activity: Arc::clone(&self.activity),
            pump: self.pump,
            relay: self.relay.clone(),
        }
    }
}

/// A request that is being answered.
pub(super) struct Answering<F> {
    answering: F,
    inside: Option<Inside>,
    activity: Arc<Activity>,
    pump: Option<Duration>,
    relay: Option<Arc<PartRelay>>,
}

impl<F, B> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    type Output = Result<Response<NotedBody<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            answering, relay, ..
        } = &mut *self;
        let answering = Pin::new(answering);
        let Ok(mut response) = ready!(match relay {
            Some(relay) => relay.poll(|cx| answering.poll(cx)),
            None => answering.poll(cx),
        });
        if self.pump.is_none() && self.activity.is_leaving() {
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let refused = response.extensions_mut().remove::<Unidentified>();
        self.activity.answered(refused.is_some());
        let mut inside = self.inside.take();
        if let Some(inside) = &mut inside {
            inside.asked(true);
        }
        let kept = response.extensions_mut().remove::<Kept>();
        let kept = kept.map(|kept| (kept, Arc::clone(&self.activity)));
        let pump = self.pump;
        let until = response.extensions_mut().remove::<Until>();
        let until = until.map(|Until(deadline)| deadline);
        if let (None, Some(until), None) = (pump, until, response.body().size_hint().exact()) {
            self.activity.until(until);
        }
        Poll::Ready(Ok(response.map(|body| NotedBody {
            // What is all there holds nothing that would have to be let go.
            body: match (pump, body.size_hint().exact()) {
                (Some(patience), None) => Through::Pump(Pumped::new(body, patience, until)),
                (Some(_), Some(length)) if length > PIECE as u64 => {
                    Through::Pieces(body, Bytes::new())
                }
                _ => Through::Direct(body),
            },
            inside,
            kept,
        })))
    }
}

enum Through<B> {
    Direct(B),
    /// What is to be taken before more is asked for.
    Pieces(B, Bytes),
    Pump(Pumped),
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Through<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Direct(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Self::Pieces(body, rest) => {
                if rest.is_empty() {
                    match ready!(Pin::new(body).poll_frame(cx)) {
                        Some(Ok(frame)) => match frame.into_data() {
                            Ok(data) => *rest = data,
                            Err(other) => return Poll::Ready(Some(Ok(other))),
                        },
                        Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                        None => return Poll::Ready(None),
                    }
                }
                let piece = rest.split_to(rest.len().min(PIECE));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Self::Pump(pumped) => pumped.poll_frame(cx),
        }
    }
}

/// An answer's body; its request is inside until it is dropped.
pub(super) struct NotedBody<B> {
    body: Through<B>,
    inside: Option<Inside>,
    /// What is kept until all of it is written, and where.
    kept: Option<(Kept, Arc<Activity>)>,
}

impl<B> Drop for NotedBody<B> {
    fn drop(&mut self) {
        if let Some((kept, activity)) = self.kept.take() {
            activity.keep(kept);
        }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for NotedBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = self.body.poll_frame(cx);
        if let Some(inside) = &mut self.inside {
            inside.asked(frame.is_ready());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Through::Direct(body) => body.is_end_stream(),
            // Its request is inside until the last piece has gone.
            Through::Pieces(..) | Through::Pump(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Through::Direct(body) => body.size_hint(),
            Through::Pieces(body, rest) => {
                let left = body.size_hint().exact().unwrap_or_default();
                SizeHint::with_exact(left.saturating_add(rest.len() as u64))
            }
            Through::Pump(_) => SizeHint::default(),
        }
    }
}
