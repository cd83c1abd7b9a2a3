//! One provider, nothing goes wrong: what goes up, what comes back, and what is refused at the door.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::gateway::spoken;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream, chat, chat_stream};

const ONE: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: big-model, api_key: k1}
";

async fn one() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("a", &a)]).await;
    (a, gateway)
}

#[tokio::test]
async fn a_request_goes_to_the_providers_url_with_its_key_and_model() {
    let (a, gateway) = one().await;
    let answer = gateway.chat("a").send().await;
    assert_eq!((answer.status, answer.says().as_str()), (200, "ok"));
    let [request] = &a.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.key.as_deref(), Some("k1"));
    assert_eq!(request.model.as_deref(), Some("big-model"));
}

#[tokio::test]
async fn the_answer_comes_back_byte_for_byte() {
    let (a, gateway) = one().await;
    let body = "{ \"choices\":\n[{\"message\":{\"role\":\"assistant\",\"content\":\"\\u00e9 é\"},\"x\":1e400}],\
                \"future\":{\"b\":0.10,\"a\":[ ]},\"usage\":{\"total_tokens\":12345678901234567890}}\n\n";
    a.on(
        Match::any(),
        [Behaviour::json(200, body).header("x-model-region", "eu")],
    );
    let answer = gateway.chat("a").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), body);
    assert_eq!(answer.header("x-model-region"), "eu");
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn fields_that_nobody_knows_survive_the_way_up_byte_for_byte() {
    let (a, gateway) = one().await;
    let body = r#"{ "future": {"b": 0.10, "a": [1.0e+2, 12345678901234567890123]} , "model":"a",
        "messages":[{"role":"user","content":"\u00e9 \ud83d\ude00 é","odd":null}],"temperature":0.0, "t" : [ ] }"#;
    assert_eq!(gateway.post_chat(body).send().await.status, 200);
    let fields = |body: &[u8]| -> BTreeMap<String, String> {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).unwrap();
        let text = |(name, value): (String, Box<RawValue>)| (name, value.get().to_owned());
        fields.into_iter().map(text).collect()
    };
    let mut sent = fields(body.as_bytes());
    sent.insert("model".to_owned(), "\"big-model\"".to_owned());
    assert_eq!(fields(&a.requests()[0].body), sent);
}

#[tokio::test]
async fn a_stream_arrives_event_by_event_and_whole() {
    let (a, gateway) = one().await;
    a.on(Match::any(), [Behaviour::streams(&["Hel", "lo", "!"])]);
    let stream = gateway.chat_stream("a").stream().await;
    assert_eq!(stream.status, 200);
    assert!(
        stream
            .header("content-type")
            .starts_with("text/event-stream")
    );
    let text = stream.text().await;
    assert_eq!(spoken(&text), "Hello!");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(a.requests()[0].json()["stream"], true);
}

#[tokio::test]
async fn an_event_is_passed_on_before_the_next_one_exists() {
    use crate::support::{At, Gate, behaviour};
    let (a, gateway) = one().await;
    let gate = Gate::new();
    let stream = Behaviour::events([
        behaviour::chunk("first"),
        behaviour::chunk("second"),
        behaviour::finish("stop"),
        behaviour::DONE.to_owned(),
    ]);
    a.on(Match::any(), [stream.gate(At::AfterPart(1), &gate)]);
    let mut stream = gateway.chat_stream("a").stream().await;
    stream.until("first").await;
    assert!(!stream.seen_text().contains("second"));
    gate.open();
    assert_eq!(spoken(&stream.text().await), "firstsecond");
}

#[tokio::test]
async fn null_content_tool_calls_and_empty_text_are_answers() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("a", &a)]).await;
    let tools = r#"{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    let null =
        r#"{"choices":[{"message":{"role":"assistant","content":null},"finish_reason":"stop"}]}"#;
    let empty =
        r#"{"choices":[{"message":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#;
    for body in [tools, null, empty] {
        a.on(Match::any(), [Behaviour::json(200, body)]);
        let answer = gateway.chat("a").send().await;
        assert_eq!((answer.status, answer.text()), (200, body));
        assert_eq!(answer.header("x-pointsman-attempts"), "1");
    }
}

#[tokio::test]
async fn every_openai_operation_takes_the_same_way() {
    let (a, gateway) = one().await;
    let cases = [
        (
            "/completions",
            r#"{"object":"text_completion","choices":[{"index":0,"text":"x","finish_reason":"stop"}]}"#,
        ),
        (
            "/embeddings",
            r#"{"object":"list","data":[{"index":0,"embedding":[0.5]}]}"#,
        ),
        (
            "/responses",
            r#"{"object":"response","status":"completed","output":[]}"#,
        ),
        (
            "/moderations",
            r#"{"id":"m","results":[{"flagged":false}]}"#,
        ),
    ];
    for (path, body) in cases {
        let path = format!("/v1{path}");
        a.on(Match::path(&path), [Behaviour::json(200, body)]);
        let answer = gateway
            .post(&path, r#"{"model":"a","input":"x","prompt":"x"}"#)
            .send()
            .await;
        assert_eq!((answer.status, answer.text()), (200, body), "{path}");
    }
    assert!(a.models().iter().all(|model| model == "big-model"));
}

#[tokio::test]
async fn routes_work_without_the_version_too() {
    let (a, gateway) = one().await;
    let answer = gateway.post("/chat/completions", chat("a")).send().await;
    assert_eq!(answer.says(), "ok");
    assert_eq!(a.requests()[0].path, "/v1/chat/completions");
    let versioned = gateway.get("/v1/models").send().await;
    let plain = gateway.get("/models").send().await;
    assert_eq!((versioned.status, plain.status), (200, 200));
    assert_eq!(versioned.json(), plain.json());
}

#[tokio::test]
async fn models_lists_what_may_be_asked_for() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: big-model, api_key: k1}
    - {name: b, base_url: <a>, models: [one, two], api_key: k1}
  virtual:
    - {name: smart, upstreams: [{name: a}, {name: b}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let list = gateway.get("/v1/models").send().await;
    assert_eq!(list.status, 200);
    let list = list.json();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap();
    assert!(models.iter().all(|model| model["object"] == "model"
        && model["owned_by"].is_string()
        && model["created"].is_number()));
    let ids: Vec<&str> = models
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    for wanted in ["smart", "one", "two"] {
        assert!(
            ids.iter().any(|id| id.contains(wanted)),
            "{wanted} in {ids:?}"
        );
    }
    for id in &ids {
        let answer = gateway.get(&format!("/v1/models/{id}")).send().await;
        assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(id)));
        let chat = gateway.chat(id).send().await;
        assert_eq!(
            chat.status,
            200,
            "{id} is listed, so it can be asked: {}",
            chat.text()
        );
    }
    gateway
        .get("/v1/models/none")
        .send()
        .await
        .assert_error(404, "model_not_found");
    assert_eq!(
        a.requests()
            .iter()
            .filter(|request| request.method == "GET")
            .count(),
        0
    );
}

#[tokio::test]
async fn health_says_alive_ready_and_how_many_upstreams_are_usable() {
    let (_a, gateway) = one().await;
    for path in ["/health/live", "/health/ready", "/health"] {
        let answer = gateway.get(path).send().await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.json().is_object(), "{path}");
    }
    assert_eq!(gateway.health("/upstreams/usable").await, 1);
}

#[tokio::test]
async fn what_is_not_a_request_is_refused_and_goes_nowhere() {
    let (a, gateway) = one().await;
    for broken in ["", "{", "{\"model\": a}", "hello", "{\"model\":\"a\"} {}"] {
        gateway
            .post_chat(broken)
            .send()
            .await
            .assert_error(400, "invalid_json");
    }
    for wrong in [
        "[]",
        "\"a\"",
        "3",
        r#"{"model":3}"#,
        r#"{"model":"a","stream":"yes"}"#,
    ] {
        gateway
            .post_chat(wrong)
            .send()
            .await
            .assert_error(400, "invalid_request");
    }
    gateway
        .get("/v1/nothing")
        .send()
        .await
        .assert_error(404, "route_not_found");
    gateway
        .get("/v1/chat/completions")
        .send()
        .await
        .assert_error(405, "method_not_allowed");
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn an_unknown_model_is_told_with_near_names() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: frontier, base_url: <a>, model: m, api_key: k1}
    - {name: other, base_url: <a>, model: m2, api_key: k1}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let answer = gateway.chat("frontjer").send().await;
    answer.assert_error(404, "model_not_found");
    let message = answer.json()["error"]["message"].clone();
    assert!(message.as_str().unwrap().contains("frontier"), "{message}");
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn targets_are_found_by_name_by_provider_and_model_and_by_a_listed_model() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: usual, api_key: k1}
    - {name: b, base_url: <b>, models: [one, two], api_key: k2}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    for target in ["a", "a:special", "a:org/name:free"] {
        assert_eq!(gateway.chat(target).send().await.status, 200, "{target}");
    }
    assert_eq!(a.models(), ["usual", "special", "org/name:free"]);
    for target in ["b", "b:two", "two"] {
        assert_eq!(gateway.chat(target).send().await.status, 200, "{target}");
    }
    assert_eq!(b.models(), ["one", "two", "two"]);
    gateway
        .chat("b:three")
        .send()
        .await
        .assert_error(404, "model_not_found");
}

#[tokio::test]
async fn without_a_model_the_default_is_taken_or_the_only_provider() {
    let no_model = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    let (a, gateway) = one().await;
    assert_eq!(gateway.post_chat(no_model).send().await.status, 200);
    assert_eq!(a.models(), ["big-model"]);

    let yaml = "
llm:
  DEFAULT
  providers:
    - {name: a, base_url: <a>, model: usual, api_key: k1}
    - {name: b, base_url: <a>, model: other, api_key: k2}
";
    let several = Gateway::start(&yaml.replace("DEFAULT", ""), &[("a", &a)]).await;
    several
        .post_chat(no_model)
        .send()
        .await
        .assert_error(400, "no_default_model");

    let yaml = yaml.replace("DEFAULT", "default_model: \"b:special\"");
    let with_default = Gateway::start(&yaml, &[("a", &a)]).await;
    assert_eq!(with_default.post_chat(no_model).send().await.status, 200);
    assert_eq!(a.models().last().unwrap(), "special");
    assert_eq!(a.keys().last().unwrap(), "k2");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_or_not_it_says_its_length() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("server: {{max_body: 1KiB}}{ONE}");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let fits = format!(r#"{{"model":"a","x":"{}"}}"#, "x".repeat(900));
    assert_eq!(gateway.post_chat(fits).send().await.status, 200);
    let large = format!(r#"{{"model":"a","x":"{}"}}"#, "x".repeat(2000));
    gateway
        .post_chat(large.clone())
        .send()
        .await
        .assert_error(413, "request_too_large");
    let raw = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    let answer = String::from_utf8(gateway.exchange(raw.as_bytes()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn parameters_of_the_configuration_fill_in_only_what_the_request_lacks() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, params: {temperature: 0.2, top_p: 0.5}, headers: {X-Title: me}}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let body = r#"{"model":"a","temperature":0,"messages":[]}"#;
    assert_eq!(gateway.post_chat(body).send().await.status, 200);
    let request = &a.requests()[0];
    assert_eq!(request.json()["temperature"], json!(0));
    assert_eq!(request.json()["top_p"], json!(0.5));
    assert_eq!(request.header("x-title"), Some("me"));
}

#[tokio::test]
async fn a_full_url_a_trailing_slash_and_a_provider_without_key_all_work() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: full, base_url: <a>/odd/chat/completions, model: m, api_key: k1}
    - {name: slash, base_url: <a>/, model: m, api_key: k1}
    - {name: keyless, base_url: <a>, model: m}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    for target in ["full", "slash", "keyless"] {
        assert_eq!(gateway.chat(target).send().await.status, 200, "{target}");
    }
    let requests = a.requests();
    assert_eq!(requests[0].path, "/v1/odd/chat/completions");
    assert_eq!(requests[1].path, "/v1/chat/completions");
    assert_eq!(requests[2].header("authorization"), None);
}

#[tokio::test]
async fn keys_come_from_lists_comma_texts_variables_and_files() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: list, base_url: <a>, model: m, api_keys: [l1, l2], api_key: unused}
    - {name: comma, base_url: <a>, model: m, api_key: \"c1, c2,, \"}
    - {name: variable, base_url: <a>, model: m, api_key: \"${ONE},x${TWO:-default}\"}
    - {name: groq, base_url: <a>, model: m}
    - {name: cerebras, base_url: <a>, model: m}
";
    let env = [
        ("ONE", "v1"),
        ("GROQ_API_KEYS", "g1,g2"),
        ("GROQ_API_KEY", "g2"),
        ("CEREBRAS_API_KEY_1", "i1"),
        ("CEREBRAS_API_KEY_3", "i3"),
    ];
    let gateway = Gateway::start_with(yaml, &[("a", &a)], &env).await;
    for target in ["list", "comma", "variable", "groq", "cerebras"] {
        for _ in 0..3 {
            assert_eq!(gateway.chat(target).send().await.status, 200, "{target}");
        }
    }
    let keys = a.keys();
    assert_eq!(keys[0..3], ["l1", "l2", "l1"]);
    assert_eq!(keys[3..6], ["c1", "c2", "c1"]);
    assert_eq!(keys[6..9], ["v1", "xdefault", "v1"]);
    assert_eq!(keys[9..12], ["g1", "g2", "g1"]);
    assert_eq!(keys[12..15], ["i1", "i3", "i1"]);
}

#[tokio::test]
async fn a_compressed_answer_reads_the_same_after_the_way() {
    use std::io::Read as _;
    let (a, gateway) = one().await;
    a.on(Match::any(), [Behaviour::says("squeezed").gzip()]);
    let answer = gateway
        .chat("a")
        .header("accept-encoding", "gzip")
        .send()
        .await;
    assert_eq!(answer.status, 200);
    let body = match answer.header("content-encoding") {
        "gzip" => {
            let mut text = String::new();
            let mut decoder = flate2::read::GzDecoder::new(&answer.body[..]);
            decoder.read_to_string(&mut text).unwrap();
            text
        }
        _ => answer.text().to_owned(),
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "squeezed");
}

#[tokio::test]
async fn every_framing_of_an_answer_is_understood() {
    let (a, gateway) = one().await;
    let cases = [
        Behaviour::says("x"),
        Behaviour::says("x").chunked(),
        Behaviour::says("x").chunked().slices(7),
        Behaviour::says("x").slices(1),
        Behaviour::says("x").until_close(),
    ];
    for behaviour in cases {
        a.on(Match::any(), [behaviour]);
        assert_eq!(gateway.chat("a").send().await.says(), "x");
    }
    for behaviour in [
        Behaviour::streams(&["x", "y"]).slices(5),
        Behaviour::streams(&["x", "y"]).with_length(),
        Behaviour::streams(&["x", "y"]).until_close(),
    ] {
        a.on(Match::any(), [behaviour]);
        let text = gateway
            .post_chat(chat_stream("a"))
            .stream()
            .await
            .text()
            .await;
        assert_eq!(spoken(&text), "xy");
    }
}

#[tokio::test]
async fn connections_to_an_upstream_are_reused() {
    let (a, gateway) = one().await;
    for _ in 0..20 {
        assert_eq!(gateway.chat("a").send().await.status, 200);
    }
    // A pool may open one more while the last one is on its way back.
    assert!(
        a.connections() <= 5,
        "{} connections for {} requests",
        a.connections(),
        a.count()
    );
}

#[tokio::test]
async fn an_echo_provider_answers_by_itself() {
    let yaml = "llm: {providers: [{name: e, dialect: echo, model: m}]}";
    let gateway = Gateway::start(yaml, &[]).await;
    let body = r#"{"model":"e","messages":[{"role":"user","content":"knock knock"}]}"#;
    assert!(
        gateway
            .post_chat(body)
            .send()
            .await
            .says()
            .contains("knock knock")
    );
    let body = body.replacen('{', r#"{"stream":true,"#, 1);
    let text = gateway.post_chat(body).stream().await.text().await;
    assert!(
        spoken(&text).contains("knock knock") && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
}
