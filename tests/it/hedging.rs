//! A second attempt beside a stream whose first token is late: the first with content wins, nothing of the
//! other is seen, and there are never more of them than asked for.

use crate::support::behaviour::{DONE, error_event, role};
use crate::support::client::{errors, spoken};
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, ms, until};

const CHAIN: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: ka, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: mb, api_key: kb, retry: {same_upstream: 0}}
    - {name: c, base_url: <c>, model: mc, api_key: kc, retry: {same_upstream: 0}}
  virtual:
    - {name: v, upstreams: [a, b, c]}
dispatch: {DISPATCH}
";

const SOON: &str = "hedge: {after: 50ms, max_ratio: 1}";

struct Three {
    a: ScriptedUpstream,
    b: ScriptedUpstream,
    c: ScriptedUpstream,
    gateway: Gateway,
}

async fn three(dispatch: &str) -> Three {
    let a = ScriptedUpstream::playing([Behaviour::streams(&["from ", "a"])]).await;
    let b = ScriptedUpstream::playing([Behaviour::streams(&["from ", "b"])]).await;
    let c = ScriptedUpstream::playing([Behaviour::streams(&["from ", "c"])]).await;
    let yaml = CHAIN.replace("DISPATCH", dispatch);
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b), ("c", &c)]).await;
    Three { a, b, c, gateway }
}

impl Three {
    fn counts(&self) -> [usize; 3] {
        [self.a.count(), self.b.count(), self.c.count()]
    }

    /// `a` answers like this once the gate is open.
    fn a_waits(&self, behaviour: Behaviour) -> Gate {
        waits(&self.a, behaviour)
    }
}

fn waits(upstream: &ScriptedUpstream, behaviour: Behaviour) -> Gate {
    let gate = Gate::new();
    upstream.on(Match::any(), [behaviour.gate(At::BeforeHead, &gate)]);
    gate
}

/// Completes when the upstream has said all that it says.
async fn answered(upstream: &ScriptedUpstream) {
    until("an answer", || async {
        upstream.requests().iter().any(|request| request.answered)
    })
    .await;
}

fn from(name: &str) -> Behaviour {
    Behaviour::streams(&["from ", name])
}

async fn asked(gateway: &Gateway, target: &str) -> String {
    let stream = gateway.chat_stream(target).stream().await;
    assert_eq!(stream.status, 200);
    let text = stream.text().await;
    assert!(text.ends_with(DONE) && errors(&text).is_empty(), "{text}");
    spoken(&text)
}

#[tokio::test]
async fn a_late_first_token_brings_a_second_attempt_which_may_win() {
    let three = three(SOON).await;
    let _shut = three.a_waits(from("a"));
    let stream = three.gateway.chat_stream("v").stream().await;
    assert_eq!(stream.header("x-pointsman-upstream"), "b:mb");
    assert_eq!(stream.header("x-pointsman-attempts"), "2");
    assert_eq!(spoken(&stream.text().await), "from b");
    let left = tokio::time::timeout(ms(1000), three.a.cancelled()).await;
    assert!(left.is_ok(), "the loser is cancelled at once");
    let line = three.gateway.logged(r#""outcome":"answered""#).await;
    assert!(
        line.contains("cancelled") && line.contains("success"),
        "{line}"
    );
    assert_eq!(three.counts(), [1, 1, 0]);
}

#[tokio::test]
async fn nothing_of_the_loser_is_seen() {
    let three = three(SOON).await;
    // It has begun, but says nothing.
    let begun = Behaviour::events([role(), role()]).hang(At::AfterPart(2));
    three.a.on(Match::any(), [begun]);
    let text = three.gateway.chat_stream("v").stream().await.text().await;
    assert_eq!(spoken(&text), "from b");
    assert_eq!(text.matches(r#""role":"assistant""#).count(), 1, "{text}");
}

#[tokio::test]
async fn the_first_attempt_may_still_win() {
    let three = three(SOON).await;
    let gate = three.a_waits(from("a"));
    let _shut = waits(&three.b, from("b"));
    let (said, ()) = tokio::join!(asked(&three.gateway, "v"), async {
        three.b.wait_for(1).await;
        gate.open();
    });
    assert_eq!(said, "from a");
    let left = tokio::time::timeout(ms(1000), three.b.cancelled()).await;
    assert!(left.is_ok(), "the loser is cancelled at once");
}

#[tokio::test]
async fn when_one_fails_the_other_goes_on() {
    for failure in [
        Behaviour::fails(500),
        Behaviour::events([error_event("overloaded")]),
        Behaviour::rate_limited(),
    ] {
        // The first fails while the second is under way.
        let three = three(SOON).await;
        let a = three.a_waits(failure.clone());
        let b = waits(&three.b, from("b"));
        let (said, ()) = tokio::join!(asked(&three.gateway, "v"), async {
            three.b.wait_for(1).await;
            a.open();
            answered(&three.a).await;
            b.open();
        });
        assert_eq!(said, "from b");
        assert_eq!(three.counts(), [1, 1, 0]);
    }
    for failure in [
        Behaviour::fails(500),
        // About the request: the preferred upstream may well take it.
        Behaviour::error(400, "bad", "no such parameter"),
    ] {
        let three = three(SOON).await;
        let a = three.a_waits(from("a"));
        three.b.on(Match::any(), [failure]);
        let (said, ()) = tokio::join!(asked(&three.gateway, "v"), async {
            answered(&three.b).await;
            a.open();
        });
        assert_eq!(said, "from a");
        assert_eq!(three.counts(), [1, 1, 0]);
    }
}

#[tokio::test]
async fn when_both_fail_the_chain_goes_on() {
    let three = three(SOON).await;
    let a = three.a_waits(Behaviour::fails(500));
    three.b.on(Match::any(), [Behaviour::fails(502)]);
    let call = three.gateway.chat_stream("v");
    let (stream, ()) = tokio::join!(call.stream(), async {
        three.b.wait_for(1).await;
        a.open();
    });
    assert_eq!(stream.header("x-pointsman-attempts"), "3");
    assert_eq!(spoken(&stream.text().await), "from c");
    assert_eq!(three.counts(), [1, 1, 1]);
}

#[tokio::test]
async fn the_preferred_upstreams_refusal_of_the_request_stands() {
    let three = three(SOON).await;
    let a = three.a_waits(Behaviour::error(400, "bad", "no such parameter"));
    let _shut = waits(&three.b, from("b"));
    let call = three.gateway.post_chat(crate::support::chat_stream("v"));
    let (answer, ()) = tokio::join!(call.send(), async {
        three.b.wait_for(1).await;
        a.open();
    });
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad"));
    assert_eq!(answer.header("x-pointsman-attempts"), "2");
}

#[tokio::test]
async fn no_second_attempt_unless_it_is_asked_for_and_may_be_made() {
    for dispatch in [
        "",
        "hedge: {after: 50ms, max_ratio: 0}",
        "hedge: {after: 10s, max_ratio: 1}",
        // Too little is known yet.
        "hedge: {after: p95, max_ratio: 1}",
        "hedge: {after: 50ms, max_ratio: 1}, max_attempts: 1",
        "hedge: {after: 50ms, max_ratio: 1}, retry_budget: {ratio: 0, min_per_second: 0}",
    ] {
        let three = three(dispatch).await;
        // A budget begins with an upstream's first request.
        for target in ["b", "c"] {
            asked(&three.gateway, target).await;
        }
        three.a.on(Match::any(), [from("a").late(ms(250))]);
        assert_eq!(asked(&three.gateway, "v").await, "from a", "{dispatch}");
        assert_eq!(three.counts(), [1, 1, 1], "{dispatch}");
    }
    // A whole answer takes its time.
    let three = three(SOON).await;
    three
        .a
        .on(Match::any(), [Behaviour::says("whole").late(ms(250))]);
    assert_eq!(three.gateway.chat("v").send().await.says(), "whole");
    assert_eq!(three.counts(), [1, 0, 0]);
}

#[tokio::test]
async fn second_attempts_stay_within_their_ratio() {
    let three = three("hedge: {after: 20ms, max_ratio: 0.5}").await;
    three.a.on(Match::any(), [from("a").late(ms(600))]);
    for _ in 0..6 {
        asked(&three.gateway, "v").await;
    }
    assert_eq!(three.b.count(), 3);
}

#[tokio::test]
async fn another_key_comes_before_another_upstream_and_no_key_is_asked_twice() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::playing([from("b")]).await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_keys: [k1, k2]}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: v, upstreams: [a, b]}
dispatch: {hedge: {after: 50ms, max_ratio: 1}}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    a.on(Match::key("k1"), [from("a").late(ms(400))]);
    a.on(Match::key("k2"), [from("a")]);
    assert_eq!(asked(&gateway, "v").await, "from a");
    assert_eq!(
        (a.keys(), b.count()),
        (vec!["k1".to_owned(), "k2".to_owned()], 0)
    );
    b.on(Match::any(), [from("b").late(ms(250))]);
    assert_eq!(asked(&gateway, "b").await, "from b");
    assert_eq!(b.count(), 1, "there is no other key, and no other upstream");
}

#[tokio::test]
async fn what_is_late_is_learned_of_each_upstream() {
    let three = three("hedge: {after: p95, max_ratio: 1}").await;
    for _ in 0..20 {
        assert_eq!(asked(&three.gateway, "v").await, "from a");
    }
    assert_eq!(three.counts(), [20, 0, 0]);
    let _shut = three.a_waits(from("a"));
    assert_eq!(asked(&three.gateway, "v").await, "from b");
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_both_attempts() {
    let three = three(SOON).await;
    let _a = three.a_waits(from("a"));
    let _b = waits(&three.b, from("b"));
    let call = three.gateway.chat_stream("v").spawn();
    three.b.wait_for(1).await;
    call.abort();
    for upstream in [&three.a, &three.b] {
        let left = tokio::time::timeout(ms(1000), upstream.cancelled()).await;
        assert!(left.is_ok(), "within a second");
    }
    let line = three.gateway.logged("caller_left").await;
    assert_eq!(line.matches("cancelled").count(), 2, "{line}");
}

#[tokio::test]
async fn when_part_of_a_callers_time_is_gone_another_upstream_is_asked() {
    let three = three("deadline_hedge: 0.1").await;
    let _shut = three.a_waits(from("a"));
    let in_time = "2s";
    let call = three
        .gateway
        .chat_stream("v")
        .header("x-pointsman-deadline", in_time);
    let stream = call.stream().await;
    assert_eq!(stream.header("x-pointsman-attempts"), "2");
    assert_eq!(spoken(&stream.text().await), "from b");
    three.b.on(Match::any(), [Behaviour::says("all of b")]);
    let call = three
        .gateway
        .chat("v")
        .header("x-pointsman-deadline", in_time);
    assert_eq!(call.send().await.says(), "all of b");
    assert_eq!(three.counts(), [2, 2, 0]);
}

#[tokio::test]
async fn a_call_that_others_may_wait_for_hurries_as_its_own_caller_does() {
    let three = three("deadline_hedge: 0.1, coalesce: true").await;
    let _shut = three.a_waits(from("a"));
    three.b.on(Match::any(), [Behaviour::says("all of b")]);
    let body = r#"{"model":"v","temperature":0,"messages":[{"role":"user","content":"x"}]}"#;
    let call = three.gateway.post_chat(body.to_owned());
    let answer = call.header("x-pointsman-deadline", "2s").send().await;
    assert_eq!(answer.says(), "all of b");
    assert_eq!(three.counts(), [1, 1, 0]);
}

#[tokio::test]
async fn who_has_time_enough_waits_and_so_does_whoever_was_told_to() {
    let slow = || from("a").late(ms(400));
    for (dispatch, deadline) in [("deadline_hedge: 0.1", "60s"), ("deadline_hedge: 0", "2s")] {
        let three = three(dispatch).await;
        three.a.on(Match::any(), [slow()]);
        let call = three
            .gateway
            .chat_stream("v")
            .header("x-pointsman-deadline", deadline);
        assert_eq!(spoken(&call.stream().await.text().await), "from a");
        assert_eq!(three.counts(), [1, 0, 0], "{dispatch}");
    }
}

#[tokio::test]
async fn what_an_upstream_said_beside_another_attempt_goes_back_where_nobody_serves() {
    let lacks = r#"{"error":{"message":"this model does not support tools","type":"api_error"}}"#;
    let overflow = Behaviour::error(
        400,
        "context_length_exceeded",
        "maximum context length is 10 tokens",
    );
    // The one that lacks it is the second attempt, then the first.
    for first in [false, true] {
        let three = three(SOON).await;
        let lacking = Behaviour::json(400, lacks);
        let (of_a, of_b) = match first {
            true => (lacking, overflow.clone()),
            false => (overflow.clone(), lacking),
        };
        let of_b_gate = waits(&three.b, of_b);
        let of_a_gate = three.a_waits(of_a);
        three.c.on(Match::any(), [overflow.clone()]);
        let (answer, ()) = tokio::join!(three.gateway.chat_stream("v").send(), async {
            until("both", || async { three.counts() == [1, 1, 0] }).await;
            let (sooner, later) = match first {
                true => ((&three.a, &of_a_gate), &of_b_gate),
                false => ((&three.b, &of_b_gate), &of_a_gate),
            };
            sooner.1.open();
            answered(sooner.0).await;
            later.open();
        });
        assert_eq!((answer.status, answer.text()), (400, lacks), "{first}");
    }
}
