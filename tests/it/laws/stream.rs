//! Laws of event streams: however the bytes are cut, nothing is lost and the same is said; what is spliced goes on
//! where the other stopped; a cut stream never looks whole.
//!
//! The input is a line whose bytes are the sizes of the chunks and where the first answer breaks off, and the stream.

use std::borrow::Cow;

use bytes::Bytes;
use pointsman::domain::dialect::Operation;
use pointsman::domain::usage::Usage;
use pointsman::wire::dialects::{CALLER, upstream};
use pointsman::wire::item_splice::ItemSplice;
use pointsman::wire::openai::error_event::error_event_from_body;
use pointsman::wire::openai::stream::inspect;
use pointsman::wire::overlap::Overlap;
use pointsman::wire::progress::Progress;
use pointsman::wire::request::RequestDoc;
use pointsman::wire::splice::{Splice, Spliced};
use pointsman::wire::sse::{EventSplitter, RawEvent};
use pointsman::wire::transcript::Transcript;
use serde_json::Value;

use super::line;

const BOM: &[u8] = b"\xef\xbb\xbf";

pub fn hold(data: &[u8]) {
    let (cuts, stream) = line(data);
    let whole = split([stream]);
    let parts = split(chunks(cuts, stream));
    assert_eq!(joined(&whole), stream);
    assert_eq!(joined(&parts), stream);
    assert_eq!(said(&whole), said(&parts), "the events depend on the cuts");
    // A byte order mark in front of a later event is passed over; the specification takes it for part of a name.
    let later = memmem(stream.get(1..).unwrap_or_default(), BOM);
    if !later {
        assert_eq!(
            said(&whole),
            reference(stream),
            "not what the standard says"
        );
    }
    for event in &whole {
        for operation in Operation::ALL {
            let seen = inspect(operation, event);
            assert!(
                !seen.malformed || (!seen.content && !seen.done && seen.error.is_none()),
                "{seen:?}"
            );
            assert!(
                seen.error.is_none() || (!seen.content && !seen.done && seen.finished == 0),
                "{seen:?}"
            );
            assert!(!seen.content || seen.life, "{seen:?}");
        }
    }
    for operation in Operation::ALL {
        let raw = error_event_from_body(
            operation,
            stream,
            "server_error",
            "req_1",
            &Progress::default(),
        );
        assert!(!memmem(&raw, b"[DONE]") || memmem(stream, b"[DONE]"));
        let events = split([raw.as_ref()]);
        assert_eq!(events.len(), 1, "{raw:?}");
        assert!(inspect(operation, &events[0]).error.is_some(), "{raw:?}");
    }
    let at = usize::from(*cuts.last().unwrap_or(&0)) % (whole.len() + 1);
    let (first, second) = whole.split_at(at);
    splice(first, second);
    resume(first, second);
}

/// The same for callers of every dialect, of which what is sent is read by a reader of its own.
fn resume(first: &[RawEvent], second: &[RawEvent]) {
    let doc = RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
    for caller in CALLER {
        let mut sent = Transcript::of(Operation::Chat, caller.sent_events());
        first.iter().for_each(|event| sent.note(event));
        let Some(mut encoder) = sent
            .resumed(&doc, caller.id())
            .filter(|_| !sent.is_spoiled())
        else {
            continue;
        };
        let mut decoder = upstream(caller.id()).unwrap().own_event_decoder();
        let mut splice = ItemSplice::new(Overlap::restarted(sent.text()), Usage::default());
        let mut going_on = second.iter().map(|event| decoder.event(event));
        while let Some(new) = going_on.next().and_then(|items| splice.items(items)) {
            let raw = encoder.event(new);
            assert!(
                raw.is_empty() || raw.ends_with(b"\n\n"),
                "half an event: {raw:?}"
            );
        }
    }
}

fn splice(first: &[RawEvent], second: &[RawEvent]) {
    let mut sent = Transcript::default();
    first.iter().for_each(|event| sent.note(event));
    if sent.is_spoiled() {
        // Not all of its text is kept.
        return;
    }
    let most = u64::try_from(first.len() + sent.text().len()).unwrap();
    assert!(sent.tokens() <= most);
    let all = second.iter().map(text).collect::<String>();
    let (new, whole) = heard(Splice::restarted(&sent, Usage::default()), second);
    if whole {
        let expected = all.strip_prefix(sent.text());
        assert!(
            expected.map_or(new.is_empty(), |expected| expected == new),
            "{:?} + {new:?} is not {all:?}",
            sent.text()
        );
    }
    for echoed in [false, true] {
        let (new, whole) = heard(Splice::continued(&sent, Usage::default(), echoed), second);
        let repeated = format!("{}{new}", sent.text());
        let ended = second.iter().any(|event| *event.data() == *b"[DONE]");
        assert!(
            !whole || !ended || new == all || repeated == all,
            "{:?} + {new:?} of {all:?}",
            sent.text()
        );
    }
}

/// The text that goes out, and whether all events were taken.
fn heard(mut splice: Splice, events: &[RawEvent]) -> (String, bool) {
    let mut new = String::new();
    for event in events {
        match splice.event(event) {
            Spliced::Nothing => {}
            Spliced::Diverged => return (new, false),
            Spliced::Event(raw) => {
                for event in split([raw.as_ref()]) {
                    let data = event.data();
                    let json = serde_json::from_slice::<serde_json::Map<String, Value>>(&data);
                    assert!(
                        data.is_empty() || data.trim_ascii() == b"[DONE]" || json.is_ok(),
                        "{event:?}"
                    );
                    new.push_str(&text(&event));
                }
            }
        }
    }
    (new, true)
}

/// What the first choice says in an event, until the end mark.
fn text(event: &RawEvent) -> String {
    // Bytes that are no text are marked in what is said, not left out.
    let data = event.data();
    let Ok(Value::Object(chunk)) = serde_json::from_str(&String::from_utf8_lossy(&data)) else {
        return String::new();
    };
    let choices = chunk.get("choices").and_then(Value::as_array);
    let first = choices.into_iter().flatten().find(|choice| {
        let index = choice.get("index");
        index.is_none_or(|index| index.as_u64().unwrap_or(0) == 0)
    });
    let content = first.and_then(|first| first.pointer("/delta/content"));
    content
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn chunks<'a>(cuts: &'a [u8], mut stream: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let size = sizes.next().map_or(1, |size| usize::from(*size % 16) + 1);
        let (chunk, rest) = stream.split_at(size.min(stream.len()));
        stream = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<RawEvent> {
    let mut splitter = EventSplitter::default();
    let mut events = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = splitter.next_event().unwrap() {
            assert!(!event.raw.is_empty());
            events.push(event);
        }
    }
    events.extend(splitter.finish());
    events
}

fn joined(events: &[RawEvent]) -> Vec<u8> {
    let raw: Vec<&[u8]> = events.iter().map(|event| event.raw.as_ref()).collect();
    raw.concat()
}

type Said = (Vec<u8>, Option<Vec<u8>>);

fn said(events: &[RawEvent]) -> Vec<Said> {
    let full = events.iter().filter(|event| !event.is_empty());
    full.map(|event| (event.data().into_owned(), event.name().map(<[u8]>::to_vec)))
        .collect()
}

/// The interpretation of the WHATWG specification, word for word and slow; a last event without a blank line counts.
fn reference(stream: &[u8]) -> Vec<Said> {
    let stream = stream.strip_prefix(BOM).unwrap_or(stream);
    let mut events = Vec::new();
    let (mut data, mut name): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
    for line in lines(stream).iter().map(Vec::as_slice).chain([&b""[..]]) {
        if line.is_empty() {
            let name = name.take();
            events.extend(data.take().map(|data| (data, name)));
            continue;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (
                &line[..at],
                line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..]),
            ),
            None => (line, &b""[..]),
        };
        match field {
            b"data" => {
                data = Some(match data.take() {
                    Some(before) => [before.as_slice(), b"\n", value].concat(),
                    None => value.to_vec(),
                });
            }
            b"event" => name = Some(value.to_vec()),
            _ => {}
        }
    }
    events
}

fn lines(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut rest = Cow::Borrowed(stream);
    if memmem(stream, b"\r\n") {
        let mut plain = Vec::new();
        let mut bytes = stream.iter().peekable();
        while let Some(byte) = bytes.next() {
            if *byte != b'\r' || bytes.peek() != Some(&&b'\n') {
                plain.push(*byte);
            }
        }
        rest = Cow::Owned(plain);
    }
    for byte in rest.iter() {
        match byte {
            b'\n' | b'\r' => lines.push(Vec::new()),
            byte => lines.last_mut().unwrap().push(*byte),
        }
    }
    lines
}

fn memmem(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
