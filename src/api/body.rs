//! Reading a request's body: as large as is allowed, and as slow.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, Sleep};

use super::admission_limit::COME_BACK;
use super::error::ApiError;
use crate::domain::error_code::ErrorCode;
use crate::runtime::buffers::{Buffered, Buffers};
use crate::runtime::gathered_bytes::GatheredBytes;
use crate::runtime::task;
use crate::runtime::yield_budget::YieldBudget;
use crate::wire::encoding::{Coding, DecodeError, Decoder};

/// A refused request's body is read to this size and for this long, so that its client, which may send all of it
/// before it reads anything, gets the error: closing with unread bytes would reset the connection.
const REST: usize = 4 * 1024 * 1024;
const REST_TIME: Duration = Duration::from_secs(1);

/// The bytes of a compressed body that are decompressed at a time: they may grow a thousandfold.
const STEP: usize = 1024;

/// U+FEFF in UTF-8, which some programs put in front of a text. It is no part of JSON, and may be ignored (RFC 8259, 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the remaining body and throws it away, while the refusal goes out.
pub(super) fn discard(mut body: Body) {
    if body.is_end_stream() {
        return;
    }
    task::detach(async move {
        let reading = async {
            let (mut read, mut turn) = (0, YieldBudget::default());
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                turn.took(length).await;
                read += length;
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
/// What is read has room in `buffers` from when it comes until it is dropped. A body whose announced length finds no room
/// is refused before it is read; it takes none before it comes.
pub(super) async fn read(
    body: &mut Body,
    codings: &[Coding],
    max: usize,
    pause: Duration,
    buffers: &Buffers,
) -> Result<Bytes, ApiError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max && codings.is_empty() {
        return Err(too_large(max));
    }
    // Announcing costs a client nothing, so that it must not cost others anything either.
    if !buffers.has_room(announced.min(max)) {
        return Err(no_room());
    }
    let mut room = buffers.count(0);
    let mut pieces = BodyChunks::new(body, pause);
    let read = match codings {
        [] => read_plain(&mut pieces, max, announced, &mut room).await?,
        // Decoders are large: inside of the request's own future they would be moved with every request.
        codings => Box::pin(read_coded(&mut pieces, codings, max, &mut room)).await?,
    };
    if !room.reach(read.len()) {
        return Err(no_room());
    }
    let read = room.keep(read);
    Ok(match read.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => read.slice_ref(rest),
        None => read,
    })
}

async fn read_coded(
    pieces: &mut BodyChunks<'_>,
    codings: &[Coding],
    max: usize,
    room: &mut Buffered,
) -> Result<Bytes, ApiError> {
    let mut plain = Plain {
        decoder: Decoder::new(codings, max),
        all: GatheredBytes::default(),
        turn: YieldBudget::default(),
    };
    while let Some(piece) = pieces.next().await? {
        plain.push(&piece, room).await?;
    }
    plain.finish()
}

async fn read_plain(
    pieces: &mut BodyChunks<'_>,
    max: usize,
    announced: usize,
    room: &mut Buffered,
) -> Result<Bytes, ApiError> {
    let mut all = GatheredBytes::new(announced);
    while let Some(data) = pieces.next().await? {
        let length = all.len() + data.len();
        if length > max {
            return Err(too_large(max));
        }
        if !room.reach(length) {
            return Err(no_room());
        }
        all.take(data);
    }
    Ok(all.freeze())
}

/// A body as it comes.
pub(super) struct BodyChunks<'a> {
    body: &'a mut Body,
    timer: Option<Pin<Box<Sleep>>>,
    pause: Duration,
    turn: YieldBudget,
}

impl<'a> BodyChunks<'a> {
    /// Of which no two pieces may be further apart than `pause`.
    pub(super) fn new(body: &'a mut Body, pause: Duration) -> Self {
        Self {
            body,
            timer: None,
            pause,
            turn: YieldBudget::default(),
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
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
                Err(if is_malformed(&error) {
                    refusal
                } else {
                    refusal.caller_left()
                })
            }
            // Trailers are ignored.
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                // A body without pauses must not delay the request's timers.
                self.turn.took(data.len()).await;
                Ok(Some(data))
            }
        }
    }
}

/// A body that is decompressed as it comes.
struct Plain {
    decoder: Decoder,
    all: GatheredBytes,
    turn: YieldBudget,
}

impl Plain {
    async fn push(&mut self, piece: &[u8], room: &mut Buffered) -> Result<(), ApiError> {
        for part in piece.chunks(STEP) {
            let out = self.decoder.push(part).map_err(undecodable)?;
            if !room.reach(self.all.len() + out.len()) {
                return Err(no_room());
            }
            self.all.push(&out);
            self.turn.took(out.len()).await;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Bytes, ApiError> {
        let out = self.decoder.finish().map_err(undecodable)?;
        self.all.push(&out);
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
        DecodeError::Trailing(coding) => {
            let message =
                format!("bytes follow the end of the body's {coding} (content-encoding: {coding})");
            ApiError::new(ErrorCode::InvalidRequest, message)
        }
    }
}

pub(super) fn no_room() -> ApiError {
    let message =
        "too many bytes of bodies and answers are held (server.max_buffered): retry later";
    ApiError::new(ErrorCode::Overloaded, message).retry_after(COME_BACK)
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

/// The request's time was over before its body was there.
pub(super) fn late() -> ApiError {
    let message = "the deadline passed before the body was there";
    ApiError::new(ErrorCode::DeadlineExceeded, message)
}
