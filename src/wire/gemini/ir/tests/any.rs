//! Arbitrary requests and answers of Gemini's API.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// One of these, at times nothing, at times something odd.
fn some(values: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    let odd = prop::sample::select(vec![Value::Null, json!(7), json!([]), json!({"x": 1.0})]);
    prop_oneof![
        6 => prop::sample::select(values).prop_map(Some),
        3 => Just(None),
        1 => odd.prop_map(Some),
    ]
}

/// An object with some of these fields.
fn object(fields: Vec<(&'static str, Vec<Value>)>) -> BoxedStrategy<Value> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, values)| some(values).prop_map(move |value| Some((name.to_owned(), value?))))
        .collect();
    fields
        .prop_map(|fields| Value::Object(fields.into_iter().flatten().collect()))
        .boxed()
}

/// The same with one field that is there.
fn with(name: &'static str, value: Value, object: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    object
        .prop_map(move |mut all| {
            all[name] = value.clone();
            all
        })
        .boxed()
}

fn signature() -> (&'static str, Vec<Value>) {
    ("thoughtSignature", vec![json!("c2ln"), json!("c2lnLUI=")])
}

/// Parts that stand by themselves.
fn part() -> BoxedStrategy<Value> {
    let noted = || {
        object(vec![
            ("videoMetadata", vec![json!({"fps": 1})]),
            ("x_a", vec![json!(1)]),
        ])
    };
    let said = |text: &str| {
        with(
            "text",
            json!(text),
            object(vec![signature(), ("x_a", vec![json!(1)])]),
        )
    };
    let blobs = vec![
        json!({"mimeType": "image/png", "data": "UA=="}),
        json!({"mimeType": "audio/wav", "data": "UA=="}),
        json!({"mimeType": "application/pdf", "data": "UA==", "displayName": "a.pdf"}),
        json!({"mimeType": "video/mp4", "data": "UA=="}),
        json!({"mimeType": "image/png"}),
    ];
    let files = vec![
        json!({"mimeType": "image/png", "fileUri": "https://x.example/a.png"}),
        json!({"mimeType": "image/png", "fileUri": "gs://b/a.png"}),
    ];
    prop_oneof![
        said("a"),
        said("é\"\n"),
        Just(json!({"text": "", "thoughtSignature": "c2ln"})),
        with(
            "thought",
            json!(true),
            with("text", json!("hm"), object(vec![signature()]))
        ),
        prop::sample::select(blobs).prop_flat_map(move |blob| with("inlineData", blob, noted())),
        prop::sample::select(files).prop_map(|file| json!({"fileData": file})),
        Just(json!({"executableCode": {"language": "PYTHON", "code": "1"}})),
        Just(json!({"functionCall": {"args": {}}})),
        Just(json!({"x_a": [1, "b"]})),
    ]
    .boxed()
}

/// A call and what its tool answered.
fn call(number: usize) -> BoxedStrategy<(Value, Value)> {
    let args = vec![json!({}), json!({"a": [1, {"b": null}]})];
    let name = prop::sample::select(vec!["f", "g"]);
    let said = vec![json!({"output": "3"}), json!({"error": "no"})];
    let media = vec![json!([{"inlineData": {"mimeType": "image/png", "data": "UA=="}}])];
    let call = object(vec![("args", args), ("willContinue", vec![json!(false)])]);
    let part = object(vec![signature(), ("x_a", vec![json!(1)])]);
    let result = object(vec![
        ("scheduling", vec![json!("SILENT")]),
        ("parts", media),
    ]);
    (name, call, part, prop::sample::select(said), result)
        .prop_map(move |(name, mut call, mut part, said, mut result)| {
            let id = format!("id-{number}");
            for inner in [&mut call, &mut result] {
                inner["id"] = json!(id);
                inner["name"] = json!(name);
            }
            result["response"] = said;
            if result["parts"].as_array().is_none_or(Vec::is_empty)
                && let Some(fields) = result.as_object_mut()
            {
                fields.remove("parts");
            }
            if call.get("args").is_none() {
                call["args"] = json!({});
            }
            part["functionCall"] = call;
            (part, json!({"functionResponse": result}))
        })
        .boxed()
}

/// A turn of each side.
fn turns(number: usize) -> BoxedStrategy<Vec<Value>> {
    let own = object(vec![("x_a", vec![json!(1)])]);
    (
        vec(part(), 1..4),
        vec(part(), 0..3),
        prop::option::of(call(number)),
        own,
    )
        .prop_map(|(user, model, call, own)| {
            let content = |role: &str, parts: Vec<Value>| {
                let mut content = own.clone();
                content["role"] = json!(role);
                content["parts"] = json!(parts);
                content
            };
            let (calls, results): (Vec<_>, Vec<_>) = call.into_iter().unzip();
            let mut all = vec![content("user", user)];
            let said = [model, calls].concat();
            all.extend((!said.is_empty()).then(|| content("model", said)));
            all.extend((!results.is_empty()).then(|| content("user", results)));
            all
        })
        .boxed()
}

fn config() -> BoxedStrategy<Value> {
    let numbers = || vec![json!(1), json!(0.5)];
    let schema = json!({"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}});
    let format = prop_oneof![
        Just(json!({})),
        Just(json!({"responseMimeType": "application/json"})),
        Just(json!({"responseMimeType": "text/plain"})),
        Just(json!({"responseMimeType": "application/json", "responseJsonSchema": schema})),
        Just(json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}})),
    ];
    let thinking = vec![
        json!({"includeThoughts": true, "thinkingLevel": "HIGH"}),
        json!({"thinkingBudget": 0}),
        json!({"thinkingBudget": -1}),
        json!({"thinkingBudget": 512, "x_a": 1}),
    ];
    let fields = object(vec![
        ("temperature", numbers()),
        ("topP", numbers()),
        ("topK", numbers()),
        ("seed", numbers()),
        ("candidateCount", vec![json!(2)]),
        ("frequencyPenalty", numbers()),
        ("presencePenalty", numbers()),
        ("responseLogprobs", vec![json!(true)]),
        ("logprobs", vec![json!(3)]),
        ("stopSequences", vec![json!(["a", "b"])]),
        ("maxOutputTokens", vec![json!(9)]),
        ("thinkingConfig", thinking),
        ("responseModalities", vec![json!(["TEXT"])]),
        ("x_a", numbers()),
    ]);
    (fields, format)
        .prop_map(|(mut fields, format)| {
            for (name, value) in format.as_object().into_iter().flatten() {
                fields[name] = value.clone();
            }
            fields
        })
        .boxed()
}

/// Any request.
pub(super) fn request() -> BoxedStrategy<Value> {
    let functions = json!([
        {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object", "properties": {}}},
        {"name": "g", "behavior": "BLOCKING"},
    ]);
    let tools = vec![
        json!([{"functionDeclarations": functions}]),
        json!([{"functionDeclarations": functions}, {"googleSearch": {}}, {"codeExecution": {"x": 1}}]),
        json!([{"urlContext": {}}]),
    ];
    let calling = |value: Value| json!({"functionCallingConfig": value});
    let choices = vec![
        calling(json!({"mode": "AUTO"})),
        calling(json!({"mode": "NONE"})),
        calling(json!({"mode": "ANY"})),
        calling(json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
        calling(json!({"mode": "VALIDATED", "allowedFunctionNames": ["f"]})),
        calling(json!({"mode": "ANY", "allowedFunctionNames": 7})),
        json!({"retrievalConfig": {"languageCode": "en"}}),
    ];
    let fields = object(vec![
        (
            "systemInstruction",
            vec![json!({"parts": [{"text": "be"}, {"text": "brief", "x_a": 1}]})],
        ),
        ("tools", tools),
        ("toolConfig", choices),
        (
            "safetySettings",
            vec![json!([{"category": "C", "threshold": "OFF"}])],
        ),
        ("cachedContent", vec![json!("cachedContents/a")]),
        ("labels", vec![json!({"a": "b"})]),
        ("serviceTier", vec![json!("flex")]),
        ("x_a", vec![json!(1)]),
    ]);
    (fields, prop::option::of(config()), turns(0), turns(1))
        .prop_map(|(mut fields, config, first, second)| {
            if let Some(config) = config {
                fields["generationConfig"] = config;
            }
            fields["contents"] = json!([first, second].concat());
            fields
        })
        .boxed()
}

/// Any answer.
pub(super) fn answer() -> BoxedStrategy<Value> {
    let reasons = prop::sample::select(vec![
        "STOP",
        "MAX_TOKENS",
        "MALFORMED_FUNCTION_CALL",
        "OTHER",
    ]);
    let extra = object(vec![
        ("safetyRatings", vec![json!([{"category": "C"}])]),
        (
            "groundingMetadata",
            vec![json!({"groundingChunks": [{"web": {"uri": "u", "title": "t"}}]})],
        ),
        ("avgLogprobs", vec![json!(-0.5)]),
    ]);
    let candidate = (vec(part(), 0..3), prop::option::of(call(0)), reasons, extra);
    let candidates = vec(candidate, 1..3).prop_map(|all| {
        let all =
            all.into_iter()
                .enumerate()
                .map(|(index, (mut parts, call, reason, mut fields))| {
                    parts.extend(call.map(|(call, _)| call));
                    let mut content = json!({"role": "model"});
                    if !parts.is_empty() {
                        content["parts"] = json!(parts);
                    }
                    fields["content"] = content;
                    fields["finishReason"] = json!(reason);
                    fields["index"] = json!(index);
                    fields
                });
        all.collect::<Vec<Value>>()
    });
    let usage = json!({
        "promptTokenCount": 5, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 3, "thoughtsTokenCount": 4,
        "totalTokenCount": 14, "cachedContentTokenCount": 1, "promptTokensDetails": [{"modality": "TEXT"}],
    });
    let fields = object(vec![
        ("responseId", vec![json!("r")]),
        ("modelVersion", vec![json!("m")]),
        ("usageMetadata", vec![usage]),
        ("createTime", vec![json!("2026-11-29T00:00:00Z")]),
    ]);
    (fields, candidates)
        .prop_map(|(mut fields, candidates)| {
            fields["candidates"] = json!(candidates);
            fields
        })
        .boxed()
}

/// Any JSON with Google's names in it.
pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "STOP",
            "model",
            "application/json",
            "ANY",
            "data:,x",
            "image/png"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let name = prop::sample::select(vec![
            "contents",
            "parts",
            "text",
            "thought",
            "thoughtSignature",
            "functionCall",
            "functionResponse",
            "function_call",
            "name",
            "args",
            "response",
            "id",
            "role",
            "inlineData",
            "mimeType",
            "data",
            "fileData",
            "fileUri",
            "tools",
            "functionDeclarations",
            "parameters",
            "type",
            "properties",
            "items",
            "nullable",
            "toolConfig",
            "functionCallingConfig",
            "mode",
            "allowedFunctionNames",
            "generationConfig",
            "error",
            "thinkingConfig",
            "thinkingBudget",
            "responseMimeType",
            "responseSchema",
            "systemInstruction",
            "candidates",
            "content",
            "finishReason",
            "index",
            "usageMetadata",
            "promptTokenCount",
            "promptFeedback",
        ]);
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..5).prop_map(|all| all
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}
