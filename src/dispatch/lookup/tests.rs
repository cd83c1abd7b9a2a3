//! Requests before which an answer is there, kept or shared, by caches that are made for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use tokio::sync::watch;

use super::*;
use crate::access::{Client, Clients};
use crate::actors::tree::Tree;
use crate::dispatch::bench;
use crate::dispatch::{Dispatch, Endpoint, Failed, Request, ResponseCache};
use crate::domain::chain::Chain;
use crate::domain::client::{Allow, ClientLimits, ClientPolicy, Priority};
use crate::domain::dialect::Operation;
use crate::domain::dropped::Dropped;
use crate::domain::ids::{KeyId, Upstream};
use crate::domain::profile::Fetch;
use crate::upstream::{SendError, Transport, UpstreamRequest, UpstreamResponse};
use crate::wire::request::RequestDoc;
use crate::wire::token::TokenDigest;

const S: Duration = Duration::from_secs(1);
const ANSWER: &str = r#"{"object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
const QUESTION: &str = r#"{"model":"a","messages":[{"role":"user","content":"Which of the moons of Jupiter have an atmosphere?"}],"max_tokens":400}"#;

/// Answers after a second with this status, and counts.
struct Upstreams(u16, Arc<AtomicUsize>);

impl Transport for Upstreams {
    fn send(&self, _: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, kind);
        let body = futures_util::stream::iter([Ok(Bytes::from_static(ANSWER.as_bytes()))]);
        let reply = UpstreamResponse {
            status: self.0,
            headers,
            body: body.boxed(),
        };
        Box::pin(async move {
            tokio::time::sleep(S).await;
            Ok(reply)
        })
    }
}

/// Answers with events.
struct Streams(Arc<AtomicUsize>);

impl Transport for Streams {
    fn send(&self, _: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("text/event-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        let events = [
            r#"{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"x"}}]}"#,
            r#"{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            "[DONE]",
        ];
        let events = events.map(|event| Ok(Bytes::from(format!("data: {event}\n\n"))));
        let reply = UpstreamResponse {
            status: 200,
            headers,
            body: futures_util::stream::iter(events).boxed(),
        };
        Box::pin(std::future::ready(Ok(reply)))
    }
}

/// Has one answer for all.
struct Keeps(StoredResponse);

impl ResponseCache for Keeps {
    fn get<'a>(&'a self, _: &'a Request, _: &'a Chain) -> BoxFuture<'a, CacheAnswer> {
        Box::pin(async { CacheAnswer::Kept(self.0.clone()) })
    }
}

/// Takes all requests for equal: the first asks, the others wait for what it hears.
#[derive(Default)]
struct Shares(OnceLock<watch::Receiver<Option<StoredResponse>>>);

struct SharedPlace(watch::Sender<Option<StoredResponse>>);

impl PendingAnswer for SharedPlace {
    fn put(self: Box<Self>, answer: StoredResponse) {
        self.0.send_replace(Some(answer));
    }
}

impl ResponseCache for Shares {
    fn get<'a>(&'a self, _: &'a Request, _: &'a Chain) -> BoxFuture<'a, CacheAnswer> {
        Box::pin(async {
            let (place, coming) = watch::channel(None);
            if self.0.set(coming).is_ok() {
                return CacheAnswer::Missing(Box::new(SharedPlace(place)));
            }
            let mut coming = self.0.get().unwrap().clone();
            match coming.wait_for(Option::is_some).await {
                Ok(answer) => CacheAnswer::Joined(answer.clone().unwrap()),
                Err(_) => CacheAnswer::Excluded,
            }
        })
    }
}

/// Never comes back.
struct Hangs;

impl ResponseCache for Hangs {
    fn get<'a>(&'a self, _: &'a Request, _: &'a Chain) -> BoxFuture<'a, CacheAnswer> {
        Box::pin(std::future::pending())
    }
}

fn kept() -> StoredResponse {
    StoredResponse {
        status: 200,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{\"kept\":true}"),
        upstream: Upstream::new("a", "m"),
        key: KeyId {
            provider: "a".into(),
            index: 1,
        },
        dropped: Dropped::default(),
    }
}

struct CachedDispatch {
    tree: Tree,
    dispatch: Arc<Dispatch>,
    client: Arc<Client>,
    calls: Arc<AtomicUsize>,
}

impl CachedDispatch {
    async fn new(status: u16, cache: impl ResponseCache + 'static) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let endpoint = bench::endpoint(Upstreams(status, Arc::clone(&calls)));
        let (tree, dispatch) = bench::dispatch("m", endpoint).await;
        let dispatch = Arc::new(Dispatch {
            cache: Some(Arc::new(cache)),
            ..dispatch
        });
        let policy = ClientPolicy {
            name: Arc::from("ci"),
            allow: Allow::everything(),
            limits: ClientLimits {
                rpm: 2.try_into().ok(),
                tpm: 1000.try_into().ok(),
                max_in_flight: None,
            },
            priority: Priority::Normal,
        };
        let token = [TokenDigest::of(b"token")];
        let clients = Clients::new([(policy, &token[..])], None);
        Self {
            tree,
            dispatch,
            client: Arc::clone(clients.whose(b"token").unwrap()),
            calls,
        }
    }

    async fn ask(&self, body: &'static str, by: Duration) -> Result<ProxyResponse, Box<Failed>> {
        let now = self.dispatch.clock.now();
        let request = Request {
            id: Arc::from("r"),
            operation: Operation::Chat,
            arrived: now,
            doc: RequestDoc::parse(Bytes::from_static(body.as_bytes())).unwrap(),
            headers: HeaderMap::new(),
            deadline: now + by,
            begins_within: None,
            silence: None,
            await_cooldown: None,
            client: Some(Arc::clone(&self.client)),
            unsupported: None,
            affinity: None,
            fetched: false,
            left_out: Default::default(),
            hints: None,
            payload: None,
            trace: None,
        };
        self.dispatch.run(request).await
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// What was told of the requests, in the order in which they ended: what was found, and how many attempts there were.
    fn told(&self) -> Vec<(CacheLookup, &'static str, usize)> {
        let recent = self.dispatch.recorder.recent();
        let all: Vec<_> = recent.before(u64::MAX).collect();
        let told = all.iter().rev().map(|told| {
            let told = &told.record;
            (told.lookup, told.outcome, told.attempts.len())
        });
        told.collect()
    }

    /// Why its client may not ask for a thousand tokens now.
    fn used_up(&self) -> Option<&'static str> {
        let look = self.client.look(1000, self.dispatch.clock.now());
        look.err().map(|met| met.what)
    }
}

fn text(answer: &ProxyResponse) -> &[u8] {
    let AnswerBody::Full(body) = &answer.body else {
        panic!("a stream");
    };
    body
}

#[tokio::test(start_paused = true)]
async fn a_kept_answer_serves_without_an_upstream_a_key_or_tokens_of_its_client() {
    let bench = CachedDispatch::new(200, Keeps(kept())).await;
    let answer = bench.ask(QUESTION, 10 * S).await.unwrap();
    assert_eq!((answer.status, answer.attempts), (200, 0));
    assert_eq!(text(&answer), kept().body);
    assert_eq!(answer.upstream, kept().upstream);
    assert_eq!(
        bench.used_up(),
        None,
        "the tokens that were set aside are back"
    );
    bench.ask(QUESTION, 10 * S).await.unwrap();
    assert_eq!(
        bench.used_up(),
        Some("requests"),
        "it is a request all the same"
    );
    assert_eq!(bench.calls(), 0);
    let cells = bench.tree.client().cells();
    let keys = cells.providers.values().flat_map(|cells| &cells.keys);
    assert_eq!(keys.map(|key| key.attempts()).sum::<u64>(), 0);
    assert_eq!(bench.told(), [(CacheLookup::Kept, "answered", 0); 2]);
}

#[tokio::test(start_paused = true)]
async fn equal_requests_share_one_answer() {
    let bench = CachedDispatch::new(200, Shares::default()).await;
    let asked = || bench.ask(QUESTION, 10 * S);
    let (first, second) = tokio::join!(asked(), asked());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.attempts, second.attempts), (1, 0));
    assert_eq!(text(&first), text(&second));
    assert_eq!(first.headers, second.headers);
    assert_eq!(bench.calls(), 1);
    let told = [
        (CacheLookup::Missed, "answered", 1),
        (CacheLookup::Joined, "answered", 0),
    ];
    assert_eq!(bench.told(), told);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_request_that_fails_ask_themselves() {
    let bench = CachedDispatch::new(400, Shares::default()).await;
    let asked = || bench.ask(QUESTION, 10 * S);
    let (first, second) = tokio::join!(asked(), asked());
    assert_eq!((first.unwrap().status, second.unwrap().status), (400, 400));
    assert_eq!(bench.calls(), 2);
    let told = bench.told();
    assert_eq!(
        (told[0].0, told[1].0),
        (CacheLookup::Missed, CacheLookup::Off)
    );
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_request_whose_caller_leaves_ask_themselves() {
    let bench = CachedDispatch::new(200, Shares::default()).await;
    let leaves = async { tokio::time::timeout(S / 2, bench.ask(QUESTION, 10 * S)).await };
    let (first, second) = tokio::join!(leaves, bench.ask(QUESTION, 10 * S));
    assert!(first.is_err());
    assert_eq!(second.unwrap().status, 200);
    assert_eq!(bench.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_look_ends_by_the_deadline() {
    let bench = CachedDispatch::new(200, Hangs).await;
    let failed = bench.ask(QUESTION, 3 * S).await.unwrap_err();
    assert_eq!(failed.code.as_str(), "deadline_exceeded");
    assert_eq!(bench.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_fetched_as_streams_are_looked_up_and_kept_too() {
    let fetched = |cache| async {
        let bench = CachedDispatch::new(200, cache).await;
        let dispatch = Arc::into_inner(bench.dispatch).unwrap();
        let endpoints = dispatch.endpoints.into_iter().map(|(name, endpoint)| {
            let endpoint = Endpoint {
                fetch: Some(Fetch::Stream),
                transport: Arc::new(Streams(Arc::clone(&bench.calls))),
                ..Arc::into_inner(endpoint).unwrap()
            };
            (name, Arc::new(endpoint))
        });
        let dispatch = Dispatch {
            endpoints: endpoints.collect(),
            ..dispatch
        };
        CachedDispatch {
            dispatch: Arc::new(dispatch),
            ..bench
        }
    };
    let bench = fetched(Shares::default()).await;
    let asked = || bench.ask(QUESTION, 10 * S);
    let (first, second) = tokio::join!(asked(), asked());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.attempts, second.attempts), (1, 0));
    assert_eq!(text(&first), text(&second));
    let whole = String::from_utf8_lossy(text(&first));
    assert!(whole.contains(r#""chat.completion""#), "{whole}");
    assert_eq!(bench.calls(), 1);
    let told = bench.told();
    assert_eq!(
        (told[0].0, told[1].0),
        (CacheLookup::Missed, CacheLookup::Joined)
    );
}

#[tokio::test(start_paused = true)]
async fn streams_are_not_looked_up() {
    let bench = CachedDispatch::new(200, Keeps(kept())).await;
    let body = r#"{"model":"a","messages":[],"stream":true}"#;
    // Whatever the outcome of the attempt.
    drop(bench.ask(body, 10 * S).await);
    assert!(bench.calls() > 0);
    assert_eq!(bench.told()[0].0, CacheLookup::Off);
}
