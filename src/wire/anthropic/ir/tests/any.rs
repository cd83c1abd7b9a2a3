//! Arbitrary requests and blocks of content.

use super::*;

/// A value, or with luck something odd.
fn some(values: &Value) -> impl Strategy<Value = Option<Value>> + use<> {
    let odd = prop::sample::select(vec![Value::Null, json!(7), json!([]), json!({"x": 1})]);
    let values = values.as_array().cloned().unwrap();
    prop_oneof![
        6 => prop::sample::select(values).prop_map(Some),
        3 => Just(None),
        1 => odd.prop_map(Some),
    ]
}

/// An object with some of these fields, each of one of its values.
pub(super) fn object(fields: &Value) -> BoxedStrategy<Value> {
    let fields: Vec<_> = fields
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, values)| {
            let name = name.clone();
            some(values).prop_map(move |value| Some((name.clone(), value?)))
        })
        .collect();
    fields
        .prop_map(|fields| Value::Object(fields.into_iter().flatten().collect()))
        .boxed()
}

/// The fields of each type of block.
fn blocks() -> Value {
    let sources = json!([
        {"type": "base64", "media_type": "image/png", "data": "UA=="},
        {"type": "base64", "media_type": "text/plain", "data": "UA=="},
        {"type": "text", "media_type": "text/plain", "data": "P\u{e9}"},
        {"type": "url", "url": "https://x.example/a"},
        {"type": "url", "url": "data:,x"},
        {"type": "file", "file_id": "f"},
        {"type": "content", "content": "x"}
    ]);
    json!({
        "text": {"text": ["a", ""], "citations": [
            [{"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c"}],
            [{"type": "char_location", "document_index": 0}],
            [1]
        ]},
        "image": {"source": sources},
        "document": {"source": sources, "title": ["t"], "context": ["c"]},
        "tool_use": {"id": ["t"], "name": ["f"], "input": [{}, {"a": 1.5}]},
        "tool_result": {"tool_use_id": ["t"], "is_error": [false], "content": [
            "x", [{"type": "text", "text": "x"}], [{"type": "odd"}]
        ]},
        "thinking": {"thinking": ["", "hm"], "signature": ["sig"]},
        "redacted_thinking": {"data": ["eHg="]},
        "server_tool_use": {"id": ["s"], "input": [{"q": 1}]}
    })
}

/// A block of any type.
pub(super) fn block() -> BoxedStrategy<Value> {
    let blocks = blocks();
    let kinds: Vec<String> = blocks.as_object().unwrap().keys().cloned().collect();
    let known = prop::sample::select(kinds).prop_flat_map(move |kind| {
        let mut fields = blocks[&kind].clone();
        fields["cache_control"] =
            json!([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}]);
        fields["future"] = json!([{"a": 1.0}]);
        object(&fields).prop_map(move |mut block| {
            block["type"] = json!(kind);
            block
        })
    });
    prop_oneof![9 => known, 1 => Just(json!("odd"))].boxed()
}

fn message() -> BoxedStrategy<Value> {
    let role = prop::sample::select(vec!["user", "assistant", "system", "odd"]);
    let content = prop_oneof![
        2 => Just(json!("words")),
        6 => vec(block(), 0..4).prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    (role, content)
        .prop_map(|(role, content)| json!({"role": role, "content": content}))
        .boxed()
}

/// What may stand beside the messages.
fn options() -> Value {
    let schema = json!({"type": "object", "properties": {}});
    json!({
        "model": ["claude-opus-4-8", "m"],
        "max_tokens": [100],
        "temperature": [0.5],
        "top_k": [5],
        "stream": [true],
        "stop_sequences": [["a", ""], ["a", 1]],
        "service_tier": ["standard_only"],
        "metadata": [{"user_id": "u"}, {"user_id": "u", "x": 1}, {"user_id": 1}],
        "thinking": [
            {"type": "adaptive", "display": "omitted"}, {"type": "enabled", "budget_tokens": 2000},
            {"type": "disabled"}, {"type": "between_tools"}, {"type": "enabled", "x": 1}
        ],
        "output_config": [
            {"effort": "high"}, {"effort": "low", "format": {"type": "json_schema", "schema": schema}},
            {"format": {"type": "json_schema"}, "task_budget": 3}
        ],
        "output_format": [{"type": "json_schema", "schema": schema}, {"type": "odd"}],
        "tool_choice": [
            {"type": "auto"}, {"type": "any", "disable_parallel_tool_use": true}, {"type": "none"},
            {"type": "tool", "name": "f", "disable_parallel_tool_use": false},
            {"type": "none", "disable_parallel_tool_use": true}, {"type": "tool"}
        ],
        "tools": [
            [{"name": "f", "input_schema": schema, "strict": true, "cache_control": {"type": "ephemeral"}}],
            [{"type": "custom", "name": "f", "defer_loading": true}, {"type": "bash_20250124", "name": "bash"}],
            [{"type": 1}]
        ],
        "system": ["S.", [{"type": "text", "text": "S.", "cache_control": {"type": "ephemeral"}}]],
        "context_management": [{"edits": []}]
    })
}

/// Any request.
pub(super) fn request() -> BoxedStrategy<Value> {
    (object(&options()), vec(message(), 0..4))
        .prop_map(|(mut body, messages)| {
            body["messages"] = Value::from(messages);
            body
        })
        .boxed()
}
