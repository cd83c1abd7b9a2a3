//! Reading a request's body: as large as is allowed, and as slow.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, Sleep};

use super::error::ApiError;
use crate::domain::error_code::ErrorCode;
use crate::runtime::task;
use crate::wire::encoding::{Coding, DecodeError, Decoder};

/// What is left of a refused request's body is read this far, and so long, so that its client, which may be sending
/// all of it before it reads anything, hears why: closing with unread bytes would reset the connection.
const REST: usize = 4 * 1024 * 1024;
const REST_TIME: Duration = Duration::from_secs(1);

/// So much of a compressed body is decompressed at a time, in bytes: it may grow a thousandfold.
const STEP: usize = 1024;
/// So much may come out of it before other requests have their turn, in bytes: a millisecond's work or less.
const STRETCH: usize = 256 * 1024;

/// U+FEFF in UTF-8, which some programs put in front of a text. It is no part of JSON, and may be ignored (RFC 8259, 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the rest and throws it away, while the refusal goes out.
pub(super) fn discard(mut body: Body) {
    if body.is_end_stream() {
        return;
    }
    task::detach(async move {
        let reading = async {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > REST {
                    return;
                }
            }
        };
        drop(tokio::time::timeout(REST_TIME, reading).await);
    });
}

/// The body, of at most `max` bytes, with no pause longer than `pause` between two of its pieces.
///
/// With codings it is decompressed as it comes, and `max` holds for what it grows to. A byte order mark is left out.
pub(super) async fn read(
    body: &mut Body,
    codings: &[Coding],
    max: usize,
    pause: Duration,
) -> Result<Bytes, ApiError> {
    let read = match codings {
        [] => read_plain(body, max, pause).await?,
        codings => {
            let mut plain = Plain {
                decoder: Decoder::new(codings, max),
                all: BytesMut::new(),
            };
            let mut pieces = Pieces {
                body,
                timer: None,
                pause,
            };
            while let Some(piece) = pieces.next().await? {
                plain.push(&piece).await?;
            }
            plain.finish()?
        }
    };
    Ok(match read.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => read.slice_ref(rest),
        None => read,
    })
}

async fn read_plain(body: &mut Body, max: usize, pause: Duration) -> Result<Bytes, ApiError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max {
        return Err(too_large(max));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut pieces = Pieces {
        body,
        timer: None,
        pause,
    };
    while let Some(data) = pieces.next().await? {
        let length = first.len() + all.len() + data.len();
        if length > max {
            return Err(too_large(max));
        }
        // One piece alone, which most are, is not copied.
        if length == data.len() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(announced.min(MOST_AT_ONCE).max(length));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// A body as it comes.
struct Pieces<'a> {
    body: &'a mut Body,
    timer: Option<Pin<Box<Sleep>>>,
    pause: Duration,
}

impl Pieces<'_> {
    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let frame = tokio::select! {
            biased;
            frame = self.body.frame() => frame,
            () = paused(&mut self.timer, self.pause) => {
                let seconds = self.pause.as_secs_f64();
                let message = format!(
                    "nothing more of the body came for {seconds} seconds (server.timeouts.body)"
                );
                return Err(ApiError::new(ErrorCode::InvalidRequest, message));
            }
        };
        match frame {
            None => Ok(None),
            Some(Err(error)) => {
                let message = "the body broke off";
                let refusal = ApiError::new(ErrorCode::InvalidRequest, message);
                Err(match is_malformed(&error) {
                    true => refusal,
                    false => refusal.caller_left(),
                })
            }
            // Trailers say nothing.
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        }
    }
}

/// A body that is decompressed as it comes.
struct Plain {
    decoder: Decoder,
    all: BytesMut,
}

impl Plain {
    async fn push(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let mut since_pause = 0;
        for part in piece.chunks(STEP) {
            let out = self.decoder.push(part).map_err(undecodable)?;
            self.all.extend_from_slice(&out);
            since_pause += out.len();
            if since_pause > STRETCH {
                since_pause = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Bytes, ApiError> {
        let out = self.decoder.finish().map_err(undecodable)?;
        self.all.extend_from_slice(&out);
        Ok(self.all.freeze())
    }
}

fn undecodable(error: DecodeError) -> ApiError {
    match error {
        DecodeError::TooLarge(max) => {
            let message = format!(
                "the body grows to more than {max} bytes (server.max_body) when it is decompressed"
            );
            ApiError::new(ErrorCode::RequestTooLarge, message)
        }
        DecodeError::Broken(coding) => {
            let message =
                format!("the body is not valid {coding}, or was cut (content-encoding: {coding})");
            ApiError::new(ErrorCode::InvalidRequest, message)
        }
    }
}

fn too_large(max: usize) -> ApiError {
    let message = format!("the body is larger than {max} bytes (server.max_body)");
    ApiError::new(ErrorCode::RequestTooLarge, message)
}

/// Whether a body ended because it is not one (chunks without a size, say), not because its sender left.
fn is_malformed(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) = kind {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Completes after the pause. Polled only when there is one, so that usually no timer is made.
async fn paused(timer: &mut Option<Pin<Box<Sleep>>>, pause: Duration) {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
    timer.as_mut().reset(Instant::now() + pause);
    timer.await;
}

/// What a client announces is reserved up to here: announcing costs it nothing.
const MOST_AT_ONCE: usize = 1024 * 1024;

/// The request's time was over before its body was there.
pub(super) fn late() -> ApiError {
    let message = "the deadline passed before the body was there";
    ApiError::new(ErrorCode::DeadlineExceeded, message)
}
