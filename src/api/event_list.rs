//! A stream as one JSON list, for callers that ask for it in that form.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, header};

use crate::wire::event_list::EventList;

/// What events are called.
pub(super) const EVENTS: &str = "text/event-stream";

/// Whether a content type is that of events.
pub(super) fn is_events(kind: &HeaderValue) -> bool {
    let kind = kind.as_bytes().get(..EVENTS.len());
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS.as_bytes()))
}

/// The same answer, its events the items of a list. An answer that is no stream stays as it is.
pub(super) fn listed(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(is_events) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let json = HeaderValue::from_static("application/json");
    head.headers.insert(header::CONTENT_TYPE, json);
    let events = body.into_data_stream();
    let pieces = stream::unfold(
        (events, Some(EventList::default())),
        |(mut events, list)| async {
            let mut list = list?;
            loop {
                let (piece, rest) = match events.next().await {
                    Some(Ok(chunk)) => (list.push(chunk), Some(list)),
                    // A body that breaks is not ended: nothing that is cut looks whole.
                    Some(Err(_)) => return None,
                    None => (list.finish(), None),
                };
                match rest {
                    Some(rest) if piece.is_empty() => list = rest,
                    rest => return Some((Ok::<Bytes, Infallible>(piece), (events, rest))),
                }
            }
        },
    );
    Response::from_parts(head, Body::from_stream(pieces))
}
