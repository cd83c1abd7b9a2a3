//! Circuit breakers: open after failures that are the upstream's, one probe, closed by a success.

use tokio::task::JoinHandle;

use crate::support::{Answer, At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, until};

const CHAIN: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: ma
      api_keys: [k1, k2]
      retry: {same_upstream: 0}
      cooldown: {default: 0s}
      timeouts: {response: 600ms}
      circuit_breaker: {failure_threshold: 3, recovery_time: RECOVERY}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: v, upstreams: [a, b]}
";

async fn chain(recovery: &str) -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::playing([Behaviour::says("a")]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = CHAIN.replace("RECOVERY", recovery);
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

async fn asks(gateway: &Gateway, times: usize) -> Vec<String> {
    let mut said = Vec::new();
    for _ in 0..times {
        said.push(gateway.chat("v").send().await.says());
    }
    said
}

/// Asks until a request goes to `a`, whose breaker is open, and returns that one.
async fn probe(
    gateway: &Gateway,
    a: &ScriptedUpstream,
    b: &ScriptedUpstream,
) -> JoinHandle<Answer> {
    let asked = a.count();
    loop {
        let others = b.count();
        let task = gateway.chat("v").spawn();
        tokio::select! {
            _ = a.wait_for(asked + 1) => return task,
            _ = b.wait_for(others + 1) => {}
        }
    }
}

#[tokio::test]
async fn three_failures_in_a_row_open_it_whatever_their_kind() {
    for failure in [
        Behaviour::fails(500),
        Behaviour::fails(503),
        Behaviour::says("").reset(At::BeforeHead),
        Behaviour::says("").hang(At::BeforeHead),
        Behaviour::body(200, "text/html", "<html>"),
    ] {
        let (a, b, gateway) = chain("60s").await;
        a.on(Match::any(), [failure]);
        assert_eq!(asks(&gateway, 6).await, ["b"; 6]);
        assert_eq!((a.count(), b.count()), (3, 6), "open: not asked any more");
        let line = gateway.logged("breaker opened").await;
        assert!(line.contains("a:ma"), "{line}");
        a.on(Match::any(), [Behaviour::says("a")]);
        assert_eq!(
            gateway.chat("a:other").send().await.says(),
            "a",
            "other models are not concerned"
        );
    }
}

#[tokio::test]
async fn a_success_in_between_starts_the_count_anew() {
    let (a, _b, gateway) = chain("60s").await;
    let fails = || Behaviour::fails(500);
    a.on(
        Match::any(),
        [
            fails(),
            fails(),
            Behaviour::says("a"),
            fails(),
            fails(),
            Behaviour::says("a"),
        ],
    );
    assert_eq!(asks(&gateway, 7).await, ["b", "b", "a", "b", "b", "a", "a"]);
}

#[tokio::test]
async fn half_open_lets_one_request_through_and_its_success_closes_it() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = CHAIN
        .replace("RECOVERY", "150ms")
        .replace("response: 600ms", "response: 60s");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    asks(&gateway, 3).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("a").gate(At::BeforeHead, &gate)],
    );
    let probe = probe(&gateway, &a, &b).await;
    let meanwhile: Vec<_> = (0..5).map(|_| gateway.chat("v").spawn()).collect();
    for task in meanwhile {
        assert_eq!(task.await.unwrap().says(), "b");
    }
    assert_eq!(a.count(), 4, "exactly one probe");
    gate.open();
    assert_eq!(probe.await.unwrap().says(), "a");
    gateway.logged("breaker closed").await;
    assert_eq!(asks(&gateway, 3).await, ["a"; 3]);
}

#[tokio::test]
async fn a_probe_that_fails_opens_it_again() {
    let (a, _b, gateway) = chain("800ms").await;
    a.on(Match::any(), [Behaviour::fails(500)]);
    asks(&gateway, 3).await;
    until("the probe", async || {
        asks(&gateway, 1).await;
        a.count() == 4
    })
    .await;
    assert_eq!(asks(&gateway, 2).await, ["b", "b"]);
    assert_eq!(a.count(), 4, "open again after one failure");
    a.on(Match::any(), [Behaviour::says("a")]);
    until("its recovery", async || asks(&gateway, 1).await == ["a"]).await;
}

#[tokio::test]
async fn a_probe_whose_caller_leaves_does_not_keep_it_open_for_ever() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = CHAIN
        .replace("RECOVERY", "100ms")
        .replace("response: 600ms", "response: 60s");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    asks(&gateway, 3).await;
    a.on(
        Match::any(),
        [
            Behaviour::says("x").hang(At::BeforeHead),
            Behaviour::says("a"),
        ],
    );
    let probe = probe(&gateway, &a, &b).await;
    probe.abort();
    until("the next probe", async || asks(&gateway, 1).await == ["a"]).await;
}

#[tokio::test]
async fn answers_about_the_request_or_the_key_never_open_it() {
    let (a, _b, gateway) = chain("60s").await;
    let cases = [
        Behaviour::fails(400),
        Behaviour::fails(422),
        Behaviour::rate_limited(),
        Behaviour::error(400, "context_length_exceeded", "maximum context length"),
        Behaviour::error(
            400,
            "content_policy_violation",
            "rejected by our safety system",
        ),
    ];
    for behaviour in cases {
        a.on(Match::any(), [behaviour]);
        for _ in 0..12 {
            gateway.chat("v").send().await;
        }
    }
    a.on(Match::any(), [Behaviour::says("a")]);
    assert_eq!(asks(&gateway, 1).await, ["a"]);
    assert!(
        !gateway
            .logs()
            .iter()
            .any(|line| line.contains("breaker opened"))
    );
}

#[tokio::test]
async fn a_request_that_fails_everywhere_opens_one_breaker_at_most() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let yaml = CHAIN.replace("RECOVERY", "60s");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    for _ in 0..3 {
        gateway
            .chat("v")
            .send()
            .await
            .assert_error(502, "upstreams_exhausted");
    }
    b.on(Match::any(), [Behaviour::says("b")]);
    assert_eq!(
        asks(&gateway, 1).await,
        ["b"],
        "the second to fail in the same way is not blamed"
    );
    gateway.logged("breaker opened").await;
    let opened = gateway
        .logs()
        .into_iter()
        .filter(|line| line.contains("breaker opened"));
    assert_eq!(opened.count(), 1);
}

#[tokio::test]
async fn one_request_alone_opens_nothing_however_often_it_retries() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = CHAIN
        .replace("RECOVERY", "60s")
        .replace("same_upstream: 0", "same_upstream: 5, waits: [1ms]");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    assert_eq!(asks(&gateway, 1).await, ["b"]);
    assert_eq!(a.count(), 6);
    a.on(Match::any(), [Behaviour::says("a")]);
    assert_eq!(asks(&gateway, 1).await, ["a"]);
}

#[tokio::test]
async fn a_request_with_nowhere_else_to_go_waits_for_the_recovery() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::start().await;
    let yaml = CHAIN.replace("RECOVERY", "1s");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    for _ in 0..3 {
        assert_eq!(gateway.chat("a").send().await.status, 502);
    }
    a.on(Match::any(), [Behaviour::says("a")]);
    let refused = gateway.chat("a").awaits("0").send().await;
    assert!(
        refused.status >= 400 && a.count() == 3,
        "{}",
        refused.text()
    );
    assert_eq!(gateway.chat("a").send().await.says(), "a");
}
