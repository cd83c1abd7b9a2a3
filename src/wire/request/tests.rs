//! What is read from a request, and that rewriting changes nothing but the model and the parameters.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn doc(body: &str) -> RequestDoc {
    RequestDoc::parse(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn texts(doc: &RequestDoc) -> Vec<String> {
    let mut all = Vec::new();
    doc.prompt_texts(|text| {
        all.push(text.chars().collect());
        ControlFlow::Continue(())
    });
    all
}

fn rewritten(body: &str, model: &str, params: Value) -> String {
    let Value::Object(params) = params else {
        panic!("params")
    };
    String::from_utf8(doc(body).rewritten(model, &params).to_vec()).unwrap()
}

#[test]
fn only_the_models_bytes_change() {
    let body = "{ \"x\":1.50 ,\n\t\"model\" : \"gpt\" , \"big\":12345678901234567890123, \"u\":\"\\u00e9\" }\n";
    let expected = body.replace("\"gpt\"", "\"llama\"");
    assert_eq!(rewritten(body, "llama", json!({})), expected);
}

#[test]
fn the_same_model_leaves_the_very_same_bytes() {
    let doc = doc(r#"{"model":"m","a":[ ]}"#);
    assert_eq!(
        doc.rewritten("m", &Map::new()).as_ptr(),
        doc.body().as_ptr()
    );
}

#[test]
fn params_fill_in_only_what_the_request_lacks() {
    let body = r#"{"model":"m","temperature":1}"#;
    assert_eq!(
        rewritten(body, "m", json!({"temperature": 0.2, "top_p": 0.9})),
        r#"{"model":"m","temperature":1,"top_p":0.9}"#
    );
    assert_eq!(
        rewritten("{}", "m", json!({"a": 1})),
        r#"{"model":"m","a":1}"#
    );
    assert_eq!(
        rewritten(r#"{"b":2}"#, "m", json!({})),
        r#"{"b":2,"model":"m"}"#
    );
}

#[test]
fn a_limit_under_another_name_and_the_stream_flag_are_the_callers_own() {
    assert_eq!(
        rewritten(
            r#"{"model":"m","max_completion_tokens":9}"#,
            "m",
            json!({"max_tokens": 5, "stream": true})
        ),
        r#"{"model":"m","max_completion_tokens":9}"#
    );
    assert_eq!(
        rewritten(
            "{}",
            "m",
            json!({"moDel": "x", "\u{17f}tream": true, "Models": 1})
        ),
        r#"{"model":"m","Models":1}"#
    );
}

#[test]
fn half_a_character_is_no_model() {
    let body = Bytes::from_static(br#"{"model":"\ud800"}"#);
    assert!(matches!(
        RequestDoc::parse(body),
        Err(RequestError::WrongType { field: "model", .. })
    ));
}

#[test]
fn a_model_may_be_written_with_escapes_or_be_missing() {
    assert_eq!(doc(r#"{"model":"a\u0062c"}"#).model().unwrap(), "abc");
    assert_eq!(doc(r#"{"mod\u0065l":"abc"}"#).model().unwrap(), "abc");
    assert_eq!(
        rewritten(r#"{"mod\u0065l":"abc"}"#, "x", json!({})),
        r#"{"mod\u0065l":"x"}"#
    );
    for absent in ["{}", r#"{"model":null}"#, r#"{"model":""}"#] {
        assert_eq!(doc(absent).model(), None);
    }
}

#[test]
fn says_what_is_wrong_with_a_body() {
    let error =
        |body: &'static str| RequestDoc::parse(Bytes::from_static(body.as_bytes())).unwrap_err();
    assert!(matches!(
        error("{\"a\":\n }"),
        RequestError::InvalidJson { line: 2, .. }
    ));
    assert!(matches!(error(""), RequestError::InvalidJson { .. }));
    assert!(matches!(error("{} x"), RequestError::InvalidJson { .. }));
    assert_eq!(error("[1]"), RequestError::NotAnObject);
    assert_eq!(error("\"text\""), RequestError::NotAnObject);
    assert_eq!(
        error(r#"{"model":"a","model":"b"}"#),
        RequestError::Duplicate("model")
    );
    assert!(matches!(
        error(r#"{"model":7}"#),
        RequestError::WrongType { field: "model", .. }
    ));
    assert!(matches!(
        error(r#"{"stream":"yes"}"#),
        RequestError::WrongType {
            field: "stream",
            ..
        }
    ));
}

#[test]
fn reads_what_dispatch_wants_to_know() {
    let doc = doc(
        r#"{"messages":[{"role":"user","content":"hi"}],"stream":true,
        "stream_options":{"include_usage":true},"max_tokens":7}"#,
    );
    assert!(doc.stream());
    assert_eq!(doc.max_output_tokens(), Some(7));
    assert_eq!(
        doc.prompt_bytes(),
        r#"[{"role":"user","content":"hi"}]"#.len()
    );
    assert_eq!(doc.message_count(), 1);
}

#[test]
fn text_for_counting_leaves_image_data_out() {
    let body = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]}]});
    let text = texts(&doc(&body.to_string()));
    assert!(text.contains(&"what is this".to_owned()));
    assert!(!text.iter().any(|part| part.contains("AAAA")));
}

#[test]
fn deeply_nested_values_are_only_skipped() {
    let body = format!(
        "{{\"model\":\"m\",\"x\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(doc(&body).model().unwrap(), "m");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z}\"{\\\\]{0,6}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn a_models_name_has_at_most_256_bytes_however_it_is_written() {
    let asked = |name: &str| RequestDoc::parse(format!(r#"{{"model":"{name}"}}"#).into());
    assert!(asked(&"m".repeat(256)).is_ok());
    assert!(asked(&r"\u006d".repeat(256)).is_ok());
    for name in ["m".repeat(257), r"\u006d".repeat(257), "ü".repeat(129)] {
        let error = asked(&name).unwrap_err().to_string();
        assert!(
            error.contains("`model`") && error.contains("256"),
            "{error}"
        );
    }
}

#[test]
fn a_models_name_brings_no_lines_and_no_colours() {
    for name in [
        r"a\nb",
        r"a\r\nset-cookie: x",
        r"\u0000",
        r"\u001b[31m",
        r"\u0085",
    ] {
        let body = format!(r#"{{"model":"{name}"}}"#);
        let error = RequestDoc::parse(body.into()).unwrap_err().to_string();
        assert!(error.contains("without control characters"), "{error}");
    }
}

proptest! {
    #[test]
    fn rewriting_means_what_it_says(
        fields in prop::collection::hash_map("[a-z}\"{\\\\]{1,8}", json_value(), 0..6),
        asked in prop::option::of("\\PC{0,8}"),
        model in ".{1,8}",
        params in prop::collection::hash_map("[a-z]{1,3}", json_value(), 0..3),
        pretty in any::<bool>(),
    ) {
        let mut object: Map<String, Value> = fields.into_iter().filter(|(name, _)| name != "stream").collect();
        object.remove("model");
        if let Some(asked) = asked {
            object.insert("model".into(), asked.into());
        }
        let body = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
        let params: Map<String, Value> = params.into_iter().filter(|(name, _)| name != "model").collect();
        let out = doc(&body).rewritten(&model, &params);
        let mut expected = object;
        expected.insert("model".into(), model.into());
        for (name, value) in params {
            expected.entry(name).or_insert(value);
        }
        prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), Value::Object(expected));
    }

    #[test]
    fn never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(RequestDoc::parse(Bytes::from(body)).map(|doc| doc.rewritten("m", &Map::new())));
    }
}

#[test]
fn each_prompt_of_a_list_has_choices_of_its_own() {
    let choices = |body: &'static str| {
        RequestDoc::parse(Bytes::from_static(body.as_bytes()))
            .unwrap()
            .choices()
    };
    assert_eq!(choices(r#"{"prompt":"a"}"#), 1);
    assert_eq!(choices(r#"{"prompt":["a","b"],"n":3}"#), 6);
    assert_eq!(choices(r#"{"prompt":[[1,2],[3]]}"#), 2);
    assert_eq!(choices(r#"{"prompt":[1,2,3]}"#), 1, "one prompt, as tokens");
}

#[test]
fn a_field_that_a_lenient_reader_takes_for_the_model_is_refused() {
    for body in [
        r#"{"model":"cheap","Model":"dear"}"#,
        r#"{"MODEL":"dear"}"#,
        r#"{"mod\u0045l":"dear"}"#,
        r#"{"model":"m","Stream":true}"#,
        "{\"model\":\"m\",\"\u{17f}tream\":true}",
        r#"{"model":"m","\u017fTREAM":true}"#,
    ] {
        let error = RequestDoc::parse(Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`model`") || text.contains("`stream`"),
            "{body}: {text}"
        );
    }
    for body in [
        r#"{"models":1,"streams":2,"Modell":3,"model ":4}"#,
        "{\"\u{17f}\":1}",
    ] {
        assert!(
            RequestDoc::parse(Bytes::copy_from_slice(body.as_bytes())).is_ok(),
            "{body}"
        );
    }
}

#[test]
fn fields_without_end_are_refused_and_as_many_as_anybody_needs_are_not() {
    let body = |fields: usize| {
        let many: String = (1..fields).map(|n| format!(r#","f{n}":0"#)).collect();
        format!(r#"{{"model":"m"{many}}}"#)
    };
    assert!(RequestDoc::parse(body(MAX_FIELDS).into()).is_ok());
    let error = RequestDoc::parse(body(MAX_FIELDS + 1).into()).unwrap_err();
    assert_eq!(error, RequestError::TooManyFields);
    assert!(error.to_string().contains("4096 top-level fields"));
    // However they are written, and whatever comes behind them.
    let same = format!("{{{}\"\":", "\"\":0,".repeat(MAX_FIELDS));
    assert!(RequestDoc::parse(same.into()).is_err());
}

proptest! {
    /// Walking a prompt finds the same texts as reading it.
    #[test]
    fn the_text_of_a_prompt_is_what_reading_it_finds(messages in prompt_value(), tools in json_value()) {
        fn gather(value: &Value, text: &mut Vec<String>) {
            match value {
                Value::String(string) if !string.starts_with("data:") => text.push(string.clone()),
                Value::Array(items) => items.iter().for_each(|item| gather(item, text)),
                Value::Object(fields) => {
                    for (_, value) in fields.iter().filter(|(name, _)| {
                        !["data", "file_data", "image_url", "input_audio"].contains(&name.as_str())
                    }) {
                        gather(value, text);
                    }
                }
                _ => {}
            }
        }
        let body = json!({"messages": messages, "tools": tools});
        let mut expected = Vec::new();
        gather(&body["messages"], &mut expected);
        expected.push(body["tools"].to_string());
        let count = body["messages"].as_array().map_or(1, Vec::len);
        for body in [body.to_string(), serde_json::to_string_pretty(&body).unwrap()] {
            let doc = doc(&body);
            prop_assert_eq!(doc.message_count(), count);
            let mut found = texts(&doc);
            // Tool definitions count as they are written.
            found.pop();
            prop_assert_eq!(&found, &expected[..expected.len() - 1]);
        }
    }
}

fn prompt_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "data:[a-z]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop_oneof![
            Just("data".to_owned()),
            Just("image_url".to_owned()),
            "[a-z\"\\\\]{0,4}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn routable(body: &str) -> RequestDoc {
    RequestDoc::parse(body.to_owned().into()).unwrap()
}

#[test]
fn the_route_goes_before_the_body() {
    let asked = routable(r#"{"model":"other","contents":[]}"#)
        .routed("a:b/c", true)
        .unwrap();
    assert_eq!(asked.model().as_deref(), Some("a:b/c"));
    assert!(asked.stream());
    assert!(routable("{}").routed(&"m".repeat(257), false).is_err());
    assert!(routable("{}").routed("m\u{7}", false).is_err());
}

#[test]
fn the_temperature_stands_where_each_dialect_has_it() {
    for body in [
        r#"{"temperature":0.2,"options":{"temperature":1}}"#,
        r#"{"options":{"top_k":3,"temperature":0.2}}"#,
        r#"{"generationConfig":{"temperature":0.2}}"#,
    ] {
        assert_eq!(routable(body).temperature(), Some(0.2), "{body}");
    }
    for body in [
        "{}",
        r#"{"temperature":null}"#,
        r#"{"temperature":"x","options":[]}"#,
    ] {
        assert_eq!(routable(body).temperature(), None, "{body}");
    }
}

#[test]
fn limits_stand_in_the_configuration_of_the_answer() {
    for body in [
        r#"{"generationConfig":{"maxOutputTokens":9,"candidateCount":3}}"#,
        r#"{"generation_config":{"max_output_tokens":9,"candidate_count":3,"x":null}}"#,
    ] {
        assert_eq!(
            (routable(body).max_output_tokens(), routable(body).choices()),
            (Some(9), 3)
        );
    }
    assert_eq!(
        routable(r#"{"generationConfig":[]}"#).max_output_tokens(),
        None
    );
}

#[test]
fn contents_are_the_prompt() {
    let asked = routable(
        r#"{"contents":[{"parts":[{"text":"hello"},{"inlineData":{"mimeType":"image/png","data":"AAAAAAAA"}}]},{}],
           "systemInstruction":{"parts":[{"text":"be"}]}}"#,
    );
    assert_eq!(asked.message_count(), 2);
    assert!(asked.prompt_bytes() > 40 && asked.media_tokens() == 2);
}
