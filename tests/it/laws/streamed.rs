//! Laws of streams that are translated: whatever pieces they come in, a caller gets the same events, each of them JSON.
//!
//! The input is a line with the upstream's dialect and the size of the pieces, and the stream.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use pointsman::wire::event_list::EventList;
use pointsman::wire::exchange::AttemptStamp;
use pointsman::wire::sse::{EventSplitter, data_event};
use serde::de::IgnoredAny;

use super::line;
use super::speech::{CALLERS, exchange, operation, plain_request};

pub fn hold(data: &[u8]) {
    let (head, stream) = line(data);
    let head = String::from_utf8_lossy(head);
    let (upstream, size) = head.split_once(' ').unwrap_or((&head, "7"));
    let Some(upstream) = operation(upstream.as_bytes()).map(|one| one.spec().dialect) else {
        return;
    };
    let size = size.trim().parse().unwrap_or(7).clamp(1, 4096);
    for caller in CALLERS {
        let whole = told(caller, upstream, stream, stream.len().max(1));
        // What is the same is looked at once.
        for data in &whole {
            let is_json = serde_json::from_slice::<IgnoredAny>(data).is_ok();
            assert!(is_json || data == b"[DONE]", "{caller}: {data:?}");
        }
        if caller == "gemini" {
            listed(&whole);
        }
        if size < stream.len() {
            let pieces = told(caller, upstream, stream, size);
            assert_eq!(pieces, whole, "{caller}");
        }
    }
}

/// The same as one JSON list, for a caller of Google's that asks for no events.
fn listed(events: &[Vec<u8>]) {
    let mut list = EventList::default();
    let pieces = events.iter().map(|data| list.push(data_event(data)));
    let mut all = pieces.collect::<Vec<Bytes>>().concat();
    all.extend_from_slice(&list.finish());
    let read = serde_json::from_slice::<Vec<IgnoredAny>>(&all);
    assert_eq!(read.ok().map(|read| read.len()), Some(events.len()));
}

/// The data of all events that the caller gets.
fn told(caller: &str, upstream: &str, stream: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let Some(operation) = operation(caller.as_bytes()) else {
        return all;
    };
    let doc = plain_request(caller);
    let Some(mut translation) = exchange(operation, upstream).translation(
        &doc,
        &HeaderMap::new(),
        AttemptStamp {
            unique: 7,
            now: SystemTime::UNIX_EPOCH,
        },
    ) else {
        return all;
    };
    let mut splitter = EventSplitter::new(1 << 20);
    let mut take = |event: &pointsman::wire::sse::RawEvent| {
        if !event.is_empty() {
            all.push(event.data().trim_ascii().to_vec());
        }
    };
    for piece in stream.chunks(size) {
        splitter.push(Bytes::copy_from_slice(piece));
        while let Ok(Some(event)) = splitter.next_event() {
            translation.event(&event).for_each(|event| take(&event));
        }
    }
    translation.end().for_each(|event| take(&event));
    all
}
