//! Tests of what becomes of connections between calls and behind them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::dns::{DnsCache, DnsPolicy, Lookup};
use super::super::http_client::HttpUpstream;
use super::super::{SendError, Transport, UpstreamRequest, UpstreamResponse};
use super::*;
use crate::domain::ids::ModelName;

const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const SECOND: Duration = Duration::from_secs(1);

/// Fails rather than hangs.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(20 * SECOND, what).await.unwrap()
}

/// A client of what listens here, which looks names up with `lookup`.
fn asking(host: &str, listener: &TcpListener, lookup: Lookup) -> HttpUpstream {
    let terms = DnsPolicy {
        ttl: Duration::ZERO,
        negative_ttl: Duration::ZERO,
        max_stale: 60 * SECOND,
    };
    let dns = DnsCache::asking(lookup, terms);
    let port = listener.local_addr().unwrap().port();
    let way = ClientOptions {
        connect: 5 * SECOND,
        dns: &dns,
        allow_link_local: false,
        proxy: ProxySetting::Off,
        authorities: &[],
    };
    HttpUpstream::new(&format!("http://{host}:{port}"), &["/c"], None, &way).unwrap()
}

async fn start() -> (TcpListener, HttpUpstream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody: Lookup = Arc::new(|_| Box::pin(async { Ok(vec![]) }));
    let upstream = asking("127.0.0.1", &listener, nobody);
    (listener, upstream)
}

fn call(upstream: &HttpUpstream, body: Bytes) -> JoinHandle<Result<UpstreamResponse, SendError>> {
    task::spawn(upstream.send(UpstreamRequest {
        method: Method::POST,
        path: "/c".into(),
        passed: false,
        model: ModelName::from("m"),
        headers: HeaderMap::new(),
        body: body.into(),
        signing: None,
    }))
}

async fn text(answer: UpstreamResponse) -> Result<String, SendError> {
    let pieces: Vec<_> = answer.body.collect().await;
    let pieces: Result<Vec<Bytes>, _> = pieces.into_iter().collect();
    Ok(String::from_utf8(pieces?.concat()).unwrap())
}

/// Calls, and reads the answer.
async fn ask(upstream: &HttpUpstream) -> Result<String, SendError> {
    let answer = soon(call(upstream, Bytes::from_static(b"hello")));
    text(answer.await.unwrap()?).await
}

/// Reads up to the end of a head and of a body of so many bytes; how many of these came, `None` at the connection's end.
async fn heard(stream: &mut TcpStream, body: usize) -> Option<usize> {
    let mut all = Vec::new();
    loop {
        let end = all.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end
            && all.len() >= end + 4 + body
        {
            return Some(all.len() - end - 4);
        }
        if stream.read_buf(&mut all).await.ok()? == 0 {
            return None;
        }
    }
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(soon(stream.read(&mut [0; 64])).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn calls_in_a_row_share_a_connection() {
    let (listener, upstream) = start().await;
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let answers: [&[u8]; 5] = [
        WHOLE,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
    ];
    let serving = task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut answers = answers.iter().cycle();
            while heard(&mut stream, 5).await.is_some() {
                let answer = answers.next().unwrap();
                // In two parts, so that an end may come by itself.
                let (begin, end) = answer.split_at(answer.len() - 3);
                stream.write_all(begin).await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(end).await.unwrap();
            }
        }
    });
    for _ in 0..20 {
        let said = ask(&upstream).await.unwrap();
        assert!(["ok", ""].contains(&said.as_str()), "{said}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    serving.abort();
}

#[tokio::test]
async fn a_connection_that_ends_with_its_answer_is_not_kept() {
    let (listener, upstream) = start().await;
    for head in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2",
        "HTTP/1.0 200 OK",
    ] {
        let asking = call(&upstream, Bytes::from_static(b"hello"));
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        heard(&mut stream, 5).await.unwrap();
        stream
            .write_all(format!("{head}\r\n\r\nok").as_bytes())
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        let answer = soon(asking).await.unwrap().unwrap();
        assert_eq!(soon(text(answer)).await.unwrap(), "ok");
        assert!(is_closed(&mut stream).await);
    }
}

#[tokio::test]
async fn a_connection_that_the_upstream_closes_while_it_is_idle_is_closed_and_replaced() {
    let (listener, upstream) = start().await;
    for _ in 0..3 {
        let asking = call(&upstream, Bytes::from_static(b"hello"));
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        heard(&mut stream, 5).await.unwrap();
        stream.write_all(WHOLE).await.unwrap();
        let answer = soon(asking).await.unwrap().unwrap();
        assert_eq!(soon(text(answer)).await.unwrap(), "ok");
        stream.shutdown().await.unwrap();
        assert!(is_closed(&mut stream).await, "before another call comes");
    }
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_a_while_without_a_call() {
    let (listener, upstream) = start().await;
    let mut streams = Vec::new();
    let asking = [(); 2].map(|()| call(&upstream, Bytes::from_static(b"hello")));
    for _ in &asking {
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        heard(&mut stream, 5).await.unwrap();
        streams.push(stream);
    }
    for stream in &mut streams {
        stream.write_all(WHOLE).await.unwrap();
    }
    for asking in asking {
        let answer = soon(asking).await.unwrap().unwrap();
        assert_eq!(soon(text(answer)).await.unwrap(), "ok");
    }
    tokio::time::pause();
    tokio::time::advance(49 * SECOND).await;
    for stream in &mut streams {
        assert!(stream.read(&mut [0; 1]).now_or_never().is_none());
    }
    tokio::time::advance(2 * SECOND).await;
    tokio::time::resume();
    for mut stream in streams {
        assert!(is_closed(&mut stream).await);
    }
}

#[tokio::test]
async fn what_nobody_reads_to_its_end_is_closed() {
    let (listener, upstream) = start().await;
    // Before the head, and in the middle of the body.
    for begin in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    ] {
        let asking = call(&upstream, Bytes::from_static(b"hello"));
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        heard(&mut stream, 5).await.unwrap();
        stream.write_all(begin).await.unwrap();
        if begin.is_empty() {
            asking.abort();
        } else {
            let mut answer = soon(asking).await.unwrap().unwrap();
            assert_eq!(soon(answer.body.next()).await.unwrap().unwrap(), "ok");
        }
        assert!(is_closed(&mut stream).await);
    }
}

/// A call whose body has so many bytes and is refused at its head; the connection, and how much of the body has come over it.
async fn answered_early(
    listener: &TcpListener,
    upstream: &HttpUpstream,
    size: usize,
) -> (TcpStream, usize) {
    let asking = call(upstream, Bytes::from(vec![b'x'; size]));
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    let came = heard(&mut stream, 0).await.unwrap();
    let early = b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig";
    stream.write_all(early).await.unwrap();
    let answer = soon(asking).await.unwrap().unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(soon(text(answer)).await.unwrap(), "big");
    (stream, came)
}

#[tokio::test]
async fn an_answer_that_comes_before_its_request_is_sent_whole_is_heard_and_the_connection_used_again()
 {
    const SIZE: usize = 8 << 20;
    let (listener, upstream) = start().await;
    let (mut stream, came) = answered_early(&listener, &upstream, SIZE).await;
    let mut rest = vec![0; SIZE - came];
    soon(stream.read_exact(&mut rest)).await.unwrap();
    // The caller learns a moment after this side that all is sent. Until then calls make connections of their own, which
    // are not kept here.
    let others = task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            heard(&mut stream, 5).await.unwrap();
            let end = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nnew";
            stream.write_all(end).await.unwrap();
        }
    });
    let again = async { while ask(&upstream).await.unwrap() == "new" {} };
    let first = async {
        heard(&mut stream, 5).await.unwrap();
        stream.write_all(WHOLE).await.unwrap();
    };
    soon(async { tokio::join!(again, first) }).await;
    others.abort();
}

#[tokio::test]
async fn an_upstream_that_answers_and_never_reads_the_rest_of_its_request_does_not_hold_the_connection()
 {
    // More than the operating system takes in on its way.
    const SIZE: usize = 64 << 20;
    let (listener, upstream) = start().await;
    let (mut stream, _) = answered_early(&listener, &upstream, SIZE).await;
    tokio::time::pause();
    tokio::time::sleep(31 * SECOND).await;
    tokio::time::resume();
    let mut rest = vec![];
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.len() < SIZE / 2, "{}", rest.len());
}

#[tokio::test]
async fn a_call_takes_a_connection_that_another_has_done_with_rather_than_wait_for_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = AtomicUsize::new(0);
    // The second time nobody answers.
    let lookup: Lookup = Arc::new(move |_| {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            match first {
                true => Ok(vec![IpAddr::from([127, 0, 0, 1])]),
                false => std::future::pending().await,
            }
        })
    });
    let upstream = asking("provider.example", &listener, lookup);
    let first = call(&upstream, Bytes::from_static(b"hello"));
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    heard(&mut stream, 5).await.unwrap();
    let second = call(&upstream, Bytes::from_static(b"hello"));
    tokio::task::yield_now().await;
    stream.write_all(WHOLE).await.unwrap();
    let answer = soon(first).await.unwrap().unwrap();
    assert_eq!(soon(text(answer)).await.unwrap(), "ok");
    soon(heard(&mut stream, 5)).await.unwrap();
    stream.write_all(WHOLE).await.unwrap();
    let answer = soon(second).await.unwrap().unwrap();
    assert_eq!(soon(text(answer)).await.unwrap(), "ok");
    assert!(listener.accept().now_or_never().is_none());
}
