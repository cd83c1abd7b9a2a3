//! Requests of Anthropic clients as chat completions take them.

use super::super::carrier::Carried;
use super::*;

/// The request as a chat completion, and the names of what was lost.
fn asked(model: &str, body: Value) -> (Value, Vec<String>) {
    let mut read = decode_request(body).unwrap();
    read.model = Some(model.to_owned());
    chat::encode(read)
}

#[test]
fn results_follow_their_calls_and_pictures_follow_the_results() {
    let (body, _) = asked(
        "m",
        json!({"max_tokens": 100, "messages": [
            {"role": "user", "content": "look"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "shot", "input": {"c": 1}}]},
            {"role": "user", "content": [{"type": "text", "text": "and New York"},
                {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": [
                    {"type": "text", "text": "taken"}, {"type": "text", "text": "twice"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "UA=="}}]}]},
        ]}),
    );
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "tool", "user"]);
    assert_eq!(messages[1]["content"], Value::Null);
    assert_eq!(
        messages[1]["tool_calls"][0]["function"]["arguments"],
        "{\"c\":1}"
    );
    assert_eq!(messages[2]["content"], "taken\n\ntwice");
    let text = messages[3].to_string();
    assert!(text.contains("data:image/png;base64,UA==") && text.contains("and New York"));
}

#[test]
fn an_agents_request_has_nothing_that_hosts_refuse() {
    let (body, lost) = asked(
        "gpt-4o",
        json!({"max_tokens": 32000, "stream": true, "tools": [],
            "system": [{"type": "text", "text": "A."}, {"type": "text", "text": "B.", "cache_control": {"type": "ephemeral"}}],
            "thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"},
            "context_management": {"edits": []},
            "metadata": {"user_id": "u".repeat(150)}, "tool_choice": {"type": "auto"},
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                {"role": "system", "content": "The environment."},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "c2ln"}, {"type": "text", "text": "ok"}]},
                {"role": "user", "content": "more"}]}),
    );
    assert_eq!(
        body["messages"][0],
        json!({"role": "system", "content": "A.\n\nB."})
    );
    assert_eq!(
        body["messages"][1],
        json!({"role": "user", "content": "hi"})
    );
    assert_eq!(
        body["messages"][3],
        json!({"role": "assistant", "content": "ok"})
    );
    assert_eq!(body["max_tokens"], 32000);
    assert_eq!(body["stream_options"]["include_usage"], true);
    assert_eq!(body["user"].as_str().unwrap().len(), 64);
    for absent in [
        "tools",
        "tool_choice",
        "thinking",
        "reasoning_effort",
        "metadata",
        "output_config",
        "context_management",
    ] {
        assert_eq!(body[absent], Value::Null, "{absent}");
    }
    for named in [
        "context_management",
        "thinking.display",
        "messages[0].content[1].cache_control",
        "reasoning.effort",
    ] {
        assert!(lost.iter().any(|name| name == named), "{named} {lost:?}");
    }
}

#[test]
fn a_budget_is_an_effort_and_a_choice_has_its_words() {
    let (body, _) = asked(
        "gpt-5.6",
        json!({"max_tokens": 20000, "thinking": {"type": "enabled", "budget_tokens": 12000},
            "tools": [{"name": "w", "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "messages": [{"role": "user", "content": "hi"}], "stop_sequences": ["END"]}),
    );
    assert_eq!(body["reasoning_effort"], "medium");
    assert_eq!(body["max_completion_tokens"], 20000);
    assert_eq!(body["tool_choice"], "required");
    assert_eq!(body["parallel_tool_calls"], false);
    assert_eq!(body["stop"], json!(["END"]));
}

#[test]
fn thoughts_go_back_to_the_host_that_told_them() {
    let own = Carried {
        maker: Some("openai".to_owned()),
        ..Carried::default()
    };
    let (body, _) = asked(
        "kimi-k2",
        json!({"max_tokens": 10, "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": own.write()},
                {"type": "tool_use", "id": "t", "name": "w", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]}),
    );
    assert_eq!(body["messages"][1]["reasoning_content"], "hm");
    assert_eq!(body["messages"][1].get("reasoning_details"), None);
    assert_eq!(body["messages"][2]["content"], "");
}

#[test]
fn a_form_of_answer_has_a_name_and_a_text_document_is_words() {
    let schema = json!({"type": "object", "properties": {}});
    let (body, _) = asked(
        "m",
        json!({"max_tokens": 10, "output_config": {"format": {"type": "json_schema", "schema": schema}},
            "messages": [{"role": "user", "content": [
                {"type": "document", "title": "a.txt", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}]}]}),
    );
    assert_eq!(body["response_format"]["json_schema"]["schema"], schema);
    assert!(
        !body["response_format"]["json_schema"]["name"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    assert_eq!(body["messages"][0]["content"], "a.txt:\nwords");
}
