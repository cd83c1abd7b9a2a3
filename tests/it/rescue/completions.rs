//! Completions of the older API: text behind a prompt, which every upstream goes on with.

use super::*;

fn piece(text: &str, finish: Option<&str>) -> String {
    let choice = json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
    let chunk = json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]});
    event(&chunk.to_string())
}

fn completion(words: &[&str]) -> Behaviour {
    let words = words.iter().map(|word| piece(word, None));
    let end = [piece("", Some("stop")), DONE.to_owned()];
    Behaviour::pieces(
        "text/event-stream",
        words.chain(end).map(String::into_bytes).collect(),
    )
}

/// What `a` began to say, and the caller then reads, for a request with these fields.
async fn asked(three: &Three, fields: Value) -> String {
    three.a.on(
        Match::any(),
        [completion(&["Hel", "lo", " there"]).reset(At::AfterPart(2))],
    );
    let mut body = json!({"model": "v", "stream": true, "prompt": "Say: ", "max_tokens": 10});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    let stream = three
        .gateway
        .post("/v1/completions", body.to_string())
        .stream()
        .await;
    stream.text().await
}

fn said(text: &str) -> String {
    let chunks = chunks(text).into_iter();
    chunks
        .filter_map(|chunk| Some(chunk["choices"][0]["text"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test]
async fn any_upstream_goes_on_behind_the_prompt_and_what_was_sent() {
    for prompt in [json!("Say: "), json!(["Say: "])] {
        // No upstream has a prefill, and none needs one.
        let three = three("continue", "off", "").await;
        three.b_says(completion(&[" wor", "ld"]));
        let text = asked(&three, json!({"prompt": prompt})).await;
        assert_eq!(said(&text), "Hello world", "{text}");
        assert!(errors(&text).is_empty() && text.ends_with(DONE), "{text}");
        let request = three.b.requests()[0].json();
        assert_eq!(
            (&request["prompt"], &request["max_tokens"]),
            (&json!("Say: Hello"), &json!(8))
        );
        let ids: Vec<Value> = chunks(&text)
            .iter()
            .map(|chunk| chunk["id"].clone())
            .collect();
        assert!(ids.iter().all(|id| id == "cmpl-1"), "{text}");
    }
}

#[tokio::test]
async fn a_restart_says_only_what_is_new() {
    let three = three("restart", "off", "").await;
    three.b_says(completion(&["H", "ello wo", "rld"]));
    let text = asked(&three, json!({})).await;
    assert_eq!(said(&text), "Hello world", "{text}");
    assert_eq!(three.b.requests()[0].json()["prompt"], "Say: ");
    let three = self::three("restart", "off", "").await;
    three.b_says(completion(&["Help"]));
    let text = asked(&three, json!({})).await;
    assert_eq!(
        (said(&text).as_str(), errors(&text).len()),
        ("Hello", 1),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_more_than_one_text_is_not_rescued() {
    for fields in [
        json!({"suffix": "end"}),
        json!({"logprobs": 1}),
        json!({"echo": true}),
        json!({"prompt": ["x", "y"]}),
    ] {
        let three = three("continue", "off", "").await;
        three.b_says(completion(&[" world"]));
        let text = asked(&three, fields.clone()).await;
        assert_eq!(
            (said(&text).as_str(), errors(&text).len()),
            ("Hello", 1),
            "{fields}: {text}"
        );
        assert_eq!(three.counts(), [1, 0, 0], "{fields}");
    }
}
