//! A large body that is sent slowly enough for an early answer to be heard.
//!
//! An upstream that refuses a request by its size answers before it has read all of it, and closes. The HTTP library
//! reads and writes in turn: when it meets the closed connection while it writes, the answer that lies in front of it is
//! lost. Pauses between pieces let it read first.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Smaller bodies are written at once, in bytes: less than what a connection's buffers take.
pub(super) const LARGE: usize = 64 * 1024;
/// Bytes of one piece.
const PIECE: usize = 64 * 1024;
/// Between pieces: the least that the timer knows.
const PAUSE: Duration = Duration::from_millis(1);
/// How long an early answer gets to be read before more of the body is sent.
const HEARING: Duration = Duration::from_secs(1);

/// A request body in pieces.
pub(super) struct PacedBody {
    rest: Bytes,
    /// Until the next piece goes out.
    pause: Pin<Box<Sleep>>,
    heard: FirstByteFlag,
    hearing: bool,
}

/// Notifies a body that its answer has begun.
#[derive(Clone, Default)]
pub(super) struct FirstByteFlag(Arc<AtomicBool>);

impl FirstByteFlag {
    /// Notifies the body.
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl PacedBody {
    pub(super) fn new(body: Bytes, heard: FirstByteFlag) -> Self {
        Self {
            rest: body,
            pause: Box::pin(tokio::time::sleep(Duration::ZERO)),
            heard,
            hearing: false,
        }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.pause.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if !self.hearing && self.heard.0.load(Ordering::Relaxed) {
            self.hearing = true;
            self.pause.as_mut().reset(Instant::now() + HEARING);
            if self.pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.pause.as_mut().reset(Instant::now() + PAUSE);
        let size = PIECE.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
