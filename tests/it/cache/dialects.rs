//! Kept answers in every dialect of callers, and of operations that are no conversations.

use serde_json::{Value, json};

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

/// One caller's question, whole and streamed.
struct Asked {
    whole: (&'static str, Value),
    streamed: (&'static str, Value),
    /// In both of its answers.
    says: &'static str,
    /// At the end of a streamed one.
    ends: &'static str,
}

fn callers() -> [Asked; 5] {
    let with = |body: &Value, stream: bool| {
        let mut body = body.clone();
        body["stream"] = stream.into();
        body
    };
    let chat = json!({"model": "a:m", "temperature": 0, "messages": [{"role": "user", "content": "hi"}],
        "stream_options": {"include_usage": true}});
    let messages = json!({"model": "a:m", "temperature": 0, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let responses = json!({"model": "a:m", "temperature": 0, "input": "hi"});
    let content =
        json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"temperature": 0}});
    let text = json!({"model": "a:m", "temperature": 0, "prompt": "hi"});
    [
        Asked {
            whole: ("/v1/chat/completions", with(&chat, false)),
            streamed: ("/v1/chat/completions", with(&chat, true)),
            says: "moonlight",
            ends: "data: [DONE]",
        },
        Asked {
            whole: ("/v1/messages", with(&messages, false)),
            streamed: ("/v1/messages", with(&messages, true)),
            says: "moonlight",
            ends: "message_stop",
        },
        Asked {
            whole: ("/v1/responses", with(&responses, false)),
            streamed: ("/v1/responses", with(&responses, true)),
            says: "moonlight",
            ends: "response.completed",
        },
        Asked {
            whole: ("/v1beta/models/a:m:generateContent", content.clone()),
            streamed: ("/v1beta/models/a:m:streamGenerateContent?alt=sse", content),
            says: "moonlight",
            ends: "finishReason",
        },
        Asked {
            whole: ("/v1/completions", with(&text, false)),
            streamed: ("/v1/completions", with(&text, true)),
            says: "moonlight",
            ends: "data: [DONE]",
        },
    ]
}

async fn gateway(upstream: &ScriptedUpstream) -> Gateway {
    let yaml = "
cache: {}
llm:
  providers: [{name: a, base_url: <a>, api_key: k, responses: translate}]
";
    Gateway::start(yaml, &[("a", upstream)]).await
}

fn answers(upstream: &ScriptedUpstream) {
    let text = json!({"id": "c", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": "moonlight", "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    upstream.on(Match::any(), [Behaviour::says("moonlight")]);
    upstream.on(
        Match::path("/v1/completions"),
        [Behaviour::json(200, &text.to_string())],
    );
}

#[tokio::test]
async fn whole_answers_are_told_as_streams_to_every_caller() {
    for asked in callers() {
        let upstream = ScriptedUpstream::start().await;
        answers(&upstream);
        let gateway = gateway(&upstream).await;
        let (path, body) = &asked.whole;
        let miss = gateway.post(path, body.to_string()).send().await;
        assert_eq!(
            miss.header("x-pointsman-cache"),
            "miss",
            "{path}: {}",
            miss.text()
        );
        let hit = gateway.post(path, body.to_string()).send().await;
        assert_eq!(hit.header("x-pointsman-cache"), "hit", "{path}");
        assert_eq!(hit.text(), miss.text());
        assert!(hit.text().contains(asked.says), "{path}: {}", hit.text());
        let (path, body) = &asked.streamed;
        let stream = gateway.post(path, body.to_string()).stream().await;
        assert_eq!(stream.header("x-pointsman-cache"), "hit", "{path}");
        let text = stream.text().await;
        assert!(
            text.contains(asked.says) && text.contains(asked.ends),
            "{path}: {text}"
        );
        assert_eq!(upstream.count(), 1, "{path}");
    }
}

#[tokio::test]
async fn streams_are_told_as_whole_answers_to_every_caller() {
    let [chat, messages, responses, content, _] = callers();
    for asked in [chat, messages, responses, content] {
        let upstream = ScriptedUpstream::start().await;
        let usage = crate::support::behaviour::event(
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
        );
        upstream.on(
            Match::any(),
            [Behaviour::events([
                crate::support::behaviour::role(),
                crate::support::behaviour::chunk("moon"),
                crate::support::behaviour::chunk("light"),
                crate::support::behaviour::finish("stop"),
                usage,
                crate::support::behaviour::DONE.to_owned(),
            ])],
        );
        let gateway = gateway(&upstream).await;
        let (path, body) = &asked.streamed;
        let stream = gateway.post(path, body.to_string()).stream().await;
        assert_eq!(stream.header("x-pointsman-cache"), "miss", "{path}");
        let text = stream.text().await;
        assert!(text.contains(asked.ends), "{path}: {text}");
        let (path, body) = &asked.whole;
        let hit = gateway.post(path, body.to_string()).send().await;
        assert_eq!(
            hit.header("x-pointsman-cache"),
            "hit",
            "{path}: {}",
            hit.text()
        );
        assert!(hit.text().contains(asked.says), "{path}: {}", hit.text());
        let again = gateway.post(asked.streamed.0, asked.streamed.1.to_string());
        let again = again.stream().await;
        assert_eq!(again.header("x-pointsman-cache"), "hit", "{path}");
        assert!(again.text().await.contains(asked.says), "{path}");
        assert_eq!(upstream.count(), 1, "{path}");
    }
}

#[tokio::test]
async fn embeddings_rankings_and_moderations_need_no_temperature() {
    let upstream = ScriptedUpstream::start().await;
    for (path, answer) in [
        (
            "/v1/embeddings",
            json!({"object": "list", "data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
        ),
        (
            "/v1/rerank",
            json!({"results": [{"index": 0, "relevance_score": 0.5}]}),
        ),
        (
            "/v1/moderations",
            json!({"id": "m", "results": [{"flagged": false}]}),
        ),
    ] {
        upstream.on(
            Match::path(path),
            [Behaviour::json(200, &answer.to_string())],
        );
    }
    let gateway = gateway(&upstream).await;
    for (number, (path, body)) in [
        (
            "/v1/embeddings",
            json!({"model": "a:m", "input": ["https://a", "b"]}),
        ),
        (
            "/v1/rerank",
            json!({"model": "a:m", "query": "q", "documents": ["d"]}),
        ),
        ("/v1/moderations", json!({"model": "a:m", "input": "x"})),
    ]
    .into_iter()
    .enumerate()
    {
        let ask = || gateway.post(path, body.to_string()).send();
        let miss = ask().await;
        assert_eq!(
            miss.header("x-pointsman-cache"),
            "miss",
            "{path}: {}",
            miss.text()
        );
        let hit = ask().await;
        assert_eq!(hit.header("x-pointsman-cache"), "hit", "{path}");
        assert_eq!(hit.text(), miss.text());
        assert_eq!(upstream.count(), number + 1);
    }
}
