//! The stream of events: server-sent events with ids, so that a client that was cut off can resume.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::answer::AdminRefusal;
use super::state::AdminState;
use crate::runtime::abort::Abort;
use crate::telemetry::feed::{self, EventFeed, FeedItem, FeedReader, feed};
use crate::wire::stamp::rfc3339;

/// So often a silent stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

struct EventSubscription {
    reader: FeedReader<'static>,
    /// The item that is sent first.
    first: Vec<Event>,
    halt: Abort,
    /// Held for its effect: the stream counts until this is dropped.
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(State(admin): State<Arc<AdminState>>, headers: HeaderMap) -> Response {
    let Ok(place) = Arc::clone(&admin.streams).try_acquire_owned() else {
        let message = "as many streams of events are open as may be: close one, or retry later";
        return AdminRefusal::too_many("too_many_streams", message).into_response();
    };
    let feed = feed();
    let last = headers.get("last-event-id");
    let last = last.map(|value| value.to_str().unwrap_or_default());
    let (reader, told) = feed.after(last);
    // Without data it is no event, but the client remembers the id: it can go on from here.
    let hello = Event::default().comment("listening");
    let hello = match last {
        None => hello.id(feed.id(reader.position())),
        Some(_) => hello,
    };
    let mut first: Vec<Event> = told.iter().map(|news| shown(feed, news)).collect();
    first.push(hello);
    let listening = EventSubscription {
        reader,
        first,
        halt: admin.abort.clone(),
        _place: place,
    };
    let stream = stream::unfold(listening, |mut listening| async {
        if let Some(event) = listening.first.pop() {
            return Some((Ok::<_, Infallible>(event), listening));
        }
        let news = tokio::select! {
            biased;
            news = listening.reader.next() => news,
            () = listening.halt.wait() => return None,
        };
        Some((Ok(shown(feed, &news)), listening))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(stream).keep_alive(keep_alive).into_response()
}

fn shown(feed: &EventFeed, news: &FeedItem) -> Event {
    match news {
        FeedItem::Event(event) => {
            let id = feed.id(event.number);
            let data = data(event, &id);
            Event::default().id(id).event(event.name).data(data)
        }
        FeedItem::Missed(missed) => {
            // The number is unknown for events of another process.
            let missed = Some(*missed).filter(|missed| *missed > 0);
            let data = json!({"type": "lagged", "missed": missed});
            Event::default().event("lagged").data(data.to_string())
        }
    }
}

fn data(event: &feed::FeedEvent, id: &str) -> String {
    let mut fields = event.fields.clone();
    for (name, text) in [
        ("id", id.to_owned()),
        ("type", event.name.to_owned()),
        ("at", rfc3339(event.at)),
    ] {
        fields.insert(name.to_owned(), Value::String(text));
    }
    Value::Object(fields).to_string()
}
