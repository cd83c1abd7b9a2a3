//! Any mixture of what a dialect says keeps the grammar of every other one, in whatever pieces it comes; and what two
//! dialects have in common survives the way there and back.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use pointsman::wire::dialects;
use pointsman::wire::ir::{ChatRequest, PartBody, ToolChoice, ToolDefinition};

use super::features::{self, DIALECTS, Pair, UPSTREAMS, sent};
use super::pairs::asked;
use super::{grammar, streams};

/// Events of all streams of a dialect.
fn events(dialect: &str) -> Vec<Value> {
    let streams = features::of(dialect).streams.into_iter();
    streams
        .flat_map(|one| one.said.as_array().cloned().unwrap_or_default())
        .collect()
}

/// The dialect of a caller that reads what another one's upstream said.
fn back(body: &[u8], dialect: &'static str) -> ChatRequest {
    let body: Value = serde_json::from_slice(body).unwrap();
    let pair = Pair {
        caller: dialect,
        upstream: dialect,
    };
    let doc = pair.doc(&body, false);
    let caller = dialects::caller(pair.operation());
    caller
        .decode_request(pair.operation(), &doc)
        .unwrap()
        .unwrap()
}

/// What a request says that every dialect has.
fn common(mut request: ChatRequest) -> Value {
    // Not every dialect has custom tools.
    request.make_tools_plain();
    let mut words = String::new();
    let (mut calls, mut results, mut media) = (Vec::new(), Vec::new(), 0);
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match &part.body {
            PartBody::Text { text, .. } | PartBody::Refusal(text) => words += text,
            PartBody::ToolCall(call) => {
                let arguments = serde_json::from_str(&call.arguments).unwrap_or(json!({}));
                calls.push(json!([call.name, arguments]));
            }
            PartBody::ToolResult(result) => {
                // Pictures of results stand in the next message where results are texts.
                let pictures = result.content.iter();
                media += pictures
                    .filter(|part| matches!(part.body, PartBody::Image { .. }))
                    .count();
                let texts = result.content.iter().filter_map(|part| match &part.body {
                    PartBody::Text { text, .. } => Some(text.as_str()),
                    _ => None,
                });
                results.push(texts.collect::<String>());
            }
            PartBody::Image { .. } | PartBody::Audio { .. } | PartBody::Document { .. } => {
                media += 1;
            }
            _ => {}
        }
    }
    words.retain(|letter| !letter.is_whitespace());
    let tools = request.tools.iter().map(|tool| match tool {
        ToolDefinition::Function { name, .. } | ToolDefinition::Custom { name, .. } => name.clone(),
        ToolDefinition::Native { kind, .. } => kind.clone(),
    });
    let sampling = &request.sampling;
    // As the model likes, whether that is said or not.
    let choice = request
        .tool_choice
        .as_ref()
        .filter(|choice| **choice != ToolChoice::Auto);
    json!({
        "words": words, "calls": calls, "results": results, "media": media, "tools": tools.collect::<Vec<_>>(),
        "choice": format!("{choice:?}"), "temperature": sampling.temperature, "top_p": sampling.top_p,
        "stop": sampling.stop, "limit": request.max_output_tokens.as_ref().map(ToString::to_string),
    })
}

/// Features that go there in another form on purpose: instructions in the middle, forms of answers and documents as words,
/// broken arguments in an object, a choice as a list of tools.
const OTHERWISE: [&str; 7] = [
    "broken_arguments",
    "document_text",
    "json_object",
    "json_schema",
    "json_schema_whole",
    "system",
    "tool_choice_allowed",
];

#[test]
fn there_and_back_nothing_is_lost_that_both_have() {
    let (mut compared, mut lost) = (0, Vec::new());
    for pair in Pair::all().filter(|pair| DIALECTS.contains(&pair.upstream)) {
        for feature in features::of(pair.caller).requests {
            let Ok(there) = pair.request(&feature.said) else {
                continue;
            };
            if !there.dropped.is_empty() || OTHERWISE.contains(&feature.name.as_str()) {
                continue;
            }
            let body: Value = serde_json::from_slice(&there.body).unwrap();
            let home = Pair {
                caller: pair.upstream,
                upstream: pair.caller,
            };
            let Ok(again) = home.request(&body) else {
                panic!(
                    "{} to {}: {} does not come back",
                    pair.caller, pair.upstream, feature.name
                );
            };
            let was = common(back(feature.said.to_string().as_bytes(), pair.caller));
            let mut is = common(back(&again.body, pair.caller));
            if was["limit"].is_null() {
                is["limit"] = Value::Null;
            }
            if was != is {
                let Pair { caller, upstream } = pair;
                lost.push(format!(
                    "{caller} to {upstream}: {}\n  {was}\n  {is}",
                    feature.name
                ));
            }
            compared += 1;
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
    assert!(compared > 200, "{compared}");
}

#[test]
fn the_same_dialect_changes_nothing_but_the_model() {
    for dialect in DIALECTS {
        let pair = Pair {
            caller: dialect,
            upstream: dialect,
        };
        for feature in features::of(dialect).requests {
            let call = pair.request(&feature.said).unwrap();
            let mut body: Value = serde_json::from_slice(&call.body).unwrap();
            body.as_object_mut().unwrap().remove("model");
            assert_eq!(body, feature.said, "{dialect}: {}", feature.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_mixture_of_events_keeps_the_grammar(
        from in 0..UPSTREAMS.len(), to in 0..DIALECTS.len(), picks in vec(any::<Index>(), 0..14), size in 1usize..80,
    ) {
        let pair = Pair { caller: DIALECTS[to], upstream: UPSTREAMS[from] };
        prop_assume!(pair.caller != pair.upstream);
        let known = events(pair.upstream);
        let picked: Vec<Value> = picks.iter().map(|pick| known[pick.index(known.len())].clone()).collect();
        let sent = sent(pair.upstream, &Value::from(picked));
        let doc = asked(pair, &features::of(pair.caller), true);
        let (told, dropped) = pair.stream(&doc, &sent, usize::MAX);
        let (pieces, again) = pair.stream(&doc, &sent, size);
        prop_assert_eq!(&told, &pieces);
        prop_assert_eq!(dropped, again);
        let faults = grammar::faults(pair.caller, &streams::events(&told));
        prop_assert!(faults.is_empty(), "{:?}\n{}", faults, told);
    }
}

/// Models answer in the order of a schema: what is asked to be thought first must stay first.
#[test]
fn the_fields_of_a_schema_keep_their_order() {
    let schema = json!({"type": "object", "properties": {"steps": {"type": "string"}, "answer": {"type": "string"}},
        "required": ["steps", "answer"], "additionalProperties": false});
    let asking = |caller: &str| match caller {
        "openai" => json!({"messages": [{"role": "user", "content": "hi"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": true, "schema": schema}},
            "tools": [{"type": "function", "function": {"name": "t", "parameters": schema}}]}),
        "anthropic" => json!({"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
            "tools": [{"name": "t", "input_schema": schema}]}),
        "gemini" => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema},
            "tools": [{"functionDeclarations": [{"name": "t", "parametersJsonSchema": schema}]}]}),
        _ => {
            json!({"input": "hi", "text": {"format": {"type": "json_schema", "name": "a", "schema": schema}},
            "tools": [{"type": "function", "name": "t", "parameters": schema, "strict": true}]})
        }
    };
    for pair in Pair::all() {
        let sent = pair.request(&asking(pair.caller)).unwrap().body;
        let sent = String::from_utf8_lossy(&sent).into_owned();
        let of = |name: &str| -> Vec<usize> {
            let quoted = format!("\"{name}\":{{");
            sent.match_indices(&quoted).map(|(at, _)| at).collect()
        };
        let (first, second) = (of("steps"), of("answer"));
        assert!(!first.is_empty() && first.len() == second.len(), "{sent}");
        let ordered = first.iter().zip(&second).all(|(one, other)| one < other);
        assert!(ordered, "{} to {}: {sent}", pair.caller, pair.upstream);
    }
}
