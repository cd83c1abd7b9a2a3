//! Operations that an upstream does not have: nothing is held against it for the others, and who has a choice is not
//! sent there again and again.

use crate::support::{Answer, Behaviour, Gateway, Match, ScriptedUpstream};

const SETUP: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: sk-a-0123456789, retry: {same_upstream: 0}, responses: native}
    - {name: b, base_url: <b>, model: m, api_key: sk-b-0123456789, retry: {same_upstream: 0}}
  virtual: [{name: v, upstreams: [a, b]}]
dispatch: {await_cooldown: 0s}
";

const OTHERS: [(&str, &str, &str); 4] = [
    (
        "/v1/embeddings",
        r#""input":"hi""#,
        r#"{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.5]}]}"#,
    ),
    (
        "/v1/completions",
        r#""prompt":"hi""#,
        r#"{"id":"c","object":"text_completion","created":1,"model":"m","choices":[{"text":"ok","index":0,"finish_reason":"stop"}]}"#,
    ),
    (
        "/v1/moderations",
        r#""input":"hi""#,
        r#"{"id":"x","model":"m","results":[{"flagged":false}]}"#,
    ),
    (
        "/v1/responses",
        r#""input":"hi""#,
        r#"{"id":"r","object":"response","status":"completed","model":"m","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"ok"}]}]}"#,
    ),
];

const PAGE: &str = "<!DOCTYPE html><html><head><title>Error</title></head><body><pre>Cannot POST /v1/x</pre></body></html>";

/// How upstreams say that they do not have an operation, or that a model does something else: status, content type, body.
const LACKS: [(u16, &str, &str); 21] = [
    (404, "text/plain", "404 page not found\n"),
    (404, "text/html", PAGE),
    (404, "text/plain", ""),
    (
        405,
        "text/html",
        "<html><title>405 Not Allowed</title></html>",
    ),
    (405, "text/plain", "Method Not Allowed"),
    (200, "text/html", PAGE),
    (200, "text/plain", "Ollama is running"),
    (
        501,
        "text/html",
        "<html><title>501 Not Implemented</title></html>",
    ),
    (
        200,
        "application/json",
        r#"{"error":"Unexpected endpoint or method. (POST /v1/x)"}"#,
    ),
    (
        404,
        "application/json",
        r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#,
    ),
    (404, "application/json", r#"{"detail":"Not Found"}"#),
    (
        404,
        "application/json",
        r#"{"error":{"message":"Unknown request URL: POST /v1/x. Please check the URL for typos.","type":"invalid_request_error","code":"unknown_url"}}"#,
    ),
    (
        404,
        "application/json",
        r#"{"error":{"message":"This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?","type":"invalid_request_error","param":"model","code":null}}"#,
    ),
    (
        404,
        "application/json",
        r#"{"error":{"code":404,"message":"models/m is not found for API version v1main, or is not supported for embedContent. Call ListModels to see the list of available models.","status":"NOT_FOUND"}}"#,
    ),
    (
        404,
        "application/json",
        r#"{"error":{"message":"The model `m` does not exist or you do not have access to it.","type":"invalid_request_error","code":"model_not_found"}}"#,
    ),
    (
        404,
        "application/json",
        r#"{"object":"error","message":"The model `m` does not exist.","type":"NotFoundError","param":"model","code":404}"#,
    ),
    (
        400,
        "application/json",
        r#"{"object":"error","message":"The model does not support Embeddings API","type":"BadRequestError","param":null,"code":400}"#,
    ),
    (
        400,
        "application/json",
        r#"{"error":{"message":"Invalid model: m","type":"invalid_model","code":"model_not_found"}}"#,
    ),
    (
        500,
        "application/json",
        r#"{"error":{"code":500,"message":"rpc error: code = Unimplemented desc = ","type":""}}"#,
    ),
    (
        501,
        "application/json",
        r#"{"error":{"code":501,"message":"This server does not support embeddings. Start it with `--embeddings`","type":"not_supported_error"}}"#,
    ),
    (501, "application/json", r#"{"message":"nope"}"#),
];

fn lacks() -> Vec<Behaviour> {
    let each = LACKS.iter();
    each.map(|(status, kind, body)| Behaviour::body(*status, kind, body))
        .collect()
}

/// Whether an attempt of `answer` went to `name`.
fn served_by(answer: &Answer, name: &str) -> bool {
    answer.status == 200 && answer.header("x-pointsman-upstream").starts_with(name)
}

/// Both upstreams with a model for each of `count` cases, `v0` with `m0` and so on.
fn setup(count: usize) -> String {
    let line = |n| format!("    - {{name: v{n}, upstreams: [\"a:m{n}\", \"b:m{n}\"]}}\n");
    let virtuals: String = (0..count).map(line).collect();
    SETUP.replace(
        "  virtual: [{name: v, upstreams: [a, b]}]\n",
        &format!("  virtual:\n{virtuals}"),
    )
}

async fn pair(yaml: &str) -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

#[tokio::test]
async fn chat_is_served_where_another_operation_is_not_there() {
    let (lacks, places) = (lacks(), OTHERS.len());
    for served_before in [false, true] {
        let (a, b, gateway) = pair(&setup(lacks.len() * places)).await;
        for (case, lack) in lacks.iter().enumerate() {
            // Where nothing else is known of an upstream, a page in place of a good answer may be an outage.
            if !served_before && lack.is_good() && lack.is_page() {
                continue;
            }
            for (place, (path, field, good)) in OTHERS.into_iter().enumerate() {
                let n = case * places + place;
                let of = Match::path(path).and_model(&format!("m{n}"));
                a.on(of.clone(), [lack.clone()]);
                b.on(of, [Behaviour::json(200, good)]);
                if served_before {
                    assert!(served_by(
                        &gateway.chat(&format!("v{n}")).send().await,
                        "a:"
                    ));
                }
                let body = |target: &str| format!(r#"{{"model":"{target}",{field}}}"#);
                for _ in 0..3 {
                    let lone = gateway.post(path, body(&format!("a:m{n}"))).send().await;
                    assert_ne!(lone.status, 200, "{case} {path} {}", lone.text());
                    let other = gateway.post(path, body(&format!("v{n}"))).send().await;
                    assert!(served_by(&other, "b:"), "{case} {path} {}", other.text());
                }
                let chat = gateway.chat(&format!("v{n}")).send().await;
                assert!(served_by(&chat, "a:"), "{case} {path} {}", chat.text());
            }
        }
    }
}

#[tokio::test]
async fn embeddings_are_served_where_chat_is_not_there() {
    let (path, field, good) = OTHERS[0];
    let lacks = lacks();
    let (a, _b, gateway) = pair(&setup(lacks.len())).await;
    a.on(Match::path(path), [Behaviour::json(200, good)]);
    for (n, lack) in lacks.iter().enumerate() {
        a.on(
            Match::path("/v1/chat/completions").and_model(&format!("m{n}")),
            [lack.clone()],
        );
        let body = format!(r#"{{"model":"v{n}",{field}}}"#);
        assert!(served_by(
            &gateway.post(path, body.clone()).send().await,
            "a:"
        ));
        for _ in 0..3 {
            gateway.chat(&format!("a:m{n}")).send().await;
            let chat = gateway.chat(&format!("v{n}")).send().await;
            assert!(served_by(&chat, "b:"), "{n} {}", chat.text());
        }
        let again = gateway.post(path, body).send().await;
        assert!(served_by(&again, "a:"), "{n} {}", again.text());
    }
}

#[tokio::test]
async fn what_is_not_there_is_asked_once_while_another_upstream_serves_and_always_where_none_does()
{
    let (path, field, good) = OTHERS[0];
    let (a, b, gateway) = pair(SETUP).await;
    a.on(
        Match::path(path),
        [Behaviour::body(404, "text/plain", "404 page not found\n")],
    );
    b.on(Match::path(path), [Behaviour::json(200, good)]);
    let body = |target: &str| format!(r#"{{"model":"{target}",{field}}}"#);
    for _ in 0..120 {
        // Each would be an extra attempt at `b`, of which there are a hundred and no more.
        let answer = gateway.post(path, body("v")).send().await;
        assert!(served_by(&answer, "b:"), "{}", answer.text());
    }
    assert_eq!(a.count(), 1);
    let lone = gateway.post(path, body("a")).send().await;
    assert_eq!((lone.status, lone.text()), (404, "404 page not found\n"));
    b.on(Match::path(path), [Behaviour::rate_limited()]);
    a.on(Match::path(path), [Behaviour::json(200, good)]);
    // The first hears of the limit; nobody else is left, so that the one that had not the operation is asked again.
    for _ in 0..2 {
        let answer = gateway.post(path, body("v")).send().await;
        assert!(served_by(&answer, "a:"), "{}", answer.text());
    }
}
