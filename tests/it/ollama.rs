//! Ollama's own API behind callers of every kind.

use serde_json::{Value, json};

use crate::support::client::{errors, spoken};
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream};

/// Also with the root of Ollama's OpenAI form, which `<b>` ends with.
const ONE: &str = "
llm:
  providers:
    - {name: local, dialect: ollama, base_url: <b>, model: \"qwen3:8b\", api_key: k1, retry: {same_upstream: 0}}
";

const CHAIN: &str = "
llm:
  providers:
    - {name: local, dialect: ollama, base_url: <b>, model: \"qwen3:8b\", api_key: k1, retry: {same_upstream: 0}}
    - {name: other, base_url: <o>, model: mo, api_key: ko}
  virtual:
    - {name: v, upstreams: [{name: local}, {name: other}]}
";

const LINES: &str = "application/x-ndjson";

async fn one() -> (ScriptedUpstream, Gateway) {
    let b = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("b", &b)]).await;
    (b, gateway)
}

async fn chain() -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let (b, o) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let gateway = Gateway::start(CHAIN, &[("b", &b), ("o", &o)]).await;
    (b, o, gateway)
}

fn line(message: &Value) -> Value {
    json!({"model": "qwen3:8b", "created_at": "2025-01-01T00:00:00.1Z", "message": message, "done": false})
}

fn says(text: &str) -> Value {
    line(&json!({"role": "assistant", "content": text}))
}

/// The last line, or a whole answer.
fn last(message: &Value) -> Value {
    let mut line = line(message);
    line["done"] = true.into();
    line["done_reason"] = "stop".into();
    line["prompt_eval_count"] = 26.into();
    line["eval_count"] = 5.into();
    line["total_duration"] = 4_883_583_458_u64.into();
    line
}

fn end() -> Value {
    last(&json!({"role": "assistant", "content": ""}))
}

fn raw(lines: &[Value]) -> Vec<Vec<u8>> {
    let lines = lines.iter();
    lines.map(|line| format!("{line}\n").into_bytes()).collect()
}

fn streams(lines: &[Value]) -> Behaviour {
    Behaviour::pieces(LINES, raw(lines))
}

fn chat(stream: bool) -> String {
    let mut body = json!({"model": "local", "messages": [{"role": "user", "content": "hi"}]});
    if stream {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    body.to_string()
}

#[tokio::test]
async fn a_chat_request_is_a_chat_of_ollamas_with_its_options() {
    let (b, gateway) = one().await;
    let answer = last(&json!({"role": "assistant", "content": "Hello", "thinking": "They greet."}));
    b.on(Match::any(), [Behaviour::json(200, &answer.to_string())]);
    let body = json!({"model": "local", "max_tokens": 50, "seed": 7, "logit_bias": {"1": 2}, "keep_alive": "10m",
        "options": {"num_ctx": 8192}, "reasoning_effort": "high",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]});
    let answer = gateway.post_chat(body.to_string()).send().await;
    assert_eq!((answer.status, answer.says().as_str()), (200, "Hello"));
    assert_eq!(answer.header("x-pointsman-dropped"), "logit_bias");
    let said = answer.json();
    let message = &said["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "They greet.");
    assert_eq!(
        (
            &said["usage"]["prompt_tokens"],
            &said["usage"]["completion_tokens"]
        ),
        (&json!(26), &json!(5))
    );
    let [request] = &b.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (request.path.as_str(), request.key.as_deref()),
        ("/api/chat", Some("k1"))
    );
    assert_eq!(
        request.json(),
        json!({
            "model": "qwen3:8b", "stream": false, "think": true, "keep_alive": "10m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
            "options": {"num_ctx": 8192, "num_predict": 50, "seed": 7},
        })
    );
}

#[tokio::test]
async fn a_stream_of_lines_is_a_stream_of_chunks_however_it_is_cut_and_named() {
    let (b, gateway) = one().await;
    let lines = [says("Hel"), says("lo\n"), says("\u{e9}"), end()];
    let whole = || vec![raw(&lines).concat()];
    let without_end = {
        let mut all = whole().concat();
        all.pop();
        vec![all]
    };
    b.on(
        Match::any(),
        [
            streams(&lines),
            streams(&lines).slices(7),
            Behaviour::pieces("application/json; charset=utf-8", whole()),
            Behaviour::pieces("text/plain", whole()).gzip(),
            Behaviour::pieces(LINES, without_end),
        ],
    );
    for _ in 0..5 {
        let stream = gateway.post_chat(chat(true)).stream().await;
        assert_eq!(stream.status, 200);
        let kind = stream.header("content-type").to_owned();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        let text = stream.text().await;
        assert_eq!(spoken(&text), "Hello\n\u{e9}");
        assert!(
            text.contains(r#""finish_reason":"stop""#) && text.contains(r#""prompt_tokens":26"#)
        );
        assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    }
    let requests = b.requests();
    assert!(requests.iter().all(|one| one.json()["stream"] == true));
    assert_eq!(requests[0].header("accept"), Some(LINES));
}

#[tokio::test]
async fn calls_go_to_callers_with_ids_and_their_results_back_with_names() {
    let (b, gateway) = one().await;
    let call = json!({"function": {"name": "w", "arguments": {"city": "Bern"}}});
    let lines = [
        line(&json!({"role": "assistant", "content": "", "thinking": "hm"})),
        line(&json!({"role": "assistant", "content": "", "tool_calls": [call]})),
        end(),
    ];
    let second = last(&json!({"role": "assistant", "content": "12"}));
    b.on(
        Match::any(),
        [streams(&lines), Behaviour::json(200, &second.to_string())],
    );
    let tools = json!([{"name": "w", "input_schema": {"type": "object"}}]);
    let user = json!({"role": "user", "content": "weather"});
    let body = json!({"model": "local", "max_tokens": 900, "stream": true, "messages": [user], "tools": tools});
    let stream = gateway
        .post("/v1/messages", body.to_string())
        .stream()
        .await;
    let stream = stream.text().await;
    assert!(
        stream.contains(r#""stop_reason":"tool_use""#) && stream.contains("message_stop"),
        "{stream}"
    );
    let block = stream.split(r#""type":"tool_use","id":""#).nth(1).unwrap();
    let id = block.split('"').next().unwrap();
    assert!(id.starts_with("toolu_"), "{id} in {stream}");
    assert!(stream.contains("signature_delta"), "{stream}");
    let said = json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "w", "input": {"city": "Bern"}}]});
    let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "12 degrees"}]});
    let body = json!({"model": "local", "max_tokens": 900, "messages": [user, said, result], "tools": tools});
    let second = gateway.post("/v1/messages", body.to_string()).send().await;
    assert_eq!(second.json()["content"][0]["text"], "12");
    let messages = b.requests()[1].json()["messages"].clone();
    assert_eq!(
        messages[1]["tool_calls"][0]["function"],
        json!({"name": "w", "arguments": {"city": "Bern"}})
    );
    assert_eq!(
        messages[2],
        json!({"role": "tool", "content": "12 degrees", "tool_name": "w", "tool_call_id": id})
    );
}

#[tokio::test]
async fn an_error_before_the_first_word_is_hidden_and_one_after_it_is_told() {
    let (b, o, gateway) = chain().await;
    let failed = || json!({"error": "model runner has unexpectedly stopped"});
    b.on(
        Match::any(),
        [
            streams(&[failed()]),
            streams(&[says(""), failed()]),
            streams(&[says("Hel"), failed()]),
        ],
    );
    o.on(
        Match::any(),
        [
            Behaviour::streams(&["there"]),
            Behaviour::streams(&["there"]),
        ],
    );
    for _ in 0..2 {
        let hidden = gateway.chat_stream("v").stream().await.text().await;
        assert_eq!(spoken(&hidden), "there");
    }
    let told = gateway.chat_stream("v").stream().await.text().await;
    assert_eq!((spoken(&told).as_str(), errors(&told).len()), ("Hel", 1));
    assert!(
        told.contains("unexpectedly stopped") && !told.contains("[DONE]"),
        "{told}"
    );
}

#[tokio::test]
async fn a_stream_without_its_last_line_is_cut_whatever_ended_it() {
    let (b, o, gateway) = chain().await;
    let cut = || streams(&[says("Hel"), says("lo")]);
    let page = "<html>\n<body>starting up</body></html>\n"
        .as_bytes()
        .to_vec();
    b.on(
        Match::any(),
        [streams(&[says("")]), Behaviour::pieces(LINES, vec![page])],
    );
    o.on(
        Match::any(),
        [
            Behaviour::streams(&["there"]),
            Behaviour::streams(&["there"]),
        ],
    );
    for _ in 0..2 {
        let hidden = gateway.chat_stream("v").stream().await.text().await;
        assert_eq!(spoken(&hidden), "there");
    }
    let (b, gateway) = one().await;
    b.on(Match::any(), [cut(), cut().close(At::InsidePart(1))]);
    for words in ["Hello", "Hel"] {
        let told = gateway.post_chat(chat(true)).stream().await.text().await;
        assert_eq!(
            (spoken(&told).as_str(), errors(&told).len()),
            (words, 1),
            "{told}"
        );
        assert!(!told.contains("[DONE]"), "{told}");
    }
}

#[tokio::test]
async fn a_whole_answer_in_place_of_a_stream_is_a_stream_of_one_line() {
    let (b, gateway) = one().await;
    let answer = last(&json!({"role": "assistant", "content": "Hello"}));
    b.on(Match::any(), [Behaviour::json(200, &answer.to_string())]);
    let stream = gateway.post_chat(chat(true)).stream().await.text().await;
    assert_eq!(spoken(&stream), "Hello");
    assert!(stream.trim_end().ends_with("data: [DONE]"), "{stream}");
}

#[tokio::test]
async fn a_refusal_keeps_its_words() {
    let (b, gateway) = one().await;
    b.on(
        Match::any(),
        [
            Behaviour::json(200, r#"{"error":"no memory"}"#),
            Behaviour::json(404, r#"{"error":"model 'qwen3:8b' not found"}"#),
        ],
    );
    for words in ["no memory", "not found"] {
        let answer = gateway.post_chat(chat(false)).send().await;
        assert!(answer.status >= 400);
        assert!(answer.text().contains(words), "{}", answer.text());
    }
}

#[tokio::test]
async fn what_ollama_says_of_a_model_that_cannot_is_no_fault_of_the_callers() {
    for refusal in [
        r#"{"error":"\"qwen3:8b\" does not support thinking"}"#,
        r#"{"error":"registry.ollama.ai/library/qwen3:8b does not support tools"}"#,
        r#"{"error":"prompt too long; exceeded max context length by 100 tokens"}"#,
    ] {
        let (b, o, gateway) = chain().await;
        b.on(Match::any(), [Behaviour::json(400, refusal)]);
        o.on(Match::any(), [Behaviour::says("there")]);
        assert_eq!(gateway.chat("v").send().await.says(), "there", "{refusal}");
    }
}

#[tokio::test]
async fn embeddings_are_made_by_ollama() {
    let (b, gateway) = one().await;
    let vectors =
        r#"{"model":"e","embeddings":[[0.5,-1],[0,1]],"total_duration":1,"prompt_eval_count":8}"#;
    b.on(Match::any(), [Behaviour::json(200, vectors)]);
    let body = json!({"model": "local:nomic-embed-text", "input": ["a", "b"], "user": "u"});
    let answer = gateway
        .post("/v1/embeddings", body.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-pointsman-dropped"), "user");
    let said = answer.json();
    assert_eq!(
        said["data"][1],
        json!({"object": "embedding", "index": 1, "embedding": [0.0, 1.0]})
    );
    assert_eq!(said["usage"]["prompt_tokens"], 8);
    let request = &b.requests()[0];
    assert_eq!(request.path, "/api/embed");
    assert_eq!(
        request.json(),
        json!({"model": "nomic-embed-text", "input": ["a", "b"]})
    );
}

#[tokio::test]
async fn ollamas_routes_are_no_routes_of_ours() {
    let (b, gateway) = one().await;
    for path in ["/api/chat", "/v1/api/chat", "/api/embed"] {
        let answer = gateway.post(path, chat(false)).send().await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(b.count(), 0);
}
