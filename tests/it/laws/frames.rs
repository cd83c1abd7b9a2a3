//! Laws of streams that are no server-sent events: whatever pieces they come in, the same events come out, one for each
//! frame or line; nothing larger than the limit is kept; what cannot be read stays an error.
//!
//! The input is a line, `frames` (AWS's, as they are), `mended` (the same, with lengths that fit and right checksums) or
//! `lines`, with the size of the pieces behind it; then the stream.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use pointsman::wire::framing::{FrameError, Framing};
use pointsman::wire::sse::{EventSplitter, RawEvent};
use serde_json::Value;

use super::line;

/// The largest frame or line.
const LIMIT: usize = 512;
/// Lengths and checksums of a frame.
const OVERHEAD: usize = 16;

pub fn hold(data: &[u8]) {
    let (head, stream) = line(data);
    let head = String::from_utf8_lossy(head);
    let (form, size) = head.split_once(' ').unwrap_or((&head, "7"));
    let size = size.trim().parse().unwrap_or(7).clamp(1, 4096);
    let lines = form == "lines";
    let (stream, payloads) = match form {
        "mended" => mended(stream),
        "frames" | "lines" => (stream.to_vec(), Vec::new()),
        _ => return,
    };
    let (whole, end) = read(lines, &stream, stream.len().max(1));
    for size in [1, size] {
        let (pieces, other) = read(lines, &stream, size);
        assert_eq!((&pieces, &other), (&whole, &end), "in pieces of {size}");
    }
    let events = split(&whole);
    match lines {
        true => {
            let (said, fits) = reference(&stream);
            assert_eq!(events, said);
            assert_eq!(end.is_none(), fits, "{end:?}");
        }
        false => {
            // Whatever a payload is, it does not get out of its event.
            let all = events.iter().all(|event| event.starts_with(b"{\""));
            assert!(all && events.len() <= stream.len() / OVERHEAD);
            for (event, payload) in events.iter().zip(&payloads) {
                carried(event, payload);
            }
            if end.is_none() && form == "mended" {
                assert_eq!(events.len(), payloads.len());
            }
        }
    }
}

/// All that comes out, and how it ends.
fn read(lines: bool, stream: &[u8], size: usize) -> (Vec<u8>, Option<FrameError>) {
    let mut headers = HeaderMap::new();
    let kind = match lines {
        true => "application/x-ndjson",
        false => "application/vnd.amazon.eventstream",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut framing = Framing::of(&headers, lines, LIMIT).unwrap();
    let mut all = Vec::new();
    for piece in stream.chunks(size) {
        match framing.push(piece) {
            Ok(out) => all.extend_from_slice(&out),
            Err(error) => return (all, Some(failed(framing, error))),
        }
        let pending = framing.pending();
        assert!(framing.has_failed() || pending <= LIMIT, "{pending} bytes");
    }
    match framing.finish() {
        Ok(out) => all.extend_from_slice(&out),
        Err(error) => return (all, Some(failed(framing, error))),
    }
    assert!(all.len() <= 6 * stream.len() + 64 * (stream.len() / OVERHEAD + 1) + 64);
    (all, None)
}

/// What could not be read stays so, whatever follows.
fn failed(mut framing: Framing, error: FrameError) -> FrameError {
    assert!(!error.to_string().is_empty());
    if error != FrameError::Cut {
        for _ in 0..2 {
            assert_eq!(framing.push(b"{}\n"), Err(error.clone()));
            assert_eq!(framing.finish(), Err(error.clone()));
        }
    }
    error
}

/// The data of the events.
fn split(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut splitter = EventSplitter::new(1 << 20);
    splitter.push(Bytes::copy_from_slice(stream));
    let mut all = Vec::new();
    let mut take = |event: RawEvent| {
        assert_eq!(event.others().count(), 0, "{event:?}");
        if !event.is_empty() {
            let data = event.data().into_owned();
            assert!(!data.contains(&b'\n'), "{event:?}");
            all.push(data);
        }
    };
    while let Ok(Some(event)) = splitter.next_event() {
        take(event);
    }
    assert!(
        splitter.finish().is_none(),
        "an event without its blank line"
    );
    all
}

/// A payload that is an object is in the event as it was.
fn carried(event: &[u8], payload: &[u8]) {
    let Ok(Value::Object(payload)) = serde_json::from_slice(payload) else {
        return;
    };
    // The event is one or two levels deeper, and JSON has a limit of depth.
    let Ok(Value::Object(event)) = serde_json::from_slice(event) else {
        let levels = |value: &Value| value.to_string().matches(['{', '[']).count();
        assert!(levels(&Value::Object(payload)) > 100, "{event:?}");
        return;
    };
    assert_eq!(event.len(), 1);
    let carried = event.values().all(|value| {
        let detail = value.get("detail");
        // An error has all of its words in its headers.
        value == &Value::Object(payload.clone())
            || detail.is_some_and(|detail| {
                detail == &Value::Object(payload.clone())
                    || detail.get("message").is_some_and(Value::is_string)
            })
    });
    assert!(carried, "{event:?} of {payload:?}");
}

/// The data that the lines are, up to the first one that is too long, and whether none is.
fn reference(stream: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut all = Vec::new();
    for line in stream.split(|byte| *byte == b'\n') {
        if line.len() > LIMIT {
            return (all, false);
        }
        let line = line.trim_ascii();
        if !line.is_empty() {
            all.push(line.iter().map(|byte| plain(*byte)).collect());
        }
    }
    (all, true)
}

fn plain(byte: u8) -> u8 {
    match byte {
        b'\r' => b' ',
        byte => byte,
    }
}

/// The stream as frames whose lengths and checksums are right, and their payloads. What is too short for a frame is left
/// out.
fn mended(stream: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut all, mut payloads) = (Vec::new(), Vec::new());
    let mut rest = stream;
    while rest.len() >= OVERHEAD {
        let told = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
        let total = told(0).clamp(OVERHEAD, rest.len());
        let headers = told(4).min(total - OVERHEAD);
        let mut frame = bytes_of(total).to_vec();
        frame.extend_from_slice(&bytes_of(headers));
        frame.extend_from_slice(&checksum(&frame).to_be_bytes());
        frame.extend_from_slice(&rest[12..total - 4]);
        frame.extend_from_slice(&checksum(&frame).to_be_bytes());
        payloads.push(rest[12 + headers..total - 4].trim_ascii().to_vec());
        all.extend_from_slice(&frame);
        rest = &rest[total..];
    }
    (all, payloads)
}

fn bytes_of(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap().to_be_bytes()
}

/// CRC-32 (ISO-HDLC), bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
    }
    !sum
}
