//! Nothing is lost between chat completions and the neutral form, whatever stands in them.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use serde_json::Value;

use super::stream::decode_chunk;
use super::*;
use crate::wire::ir::{ChatRequest, PartBody, StreamItem, ToolChoice};

/// What may stand anywhere: any JSON of a few levels, with the words that mean something here among its texts.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "text",
        "function",
        "custom",
        "auto",
        "stop",
        "json_object",
        "url_citation",
        "",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        Just(json!(1.0)),
        Just(json!(12_345_678_901_234_567_890_u64)),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let name = prop::sample::select(vec![
            "type", "text", "url", "name", "id", "function", "data", "x",
        ]);
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..4)
                .prop_map(|all| all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

/// An object with some of these fields as they are meant, some with anything in them, and some that are unknown.
fn fields(known: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let odd = any_json;
    let known: Vec<_> = known
        .into_iter()
        .map(|(name, right)| {
            let value = prop_oneof![
                6 => right.prop_map(Some),
                3 => Just(None),
                1 => odd().prop_map(Some),
            ];
            value.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
        })
        .collect();
    let unknown = prop::collection::hash_map("x_[a-c]", odd(), 0..2);
    (known, unknown)
        .prop_map(|(known, unknown)| {
            Value::Object(known.into_iter().flatten().chain(unknown).collect())
        })
        .boxed()
}

/// The same, with fields that must be there.
fn with(
    object: BoxedStrategy<Value>,
    more: Vec<(&'static str, BoxedStrategy<Value>)>,
) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = more.into_iter().unzip();
    (object, values)
        .prop_map(move |(mut object, values)| {
            for (name, value) in names.iter().zip(values) {
                object[*name] = value;
            }
            object
        })
        .boxed()
}

fn one_of(words: &[&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(words.to_vec())
        .prop_map(Value::from)
        .boxed()
}

fn words() -> BoxedStrategy<Value> {
    "[a-c\u{e9}\"]{0,4}".prop_map(Value::from).boxed()
}

fn numbers() -> BoxedStrategy<Value> {
    prop_oneof![any::<u16>().prop_map(Value::from), Just(json!(0.5))].boxed()
}

fn yes() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn part() -> BoxedStrategy<Value> {
    let cache = || fields(vec![("type", one_of(&["ephemeral"])), ("ttl", words())]);
    let of = |kind: &'static str, rest: Vec<(&'static str, BoxedStrategy<Value>)>| {
        with(fields(rest), vec![("type", Just(json!(kind)).boxed())])
    };
    let image = fields(vec![("url", words()), ("detail", one_of(&["low", "high"]))]);
    let audio = fields(vec![("data", words()), ("format", words())]);
    let file = fields(vec![
        ("file_data", words()),
        ("file_id", words()),
        ("filename", words()),
    ]);
    prop_oneof![
        of("text", vec![("text", words()), ("cache_control", cache())]),
        of(
            "image_url",
            vec![("image_url", image), ("cache_control", cache())]
        ),
        of("input_audio", vec![("input_audio", audio)]),
        of("file", vec![("file", file)]),
        of("refusal", vec![("refusal", words())]),
        of("thinking", vec![("thinking", words())]),
        any_json(),
    ]
    .boxed()
}

fn list(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    vec(of, 0..3).prop_map(Value::from).boxed()
}

fn google() -> BoxedStrategy<Value> {
    fields(vec![(
        "google",
        fields(vec![("thought_signature", words())]),
    )])
}

fn call() -> BoxedStrategy<Value> {
    let function = || fields(vec![("name", words()), ("arguments", words())]);
    let custom = || fields(vec![("name", words()), ("input", words())]);
    let object = fields(vec![
        ("id", words()),
        ("function", function()),
        ("custom", custom()),
        ("extra_content", google()),
    ]);
    with(
        object,
        vec![("type", one_of(&["function", "custom", "mcp"]))],
    )
}

fn message() -> BoxedStrategy<Value> {
    let content = prop_oneof![words(), list(part())].boxed();
    let detail = fields(vec![
        ("type", one_of(&["reasoning.text", "reasoning.encrypted"])),
        ("text", words()),
        ("signature", words()),
        ("data", words()),
        ("id", words()),
    ]);
    let citation = fields(vec![
        ("type", one_of(&["url_citation"])),
        (
            "url_citation",
            fields(vec![
                ("url", words()),
                ("title", words()),
                ("start_index", numbers()),
            ]),
        ),
    ]);
    let object = fields(vec![
        ("content", content),
        ("name", words()),
        ("refusal", words()),
        ("tool_calls", list(call())),
        ("tool_call_id", words()),
        ("reasoning_content", words()),
        ("reasoning", words()),
        ("reasoning_details", list(detail)),
        ("annotations", list(citation)),
        ("audio", fields(vec![("id", words())])),
        ("function_call", fields(vec![("name", words())])),
    ]);
    let roles = [
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
        "function",
    ];
    with(object, vec![("role", one_of(&roles))])
}

fn tool() -> BoxedStrategy<Value> {
    let function = fields(vec![
        ("name", words()),
        ("description", words()),
        ("parameters", any_json().boxed()),
        ("strict", yes()),
    ]);
    fields(vec![
        ("type", one_of(&["function", "custom", "web_search"])),
        ("function", function),
        (
            "cache_control",
            fields(vec![("type", one_of(&["ephemeral"]))]),
        ),
    ])
}

/// The same for the tests of other dialects.
pub(in crate::wire::openai) fn any_request() -> BoxedStrategy<Value> {
    request()
}

fn request() -> BoxedStrategy<Value> {
    let schema = fields(vec![
        ("name", words()),
        ("schema", any_json().boxed()),
        ("strict", yes()),
        ("description", words()),
    ]);
    let kinds = ["text", "json_object", "json_schema", "grammar"];
    let format = fields(vec![("type", one_of(&kinds)), ("json_schema", schema)]);
    let named = fields(vec![
        ("type", one_of(&["function", "allowed_tools"])),
        ("function", fields(vec![("name", words())])),
    ]);
    let stop = prop_oneof![words(), list(words())].boxed();
    let object = fields(vec![
        ("model", words()),
        ("tools", list(tool())),
        (
            "tool_choice",
            prop_oneof![one_of(&["auto", "none", "required", "any"]), named].boxed(),
        ),
        ("parallel_tool_calls", yes()),
        ("temperature", numbers()),
        ("top_k", numbers()),
        ("seed", Just(json!(12_345_678_901_234_567_890_u64)).boxed()),
        ("n", numbers()),
        ("logprobs", yes()),
        ("stop", stop),
        ("max_tokens", numbers()),
        ("max_completion_tokens", numbers()),
        ("response_format", format),
        ("reasoning_effort", words()),
        ("stream", yes()),
        ("stream_options", fields(vec![("include_usage", yes())])),
        ("user", words()),
        ("metadata", fields(vec![("a", words())])),
        ("service_tier", words()),
    ]);
    with(object, vec![("messages", list(message()))])
}

fn usage() -> BoxedStrategy<Value> {
    let prompt = fields(vec![
        ("cached_tokens", numbers()),
        ("cache_write_tokens", numbers()),
    ]);
    fields(vec![
        ("prompt_tokens", numbers()),
        ("completion_tokens", numbers()),
        ("total_tokens", numbers()),
        ("prompt_tokens_details", prompt),
        (
            "completion_tokens_details",
            fields(vec![("reasoning_tokens", numbers())]),
        ),
    ])
}

fn reasons() -> BoxedStrategy<Value> {
    one_of(&[
        "stop",
        "length",
        "tool_calls",
        "content_filter",
        "function_call",
        "eos",
    ])
}

fn head() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    vec![
        ("id", words()),
        ("object", words()),
        ("created", numbers()),
        ("model", words()),
        ("usage", usage()),
        ("system_fingerprint", words()),
    ]
}

fn answer() -> BoxedStrategy<Value> {
    let choice = fields(vec![
        ("finish_reason", reasons()),
        ("logprobs", any_json().boxed()),
    ]);
    let choice = with(
        choice,
        vec![
            ("message", message()),
            ("index", any::<u8>().prop_map(Value::from).boxed()),
        ],
    );
    with(fields(head()), vec![("choices", list(choice))])
}

fn chunk() -> BoxedStrategy<Value> {
    let piece = fields(vec![
        ("id", words()),
        ("type", one_of(&["function", "custom"])),
        (
            "function",
            fields(vec![("name", words()), ("arguments", words())]),
        ),
        ("custom", fields(vec![("input", words())])),
        ("extra_content", google()),
    ]);
    let piece = with(
        piece,
        vec![("index", any::<u8>().prop_map(Value::from).boxed())],
    );
    let delta = fields(vec![
        ("role", one_of(&["assistant"])),
        ("content", words()),
        ("refusal", words()),
        ("reasoning_content", words()),
        ("reasoning", words()),
        ("reasoning_details", list(any_json().boxed())),
        ("tool_calls", list(piece)),
    ]);
    let choice = fields(vec![
        ("delta", delta),
        ("finish_reason", reasons()),
        ("logprobs", any_json().boxed()),
    ]);
    let choices = vec(choice, 0..3).prop_map(|choices| {
        let numbered = choices.into_iter().enumerate().map(|(index, mut choice)| {
            choice["index"] = json!(index);
            choice
        });
        numbered.collect::<Value>()
    });
    with(fields(head()), vec![("choices", choices.boxed())])
}

/// The same request in one spelling, where there are two for one meaning.
fn plain(mut body: Value) -> Value {
    let limit = body.get("max_tokens").filter(|limit| limit.is_number());
    if let Some(limit) = limit.cloned()
        && body.get("max_completion_tokens").is_none_or(Value::is_null)
        && let Some(fields) = body.as_object_mut()
    {
        fields.remove("max_tokens");
        fields.insert("max_completion_tokens".to_owned(), limit);
    }
    if let Some(word) = body.get("stop").filter(|stop| stop.is_string()).cloned() {
        body["stop"] = json!([word]);
    }
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    messages.into_iter().flatten().for_each(plain_message);
    body
}

/// The same chunk, with the index that calls have where it is left out.
fn numbered(mut chunk: Value) -> Value {
    for choice in chunk["choices"].as_array_mut().into_iter().flatten() {
        let calls = choice.pointer_mut("/delta/tool_calls");
        let calls = calls.and_then(Value::as_array_mut);
        let calls = calls.filter(|calls| calls.iter().all(Value::is_object));
        for (at, call) in calls.into_iter().flatten().enumerate() {
            if call.get("index").is_none() {
                call["index"] = json!(at);
            }
        }
    }
    chunk
}

fn plain_message(message: &mut Value) {
    let text = match message
        .get("content")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([one]) => one
            .as_object()
            .filter(|one| one.len() == 2 && one.get("type") == Some(&json!("text"))),
        _ => None,
    };
    if let Some(text) = text
        .and_then(|one| one.get("text"))
        .filter(|text| text.is_string())
        .cloned()
    {
        message["content"] = text;
    }
}

proptest! {
    #[test]
    fn nothing_of_a_request_is_lost(body in request()) {
        let decoded = decode_request(body.clone()).unwrap();
        let (encoded, losses) = encode_request(decoded.clone());
        prop_assert_eq!(plain(encoded.clone()), plain(body));
        prop_assert!(losses.is_empty());
        prop_assert_eq!(decode_request(encoded).unwrap(), decoded);
    }

    #[test]
    fn nothing_of_an_answer_is_lost(mut body in answer()) {
        let (encoded, losses) = encode_answer(decode_answer(body.clone()).unwrap(), &super::CustomTools::default());
        for choice in body["choices"].as_array_mut().into_iter().flatten() {
            plain_message(&mut choice["message"]);
        }
        prop_assert_eq!(encoded, body);
        prop_assert!(losses.is_empty());
    }

    #[test]
    fn nothing_of_a_stream_is_lost(chunks in vec(chunk(), 0..4)) {
        let mut encoder = ChunkEncoder::new(crate::wire::openai::ID);
        for chunk in chunks {
            let Value::Object(fields) = chunk.clone() else { unreachable!() };
            let encoded = encoder.chunk(decode_chunk(fields));
            prop_assert_eq!(Value::Object(encoded), numbered(chunk));
        }
    }

    #[test]
    fn no_body_panics(body in any_json()) {
        drop(decode_request(body.clone()));
        drop(decode_answer(body.clone()));
        if let Value::Object(fields) = body {
            decode_chunk(fields);
        }
    }
}

fn decoded(body: Value) -> ChatRequest {
    decode_request(body).unwrap()
}

#[test]
fn what_is_meant_becomes_typed() {
    let request = decoded(json!({
        "model": "m", "tool_choice": {"type": "function", "function": {"name": "f"}}, "logit_bias": {"1": 1},
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x", "detail": "low"}}]},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{broken"}}
            ]},
            {"role": "tool", "tool_call_id": "c", "content": "4"},
        ],
    }));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    assert_eq!(request.extra.keys().collect::<Vec<_>>(), ["logit_bias"]);
    let bodies: Vec<&PartBody> = request
        .messages
        .iter()
        .flat_map(|message| message.parts.iter().map(|part| &part.body))
        .collect();
    let [
        PartBody::Image { .. },
        PartBody::Reasoning(_),
        PartBody::ToolCall(call),
        PartBody::ToolResult(result),
    ] = bodies.as_slice()
    else {
        panic!("{bodies:?}")
    };
    assert_eq!((&*call.arguments, &*result.call_id), ("{broken", "c"));
}

#[test]
fn another_dialects_own_fields_are_named_as_lost() {
    let mut request = decoded(json!({
        "messages": [{"role": "user", "content": "hi", "phase": "x"}],
        "tools": [{"type": "web_search"}], "x": 1, "y": null,
    }));
    request.origin = "other";
    let (body, losses) = encode_request(request);
    assert_eq!(
        body,
        json!({"messages": [{"role": "user", "content": "hi"}]})
    );
    let paths: Vec<&str> = losses.iter().map(|loss| &*loss.path).collect();
    assert_eq!(paths, ["x", "messages[0].phase", "tools[0].web_search"]);
}

#[test]
fn a_stream_ends_where_its_mark_says_so() {
    use crate::wire::dialect::{EventDecoder, EventEncoder};
    let raw = b"data: [DONE]\n\n".as_slice();
    let event = crate::wire::sse::RawEvent { raw: raw.into() };
    let items = ChunkDecoder::settling().event(&event);
    assert_eq!(items, [StreamItem::End]);
    assert_eq!(ChunkEncoder::new("other").event(items), raw);
}

#[test]
fn a_choice_without_a_message_keeps_nobody_from_the_others() {
    let body = json!({"choices": [
        {"index": 0, "message": {"role": "assistant", "content": "one"}, "finish_reason": "stop"},
        {"index": 1, "finish_reason": "length"},
        {"index": 2, "delta": {"content": "three"}},
        {"index": 3, "text": "four"},
    ]});
    let answer = decode_answer(body).unwrap();
    let said = answer.candidates.iter().map(|one| {
        let texts = one
            .message
            .parts
            .iter()
            .filter_map(|part| match &part.body {
                PartBody::Text { text, .. } => Some(text.as_str()),
                _ => None,
            });
        texts.collect::<String>()
    });
    assert_eq!(said.collect::<Vec<_>>(), ["one", "", "three", "four"]);
}
