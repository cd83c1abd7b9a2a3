//! Bodies that go into a spool: forms, whose fields are read on the way, and bodies that pass through, which are sent on while
//! they still come.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use hyper::body::Body as _;

use super::admission_limit::COME_BACK;
use super::body::{self, BodyChunks};
use super::error::ApiError;
use crate::dispatch::{FormPayload, PassedBody, Payload};
use crate::domain::error_code::ErrorCode;
use crate::runtime::buffers::Buffers;
use crate::runtime::spool::{SpoolFault, SpoolLimits, SpoolWriter, spool};
use crate::runtime::task;
use crate::wire::multipart::{self, FormError, FormReader};

/// What bounds an upload.
#[derive(Clone, Copy)]
pub(super) struct UploadLimits {
    pub(super) spool: SpoolLimits,
    /// The longest pause between two pieces.
    pub(super) pause: Duration,
}

/// The boundary of the form that the body is, if it is one.
pub(super) fn boundary(headers: &HeaderMap) -> Option<Result<Box<[u8]>, ApiError>> {
    let kind = headers.get(header::CONTENT_TYPE)?;
    let found = multipart::boundary(kind.as_bytes())?;
    Some(found.map_err(|error| unreadable(&error)))
}

fn unreadable(error: &FormError) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, error.to_string())
}

/// Reads a form to its end. Returns its fields as JSON, and the form.
pub(super) async fn form(
    body: &mut Body,
    headers: &HeaderMap,
    boundary: Box<[u8]>,
    limits: UploadLimits,
    buffers: &Buffers,
) -> Result<(Bytes, Payload), ApiError> {
    let Some(content_type) = headers.get(header::CONTENT_TYPE).cloned() else {
        return Err(unreadable(&FormError::NoBoundary));
    };
    let_in(body, limits, buffers)?;
    let (mut writer, spool) = spool(limits.spool, buffers);
    let mut reader = FormReader::new(boundary);
    let mut pieces = BodyChunks::new(body, limits.pause);
    while let Some(piece) = pieces.next().await? {
        reader.push(&piece).map_err(|error| unreadable(&error))?;
        writer.push(piece).await.map_err(refused)?;
    }
    writer.finish();
    let form = reader.finish().map_err(|error| unreadable(&error))?;
    let fields = form.fields.clone();
    let payload = FormPayload {
        spool,
        form,
        content_type,
    };
    Ok((fields, Payload::Form(Arc::new(payload))))
}

/// Begins to read a body that passes through, in a task of its own that ends with the body, or when nobody reads it any
/// more. `None` where there is no body.
pub(super) fn passed(
    body: Body,
    limits: UploadLimits,
    buffers: &Buffers,
) -> Result<Option<PassedBody>, ApiError> {
    if body.is_end_stream() {
        return Ok(None);
    }
    let_in(&body, limits, buffers)?;
    let length = body.size_hint().exact();
    let (writer, spool) = spool(limits.spool, buffers);
    task::detach(fill(body, writer, limits.pause));
    Ok(Some(PassedBody { spool, length }))
}

async fn fill(mut body: Body, mut writer: SpoolWriter, pause: Duration) {
    let mut pieces = BodyChunks::new(&mut body, pause);
    loop {
        let piece = tokio::select! {
            biased;
            () = writer.unwanted() => break,
            piece = pieces.next() => piece,
        };
        match piece {
            Ok(Some(piece)) => {
                if writer.push(piece).await.is_err() {
                    break;
                }
            }
            Ok(None) => return writer.finish(),
            Err(error) => {
                writer.fail(if error.caller_left {
                    SpoolFault::BrokenOff
                } else {
                    SpoolFault::Stalled
                });
                return;
            }
        }
    }
    // Its sender may be in the middle of it, and must hear the answer.
    drop(pieces);
    body::discard(body);
}

/// Lets a body in whose announced length is allowed, where there is room for what it goes through.
fn let_in(body: &Body, limits: UploadLimits, buffers: &Buffers) -> Result<(), ApiError> {
    let SpoolLimits { whole, moving, .. } = limits.spool;
    if body.size_hint().lower() > whole {
        return Err(refused(SpoolFault::TooLarge(whole)));
    }
    if !buffers.has_room(moving) {
        return Err(body::no_room());
    }
    Ok(())
}

/// Why a body is not there as a whole, as its sender is told.
pub(super) fn refused(fault: SpoolFault) -> ApiError {
    let code = match fault {
        SpoolFault::TooLarge(_) => ErrorCode::RequestTooLarge,
        SpoolFault::BrokenOff | SpoolFault::Stalled => ErrorCode::InvalidRequest,
        SpoolFault::NoFile | SpoolFault::NoRoom(_) => ErrorCode::Overloaded,
    };
    let error = ApiError::new(code, fault.to_string());
    match fault {
        SpoolFault::BrokenOff => error.caller_left(),
        SpoolFault::NoFile => error.retry_after(COME_BACK),
        SpoolFault::NoRoom(kind) => {
            let directory = std::env::temp_dir();
            tracing::warn!(%kind, directory = %directory.display(), "a body does not fit into the directory for temporary files");
            error.retry_after(COME_BACK)
        }
        SpoolFault::TooLarge(_) | SpoolFault::Stalled => error,
    }
}
