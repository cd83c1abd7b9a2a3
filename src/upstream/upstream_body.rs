//! The body of an answer, which drives its connection while it is read and gives it back at its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use hyper::body::{Body, Bytes, Incoming};

use super::http_connection::HttpConnection;
use super::idle_pool::IdlePool;
use crate::runtime::task;

/// How long an upstream that has answered may take for the rest of its request. One that never reads it would hold the
/// connection, and the request, for as long as it likes.
const SETTLE: Duration = Duration::from_secs(30);

/// What is left of an answer behind its head.
pub(super) struct UpstreamBody {
    /// Both until the body has ended.
    rest: Option<(Incoming, Box<HttpConnection>)>,
    /// What ended it, until that is told.
    failure: Option<hyper::Error>,
    /// Where the connection is kept; `None` where it is not.
    pool: Option<Arc<IdlePool>>,
}

impl UpstreamBody {
    pub(super) fn new(
        body: Incoming,
        connection: Box<HttpConnection>,
        pool: Option<Arc<IdlePool>>,
    ) -> Self {
        let ended = body.is_end_stream();
        let mut answer = Self {
            rest: Some((body, connection)),
            failure: None,
            pool,
        };
        if ended {
            answer.finish();
        }
        answer
    }

    /// The body has ended.
    fn finish(&mut self) {
        let Some((_, mut connection)) = self.rest.take() else {
            return;
        };
        let pool = self.pool.take();
        if connection.is_ready() {
            if let Some(pool) = pool {
                pool.put(connection);
            }
        } else if !connection.is_over() {
            // The answer came before its request was sent whole, or the other side is still to be told of the end.
            task::detach(async move {
                let settled = tokio::time::timeout(SETTLE, connection.settle()).await;
                if let (Ok(()), Some(pool)) = (settled, pool) {
                    pool.put(connection);
                }
            });
        }
    }
}

impl Stream for UpstreamBody {
    type Item = hyper::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some((body, connection)) = &mut self.rest else {
                return Poll::Ready(self.failure.take().map(Err));
            };
            match ready!(connection.poll_frame(cx, body)) {
                None => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    self.rest = None;
                    self.failure = Some(error);
                    // Told in a turn of its own: a failure ends the caller's connection, and what came in front of it may
                    // have come with the same packet and is still to be written there.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Ok(frame)) => {
                    let ended = body.is_end_stream();
                    if ended {
                        self.finish();
                    }
                    // Trailers say nothing here.
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
        }
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        // What came is not waited for, and a connection on which more is to come is closed. One that has seen the end is
        // as good as any, even if nobody wanted all of the body.
        if let (Some((body, connection)), Some(pool)) = (self.rest.take(), self.pool.take()) {
            drop(body);
            if connection.is_ready() {
                pool.put(connection);
            }
        }
    }
}
