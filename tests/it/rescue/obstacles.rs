//! Why a stream is not rescued, or not continued where it stopped: the story of its request, the log and `explain` tell.

use super::*;
use crate::admin::side::Side;

struct Told {
    a: ScriptedUpstream,
    b: ScriptedUpstream,
    side: Side,
}

/// The chain of three of which the last one fails.
async fn told(rescue: &str, prefill: &str) -> Told {
    let a = ScriptedUpstream::playing([hello().reset(At::AfterPart(3))]).await;
    let b = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let c = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let yaml = CHAIN.replace("RESCUE", rescue).replace("PREFILL", prefill);
    let side = Side::start(&yaml, &[("a", &a), ("b", &b), ("c", &c)]).await;
    Told { a, b, side }
}

impl Told {
    /// The obstacles in the story of a request with these fields: reasons, and upstreams where they are of one.
    async fn obstacles(&self, fields: &str) -> Vec<[String; 2]> {
        let call = self.side.gateway.post_chat(body(fields));
        call.header("x-request-id", "r").stream().await.text().await;
        let story = self.side.get("/admin/v1/requests/r").send().await.json();
        let all = story["rescue_obstacles"].as_array().unwrap();
        let word = |one: &Value, name: &str| one[name].as_str().unwrap_or("-").to_owned();
        for one in all {
            assert!(
                one["at_ms"].is_number() && !word(one, "detail").is_empty(),
                "{one}"
            );
        }
        all.iter()
            .map(|one| [word(one, "reason"), word(one, "upstream")])
            .collect()
    }
}

#[tokio::test]
async fn the_story_of_a_request_says_why_its_stream_was_not_rescued() {
    let delta = |delta: &str| event(&format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#));
    let thought = delta(r#"{"reasoning_content":"hm"}"#);
    let call =
        delta(r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{"}}]}"#);
    let refusal = delta(r#"{"refusal":"no"}"#);
    let json = r#","response_format":{"type":"json_object"}"#;
    for (events, fields, reason) in [
        (vec![role(), thought, chunk("Hello")], "", "thinking_sent"),
        (vec![role(), chunk("Hello"), call], "", "tool_call_sent"),
        (vec![role(), refusal], "", "other_content_sent"),
        (vec![role(), chunk("{")], json, "request_bound"),
    ] {
        let told = told("continue", "assistant").await;
        let parts = events.len();
        let stream = Behaviour::events(events.into_iter().chain([finish("stop")]));
        told.a
            .on(Match::any(), [stream.reset(At::AfterPart(parts))]);
        assert_eq!(told.obstacles(fields).await, [[reason, "-"]]);
        let line = told.side.gateway.logged("\"message\":\"request\"").await;
        assert!(
            line.contains(&format!("\"rescue_obstacles\":\"{reason}\"")),
            "{line}"
        );
    }
}

#[tokio::test]
async fn it_says_at_which_upstream_an_answer_could_not_be_continued() {
    let told = told("continue", "assistant").await;
    told.b.on(
        Match::any(),
        [Behaviour::error(400, "invalid", "prefill is not supported")],
    );
    let all = told.obstacles("").await;
    assert_eq!(
        all.first().unwrap(),
        &["prefill_refused", "b:mb"],
        "{all:?}"
    );
    assert_eq!(all.last().unwrap(), &["no_upstream", "-"], "{all:?}");
    let begun =
        r#","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"Oh"}]"#;
    let told = self::told("continue", "assistant").await;
    told.b
        .on(Match::any(), [Behaviour::streams(&["Hello you"])]);
    let fields = body("").replace(r#","messages":[{"role":"user","content":"hi"}]"#, begun);
    let call = told
        .side
        .gateway
        .post_chat(fields)
        .header("x-request-id", "r");
    whole(&call.stream().await.text().await, "Hello you");
    let story = told.side.get("/admin/v1/requests/r").send().await.json();
    assert_eq!(
        story["rescue_obstacles"][0]["reason"],
        "no_place_for_prefill"
    );
    let told = self::told("continue", "off").await;
    told.b.on(Match::any(), [Behaviour::streams(&["Help"])]);
    let all = told.obstacles("").await;
    assert_eq!(all, [["no_prefill", "b:mb"], ["answer_differs", "-"]]);
}

#[tokio::test]
async fn nothing_is_said_of_a_rescue_that_was_not_asked_for_or_came_about() {
    let told = told("off", "assistant").await;
    assert!(told.obstacles("").await.is_empty());
    let told = self::told("continue", "assistant").await;
    told.b.on(Match::any(), [Behaviour::streams(&[" world"])]);
    assert!(told.obstacles("").await.is_empty());
}

#[tokio::test]
async fn explain_says_what_is_known_before_any_stream_breaks() {
    let upstream = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k}
    - {name: b, base_url: <a>, model: m, api_key: k, prefill: assistant}
    - {name: new, dialect: anthropic, base_url: <a>, model: claude-opus-4-7, api_key: k, prefill: assistant}
    - {name: bound, base_url: <a>, model: m, api_key: k, params: {response_format: {type: json_object}}}
  virtual:
    - {name: go-on, upstreams: [a, b, new], rescue: continue}
    - {name: again, upstreams: [a, b], rescue: restart}
    - {name: never, upstreams: [b, bound], rescue: continue}
    - {name: plain, upstreams: [a, b]}
";
    let side = Side::start(yaml, &[("a", &upstream)]).await;
    for (target, told) in [
        (
            "go-on",
            vec![
                ["restart", "no_prefill"],
                ["continue", "-"],
                ["restart", "model_takes_no_prefill"],
            ],
        ),
        ("again", vec![["restart", "-"]; 2]),
        ("never", vec![["-", "params_bound"]; 2]),
        ("plain", vec![["-", "-"]; 2]),
    ] {
        let question = json!({"target": target}).to_string();
        let said = side
            .post("/admin/v1/explain", &question)
            .send()
            .await
            .json();
        let all = said["candidates"].as_array().unwrap();
        let all: Vec<[&str; 2]> = all
            .iter()
            .map(|one| ["rescue", "rescue_obstacle"].map(|name| one[name].as_str().unwrap_or("-")))
            .collect();
        assert_eq!(all, told, "{target}");
    }
}
