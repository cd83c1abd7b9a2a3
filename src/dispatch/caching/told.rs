//! Streamed answers that do not come from an upstream of their own request.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

/// The bytes of such an answer. Its request ends with it.
pub struct ToldStream(Pin<Box<dyn Stream<Item = Bytes> + Send>>);

impl ToldStream {
    /// These bytes.
    pub(super) fn new(bytes: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(Box::pin(bytes))
    }
}

impl Stream for ToldStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx).map(|bytes| bytes.map(Ok))
    }
}

impl fmt::Debug for ToldStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToldStream")
    }
}
