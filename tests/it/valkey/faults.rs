//! A server that is away, frozen, slow, wrong or broken costs a request at most its limit, and soon nothing.

use std::time::{Duration, Instant};

use pointsman::store::responses::ResponseStore as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{answer, down, get, key, store, up, written};
use crate::support::until;
use crate::support::valkey::ValkeyProcess;

/// The limit of 50 ms, and what a machine under load may add.
const LIMIT: Duration = Duration::from_millis(250);
/// Without waiting for anything.
const AT_ONCE: Duration = Duration::from_millis(40);

#[tokio::test]
async fn a_frozen_server_costs_a_few_requests_their_limit_and_then_none() {
    let Some(server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let one = store(&server.url());
    up(&one).await;
    one.put(key(1), answer("in memory")).await;
    written(&one, 1).await;
    server.signal("STOP");
    let mut waited = 0;
    for _ in 0..10 {
        let began = Instant::now();
        assert_eq!(get(&one, 2).await, None);
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
        waited += u32::from(began.elapsed() > AT_ONCE);
    }
    assert!((1..=4).contains(&waited), "{waited} of 10 have waited");
    down(&one).await;
    assert_eq!(get(&one, 1).await, Some("in memory".to_owned()));
    // What is put meanwhile is there in this process, and lost for others.
    one.put(key(3), answer("put while away")).await;
    assert_eq!(get(&one, 3).await, Some("put while away".to_owned()));
    assert_eq!(one.counts().unwritten, 1);
    server.signal("CONT");
    up(&one).await;
    let two = store(&server.url());
    up(&two).await;
    assert_eq!(get(&two, 1).await, Some("in memory".to_owned()));
    assert_eq!(get(&two, 3).await, None);
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_when_it_is_back_and_empty() {
    let Some(mut server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let (one, two) = (store(&server.url()), store(&server.url()));
    up(&one).await;
    up(&two).await;
    one.put(key(1), answer("before")).await;
    written(&one, 1).await;
    server.kill();
    down(&two).await;
    let began = Instant::now();
    assert_eq!(get(&two, 1).await, None);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    server.restart().await;
    up(&one).await;
    up(&two).await;
    assert_eq!(get(&two, 1).await, None, "it has forgotten");
    assert_eq!(get(&one, 1).await, Some("before".to_owned()));
    one.put(key(2), answer("after")).await;
    written(&one, 2).await;
    assert_eq!(get(&two, 2).await, Some("after".to_owned()));
    assert_eq!(one.counts().link.connections, 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for_by_nobody() {
    let Some(mut server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    server.kill();
    let one = store(&server.url());
    let began = Instant::now();
    assert_eq!(get(&one, 1).await, None);
    one.put(key(1), answer("kept")).await;
    assert_eq!(get(&one, 1).await, Some("kept".to_owned()));
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    until("the reason to be known", async || {
        one.link().trouble().is_some()
    })
    .await;
    server.restart().await;
    up(&one).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it() {
    let Some(server) = ValkeyProcess::start(&["--requirepass", "the right one"]).await else {
        return;
    };
    let url = format!("redis://:wrong-hunter2@127.0.0.1:{}", server.port());
    let one = store(&url);
    until("the refusal", async || {
        let why = one.link().trouble();
        why.is_some_and(|why| why.contains("password is wrong") && !why.contains("hunter2"))
    })
    .await;
    assert_eq!(get(&one, 1).await, None);
    assert!(!format!("{one:?}").contains("hunter2"));
    let right = store(&format!(
        "redis://:the%20right%20one@127.0.0.1:{}",
        server.port()
    ));
    up(&right).await;
}

#[tokio::test]
async fn broken_entries_are_misses_and_are_counted() {
    let Some(server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let one = store(&server.url());
    up(&one).await;
    one.put(key(1), answer("whole")).await;
    written(&one, 1).await;
    let name = server.entries().await.remove(0);
    let whole = server.says(&[b"GET", name.as_bytes()]).await.concat();
    let mut changed = whole.clone();
    changed[40] ^= 1;
    let cut = &whole[..whole.len() - 1];
    for (count, bytes) in (1..).zip([&changed[..], cut, b"", b"garbage", &[0xff; 100]]) {
        server.says(&[b"SET", name.as_bytes(), bytes]).await;
        let fresh = store(&server.url());
        up(&fresh).await;
        assert_eq!(get(&fresh, 1).await, None);
        assert_eq!(fresh.counts().broken, 1, "{count}");
    }
    // What is no text at all is refused by the server, which answers well otherwise.
    server.says(&[b"DEL", name.as_bytes()]).await;
    server.says(&[b"LPUSH", name.as_bytes(), b"x"]).await;
    let fresh = store(&server.url());
    up(&fresh).await;
    assert_eq!(get(&fresh, 1).await, None);
    assert_eq!(fresh.counts().unanswered, 1);
    assert!(fresh.link().is_up());
    server.says(&[b"SET", name.as_bytes(), &whole]).await;
    assert_eq!(get(&fresh, 1).await, Some("whole".to_owned()));
}

/// Passes bytes on to a server, its answers so much later.
async fn slow(port: u16, late: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut from_caller, mut to_caller) = caller.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_caller, &mut to_server).await;
            });
            tokio::spawn(async move {
                let mut bytes = vec![0; 4096];
                while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                    tokio::time::sleep(late).await;
                    if to_caller.write_all(&bytes[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    here
}

#[tokio::test]
async fn a_server_that_answers_slowly_is_left_alone() {
    let Some(server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let port = slow(server.port(), Duration::from_millis(200)).await;
    let one = store(&format!("redis://127.0.0.1:{port}"));
    until("its slowness to be known", async || {
        let why = one.link().trouble();
        why.is_some_and(|why| why.contains("50 ms"))
    })
    .await;
    let began = Instant::now();
    assert_eq!(get(&one, 1).await, None);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}
