//! Embeddings at Vertex AI, which has other forms for them than Gemini's own API, and of Gemini's callers elsewhere.

use serde_json::{Value, json};

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

const SETUP: &str = "
llm:
  providers:
    - {name: v, dialect: gemini, base_url: <v>, model: text-embedding-005, auth: google, api_key: ready-token}
    - {name: a, base_url: <v>, model: e, api_key: k1}
";

async fn setup() -> (ScriptedUpstream, Gateway) {
    let v = ScriptedUpstream::start().await;
    let gateway = Gateway::start(SETUP, &[("v", &v)]).await;
    (v, gateway)
}

fn predictions(all: &[&[f64]]) -> Behaviour {
    let one = |values: &&[f64]| json!({"embeddings": {"values": values, "statistics": {"token_count": 3, "truncated": false}}});
    let all: Vec<Value> = all.iter().map(one).collect();
    Behaviour::json(
        200,
        &json!({"predictions": all, "metadata": {"billableCharacterCount": 8}}).to_string(),
    )
}

fn openai(all: &[&[f64]]) -> Behaviour {
    let one = |(index, values): (usize, &&[f64])| json!({"object": "embedding", "index": index, "embedding": values});
    let all: Vec<Value> = all.iter().enumerate().map(one).collect();
    Behaviour::json(200, &json!({"object": "list", "data": all, "model": "e", "usage": {"prompt_tokens": 6, "total_tokens": 6}}).to_string())
}

#[tokio::test]
async fn an_openai_caller_is_served_by_vertex() {
    let (v, gateway) = setup().await;
    v.on(Match::any(), [predictions(&[&[0.5, -1.0], &[0.25, 1.0]])]);
    let asked = json!({"model": "v", "input": ["a", "b"], "dimensions": 2, "task_type": "RETRIEVAL_QUERY", "user": "u"});
    let answer = gateway
        .post("/v1/embeddings", asked.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-pointsman-dropped"), "user");
    let answer = answer.json();
    assert_eq!(answer["data"][1]["embedding"], json!([0.25, 1.0]));
    assert_eq!(
        answer["usage"],
        json!({"prompt_tokens": 6, "total_tokens": 6})
    );
    let request = &v.requests()[0];
    assert_eq!(
        request.path,
        "/v1/publishers/google/models/text-embedding-005:predict"
    );
    assert_eq!(
        request.json(),
        json!({"instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}, {"content": "b", "task_type": "RETRIEVAL_QUERY"}],
            "parameters": {"outputDimensionality": 2}})
    );
    // Models that have `:embedContent` there have nothing else.
    let own = json!({"embedding": {"values": [0.5, -1]}, "usageMetadata": {"promptTokenCount": 3}});
    v.on(Match::any(), [Behaviour::json(200, &own.to_string())]);
    let asked = json!({"model": "v:gemini-embedding-2-preview", "input": "a", "dimensions": 2});
    let answer = gateway
        .post("/v1/embeddings", asked.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"][0]["embedding"], json!([0.5, -1.0]));
    let request = v.requests().pop().unwrap();
    assert_eq!(
        request.path,
        "/v1/publishers/google/models/gemini-embedding-2-preview:embedContent"
    );
    assert_eq!(
        request.json(),
        json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2})
    );
}

#[tokio::test]
async fn a_gemini_caller_is_served_by_vertex() {
    let (v, gateway) = setup().await;
    v.on(Match::any(), [predictions(&[&[0.5, -1.0], &[0.25, 1.0]])]);
    let one = |text: &str| json!({"model": "models/v", "content": {"parts": [{"text": text}]}, "taskType": "RETRIEVAL_DOCUMENT", "title": "t", "outputDimensionality": 2});
    let asked = json!({"requests": [one("a"), one("b")]});
    let answer = gateway
        .post("/v1beta/models/v:batchEmbedContents", asked.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.json()["embeddings"],
        json!([{"values": [0.5, -1.0]}, {"values": [0.25, 1.0]}])
    );
    let request = &v.requests()[0];
    assert_eq!(
        request.path,
        "/v1/publishers/google/models/text-embedding-005:predict"
    );
    assert_eq!(
        request.json()["instances"][1],
        json!({"content": "b", "task_type": "RETRIEVAL_DOCUMENT", "title": "t"})
    );
    v.on(Match::any(), [predictions(&[&[0.5, -1.0]])]);
    let answer = gateway
        .post("/v1beta/models/v:embedContent", one("a").to_string())
        .send()
        .await;
    assert_eq!(
        answer.json()["embedding"],
        json!({"values": [0.5, -1.0]}),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_gemini_caller_is_served_by_openais_embeddings() {
    let (v, gateway) = setup().await;
    v.on(Match::any(), [openai(&[&[0.5, -1.0], &[0.25, 1.0]])]);
    let one = |text: &str| json!({"model": "models/a", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2, "taskType": "CLUSTERING"});
    let asked = json!({"requests": [one("a"), one("b")]});
    let answer = gateway
        .post("/v1beta/models/a:batchEmbedContents", asked.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.json()["embeddings"],
        json!([{"values": [0.5, -1.0]}, {"values": [0.25, 1.0]}])
    );
    assert_eq!(answer.json()["usageMetadata"]["promptTokenCount"], 6);
    assert_eq!(answer.header("x-pointsman-dropped"), "taskType");
    let request = &v.requests()[0];
    assert_eq!(request.path, "/v1/embeddings");
    assert_eq!(
        request.json(),
        json!({"model": "e", "input": ["a", "b"], "dimensions": 2, "encoding_format": "float"})
    );
    v.on(Match::any(), [openai(&[&[0.5, -1.0]])]);
    let answer = gateway
        .post("/v1beta/models/a:embedContent", one("a").to_string())
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["embedding"], json!({"values": [0.5, -1.0]}));
    assert_eq!(answer.header("x-pointsman-dropped"), "taskType");
    // What is no text cannot be embedded there.
    let picture =
        json!({"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}});
    let answer = gateway
        .post("/v1beta/models/a:embedContent", picture.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let differ = json!({"requests": [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2}, {"content": {"parts": [{"text": "b"}]}, "outputDimensionality": 3}]});
    let answer = gateway
        .post("/v1beta/models/a:batchEmbedContents", differ.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}
