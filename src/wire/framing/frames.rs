//! AWS's event streams: a length, headers, a payload, and checksums over both.

use aws_smithy_eventstream::frame::read_message_from;
use bytes::{Bytes, BytesMut};
use serde_json::json;

use super::data::{FrameError, put_data};

/// Bytes before the headers: two lengths and their checksum.
const PRELUDE: usize = 12;

/// Frames whose end has not come yet.
#[derive(Debug)]
pub struct Frames {
    limit: usize,
    partial: BytesMut,
}

impl Frames {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: BytesMut::new(),
        }
    }

    pub(super) fn push(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), FrameError> {
        self.partial.extend_from_slice(piece);
        while let Some(frame) = self.next_frame()? {
            let read = read_message_from(frame);
            let message = read.map_err(|error| FrameError::Damaged(error.to_string()))?;
            put_event(out, &message_of(message.headers()), message.payload());
        }
        Ok(())
    }

    pub(super) fn pending(&self) -> usize {
        self.partial.len()
    }

    pub(super) fn finish(&self) -> Result<Bytes, FrameError> {
        match self.partial.is_empty() {
            true => Ok(Bytes::new()),
            false => Err(FrameError::Cut),
        }
    }

    /// The next whole frame.
    fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.partial.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(FrameError::TooLarge(self.limit));
        }
        if length < PRELUDE {
            return Err(FrameError::Damaged("its length is none".to_owned()));
        }
        let whole = self.partial.len() >= length;
        Ok(whole.then(|| self.partial.split_to(length).freeze()))
    }
}

/// What the headers of a frame say of it.
#[derive(Debug, Default)]
struct Kind {
    message: String,
    event: String,
    exception: String,
    code: String,
    words: String,
}

fn message_of(headers: &[aws_smithy_types::event_stream::Header]) -> Kind {
    let mut kind = Kind::default();
    for header in headers {
        let place = match header.name().as_str() {
            ":message-type" => &mut kind.message,
            ":event-type" => &mut kind.event,
            ":exception-type" => &mut kind.exception,
            ":error-code" => &mut kind.code,
            ":error-message" => &mut kind.words,
            _ => continue,
        };
        if let Ok(text) = header.value().as_string() {
            text.as_str().clone_into(place);
        }
    }
    kind
}

fn put_event(out: &mut BytesMut, kind: &Kind, payload: &[u8]) {
    out.extend_from_slice(b"data: {");
    let close: &[u8] = match kind.message.as_str() {
        "exception" => {
            let name = json!(kind.exception).to_string();
            out.extend_from_slice(b"\"exception\":{\"type\":");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b",\"detail\":");
            put_payload(out, payload);
            b"}}\n\n"
        }
        "error" => {
            let error = json!({"type": kind.code, "detail": {"message": kind.words}});
            out.extend_from_slice(b"\"exception\":");
            out.extend_from_slice(error.to_string().as_bytes());
            b"}\n\n"
        }
        _ => {
            out.extend_from_slice(json!(kind.event).to_string().as_bytes());
            out.extend_from_slice(b":");
            put_payload(out, payload);
            b"}\n\n"
        }
    };
    out.extend_from_slice(close);
}

/// A payload is a JSON object; of any other the words are kept.
fn put_payload(out: &mut BytesMut, payload: &[u8]) {
    let payload = payload.trim_ascii();
    match payload.first() {
        Some(b'{') => put_data(out, payload),
        None => out.extend_from_slice(b"{}"),
        Some(_) => {
            let words = json!({"message": String::from_utf8_lossy(payload)});
            out.extend_from_slice(words.to_string().as_bytes());
        }
    }
}
