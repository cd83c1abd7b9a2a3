//! Which requests may be answered by what was answered before, and which answers may be kept: what never is, whatever the
//! configuration says (`docs/cache.md`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::value::RawValue;

use super::dialects;
use super::ir::StopReason;
use super::json;
use super::request::RequestDoc;
use crate::domain::dialect::Operation;

/// Fields that ask for what is elsewhere, or done elsewhere: an earlier answer, a search, tools that the provider runs.
const ELSEWHERE: [&str; 12] = [
    "previous_response_id",
    "conversation",
    "web_search_options",
    "search_parameters",
    "mcp_servers",
    "container",
    "plugins",
    "cachedContent",
    "cached_content",
    "vector_store_ids",
    "safetyCheckpoint",
    "retrieval",
];
/// Fields that change what an answer is where they are true.
const SWITCHES: [&str; 3] = ["store", "background", "enable_search"];
/// In a canonical body: what is named there and held by a provider, or at an address that others can change.
const HELD: [&str; 6] = [
    r#"file_id":""#,
    r#"fileId":""#,
    r#"file_ids":["#,
    r#"vector_store_ids":["#,
    r#""type":"item_reference""#,
    r#"cachedContent":""#,
];
/// How names of members end whose text is an address.
const ADDRESSES: [&str; 2] = [r#"rl":""#, r#"ri":""#];
/// What finds such marks, made once: making it takes longer than looking through a short text.
struct Finders {
    held: Vec<Finder<'static>>,
    addresses: Vec<Finder<'static>>,
    searching: Vec<Finder<'static>>,
}

static FINDERS: LazyLock<Finders> = LazyLock::new(|| {
    let finders = |marks: &[&'static str]| marks.iter().map(|mark| Finder::new(*mark)).collect();
    Finders {
        held: finders(&HELD),
        addresses: finders(&ADDRESSES),
        searching: finders(&SEARCHING),
    }
});
/// Tools whose caller runs them, beside plain functions; with a date behind them in some dialects.
const CALLERS_TOOLS: [&str; 8] = [
    "function",
    "custom",
    "bash",
    "text_editor",
    "computer",
    "memory",
    "local_shell",
    "apply_patch",
];
/// Models that search before they answer.
const SEARCHING: [&str; 6] = [
    ":online",
    "-search-preview",
    "-search-api",
    "sonar",
    "deep-research",
    "compound",
];

/// Whether equal requests have equal answers by what is asked for, and not by a temperature.
pub fn is_deterministic(operation: Operation) -> bool {
    operation.counts()
        || matches!(
            operation,
            Operation::Embeddings
                | Operation::EmbedContent
                | Operation::BatchEmbedContents
                | Operation::Rerank
                | Operation::Moderations
        )
}

/// Whether answers to it may be kept at all.
pub fn is_kept(operation: Operation) -> bool {
    is_deterministic(operation)
        || matches!(
            operation,
            Operation::Chat
                | Operation::Completions
                | Operation::Responses
                | Operation::Messages
                | Operation::GenerateContent
        )
}

/// Whether the model searches or runs tools of its own before it answers.
pub fn searches(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    let mut marks = FINDERS.searching.iter();
    marks.any(|mark| mark.find(model.as_bytes()).is_some())
}

/// Why an answer to this request depends on more than the request; `counted`: what of its body counts
/// (`wire/cache_key.rs`). `None`: it does not.
pub fn obstacle(operation: Operation, doc: &RequestDoc, counted: &[u8]) -> Option<&'static str> {
    let says = |name: &&&str| doc.raw(name).is_some_and(|raw| raw != b"null");
    if let Some(name) = ELSEWHERE.iter().find(says) {
        return Some(name);
    }
    let is_on = |name: &&&str| doc.raw(name) == Some(b"true");
    if let Some(name) = SWITCHES.iter().find(is_on) {
        return Some(name);
    }
    // A template that its owner may change.
    if operation == Operation::Responses && doc.raw("prompt").is_some_and(|raw| raw != b"null") {
        return Some("prompt");
    }
    if doc.raw("tools").is_some_and(has_hosted_tool) {
        return Some("tools");
    }
    let finders = &*FINDERS;
    if finders.held.iter().any(|mark| mark.find(counted).is_some()) {
        return Some("file_id");
    }
    has_address(counted, &finders.addresses).then_some("url")
}

/// Whether a member that names an address has one that is not in the request itself. In a canonical body quotes within
/// texts stand behind a backslash: these marks are only found where members are.
fn has_address(counted: &[u8], marks: &[Finder<'static>]) -> bool {
    let ends = marks.iter().flat_map(|mark| {
        let found = mark.find_iter(counted);
        found.map(|at| (at, at + mark.needle().len()))
    });
    ends.into_iter().any(|(at, value)| {
        let letter = at.checked_sub(1).and_then(|at| counted.get(at));
        let is_address = matches!(letter, Some(b'u' | b'U'));
        let value = counted.get(value..).unwrap_or_default();
        is_address && !value.starts_with(b"data:") && !value.starts_with(b"\"")
    })
}

/// Whether one of the tools is run by the provider.
fn has_hosted_tool(tools: &[u8]) -> bool {
    json::any_item(tools, |tool| is_hosted(tool).unwrap_or(true)).unwrap_or(true)
}

fn is_hosted(tool: &RawValue) -> Option<bool> {
    type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;
    let members: Members<'_> = serde_json::from_str(tool.get()).ok()?;
    let Some(kind) = members.get("type") else {
        let is_function = members.contains_key("name") || members.contains_key("function");
        let mut names = members.keys();
        let declares =
            names.all(|name| matches!(&**name, "functionDeclarations" | "function_declarations"));
        return Some(!is_function && !declares);
    };
    let kind: String = serde_json::from_str(kind.get()).ok()?;
    Some(!CALLERS_TOOLS.iter().any(|own| {
        let rest = kind.strip_prefix(own);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("_2"))
    }))
}

/// Whether a whole, good answer is one that ended by itself.
pub fn has_ended(operation: Operation, body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct StatusField<'a> {
        #[serde(borrow, default)]
        status: Option<Cow<'a, str>>,
    }
    let caller = dialects::caller(operation);
    if is_deterministic(operation) {
        return true;
    }
    // Whoever tells a status says with it whether this is all.
    let told = serde_json::from_slice::<StatusField<'_>>(body);
    let status = told.ok().and_then(|told| told.status);
    if status.is_some_and(|status| status != "completed") {
        return false;
    }
    let Some(dialect) = dialects::upstream(caller.id()) else {
        return false;
    };
    let Ok(answer) = dialect.decode_answer(body) else {
        return false;
    };
    let is_end = |stop: Option<&StopReason>| {
        matches!(
            stop,
            Some(StopReason::EndTurn | StopReason::StopSequence(_) | StopReason::ToolCalls)
        )
    };
    let mut candidates = answer.candidates.iter();
    !answer.candidates.is_empty() && candidates.all(|candidate| is_end(candidate.stop.as_ref()))
}

/// Whether an answer tells its token counts, where those that do not are told apart from those that do: a stream has them
/// only where its caller asked.
pub fn tells_usage(operation: Operation, body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct UsageField<'a> {
        #[serde(borrow, default)]
        usage: Option<&'a RawValue>,
    }
    if !matches!(operation, Operation::Chat | Operation::Completions) {
        return true;
    }
    let read = serde_json::from_slice::<UsageField<'_>>(body);
    read.is_ok_and(|read| read.usage.is_some())
}

#[cfg(test)]
mod tests {
    use super::super::cache_key;
    use super::*;

    fn met(operation: Operation, body: &str) -> Option<&'static str> {
        let counted = cache_key::counted(body.as_bytes()).unwrap();
        let doc = RequestDoc::parse(body.to_owned().into()).unwrap();
        obstacle(operation, &doc, &counted)
    }

    #[test]
    fn what_depends_on_more_than_the_request_is_told() {
        for (operation, body, field) in [
            (Operation::Responses, r#"{"store":true}"#, "store"),
            (Operation::Responses, r#"{"background":true}"#, "background"),
            (
                Operation::Responses,
                r#"{"previous_response_id":"r"}"#,
                "previous_response_id",
            ),
            (
                Operation::Responses,
                r#"{"conversation":{"id":"c"}}"#,
                "conversation",
            ),
            (Operation::Responses, r#"{"prompt":{"id":"p"}}"#, "prompt"),
            (
                Operation::Responses,
                r#"{"tools":[{"type":"web_search"}]}"#,
                "tools",
            ),
            (
                Operation::Responses,
                r#"{"input":[{"type":"item_reference","id":"x"}]}"#,
                "file_id",
            ),
            (
                Operation::Chat,
                r#"{"web_search_options":{}}"#,
                "web_search_options",
            ),
            (
                Operation::Chat,
                r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://a/b"}}]}]}"#,
                "url",
            ),
            (
                Operation::Responses,
                r#"{"input":[{"content":[{"type":"input_image","image_url" : "\u0068ttp://a"}]}]}"#,
                "url",
            ),
            (
                Operation::Chat,
                r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"f"}}]}]}"#,
                "file_id",
            ),
            (
                Operation::Messages,
                r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#,
                "tools",
            ),
            (
                Operation::GenerateContent,
                r#"{"tools":[{"googleSearch":{}}]}"#,
                "tools",
            ),
            (
                Operation::GenerateContent,
                r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://a"}}]}]}"#,
                "url",
            ),
        ] {
            assert_eq!(met(operation, body), Some(field), "{body}");
        }
    }

    #[test]
    fn everything_else_depends_on_the_request_alone() {
        for (operation, body) in [
            (
                Operation::Chat,
                r#"{"messages":[{"role":"user","content":"https://a"}]}"#,
            ),
            (
                Operation::Chat,
                r#"{"messages":[{"content":"x url\":\"https://a file_id\":\"f"}]}"#,
            ),
            (
                Operation::Chat,
                r#"{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,AA"}}]}]}"#,
            ),
            (
                Operation::Chat,
                r#"{"tools":[{"type":"function","function":{"name":"f"}}]}"#,
            ),
            (
                Operation::Chat,
                r#"{"tools":[{"type":"function","function":{"parameters":{"properties":{"url":{"type":"string"}}}}}]}"#,
            ),
            (
                Operation::Messages,
                r#"{"tools":[{"name":"f","input_schema":{}}]}"#,
            ),
            (
                Operation::Messages,
                r#"{"tools":[{"type":"bash_20250124","name":"bash"}]}"#,
            ),
            (
                Operation::GenerateContent,
                r#"{"tools":[{"functionDeclarations":[]}]}"#,
            ),
            (
                Operation::Responses,
                r#"{"store":false,"previous_response_id":null,"tools":[]}"#,
            ),
            (Operation::Embeddings, r#"{"input":["https://a"]}"#),
        ] {
            assert_eq!(met(operation, body), None, "{body}");
        }
    }

    #[test]
    fn only_what_ended_by_itself_is_kept() {
        let chat = |reason: &str| {
            let body = format!(
                r#"{{"choices":[{{"finish_reason":{reason},"message":{{"role":"assistant","content":"x"}}}}]}}"#
            );
            has_ended(Operation::Chat, body.as_bytes())
        };
        assert!(chat(r#""stop""#) && chat(r#""tool_calls""#));
        for reason in ["null", r#""length""#, r#""content_filter""#, r#""soon""#] {
            assert!(!chat(reason), "{reason}");
        }
        let message = |reason: &str| {
            let body = format!(
                r#"{{"type":"message","role":"assistant","content":[{{"type":"text","text":"x"}}],"stop_reason":"{reason}"}}"#
            );
            has_ended(Operation::Messages, body.as_bytes())
        };
        assert!(message("end_turn") && message("tool_use") && message("stop_sequence"));
        for reason in [
            "max_tokens",
            "pause_turn",
            "refusal",
            "model_context_window_exceeded",
        ] {
            assert!(!message(reason), "{reason}");
        }
        let response = |status: &str| {
            let body = format!(
                r#"{{"object":"response","status":"{status}","output":[{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"x"}}]}}]}}"#
            );
            has_ended(Operation::Responses, body.as_bytes())
        };
        assert!(response("completed"));
        assert!(!response("incomplete") && !response("failed") && !response("in_progress"));
        let content = |reason: &str| {
            let body = format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"text":"x"}}]}},"finishReason":"{reason}"}}]}}"#
            );
            has_ended(Operation::GenerateContent, body.as_bytes())
        };
        assert!(content("STOP"));
        assert!(!content("MAX_TOKENS") && !content("SAFETY"));
        let text = r#"{"choices":[{"text":"x","finish_reason":"stop"}]}"#;
        assert!(has_ended(Operation::Completions, text.as_bytes()));
        assert!(!has_ended(Operation::Chat, b"{}") && !has_ended(Operation::Chat, b"x"));
    }
}
