//! The body of a call as the HTTP library takes it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use hyper::body::{Body, Frame, SizeHint};

use super::paced_body::PacedBody;
use crate::runtime::spool::SpoolFault;

/// The library queues 16 slices of a body, whatever their size, for a connection that takes none: with thousands of large
/// bodies on their way these are what counts. In bytes.
const SLICE: usize = 4096;

/// A body on its way out.
pub(super) enum CallStream {
    /// All of it at once; `None` when it is gone, or there is none.
    Whole(Option<Bytes>),
    /// In pieces with pauses.
    Paced(PacedBody),
    /// As it is read from a spool.
    Spooled(SpooledPieces),
}

/// What is read from a spool, in slices.
pub(super) struct SpooledPieces {
    pieces: BoxStream<'static, Result<Bytes, SpoolFault>>,
    /// What of the last piece has not gone out.
    rest: Bytes,
}

impl CallStream {
    /// A body as it is read from a spool.
    pub(super) fn spooled(pieces: BoxStream<'static, Result<Bytes, SpoolFault>>) -> Self {
        Self::Spooled(SpooledPieces {
            pieces,
            rest: Bytes::new(),
        })
    }

    /// A body of these bytes; none of them is no body.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for CallStream {
    type Data = Bytes;
    type Error = SpoolFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SpoolFault>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Paced(body) => {
                let frame = Pin::new(body).poll_frame(cx);
                frame.map_err(|never: Infallible| match never {})
            }
            Self::Spooled(SpooledPieces { pieces, rest }) => {
                while rest.is_empty() {
                    match pieces.as_mut().poll_next(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(None) => return Poll::Ready(None),
                        Poll::Ready(Some(Err(fault))) => return Poll::Ready(Some(Err(fault))),
                        Poll::Ready(Some(Ok(piece))) => *rest = piece,
                    }
                }
                let slice = rest.split_to(rest.len().min(SLICE));
                Poll::Ready(Some(Ok(Frame::data(slice))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Paced(body) => body.is_end_stream(),
            Self::Spooled(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Paced(body) => body.size_hint(),
            Self::Spooled(_) => SizeHint::default(),
        }
    }
}
