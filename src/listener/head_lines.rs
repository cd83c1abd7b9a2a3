//! The lines of heads. The HTTP library takes room for as many lines as a head may have before it parses one, which costs
//! every request some microseconds where that is many. So it has room for few, and what comes in is counted before it gets
//! there: where more lines come than it has room for, they are held back, and the connection goes on with a parser that has
//! room for all that are allowed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// With so many lines a head may be more than the library has room for by itself, which is 100 besides the request line
/// and the empty one.
const FEW: usize = 100;

/// A connection's bytes, held back where a head has many lines.
pub(super) struct HeadLines<S> {
    stream: S,
    activity: Arc<Activity>,
    /// What was read ahead or held back, and is to be read again.
    unread: Bytes,
    /// Of what may be a head.
    lines: usize,
    /// The parser has room for all.
    roomy: bool,
    held: Arc<AtomicBool>,
}

impl<S> HeadLines<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            unread: Bytes::new(),
            lines: 0,
            roomy: false,
            held: Arc::default(),
        }
    }

    /// Whether something is held back, for whoever polls the parser.
    pub(super) fn held(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.held)
    }

    /// Gives out what is held back after `first`, to a parser that has room for it.
    pub(super) fn release(&mut self, first: &Bytes) {
        let mut unread = BytesMut::with_capacity(first.len() + self.unread.len());
        unread.extend_from_slice(first);
        unread.extend_from_slice(&self.unread);
        self.unread = unread.freeze();
        self.roomy = true;
        self.held.store(false, Relaxed);
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Whether what was just read must not go to a parser with little room. What follows a head may be a body or the next
    /// head: a body of many lines makes the connection take room that it does not need, which does no harm.
    fn is_too_much(&mut self, new: &[u8]) -> bool {
        let count = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
        if self.activity.is_inside() {
            // The last read of a body may be the first one of the next head.
            self.lines = count(new);
            return false;
        }
        let end = memchr::memmem::find(new, b"\r\n\r\n").unwrap_or(new.len());
        let (head, rest) = new.split_at(end);
        let (head, rest) = (self.lines + count(head), count(rest));
        self.lines = if end < new.len() { rest } else { head };
        head > FEW || rest > FEW
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadLines<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.held.load(Relaxed) {
            // Whoever polls the parser looks for this when it has written what it had to.
            return Poll::Pending;
        }
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        if !self.roomy && self.is_too_much(new) {
            self.unread = Bytes::copy_from_slice(new);
            buf.set_filled(before);
            self.held.store(true, Relaxed);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadLines<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn lines(count: usize) -> String {
        "a: b\r\n".repeat(count)
    }

    /// What a parser with little room gets of `sent`, and what one gets that takes over.
    async fn told(sent: &str) -> (String, String) {
        let (mut client, server) = duplex(1 << 20);
        let mut heads = HeadLines::new(server, Arc::new(Activity::new(Arc::default())));
        let held = heads.held();
        client.write_all(sent.as_bytes()).await.unwrap();
        drop(client);
        let mut few = Vec::new();
        let mut piece = [0; 512];
        loop {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            match pin!(heads.read(&mut piece)).poll(&mut cx) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(length)) => few.extend_from_slice(&piece[..length]),
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => {
                    assert!(held.load(Relaxed));
                    break;
                }
            }
        }
        heads.release(&Bytes::new());
        let mut all = String::new();
        heads.read_to_string(&mut all).await.unwrap();
        (String::from_utf8(few).unwrap(), all)
    }

    #[tokio::test]
    async fn what_few_lines_have_goes_through_and_more_waits_for_room() {
        let few = format!("GET / HTTP/1.1\r\n{}\r\n", lines(98));
        assert_eq!(told(&few).await, (few.clone(), String::new()));
        // A body is no head, nor are many heads one.
        let body = format!("{few}{}", "\n".repeat(50));
        assert_eq!(told(&body).await, (body.clone(), String::new()));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", lines(500));
        let (before, after) = told(&many).await;
        assert!(before.matches('\n').count() <= FEW);
        assert_eq!(before + &after, many);
        // The next one comes with the first.
        let both = format!("{few}{many}");
        let (before, after) = told(&both).await;
        assert!(before.len() < few.len() + 1000, "{before}");
        assert_eq!(before + &after, both);
    }
}
