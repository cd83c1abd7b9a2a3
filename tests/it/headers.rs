//! What passes in the heads, each way.

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

const ONE: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2]}
";

async fn one() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("a", &a)]).await;
    (a, gateway)
}

#[tokio::test]
async fn what_concerns_connection_account_or_key_does_not_come_back() {
    let (a, gateway) = one().await;
    let gone = [
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("trailer", "x-t"),
        ("upgrade", "h2c"),
        ("set-cookie", "session=1"),
        ("authorization", "Bearer nobody"),
        ("openai-organization", "org-1"),
        ("openai-project", "proj-1"),
        ("x-ratelimit-limit-requests", "10"),
        ("x-ratelimit-remaining-tokens", "1"),
        ("anthropic-ratelimit-requests-limit", "1"),
        ("x-pointsman-key", "forged"),
        ("x-pointsman-upstream", "forged"),
    ];
    let kept = [("openai-processing-ms", "12"), ("x-model-region", "eu")];
    for streamed in [false, true] {
        let script = if streamed {
            Behaviour::streams(&["ok"])
        } else {
            Behaviour::says("ok")
        };
        let script = gone
            .iter()
            .chain(&kept)
            .fold(script, |script, (name, value)| script.header(name, value));
        a.on(Match::any(), [script]);
        let call = if streamed {
            gateway.chat_stream("a")
        } else {
            gateway.chat("a")
        };
        let answer = call.send().await;
        assert_eq!(answer.status, 200);
        for (name, value) in gone {
            assert_ne!(answer.header(name), value, "{name}");
        }
        for (name, value) in kept {
            assert_eq!(answer.header(name), value, "{name}");
        }
    }
}

#[tokio::test]
async fn the_request_id_is_kept_or_made_and_is_on_every_answer() {
    let (a, gateway) = one().await;
    a.on(
        Match::any(),
        [Behaviour::says("ok").header("x-request-id", "theirs")],
    );
    let kept = gateway
        .chat("a")
        .header("x-request-id", "mine-1")
        .send()
        .await;
    assert_eq!(kept.header("x-request-id"), "mine-1");
    let first = gateway.chat("a").send().await;
    let second = gateway.chat("a").send().await;
    assert!(!first.header("x-request-id").is_empty());
    assert_ne!(first.header("x-request-id"), "theirs");
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    for call in [
        gateway.get("/v1/models"),
        gateway.get("/health"),
        gateway.get("/nowhere"),
        gateway.post_chat("{"),
        gateway.chat("unknown"),
    ] {
        assert_eq!(
            call.header("x-request-id", "mine-2")
                .send()
                .await
                .header("x-request-id"),
            "mine-2"
        );
    }
    let odd = gateway
        .chat("a")
        .header("x-request-id", &"x".repeat(5000))
        .send()
        .await;
    assert!(
        odd.header("x-request-id").len() < 300,
        "what is not fit for a log is replaced"
    );
    gateway.logged("mine-1").await;
}

#[tokio::test]
async fn an_answer_names_its_upstream_key_and_attempts() {
    let (a, gateway) = one().await;
    for key in ["a#1", "a#2", "a#1"] {
        let answer = gateway.chat("a:org/x").send().await;
        assert_eq!(answer.header("x-pointsman-upstream"), "a:org/x");
        assert_eq!(answer.header("x-pointsman-key"), key);
        assert_eq!(answer.header("x-pointsman-attempts"), "1");
    }
    a.on(Match::any(), [Behaviour::streams(&["ok"])]);
    let stream = gateway.chat_stream("a").stream().await;
    assert_eq!(stream.header("x-pointsman-upstream"), "a:m");
    assert_eq!(stream.header("x-pointsman-attempts"), "1");
}

#[tokio::test]
async fn the_callers_credentials_and_cookies_stay_here() {
    let (a, gateway) = one().await;
    let secrets = [
        ("authorization", "Bearer client-token"),
        ("x-api-key", "client-token"),
        ("api-key", "client-token"),
        ("x-goog-api-key", "client-token"),
        ("proxy-authorization", "Basic client-token"),
        ("cookie", "session=client-token"),
        ("openai-organization", "client-token"),
        ("x-forwarded-for", "10.9.8.7"),
    ];
    for target in ["a", "a:x"] {
        let call = secrets
            .iter()
            .fold(gateway.chat(target), |call, (name, value)| {
                call.header(name, value)
            });
        assert_eq!(call.send().await.status, 200);
    }
    for request in a.requests() {
        for (name, value) in &request.headers {
            assert!(
                !value.contains("client-token") && !value.contains("10.9.8.7"),
                "{name}: {value}"
            );
        }
        assert!(["k1", "k2"].contains(&request.key.as_deref().unwrap()));
        assert_ne!(
            request.header("host"),
            Some(gateway.address().to_string().as_str())
        );
    }
}

#[tokio::test]
async fn a_client_token_is_not_forwarded_to_a_provider_without_a_key_either() {
    let a = ScriptedUpstream::start().await;
    let yaml = "llm: {providers: [{name: a, base_url: <a>, model: m}]}";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let call = gateway
        .chat("a")
        .header("authorization", "Bearer client-token");
    assert_eq!(call.send().await.status, 200);
    assert_eq!(a.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_configured_header_takes_no_content_type_away() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, headers: {Accept: application/json}}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let answer = gateway.chat("a").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn headers_that_do_not_go_back_for_want_of_room_are_named_in_the_log() {
    let (a, gateway) = one().await;
    for (answer, call, name) in [
        (Behaviour::says("ok"), gateway.chat("a"), "x-whole"),
        (
            Behaviour::streams(&["ok"]),
            gateway.chat_stream("a"),
            "x-streamed",
        ),
    ] {
        let many = (0..70).fold(answer, |answer, n| {
            answer.header(&format!("{name}-{n}"), "1")
        });
        a.on(Match::any(), [many]);
        let answer = call.send().await;
        let passed = |n: &usize| !answer.header(&format!("{name}-{n}")).is_empty();
        let gone: Vec<usize> = (0..70).filter(|n| !passed(n)).collect();
        assert!((1..=16).contains(&gone.len()), "{gone:?}");
        let line = gateway.logged(&format!("{name}-{}", gone[0])).await;
        for n in &gone {
            assert!(line.contains(&format!("{name}-{n}")), "{n}: {line}");
        }
    }
}
