//! The bytes of a connection. A client that stops reading is cut off: otherwise its stream would hold an
//! upstream connection, a lease and an admission permit without a bound. Bytes that come in are noted as activity.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};

use super::activity::Activity;
use crate::runtime::kept::Kept;

/// A stream that knows whether its other side has hung up, without reading what came before that.
pub(super) trait HangsUp {
    /// Whether nothing more comes but what is there already.
    fn has_hung_up(&self) -> bool;
}

impl HangsUp for TcpStream {
    fn has_hung_up(&self) -> bool {
        is_closed(pin!(self.ready(Interest::READABLE)))
    }
}

impl HangsUp for UnixStream {
    fn has_hung_up(&self) -> bool {
        is_closed(pin!(self.ready(Interest::READABLE)))
    }
}

/// What is known without waiting.
fn is_closed(ready: Pin<&mut impl Future<Output = io::Result<Ready>>>) -> bool {
    let mut nobody = Context::from_waker(Waker::noop());
    matches!(ready.poll(&mut nobody), Poll::Ready(Ok(ready)) if ready.is_read_closed())
}

#[cfg(test)]
impl HangsUp for tokio::io::DuplexStream {
    fn has_hung_up(&self) -> bool {
        false
    }
}

/// A connection whose writes fail with `TimedOut` once nothing could be written for `limit`. There is no
/// timer as long as the client keeps up.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    /// What was read ahead and is to be read again.
    unread: bytes::Bytes,
    limit: Duration,
    /// Kept once made; counts only while the activity is stuck.
    timer: Option<Pin<Box<Sleep>>>,
    /// How often something was read.
    reads: u64,
    /// What that was when it was first seen that the client has hung up.
    hung_up: Option<u64>,
    /// What answers keep that may not all be written.
    kept: Receiver<Kept>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>, limit: Duration) -> Self {
        let kept = activity.kept();
        Self {
            stream,
            activity,
            kept,
            unread: bytes::Bytes::new(),
            limit,
            timer: None,
            reads: 0,
            hung_up: None,
        }
    }

    /// Puts back what was read ahead.
    pub(super) fn unread(&mut self, bytes: bytes::Bytes) {
        self.unread = bytes;
    }

    /// What an attempt to write comes to.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.activity.flow();
            return written;
        }
        let limit = self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if self.activity.stick() {
            timer.as_mut().reset(Instant::now() + limit);
        }
        ready!(timer.as_mut().poll(cx));
        let message = "the client took in nothing for too long";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }
}

impl<S: HangsUp> Watched<S> {
    /// A client that hangs up is usually noticed by a read. But nothing is read while something lies unread that came
    /// after the request, be it an empty line. Then a second look at which nothing more has been read decides: what
    /// came before the end may have been the rest of the request.
    fn abandoned(&mut self) -> io::Result<()> {
        if !self.activity.is_to_look() || !self.stream.has_hung_up() {
            return Ok(());
        }
        match self.hung_up.replace(self.reads) {
            Some(reads) if reads == self.reads => {
                let message = "the client hung up while its request was served";
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, message))
            }
            _ => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.reads += 1;
            self.activity.heard();
        }
        read
    }
}

impl<S: AsyncWrite + HangsUp + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // All that is served is polled, and so flushed, whenever its keeper looks.
        self.abandoned()?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            // hyper flushes when it has written all that it was given.
            self.kept.try_iter().for_each(drop);
        }
        self.bounded(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn watched<S>(stream: S) -> Watched<S> {
        Watched::new(stream, Arc::new(Activity::new(Arc::default())), LIMIT)
    }

    #[tokio::test]
    async fn what_was_read_ahead_comes_first() {
        let (mut theirs, ours) = duplex(64);
        let mut ours = watched(ours);
        theirs.write_all(b" world").await.unwrap();
        ours.unread("hello".into());
        drop(theirs);
        let mut all = String::new();
        ours.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "hello world");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_is_given_up() {
        let (ours, _theirs) = duplex(8);
        let mut ours = watched(ours);
        let began = Instant::now();
        let error = ours.write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_is_served_as_long_as_it_reads() {
        let (ours, mut theirs) = duplex(8);
        let mut ours = watched(ours);
        let reading = async {
            for _ in 0..12 {
                tokio::time::sleep(LIMIT - Duration::from_secs(1)).await;
                theirs.read_exact(&mut [0; 8]).await?;
            }
            Ok(())
        };
        tokio::try_join!(ours.write_all(&[0; 96]), reading).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_between_two_writes_does_not_count() {
        let (ours, mut theirs) = duplex(8);
        let mut ours = watched(ours);
        for _ in 0..3 {
            ours.write_all(&[0; 8]).await.unwrap();
            tokio::time::sleep(2 * LIMIT).await;
            let reading = async {
                tokio::time::sleep(LIMIT / 2).await;
                theirs.read_exact(&mut [0; 9]).await?;
                theirs.read_exact(&mut [0; 7]).await
            };
            tokio::try_join!(ours.write_all(&[0; 8]), reading).unwrap();
        }
    }
}
