use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use http::HeaderValue as HttpValue;
use proptest::prelude::*;

use super::*;
use crate::wire::sse::{EventSplitter, RawEvent};

const LIMIT: usize = 64 * 1024;

/// One frame with these headers and this payload.
pub(in crate::wire) fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut message = Message::new(payload.to_owned().into_bytes());
    for (name, value) in headers {
        let value = HeaderValue::String((*value).to_owned().into());
        message = message.add_header(Header::new((*name).to_owned(), value));
    }
    let mut raw = Vec::new();
    write_message_to(&message, &mut raw).unwrap();
    raw
}

fn event(kind: &str, payload: &str) -> Vec<u8> {
    let headers = [
        (":message-type", "event"),
        (":event-type", kind),
        (":content-type", "application/json"),
    ];
    frame(&headers, payload)
}

fn framing(kind: &'static str) -> Framing {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HttpValue::from_static(kind));
    Framing::of(&headers, false, LIMIT).unwrap()
}

fn aws() -> Framing {
    framing("application/vnd.amazon.eventstream")
}

fn read(framing: &mut Framing, pieces: &[&[u8]]) -> Result<Vec<u8>, FrameError> {
    let mut all = Vec::new();
    for piece in pieces {
        all.extend_from_slice(&framing.push(piece)?);
    }
    all.extend_from_slice(&framing.finish()?);
    Ok(all)
}

fn text(framing: &mut Framing, pieces: &[&[u8]]) -> String {
    String::from_utf8(read(framing, pieces).unwrap()).unwrap()
}

#[test]
fn a_frame_is_an_event_by_its_type() {
    let raw = event(
        "contentBlockDelta",
        "{\"delta\":{\"text\":\"a\\nb\"},\n\"p\":\"x\"}",
    );
    assert_eq!(
        text(&mut aws(), &[&raw]),
        "data: {\"contentBlockDelta\":{\"delta\":{\"text\":\"a\\nb\"}, \"p\":\"x\"}}\n\n"
    );
}

#[test]
fn exceptions_and_errors_are_told_apart_from_events() {
    let exception = frame(
        &[
            (":message-type", "exception"),
            (":exception-type", "throttlingException"),
        ],
        r#"{"message":"slow"}"#,
    );
    let error = frame(
        &[
            (":message-type", "error"),
            (":error-code", "InternalFailure"),
            (":error-message", "oh \"no\""),
        ],
        "",
    );
    assert_eq!(
        text(&mut aws(), &[&exception, &error]),
        "data: {\"exception\":{\"type\":\"throttlingException\",\"detail\":{\"message\":\"slow\"}}}\n\n\
         data: {\"exception\":{\"type\":\"InternalFailure\",\"detail\":{\"message\":\"oh \\\"no\\\"\"}}}\n\n"
    );
}

#[test]
fn a_payload_that_is_no_object_keeps_its_words() {
    let raw = event("odd", "\u{fffd}x");
    assert_eq!(
        text(&mut aws(), &[&raw]),
        "data: {\"odd\":{\"message\":\"\u{fffd}x\"}}\n\n"
    );
}

#[test]
fn a_wrong_checksum_a_wrong_length_and_a_cut_are_errors() {
    let raw = event("messageStart", r#"{"role":"assistant"}"#);
    for at in 0..raw.len() {
        let mut damaged = raw.clone();
        damaged[at] ^= 0x10;
        assert!(read(&mut aws(), &[&damaged]).is_err(), "byte {at}");
    }
    for end in 1..raw.len() {
        assert_eq!(
            read(&mut aws(), &[&raw[..end]]),
            Err(FrameError::Cut),
            "{end} bytes"
        );
    }
    let large = event("x", &"a".repeat(LIMIT));
    assert_eq!(
        read(&mut aws(), &[&large]),
        Err(FrameError::TooLarge(LIMIT))
    );
    assert!(read(&mut aws(), &[b"<html>502</html>"]).is_err());
}

#[test]
fn what_came_before_damage_is_told_in_any_pieces_and_nothing_that_follows_is() {
    let good = event("messageStart", r#"{"role":"assistant"}"#);
    let told = "data: {\"messageStart\":{\"role\":\"assistant\"}}\n\n";
    let mut damaged = good.clone();
    damaged[20] ^= 1;
    let long = "x".repeat(LIMIT + 1);
    for (kind, first, bad, told) in [
        (
            "application/vnd.amazon.eventstream",
            &good[..],
            &damaged[..],
            told,
        ),
        ("", b"{\"a\":1}\n", long.as_bytes(), "data: {\"a\":1}\n\n"),
    ] {
        let raw = [first, bad, first].concat();
        for size in [raw.len(), first.len(), 7] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HttpValue::from_static(kind));
            let mut framing = Framing::of(&headers, true, LIMIT).unwrap();
            let mut all = Vec::new();
            let mut failed = false;
            for piece in raw.chunks(size) {
                match framing.push(piece) {
                    Ok(out) => {
                        assert!(!failed, "{kind}: something follows the damage");
                        all.extend_from_slice(&out);
                    }
                    Err(_) => failed = true,
                }
            }
            assert_eq!(
                String::from_utf8(all).unwrap(),
                told,
                "{kind}, {size} bytes"
            );
            assert!(framing.finish().is_err(), "{kind}");
        }
    }
}

/// Cuts `raw` into pieces of these lengths, and the rest.
fn cut<'a>(raw: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = raw;
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, tail) = rest.split_at((*cut).min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

fn lines() -> Framing {
    let mut headers = HeaderMap::new();
    let json = HttpValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    Framing::of(&headers, true, 20).unwrap()
}

#[test]
fn a_line_is_an_event_whether_or_not_the_last_one_has_an_end() {
    assert_eq!(
        text(&mut lines(), &[b"{\"a\":1}\r\n", b"\n {\"b\"", b":2}"]),
        "data: {\"a\":1}\n\n\ndata: {\"b\":2}\n\n"
    );
    assert_eq!(text(&mut lines(), &[b"", b"  "]), "");
    let mut framing = lines();
    assert!(framing.push(b"0123456789").is_ok());
    assert_eq!(framing.pending(), 10);
    for long in [&b"01234567890"[..], b"01234567890\n"] {
        let mut framing = lines();
        framing.push(b"0123456789").unwrap();
        assert_eq!(framing.push(long), Err(FrameError::TooLarge(20)));
    }
}

#[test]
fn what_is_framed_as_events_and_what_may_be_anything_is_left_alone() {
    let of = |kind: Option<&'static str>, lines| {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HttpValue::from_static(kind));
        }
        Framing::of(&headers, lines, LIMIT).is_some()
    };
    for kind in [None, Some("application/x-ndjson"), Some("text/plain")] {
        assert!(of(kind, true) && !of(kind, false), "{kind:?}");
    }
    assert!(!of(Some("text/event-stream; charset=utf-8"), true));
}

proptest! {
    #[test]
    fn any_split_of_lines_gives_the_same_events(raw in "[a-z\n\r ]{0,60}", cuts in prop::collection::vec(0usize..40, 0..40)) {
        let framing = || Framing::of(&HeaderMap::new(), true, LIMIT).unwrap();
        let whole = read(&mut framing(), &[raw.as_bytes()]).unwrap();
        prop_assert_eq!(&read(&mut framing(), &cut(raw.as_bytes(), &cuts)).unwrap(), &whole);
        let told = String::from_utf8(whole).unwrap();
        let told: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let said: Vec<String> = raw.split('\n').map(|line| line.trim().replace('\r', " ")).filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(told, said);
    }

    #[test]
    fn any_split_gives_the_same_events(payloads in prop::collection::vec("[a-z{}\"\n]{0,12}", 0..5),
        cuts in prop::collection::vec(0usize..40, 0..40)) {
        let raw: Vec<u8> = payloads.iter().flat_map(|payload| event("e", payload)).collect();
        let whole = read(&mut aws(), &[&raw]).unwrap();
        prop_assert_eq!(&read(&mut aws(), &cut(&raw, &cuts)).unwrap(), &whole);
        let mut splitter = EventSplitter::default();
        splitter.push(whole.into());
        let mut count = 0;
        while let Ok(Some(RawEvent { raw })) = splitter.next_event() {
            prop_assert!(raw.starts_with(b"data: ") && raw.ends_with(b"\n\n"));
            count += 1;
        }
        prop_assert_eq!(count, payloads.len());
    }

    #[test]
    fn nothing_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let _ = read(&mut aws(), &pieces);
    }
}
