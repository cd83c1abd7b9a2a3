//! The names that fields have in an upstream's JSON, and whether a value says anything. Nothing is allocated.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// Fields beside what a model produces, in a chunk, a choice, a delta, or an item of a response; sorted.
pub(super) const BOOKKEEPING: [&str; 47] = [
    "avg_logprobs",
    "channel",
    "choices",
    "content_filter_offsets",
    "content_filter_result",
    "content_filter_results",
    "created",
    "created_at",
    "event",
    "finish_details",
    "finish_reason",
    "flags",
    "id",
    "index",
    "logprobs",
    "matched_stop",
    "metadata",
    "model",
    "modelVersion",
    "name",
    "native_finish_reason",
    "obfuscation",
    "object",
    "output_index",
    "p",
    "phase",
    "prompt_filter_results",
    "prompt_logprobs",
    "prompt_token_ids",
    "provider",
    "recipient",
    "response",
    "role",
    "seed",
    "sequence_number",
    "service_tier",
    "status",
    "stop_reason",
    "system_fingerprint",
    "time_info",
    "timings",
    "token_ids",
    "type",
    "usage",
    "warning",
    "warnings",
    "x_groq",
];

/// The most of a text that is searched for signs of an error, in bytes.
const MAX_WORDS: usize = 2048;

/// A field's name, compared without a copy.
pub(super) enum FieldName {
    Id,
    Model,
    Object,
    Type,
    Choices,
    Usage,
    ServiceTier,
    /// Groq puts counts into it.
    XGroq,
    Data,
    Results,
    Output,
    Response,
    Item,
    Part,
    SequenceNumber,
    Error,
    Detail,
    Message,
    Code,
    Status,
    StatusCode,
    Success,
    BaseResp,
    Index,
    Delta,
    FinishReason,
    /// Beside what a model produces.
    Bookkeeping,
    /// It speaks of an error.
    Errs,
    Other,
}

impl FieldName {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "id" => Self::Id,
            "model" => Self::Model,
            "object" => Self::Object,
            "type" | "__type" => Self::Type,
            "choices" => Self::Choices,
            "usage" => Self::Usage,
            "service_tier" => Self::ServiceTier,
            "x_groq" => Self::XGroq,
            "data" => Self::Data,
            "results" => Self::Results,
            "output" => Self::Output,
            "response" => Self::Response,
            "item" => Self::Item,
            "part" => Self::Part,
            "sequence_number" => Self::SequenceNumber,
            "error" => Self::Error,
            "detail" => Self::Detail,
            "message" | "msg" | "Message" => Self::Message,
            "code" => Self::Code,
            "status" => Self::Status,
            "status_code" | "statusCode" | "http_code" => Self::StatusCode,
            "success" => Self::Success,
            "base_resp" => Self::BaseResp,
            "index" => Self::Index,
            "delta" => Self::Delta,
            "finish_reason" => Self::FinishReason,
            // These are met most.
            "content" | "reasoning_content" | "reasoning" | "tool_calls" | "text" => Self::Other,
            name if BOOKKEEPING.binary_search(&name).is_ok() || name.ends_with("_id") => {
                Self::Bookkeeping
            }
            name if is_about_errors(name) => Self::Errs,
            _ => Self::Other,
        }
    }
}

/// Whether a field's name speaks of an error: `errors`, `err`, `error_msg`, `ErrorMessage`, `exception`.
fn is_about_errors(name: &str) -> bool {
    let starts = |part: &str| {
        name.get(..part.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(part))
    };
    starts("error") || starts("exception") || name.eq_ignore_ascii_case("err")
}

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct FieldNameVisitor;
        impl Visitor<'_> for FieldNameVisitor {
            type Value = FieldName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<FieldName, E> {
                Ok(FieldName::of(name))
            }
        }
        from.deserialize_identifier(FieldNameVisitor)
    }
}

/// Whether such a field of a choice, a delta or an item may hold what the model produced: all may that are not known to
/// be beside it, for reasoning, tools and media have a new name at each upstream.
pub(super) fn is_production(name: &FieldName) -> bool {
    !matches!(
        name,
        FieldName::Id
            | FieldName::Model
            | FieldName::Object
            | FieldName::Type
            | FieldName::Usage
            | FieldName::ServiceTier
            | FieldName::XGroq
            | FieldName::SequenceNumber
            | FieldName::Error
            | FieldName::Errs
            | FieldName::Code
            | FieldName::Status
            | FieldName::StatusCode
            | FieldName::Success
            | FieldName::Index
            | FieldName::FinishReason
            | FieldName::Bookkeeping
    )
}

/// Whether a value says anything: not null, false, zero or empty, nor a list or an object of such.
pub(super) fn tells(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| holds(value.get(), true))
}

/// Whether a value is, or has in it, a text that is not empty. Numbers and flags (ids of tokens, say) are no text.
pub(super) fn says(value: &RawValue) -> bool {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'"') => json.len() > 2,
        Some(b'{' | b'[') => holds(json, false),
        _ => false,
    }
}

/// Whether well-formed JSON has a value that is a text with something in it, or, with `scalars`, true or a number other
/// than zero.
pub(super) fn holds(json: &str, scalars: bool) -> bool {
    let mut rest = json.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'"' => {
                let mut at = 0;
                while let Some(found) = rest
                    .get(at..)
                    .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
                {
                    at += found;
                    if rest.get(at) == Some(&b'"') {
                        break;
                    }
                    at += 2;
                }
                rest = rest.get(at + 1..).unwrap_or_default();
                let is_name = rest.trim_ascii_start().first() == Some(&b':');
                if at > 0 && !is_name {
                    return true;
                }
            }
            b't' | b'1'..=b'9' if scalars => return true,
            _ => {}
        }
    }
    false
}

/// A short word in JSON, without its quotes: for comparison with known ones.
pub(super) fn word(value: Option<&RawValue>) -> &str {
    let json = value.map_or("", RawValue::get);
    let inside = json
        .strip_prefix('"')
        .and_then(|json| json.strip_suffix('"'));
    inside.unwrap_or_default()
}

/// A number in JSON, be it written as one or as a text.
pub(super) fn number(value: Option<&RawValue>) -> Option<i64> {
    value?.get().trim_matches('"').parse().ok()
}

/// Whether a reason is none: some put a null into a text, in their language (DashScope, Python's `None`).
pub(super) fn is_none(reason: &str) -> bool {
    const NONE: [&str; 5] = ["", "null", "none", "nil", "undefined"];
    NONE.iter().any(|none| reason.eq_ignore_ascii_case(none))
}

/// Whether a code, or a text in place of an error, says that nothing is wrong.
pub(super) fn is_fine(code: &RawValue) -> bool {
    const FINE: [&str; 7] = ["", "ok", "success", "succeeded", "none", "null", "no error"];
    match number(Some(code)) {
        Some(code) => code == 0 || (200..300).contains(&code),
        None => FINE
            .iter()
            .any(|fine| word(Some(code)).eq_ignore_ascii_case(fine)),
    }
}

/// Whether a field for an error holds one. An error without a type whose code says that all is well, and whose words do
/// not contradict, is none: some servers send one with every answer.
pub(super) fn fails(error: Option<&RawValue>) -> bool {
    #[derive(Deserialize)]
    struct ErrorFields<'a> {
        #[serde(default, borrow)]
        code: Option<&'a RawValue>,
        #[serde(rename = "type", default, borrow)]
        kind: Option<&'a RawValue>,
        #[serde(default, borrow)]
        message: Option<&'a RawValue>,
        #[serde(default, borrow)]
        msg: Option<&'a RawValue>,
    }
    let Some(error) = error.filter(|error| tells(Some(*error))) else {
        return false;
    };
    match error.get().as_bytes().first() {
        Some(b'"') => !is_fine(error),
        Some(b'{') => {
            let Ok(told) = serde_json::from_str::<ErrorFields<'_>>(error.get()) else {
                return true;
            };
            let words = told.message.or(told.msg).filter(|words| !is_fine(words));
            let code = told.code.filter(|code| code.get() != "\"\"");
            let fine = code.is_some_and(is_fine) && !tells(told.kind);
            !fine || sounds_wrong(word(words))
        }
        _ => true,
    }
}

/// Whether a type, a status or a line of text speaks of an error.
pub(super) fn sounds_wrong(text: &str) -> bool {
    const SIGNS: [&str; 32] = [
        "abort",
        "bad request",
        "bad_",
        "badrequest",
        "busy",
        "crash",
        "denied",
        "died",
        "error",
        "exceed",
        "exception",
        "expired",
        "fail",
        "forbidden",
        "insufficient",
        "invalid",
        "limit",
        "not found",
        "not_found",
        "overflow",
        "overload",
        "quota",
        "refuse",
        "reject",
        "terminated",
        "throttl",
        "timeout",
        "timed out",
        "too many",
        "too_many",
        "unauthor",
        "unavailable",
    ];
    let text = text.get(..text.floor_char_boundary(MAX_WORDS));
    let text = text.unwrap_or_default().to_ascii_lowercase();
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// Whether a choice ends for this reason because something went wrong, and not because the answer is complete, long
/// enough or refused. Of DeepSeek (`insufficient_system_resource`), Z.ai (`network_error`), OpenRouter and Mistral
/// (`error`), vLLM and SGLang (`abort`), Cohere (`ERROR`, `TIMEOUT`), and what others make of these.
pub(super) fn is_failure(reason: &str) -> bool {
    const REASONS: [&str; 10] = [
        "insufficient_system_resource",
        "abort",
        "aborted",
        "timeout",
        "failed",
        "failure",
        "overloaded",
        "unavailable",
        "exception",
        "interrupted",
    ];
    let ends = reason.len().saturating_sub("error".len());
    let error = reason
        .get(ends..)
        .is_some_and(|end| end.eq_ignore_ascii_case("error"));
    error
        || REASONS
            .iter()
            .any(|known| reason.eq_ignore_ascii_case(known))
}
