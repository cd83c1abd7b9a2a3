//! Connections as a whole, over bytes in memory and on a clock that does not wait.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connections, ServeOptions, Tasks};
use super::drain::{Drain, DrainPhase};
use super::pump::BoxError;
use super::service::Serves;
use crate::domain::connection::ConnectionPolicy;
use crate::runtime::clock::Until;
use crate::runtime::task;

const SECOND: Duration = Duration::from_secs(1);
/// Of bytes between the two sides.
const PIPE: usize = 64 * 1024;
const LARGE: usize = 40 * PIPE;

type Out = BoxBody<Bytes, BoxError>;
type ServiceFuture = Pin<Box<dyn Future<Output = Result<Response<Out>, Infallible>> + Send>>;

/// Answers everything with what `answer` makes.
fn service(answer: impl Fn() -> Out + Clone + Send + 'static) -> impl Serves<Out = Out> {
    service_fn(move |_: Request<Incoming>| -> ServiceFuture {
        let body = answer();
        Box::pin(async move { Ok(Response::new(body)) })
    })
}

fn whole(length: usize) -> Out {
    let body = Full::new(Bytes::from(vec![b'x'; length]));
    body.map_err(|never| match never {}).boxed()
}

fn policy() -> ConnectionPolicy {
    ConnectionPolicy {
        head: 3 * SECOND,
        idle: 3 * SECOND,
        ..ConnectionPolicy::default()
    }
}

/// One more, until it is dropped.
struct LiveGuard(Arc<AtomicUsize>);

impl Drop for LiveGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Streams without an end, due in 5 seconds; and how many of them are held.
fn endless() -> (impl Serves<Out = Out>, Arc<AtomicUsize>) {
    let held = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&held);
    let service = service_fn(move |_: Request<Incoming>| -> ServiceFuture {
        count.fetch_add(1, Relaxed);
        let counted = LiveGuard(Arc::clone(&count));
        let frames = stream::repeat_with(move || {
            let _ = &counted;
            Ok::<_, BoxError>(Frame::data(Bytes::from(vec![b'x'; 1024])))
        });
        let mut response = Response::new(StreamBody::new(frames).boxed());
        let until = Until(Instant::now() + 5 * SECOND);
        response.extensions_mut().insert(until);
        Box::pin(async move { Ok(response) })
    });
    (service, held)
}

/// The client's side of a connection.
fn connect(service: impl Serves, policy: ConnectionPolicy) -> (DuplexStream, Drain) {
    let (theirs, ours) = duplex(PIPE);
    let (drain, shutdown) = Drain::new();
    let how = ServeOptions {
        connections: Connections::new(policy),
        tls: None,
        sniff: true,
    };
    how.take(ours, service, shutdown);
    (theirs, drain)
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Reads to the end as a slow client does, one pipe in a second.
async fn slowly(client: &mut DuplexStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        sleep(SECOND).await;
        let mut piece = vec![0; PIPE];
        match client.read(&mut piece).await {
            Ok(read @ 1..) => all.extend_from_slice(&piece[..read]),
            Ok(0) | Err(_) => return all,
        }
    }
}

fn body(answer: &[u8]) -> &[u8] {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    &answer[end.unwrap() + 4..]
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_read_to_its_end_however_short_the_idle_time() {
    let (mut client, _drain) = connect(service(|| whole(LARGE)), policy());
    client.write_all(GET).await.unwrap();
    let answer = slowly(&mut client).await;
    assert_eq!(body(&answer).len(), LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_read_to_its_end_in_a_shutdown() {
    let (mut client, drain) = connect(service(|| whole(LARGE)), ConnectionPolicy::default());
    client.write_all(GET).await.unwrap();
    let mut first = [0];
    client.read_exact(&mut first).await.unwrap();
    drain.advance(DrainPhase::Draining);
    drain.advance(DrainPhase::Closed);
    let mut answer = first.to_vec();
    answer.extend(slowly(&mut client).await);
    assert_eq!(body(&answer).len(), LARGE);
    timeout(5 * SECOND, drain.emptied()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn half_a_head_behind_a_large_answer_puts_nothing_into_it() {
    let (mut client, _drain) = connect(service(|| whole(LARGE)), policy());
    client.write_all(GET).await.unwrap();
    let mut first = [0];
    client.read_exact(&mut first).await.unwrap();
    client.write_all(&GET[..9]).await.unwrap();
    let mut answer = first.to_vec();
    answer.extend(slowly(&mut client).await);
    let body = body(&answer);
    let length = body.iter().take_while(|&&byte| byte == b'x').count();
    assert_eq!(length, LARGE);
    assert!(body[length..].starts_with(b"HTTP/1.1 408"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_in_nothing_of_its_answer_is_given_up() {
    let (mut client, drain) = connect(service(|| whole(LARGE)), policy());
    client.write_all(GET).await.unwrap();
    sleep(policy().write + 5 * SECOND).await;
    timeout(SECOND, drain.emptied()).await.unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert!(all.len() <= PIPE);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_hold_a_stream_beyond_its_deadline() {
    let (service, held) = endless();
    let (mut client, _drain) = connect(service, ConnectionPolicy::default());
    client.write_all(GET).await.unwrap();
    let reading = async {
        loop {
            sleep(4 * SECOND).await;
            let mut piece = [0; 16];
            if !matches!(client.read(&mut piece).await, Ok(1..)) {
                return;
            }
        }
    };
    drop(timeout(10 * SECOND, reading).await);
    assert_eq!(held.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_hold_a_stream_beyond_its_deadline_on_http2() {
    let (service, held) = endless();
    let (client, _drain) = connect(service, ConnectionPolicy::default());
    let mut sender = h2(client, 16 * 1024).await;
    let _answer = sender.send_request(get()).await.unwrap();
    assert_eq!(held.load(Relaxed), 1);
    sleep(10 * SECOND).await;
    assert_eq!(held.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_never_read_do_not_keep_a_connection() {
    let (client, drain) = connect(service(|| whole(100)), ConnectionPolicy::default());
    let mut sender = h2(client, 0).await;
    let _answer = sender.send_request(get()).await.unwrap();
    sleep(59 * SECOND).await;
    assert!(!sender.is_closed());
    sleep(3 * SECOND).await;
    assert!(sender.is_closed());
    timeout(SECOND, drain.emptied()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_nothing_to_say_for_long_keeps_its_connection() {
    let answer = || {
        let frame = async {
            sleep(300 * SECOND).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"late")))
        };
        StreamBody::new(Box::pin(stream::once(frame))).boxed()
    };
    let (client, _drain) = connect(service(answer), ConnectionPolicy::default());
    let mut sender = h2(client, 16 * 1024).await;
    let answer = sender.send_request(get()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "late");
}

/// An HTTP/2 client whose streams may be sent `window` bytes before it has read them.
async fn h2(client: DuplexStream, window: u32) -> http2::SendRequest<Full<Bytes>> {
    let (sender, connection) = http2::Builder::new(Tasks)
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(client))
        .await
        .unwrap();
    task::detach(async move { drop(connection.await) });
    sender
}

fn get() -> Request<Full<Bytes>> {
    Request::get("http://x/").body(Full::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_on_http2_is_read_to_its_end_however_short_the_idle_time() {
    let window = 32 * 1024;
    let (client, drain) = connect(service(|| whole(LARGE)), policy());
    let mut sender = h2(client, window).await;
    let answer = sender.send_request(get()).await.unwrap();
    assert_eq!(answer.headers()["content-length"], LARGE.to_string());
    let mut body = answer.into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().into_data().map_or(0, |data| data.len());
        sleep(SECOND).await;
        if length > LARGE / 4 {
            drain.advance(DrainPhase::Draining);
            drain.advance(DrainPhase::Closed);
        }
    }
    assert_eq!(length, LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_meets_the_idle_close_on_its_way_is_served() {
    let slow = service_fn(|_: Request<Incoming>| -> ServiceFuture {
        Box::pin(async {
            sleep(20 * SECOND).await;
            Ok(Response::new(whole(4)))
        })
    });
    let (mut server, _drain) = connect(slow, policy());
    let (client, mut far) = duplex(PIPE);
    // What the client sends takes a second.
    task::detach(async move {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        loop {
            let (read, sent) = tokio::select! {
                read = far.read_buf(&mut up) => (read, true),
                read = server.read_buf(&mut down) => (read, false),
            };
            match (read, sent) {
                (Ok(1..), true) => {
                    sleep(SECOND).await;
                    drop(server.write_all(&std::mem::take(&mut up)).await);
                }
                (Ok(1..), false) => drop(far.write_all(&std::mem::take(&mut down)).await),
                _ => return,
            }
        }
    });
    let mut sender = h2(client, 16 * 1024).await;
    // The preface came after a second, and three are to be silent.
    sleep(3 * SECOND + SECOND / 2).await;
    let answer = sender.send_request(get()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "xxxx");
}
