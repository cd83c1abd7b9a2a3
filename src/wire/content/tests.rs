use super::*;

fn rendered(operation: Operation, request: &str, answer: &str) -> Rendered {
    let content = RequestContent {
        request: Bytes::copy_from_slice(request.as_bytes()),
        answer: (!answer.is_empty()).then(|| Bytes::copy_from_slice(answer.as_bytes())),
        spoken: None,
    };
    content.rendered(operation, &|text| text.replace("secret", "****"))
}

fn value(text: Option<String>) -> Value {
    serde_json::from_str(&text.unwrap()).unwrap()
}

#[test]
fn a_chat_is_told_in_messages_of_parts() {
    let told = rendered(
        Operation::Chat,
        r#"{"messages":[
            {"role":"system","content":"be secret"},
            {"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:secret"}}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"a\":\"secret\"}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"the secret"}]}"#,
        r#"{"choices":[{"message":{"role":"assistant","content":"a secret","reasoning_content":"hm"},"finish_reason":"stop"}]}"#,
    );
    assert_eq!(
        value(told.input),
        json!([
            {"role": "system", "parts": [{"type": "text", "content": "be ****"}]},
            {"role": "user", "parts": [{"type": "text", "content": "look"}, {"type": "image_url"}]},
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": "{\"a\":\"****\"}"}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "the ****"}]},
        ])
    );
    assert_eq!(
        value(told.output),
        json!([{"role": "assistant", "finish_reason": "stop", "parts": [
            {"type": "reasoning", "content": "hm"}, {"type": "text", "content": "a ****"}]}])
    );
    assert_eq!(told.instructions, None);
}

#[test]
fn a_conversation_in_googles_form_is_told_alike() {
    let told = rendered(
        Operation::GenerateContent,
        r#"{"systemInstruction":{"parts":[{"text":"be secret"}]},"contents":[
            {"parts":[{"text":"look"},{"inlineData":{"mimeType":"image/png","data":"secret"}}]},
            {"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{"a":"secret"}}}]}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"a secret"}]},"finishReason":"STOP"}]}"#,
    );
    assert_eq!(
        value(told.input),
        json!([
            {"role": "user", "parts": [{"type": "text", "content": "look"}, {"type": "image/png"}]},
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": "{\"a\":\"****\"}"}]},
        ])
    );
    assert_eq!(
        value(told.output),
        json!([{"role": "assistant", "finish_reason": "STOP", "parts": [
            {"type": "reasoning", "content": "hm"}, {"type": "text", "content": "a ****"}]}])
    );
    let instructions = json!([{"type": "text", "content": "be ****"}]);
    assert_eq!(value(told.instructions), instructions);
}

#[test]
fn the_other_operations_are_told_alike() {
    let told = rendered(
        Operation::Responses,
        r#"{"instructions":"be brief","input":[{"role":"user","content":"hi"},{"type":"function_call_output","call_id":"c","output":"1"}]}"#,
        r#"{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"yes"}]}]}"#,
    );
    let brief = json!([{"type": "text", "content": "be brief"}]);
    assert_eq!(value(told.instructions), brief);
    assert_eq!(value(told.input)[1]["parts"][0]["response"], "1");
    assert_eq!(value(told.output)[0]["parts"][0]["content"], "yes");
    let told = rendered(
        Operation::Completions,
        r#"{"prompt":"once"}"#,
        r#"{"choices":[{"text":"upon","finish_reason":"length"}]}"#,
    );
    assert_eq!(value(told.input)[0]["parts"][0]["content"], "once");
    assert_eq!(value(told.output)[0]["finish_reason"], "length");
    assert_eq!(rendered(Operation::Chat, "{}", ""), Rendered::default());
}

#[test]
fn the_latest_messages_have_room() {
    let message =
        |n: usize| json!({"role": "user", "content": format!("{n} {}", "x".repeat(6000))});
    let request = json!({"messages": (0..9).map(message).collect::<Vec<_>>()});
    let told = rendered(Operation::Chat, &request.to_string(), "")
        .input
        .unwrap();
    let messages = value(Some(told.clone()));
    assert!(told.len() <= LIMIT && messages.as_array().unwrap().len() == 2);
    let text = messages[1]["parts"][0]["content"].as_str().unwrap();
    assert!(text.starts_with("8 "));
    let long = json!({"messages": [{"role": "user", "content": "é".repeat(30_000)}]});
    let told = rendered(Operation::Chat, &long.to_string(), "")
        .input
        .unwrap();
    assert!(told.len() <= LIMIT && told.contains("é…"));
}

#[test]
fn a_stream_is_told_as_it_was_sent() {
    let mut spoken = Spoken::default();
    for data in [
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"a "}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"other"}},{"delta":{"content":"secret"}}]}"#,
        r#"{"type":"response.output_text.delta","delta":"!"}"#,
        "[DONE]",
    ] {
        let raw = format!("data: {data}\n\n").into();
        spoken.note(&RawEvent { raw });
    }
    let content = RequestContent {
        request: Bytes::new(),
        answer: None,
        spoken: Some(spoken),
    };
    assert_eq!(content.size(), 9);
    let told = content.rendered(Operation::Chat, &|text| text.replace("secret", "****"));
    assert_eq!(value(told.output)[0]["parts"][0]["content"], "a ****!");
}
