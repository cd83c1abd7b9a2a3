//! Server-sent events: bytes in any split come in, whole events go out, byte for byte as they came.
//!
//! The grammar is that of the WHATWG specification: lines end with LF, CRLF or CR, a blank line ends an
//! event, lines that begin with a colon are comments, data lines are joined by LF.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// One event may be so large, in bytes, unless something else is configured; more is no event stream.
pub const MAX_EVENT: usize = 8 * 1024 * 1024;

/// The stream cannot be split into events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an event is larger than {0} bytes (server.max_event)")]
pub struct SplitError(
    /// The most that is allowed, in bytes.
    pub usize,
);

/// One event as it was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawEvent {
    /// All its bytes, the blank line included.
    pub raw: Bytes,
}

/// The fields of an event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SseFields<'a> {
    /// The joined data lines; empty without any.
    pub data: Cow<'a, [u8]>,
    /// The event's name, if it has one.
    pub name: Option<&'a [u8]>,
    /// Whether there are lines of fields that the specification does not know ([`RawEvent::others`]).
    pub others: bool,
}

impl RawEvent {
    /// All fields in one pass.
    pub fn read(&self) -> SseFields<'_> {
        let mut all = SseFields::default();
        let mut has_data = false;
        for line in lines(&self.raw).filter(|line| !line.is_empty()) {
            match field(line) {
                (b"data", value) => {
                    if has_data {
                        let joined = all.data.to_mut();
                        joined.push(b'\n');
                        joined.extend_from_slice(value);
                    } else {
                        all.data = Cow::Borrowed(value);
                        has_data = true;
                    }
                }
                (b"event", value) => all.name = Some(value),
                (b"" | b"id" | b"retry", _) => {}
                _ => all.others = true,
            }
        }
        all
    }

    /// The whole lines that are neither comments nor of a field that the specification knows. A client passes over
    /// them; an upstream that breaks down writes its last words there.
    pub fn others(&self) -> impl Iterator<Item = &[u8]> {
        lines(&self.raw).filter(|line| {
            let known = matches!(field(line).0, b"" | b"data" | b"event" | b"id" | b"retry");
            !line.is_empty() && !known
        })
    }

    /// The joined data lines.
    pub fn data(&self) -> Cow<'_, [u8]> {
        let mut lines = self.fields(b"data");
        let Some(first) = lines.next() else {
            return Cow::Borrowed(&[]);
        };
        let mut joined = Cow::Borrowed(first);
        for line in lines {
            let joined = joined.to_mut();
            joined.push(b'\n');
            joined.extend_from_slice(line);
        }
        joined
    }

    /// The event's name, if it has one.
    #[cfg(feature = "internals")]
    pub fn name(&self) -> Option<&[u8]> {
        self.fields(b"event").last()
    }

    /// Whether it has no data: comments, keep-alives, blank lines.
    pub fn is_empty(&self) -> bool {
        self.fields(b"data").next().is_none()
    }

    /// Whether it is nothing but blank lines.
    pub fn is_blank(&self) -> bool {
        matches!(self.raw.first(), Some(b'\n' | b'\r'))
    }

    /// Whether it has no content for a client: blank lines and comments.
    pub fn is_quiet(&self) -> bool {
        let is_quiet = |line: &[u8]| line.is_empty() || line.starts_with(b":");
        match self.raw.first() {
            Some(b':') => lines(&self.raw).all(is_quiet),
            _ => self.is_blank(),
        }
    }

    /// Whether it has lines beside its data that could hold a credential: comments, ids, names that are no plain words,
    /// unknown fields.
    pub fn has_asides(&self) -> bool {
        lines(&self.raw).any(is_aside)
    }

    fn fields<'a>(&'a self, wanted: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        lines(&self.raw).filter_map(move |line| {
            let rest = line.strip_prefix(wanted)?;
            match rest.split_first() {
                None => Some(rest),
                Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
                Some(_) => None,
            }
        })
    }
}

/// Whether a line is none of data and long enough to hold a credential. Names of events are words
/// (`response.output_text.delta`), which credentials are not.
pub fn is_aside(line: &[u8]) -> bool {
    /// Shorter credentials are no secrets (`wire/redact.rs`).
    const LEAST: usize = 8;
    if line.len() < LEAST {
        return false;
    }
    match field(line) {
        (b"data", _) => false,
        (b"event", name) => !name
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_')),
        _ => true,
    }
}

/// A line's field and its value; a comment's field is empty.
pub fn field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', line) {
        Some(at) => {
            let (name, value) = line.split_at(at);
            let value = value.get(1..).unwrap_or_default();
            (name, value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, &[]),
    }
}

/// Lines without their ends; a byte order mark at the very beginning is no part of the first.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        rest = tail
            .strip_prefix(b"\r\n")
            .or_else(|| tail.get(1..))
            .unwrap_or_default();
        Some(line)
    })
}

/// Splits a stream into events.
#[derive(Debug)]
pub struct EventSplitter {
    /// The most that one event may have, in bytes.
    limit: usize,
    /// The beginning of an event whose end has not come yet.
    partial: BytesMut,
    /// What came last and has not been looked at.
    chunk: Bytes,
    scan: Scan,
}

/// The state of the search for a blank line, across chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scan {
    /// At the beginning of a line, without anything since the last blank line.
    #[default]
    Start,
    /// Inside a line.
    Line,
    /// At the beginning of a line inside an event.
    LineStart,
    /// After a CR that ended a line inside an event: an LF belongs to it.
    Cr,
    /// After a CR that ended the event: an LF still belongs to it.
    EndCr,
}

impl Default for EventSplitter {
    fn default() -> Self {
        Self::new(MAX_EVENT)
    }
}

impl EventSplitter {
    /// For events of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: BytesMut::new(),
            chunk: Bytes::new(),
            scan: Scan::Start,
        }
    }

    /// Takes the next bytes. Call [`next_event`](Self::next_event) until it says `None` before the next push.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.partial
                .extend_from_slice(&std::mem::take(&mut self.chunk));
            self.chunk = chunk;
        }
    }

    /// Bytes of an event whose end has not come yet.
    pub fn pending(&self) -> usize {
        self.partial.len()
    }

    /// The next whole event.
    ///
    /// # Errors
    /// An event that is too large, with or without an end.
    pub fn next_event(&mut self) -> Result<Option<RawEvent>, SplitError> {
        let Some(end) = self.find_end() else {
            if self.partial.len() + self.chunk.len() > self.limit {
                return Err(SplitError(self.limit));
            }
            if !self.chunk.is_empty() {
                self.partial
                    .extend_from_slice(&std::mem::take(&mut self.chunk));
            }
            return Ok(None);
        };
        let tail = self.chunk.split_to(end);
        let raw = if self.partial.is_empty() {
            tail
        } else {
            self.partial.extend_from_slice(&tail);
            self.partial.split().freeze()
        };
        let event = RawEvent { raw };
        if event.raw.len() > self.limit && !event.is_blank() {
            return Err(SplitError(self.limit));
        }
        Ok(Some(event))
    }

    /// What is left at the end of the stream: a last event without its blank line.
    pub fn finish(&mut self) -> Option<RawEvent> {
        let mut partial = self.partial.split();
        partial.extend_from_slice(&std::mem::take(&mut self.chunk));
        self.scan = Scan::Start;
        (!partial.is_empty()).then(|| RawEvent {
            raw: partial.freeze(),
        })
    }

    /// Where, in `chunk`, the first whole event ends.
    fn find_end(&mut self) -> Option<usize> {
        let bytes = &self.chunk;
        if self.scan == Scan::Start {
            // Blank lines between events are one thing to look at, however many they are.
            let others = |byte: &u8| !matches!(byte, b'\n' | b'\r');
            let blank = bytes.iter().position(others).unwrap_or(bytes.len());
            if blank > 0 {
                return Some(blank);
            }
        }
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match (self.scan, byte) {
                // A blank line; its CR waits for an LF only when that is there already or must be.
                (Scan::EndCr, b'\n') => {
                    self.scan = Scan::Start;
                    return Some(at + 1);
                }
                (Scan::EndCr, _) => {
                    self.scan = Scan::Start;
                    return Some(at);
                }
                (Scan::Cr, b'\n') => self.scan = Scan::LineStart,
                (Scan::Start | Scan::LineStart, b'\n') => {
                    self.scan = Scan::Start;
                    return Some(at + 1);
                }
                (Scan::Start | Scan::LineStart | Scan::Cr, b'\r') => {
                    // Sent alone, a CR that ends an event must not hold it back until the next one comes.
                    if bytes.len() == at + 1 {
                        self.scan = Scan::Start;
                        return Some(at + 1);
                    }
                    self.scan = Scan::EndCr;
                }
                (Scan::Line, b'\n') => self.scan = Scan::LineStart,
                (Scan::Line, b'\r') => self.scan = Scan::Cr,
                (Scan::Line | Scan::Start | Scan::LineStart | Scan::Cr, _) => {
                    self.scan = Scan::Line;
                    // The remaining line is not needed.
                    let rest = bytes.get(at..).unwrap_or_default();
                    at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                    continue;
                }
            }
            at += 1;
        }
        None
    }
}

/// A data event, framed.
pub fn data_event(json: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(json.len() + 8);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json);
    out.extend_from_slice(b"\n\n");
    out.freeze()
}

/// A named data event, framed.
pub fn named_event(name: &str, json: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(json.len() + name.len() + 16);
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(json);
    out.extend_from_slice(b"\n\n");
    out.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Bytes> {
        let mut splitter = EventSplitter::default();
        let mut events = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = splitter.next_event().unwrap() {
                events.push(event.raw);
            }
        }
        events.extend(splitter.finish().map(|event| event.raw));
        events
    }

    fn event(raw: &'static str) -> RawEvent {
        RawEvent {
            raw: Bytes::from_static(raw.as_bytes()),
        }
    }

    #[test]
    fn splits_at_blank_lines_of_every_kind() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "data: a\n\n: note\n\nevent: x\ndata: b\n\n".replace('\n', end);
            let events = split(&[text.as_bytes()]);
            assert_eq!(events.len(), 3, "{end:?}");
            assert_eq!(events.concat(), text.as_bytes());
        }
    }

    #[test]
    fn an_event_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
        let mut splitter = EventSplitter::default();
        splitter.push(chunk.clone());
        let first = splitter.next_event().unwrap().unwrap();
        assert_eq!(first.raw.as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn blank_lines_that_come_together_are_one_event_and_none_is_too_large() {
        let mut splitter = EventSplitter::new(8);
        splitter.push(Bytes::from_static(
            b"\n\n\r\n\n\n\n\r\n\n\n\ndata:1\n\n\n\r",
        ));
        let blank = splitter.next_event().unwrap().unwrap();
        assert!(blank.is_quiet() && blank.raw.len() == 12, "{blank:?}");
        let event = splitter.next_event().unwrap().unwrap();
        assert!(!event.is_quiet() && event.raw == "data:1\n\n", "{event:?}");
        assert_eq!(splitter.next_event().unwrap().unwrap().raw, "\n\r");
        assert_eq!(splitter.next_event(), Ok(None));
    }

    #[test]
    fn what_tells_a_client_nothing_is_quiet() {
        for quiet in ["\n", "\r\n\r\n", ": x\n\n", ": x\r\n:y\r\n\r\n"] {
            assert!(event(quiet).is_quiet(), "{quiet:?}");
        }
        for loud in [
            "data: x\n\n",
            "data\n\n",
            ": x\ndata: y\n\n",
            "event: ping\n\n",
            "id: 1\nretry: 5\n\n",
            "Internal Server Error\n\n",
        ] {
            assert!(!event(loud).is_quiet(), "{loud:?}");
        }
    }

    #[test]
    fn reads_data_names_and_comments() {
        assert_eq!(&*event("data: a\ndata:b\ndata\n\n").data(), b"a\nb\n");
        assert_eq!(&*event("\u{feff}data: a\r\n\r\n").data(), b"a");
        assert_eq!(
            event("event: ping\ndata: {}\n\n").name(),
            Some(&b"ping"[..])
        );
        assert!(event(": keep-alive\n\n").is_empty());
        assert!(event("datax: 1\n\n").is_empty());
        assert!(!event("data: [DONE]\n\n").is_empty());
    }

    #[test]
    fn a_last_event_without_a_blank_line_comes_out_at_the_end() {
        assert_eq!(
            split(&[b"data: a\n\ndata: b"]),
            [&b"data: a\n\n"[..], b"data: b"]
        );
    }

    #[test]
    fn an_event_without_end_is_an_error() {
        let mut splitter = EventSplitter::default();
        splitter.push(Bytes::from(vec![b'x'; MAX_EVENT + 1]));
        assert_eq!(splitter.next_event(), Err(SplitError(MAX_EVENT)));
    }

    proptest! {
        /// With LF or CRLF line ends the events do not depend on how the bytes were split.
        #[test]
        fn any_split_gives_the_same_events(
            events in prop::collection::vec("[a-z:]{0,6}(\ndata: [a-z]{0,5}){0,3}", 0..6),
            crlf in any::<bool>(),
            cuts in prop::collection::vec(1usize..9, 0..60),
        ) {
            let mut text = events.iter().map(|event| format!("{event}\n\n")).collect::<String>();
            if crlf { text = text.replace('\n', "\r\n"); }
            let whole = split(&[text.as_bytes()]);
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, tail) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = tail;
            }
            chunks.push(rest);
            let parts = split(&chunks);
            prop_assert_eq!(parts.concat(), text.as_bytes());
            let data = |events: &[Bytes]| -> Vec<Vec<u8>> {
                events.iter().map(|raw| RawEvent { raw: raw.clone() }).filter(|event| !event.is_empty())
                    .map(|event| event.data().into_owned()).collect()
            };
            prop_assert_eq!(data(&parts), data(&whole));
        }

        #[test]
        fn nothing_is_lost_of_any_bytes(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
            let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(split(&slices).concat(), chunks.concat());
        }
    }
}
