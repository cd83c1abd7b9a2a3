//! Server-sent events as the items of one JSON list, as Google's API streams to callers that do not ask for events.

use bytes::{BufMut, Bytes, BytesMut};

use super::sse::{EventSplitter, RawEvent};

/// Writes the list, piece by piece.
#[derive(Debug, Default)]
pub struct EventList {
    splitter: EventSplitter,
    has_items: bool,
    begun: bool,
}

impl EventList {
    /// The next bytes of the list, for these of the events; empty for nothing yet.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        let mut out = BytesMut::new();
        self.splitter.push(chunk);
        // What was written here has no event that is too large.
        while let Ok(Some(event)) = self.splitter.next_event() {
            self.item(&event, &mut out);
        }
        out.freeze()
    }

    /// The end of the list.
    pub fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if let Some(event) = self.splitter.finish() {
            self.item(&event, &mut out);
        }
        self.begin(&mut out);
        out.put_u8(b']');
        out.freeze()
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.begun, true) {
            out.put_u8(b'[');
        }
    }

    fn item(&mut self, event: &RawEvent, out: &mut BytesMut) {
        self.begin(out);
        let data = event.data();
        // An error that ends a stream is an object by itself.
        let bare = event.raw.trim_ascii();
        let item = match data.trim_ascii() {
            b"" if bare.starts_with(b"{") => bare,
            data => data,
        };
        if item.is_empty() {
            // A comment that keeps the connection open is white space here.
            return out.put_u8(b'\n');
        }
        if std::mem::replace(&mut self.has_items, true) {
            out.put_slice(b",\r\n");
        }
        out.put_slice(item);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn list(pieces: &[&'static str]) -> Value {
        let mut list = EventList::default();
        let mut all = Vec::new();
        for piece in pieces {
            all.extend_from_slice(&list.push(Bytes::from_static(piece.as_bytes())));
        }
        all.extend_from_slice(&list.finish());
        serde_json::from_slice(&all).unwrap()
    }

    #[test]
    fn events_are_items_however_they_are_cut() {
        let told = list(&[
            ": ping\n\nda",
            "ta: {\"a\":1}\n\ndata: {\"a\":2}\r\n",
            "\r\n: x\n\n",
        ]);
        assert_eq!(told, json!([{"a": 1}, {"a": 2}]));
        assert_eq!(list(&[]), json!([]));
    }

    #[test]
    fn an_error_at_the_end_is_the_last_item() {
        let told = list(&["data: {\"a\":1}\n\n", "{\"error\":{\"code\":503}}"]);
        assert_eq!(told, json!([{"a": 1}, {"error": {"code": 503}}]));
    }
}
