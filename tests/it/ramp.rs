//! An upstream that recovered gets a growing share, the rest walks on; and the ramp never costs an answer.

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream, until};

const CHAIN: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: ma
      api_key: k1
      retry: {same_upstream: 0}
      circuit_breaker: {failure_threshold: 3, recovery_time: 300ms}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: v, upstreams: [a, b]}
";

/// Both upstreams, and a gateway whose breaker of `a` has just closed again.
async fn recovered() -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let gateway = Gateway::start(CHAIN, &[("a", &a), ("b", &b)]).await;
    for _ in 0..3 {
        gateway.chat("v").send().await;
    }
    gateway.logged("breaker opened").await;
    a.on(Match::any(), [Behaviour::says("a")]);
    until("its recovery", async || {
        gateway.chat("v").send().await.says() == "a"
    })
    .await;
    gateway.logged("breaker closed").await;
    (a, b, gateway)
}

async fn burst(gateway: &Gateway, target: &str, size: usize) -> Vec<String> {
    let tasks: Vec<_> = (0..size).map(|_| gateway.chat(target).spawn()).collect();
    let mut said = Vec::new();
    for task in tasks {
        said.push(task.await.unwrap().says());
    }
    said
}

#[tokio::test]
async fn a_burst_after_its_recovery_goes_elsewhere_for_the_most_part() {
    let (_a, _b, gateway) = recovered().await;
    let said = burst(&gateway, "v", 200).await;
    let preferred = said.iter().filter(|who| *who == "a").count();
    assert!((20..100).contains(&preferred), "{preferred} of 200");
}

#[tokio::test]
async fn little_traffic_goes_to_the_preferred_upstream_at_once() {
    let (_a, _b, gateway) = recovered().await;
    assert_eq!(burst(&gateway, "v", 5).await, ["a"; 5]);
}

#[tokio::test]
async fn who_has_nowhere_else_to_go_is_served_all_the_same() {
    let (a, b, gateway) = recovered().await;
    let before = a.count();
    assert_eq!(burst(&gateway, "a", 100).await, vec!["a"; 100]);
    assert_eq!(a.count(), before + 100);
    b.on(
        Match::any(),
        [Behaviour::rate_limited().header("retry-after", "60")],
    );
    let _spent = gateway.chat("b").awaits("0").send().await;
    assert_eq!(burst(&gateway, "v", 100).await, vec!["a"; 100]);
}
