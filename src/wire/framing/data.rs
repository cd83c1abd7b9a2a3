//! What becomes of a frame: the data of an event, or a failure.

use bytes::BytesMut;

/// Why the rest of a stream cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// One frame is larger than an event may be.
    #[error("a frame of the stream is larger than {0} bytes (server.max_event)")]
    TooLarge(usize),
    /// A length, a header or a checksum is wrong.
    #[error("a frame of the stream is damaged: {0}")]
    Damaged(String),
    /// The stream ended inside of a frame.
    #[error("the stream ended inside of a frame")]
    Cut,
}

/// Adds JSON to the data of an event. A line end in it, which JSON has between its values alone, would end the data.
pub(super) fn put_data(out: &mut BytesMut, json: &[u8]) {
    let start = out.len();
    out.extend_from_slice(json);
    for byte in out.iter_mut().skip(start) {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
