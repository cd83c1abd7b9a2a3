//! Which headers and bodies of an upstream go on, and without what.

use super::*;

const KEY: &str = "sk-planted-0123456789abcdef";

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    all.iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_configured_header_that_is_no_credential_takes_no_header_away() {
    let redactor = Redactor::new(Some(KEY)).with_header("accept", b"application/json");
    let all = [
        ("content-type", "application/json; charset=utf-8"),
        ("x-likes", "application/json"),
    ];
    let mut told = headers(&all);
    head(&mut told, &redactor);
    assert_eq!(told, headers(&all));
    let body = refusal(&mut told, Bytes::from_static(b"{}"), &redactor);
    assert_eq!((told, &body[..]), (headers(&all), &b"{}"[..]));
}

#[test]
fn a_header_with_a_credential_goes_and_what_describes_the_body_stays() {
    let redactor = Redactor::new(Some(KEY)).with_header("x-auth", b"application/json");
    let mut told = headers(&[
        ("content-type", "application/json"),
        (
            "content-disposition",
            &format!("attachment; filename={KEY}"),
        ),
        ("x-echo", &format!("Bearer {KEY}")),
    ]);
    head(&mut told, &redactor);
    assert!(told.contains_key("content-type") && !told.contains_key("x-echo"));
    let shown = format!("{told:?}");
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn an_error_event_that_is_too_large_to_be_searched_does_not_go_on() {
    let redactor = Redactor::new(Some(KEY));
    let small = Bytes::from(format!("data: {{\"error\":\"{KEY}\"}}\n\n"));
    let fitted = event(small, &redactor).unwrap();
    assert_eq!(&fitted[..], b"data: {\"error\":\"****\"}\n\n");
    assert_eq!(
        event(Bytes::from(vec![b'x'; MAX_ERROR + 1]), &redactor),
        None
    );
}

#[test]
fn what_nearly_every_answer_says_is_not_searched() {
    for value in [
        &b"application/json"[..],
        b"text/event-stream; charset=utf-8",
        b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"1234567890",
        b"",
    ] {
        assert!(is_usual(value), "{}", String::from_utf8_lossy(value));
    }
    for value in [
        &b"application/x-ndjson"[..],
        b"sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT ",
        b"3132333435363738",
        b"12345678a",
    ] {
        assert!(!is_usual(value), "{}", String::from_utf8_lossy(value));
    }
}
