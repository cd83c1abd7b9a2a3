use std::time::SystemTime;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::super::client_options::{ClientOptions, ProxySetting};
use super::super::dns::{DnsCache, DnsPolicy};
use super::*;
use crate::domain::outcome::Class;
use crate::wire::grant::GrantKind;

/// A token server that answers each call with the next of these, and says how often it was asked. It waits for the gate
/// before each answer.
async fn server(
    answers: Vec<(u16, String)>,
    gate: watch::Receiver<bool>,
) -> (String, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let (asked, seen) = watch::channel(0);
    task::detach(async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 8192];
            let _ = stream.read(&mut head).await.unwrap();
            asked.send_modify(|count| *count += 1);
            let mut gate = gate.clone();
            gate.wait_for(|open| *open).await.unwrap();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, seen)
}

fn token(text: &str, life: u64) -> (u16, String) {
    (
        200,
        format!(r#"{{"access_token":"{text}","expires_in":{life}}}"#),
    )
}

fn source(url: &str, clock: Clock) -> TokenSource {
    let second = Duration::from_secs(1);
    let dns = DnsCache::new(DnsPolicy {
        ttl: second,
        negative_ttl: second,
        max_stale: second,
    });
    let way = ClientOptions {
        connect: Duration::from_secs(5),
        dns: &dns,
        allow_link_local: false,
        proxy: ProxySetting::Off,
        authorities: &[],
    };
    let grant = Grant {
        kind: GrantKind::ClientSecret {
            tenant: "t".to_owned(),
            client: "c".to_owned(),
            secret: ApiKey::new("s"),
        },
        url: Some(url.to_owned()),
        scope: None,
    };
    let server = HttpUpstream::new(url, &[], None, &way).unwrap();
    TokenSource::new(grant, Some(server), url, clock)
}

fn open() -> watch::Receiver<bool> {
    watch::channel(true).1
}

#[tokio::test]
async fn many_ask_at_once_and_the_server_is_asked_once() {
    let (gate, shut) = watch::channel(false);
    let (url, mut seen) = server(vec![token("one", 3600)], shut).await;
    let source = Arc::new(source(&url, Clock::start()));
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let source = Arc::clone(&source);
            task::spawn(async move { source.token().await.unwrap().token })
        })
        .collect();
    // One who leaves takes nobody's token along.
    asking[0].abort();
    seen.wait_for(|count| *count == 1).await.unwrap();
    gate.send_replace(true);
    for one in asking.into_iter().skip(1) {
        assert_eq!(one.await.unwrap().expose(), "one");
    }
    let again = source.token().await.unwrap();
    assert_eq!((again.token.expose(), again.fresh), ("one", false));
    assert_eq!(*seen.borrow(), 1);
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_and_a_short_one_each_time() {
    let answers = vec![token("one", 3600), token("two", 0), token("three", 3600)];
    let (url, seen) = server(answers, open()).await;
    let source = source(&url, Clock::start());
    let one = source.token().await.unwrap();
    assert!(one.fresh);
    source.reject(ApiKey::new("another"));
    assert!(!source.token().await.unwrap().fresh);
    source.reject(one.token);
    assert_eq!(source.token().await.unwrap().token.expose(), "two");
    assert_eq!(source.token().await.unwrap().token.expose(), "three");
    assert_eq!(*seen.borrow(), 3);
}

#[tokio::test]
async fn a_failure_says_what_failed_and_the_next_one_who_asks_tries_again() {
    let refusal =
        r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret"}"#;
    let answers = vec![
        (401, refusal.to_owned()),
        (503, String::new()),
        token("ok", 60),
    ];
    let (url, _) = server(answers, open()).await;
    let source = source(&url, Clock::start());
    let refused = source.token().await.unwrap_err();
    assert_eq!(refused.class(), Class::InvalidKey);
    assert!(refused.to_string().contains("AADSTS7000215"), "{refused}");
    assert_eq!(source.token().await.unwrap_err().class(), Class::NoToken);
    assert_eq!(source.token().await.unwrap().token.expose(), "ok");
}

#[tokio::test]
async fn nobody_at_the_address_is_told_with_its_host() {
    let source = source("http://127.0.0.1:1/token", Clock::start());
    let error = source.token().await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn a_file_is_read_when_it_is_needed() {
    let path = std::env::temp_dir().join(format!("pointsman-token-{}", std::process::id()));
    let grant = || Grant {
        kind: GrantKind::File(path.clone()),
        url: None,
        scope: None,
    };
    let missing = TokenSource::new(grant(), None, "", Clock::start());
    let error = missing.token().await.unwrap_err();
    assert!(matches!(error, TokenError::File { .. }), "{error}");
    std::fs::write(&path, "first\n").unwrap();
    assert_eq!(missing.token().await.unwrap().token.expose(), "first");
    std::fs::write(&path, "second\n").unwrap();
    missing.reject(ApiKey::new("first"));
    assert_eq!(missing.token().await.unwrap().token.expose(), "second");
    std::fs::remove_file(&path).unwrap();
}

fn keeper(clock: Clock) -> Keeper {
    let grant = Grant {
        kind: GrantKind::Metadata,
        url: None,
        scope: None,
    };
    let source = TokenSource::new(grant, None, "http://h/x", clock);
    Keeper {
        fetcher: source.fetcher,
        clock,
        held: None,
        waiting: Vec::new(),
        rest: Time::ZERO,
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends_and_serves_while_that_fails() {
    let clock = Clock::starting_at(SystemTime::UNIX_EPOCH);
    let mut keeper = keeper(clock);
    let ask = |keeper: &mut Keeper| {
        let (reply, mut answer) = oneshot::channel();
        let fetches = keeper.serve(Order::Ask(reply));
        (fetches, answer.try_recv().ok())
    };
    let (fetches, answer) = ask(&mut keeper);
    assert!(fetches && answer.is_none());
    keeper.settle(Ok(FetchedToken {
        token: ApiKey::new("t"),
        life: Duration::from_secs(3600),
    }));
    assert!(!ask(&mut keeper).0);
    tokio::time::advance(Duration::from_secs(3301)).await;
    let (fetches, answer) = ask(&mut keeper);
    assert!(fetches && answer.is_some_and(|answer| answer.is_ok()));
    keeper.settle(Err(TokenError::Unsigned));
    let (fetches, answer) = ask(&mut keeper);
    assert!(!fetches && answer.is_some_and(|answer| answer.is_ok()));
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(ask(&mut keeper).0);
    tokio::time::advance(Duration::from_secs(280)).await;
    let (fetches, answer) = ask(&mut keeper);
    assert!(fetches && answer.is_none(), "it has ended");
}
