//! A streamed body on HTTP/2. Flow control is per stream, so the connection does not poll a stream whose client does
//! not read; such a body would keep its upstream connection, its lease and its permit without a bound. So a task of its
//! own moves each body, and drops it when the client takes nothing for too long.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;

use super::activity::GRACE;

use crate::runtime::task;

/// Any error of a body.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A part of a body; `None` at its end, so that a body that was given up does not look complete.
type Moved = Option<Result<Frame<Bytes>, BoxError>>;

/// The near end of such a body.
pub(super) struct Pumped(mpsc::Receiver<Moved>);

impl Pumped {
    /// Moves it as fast as it is taken; gives it up when nothing is taken for `patience`, or when something is not
    /// taken soon after `until`, at which the body ends by itself.
    pub(super) fn new<B>(body: B, patience: Duration, until: Option<Instant>) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(1);
        task::detach(pump(body, sender, patience, until));
        Self(receiver)
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        self.0.poll_recv(cx).map(|moved| match moved {
            Some(moved) => moved,
            None => {
                let message = "the client left its stream unread for too long";
                Some(Err(io::Error::new(io::ErrorKind::TimedOut, message).into()))
            }
        })
    }
}

async fn pump<B>(
    mut body: B,
    sender: mpsc::Sender<Moved>,
    patience: Duration,
    until: Option<Instant>,
) where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    loop {
        let frame = tokio::select! {
            biased;
            // The client left: so does its upstream's request.
            () = sender.closed() => return,
            frame = body.frame() => frame.map(|frame| frame.map_err(Into::into)),
        };
        let end = frame.is_none();
        let frame = match sender.try_send(frame) {
            Ok(()) if end => return,
            Ok(()) => continue,
            Err(TrySendError::Closed(_)) => return,
            Err(TrySendError::Full(frame)) => frame,
        };
        let patient = Instant::now() + patience;
        let limit = until.map_or(patient, |until| patient.min(until + GRACE));
        let sent = tokio::time::timeout_at(limit, sender.send(frame)).await;
        if !matches!(sent, Ok(Ok(()))) || end {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::StreamBody;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn words(count: usize) -> Pumped {
        let frames = (0..count).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))));
        Pumped::new(StreamBody::new(stream::iter(frames)), PATIENCE, None)
    }

    async fn next(pumped: &mut Pumped) -> Moved {
        std::future::poll_fn(|cx| pumped.poll_frame(cx)).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_in_time_arrives_whole() {
        let mut pumped = words(3);
        for _ in 0..3 {
            tokio::time::sleep(PATIENCE / 2).await;
            assert!(matches!(next(&mut pumped).await, Some(Ok(_))));
        }
        assert!(next(&mut pumped).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_reads_is_given_up_and_does_not_look_complete() {
        let mut pumped = words(3);
        tokio::time::sleep(2 * PATIENCE).await;
        assert!(matches!(next(&mut pumped).await, Some(Ok(_))));
        assert!(matches!(next(&mut pumped).await, Some(Err(_))));
    }
}
