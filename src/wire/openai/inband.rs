//! Errors inside a 2xx, in whatever shape an upstream gives them: in an event of a stream or in place of an answer.
//!
//! Two kinds of signs. Some mean an error whatever stands beside them: `error`, `{"object":"error"}` (vLLM), a failed
//! choice (OpenRouter), `base_resp` (MiniMax). Others do so only where nothing of an answer is there: `detail`
//! (FastAPI), a `message`, a `code`, a `status`.

use serde_json::value::RawValue;

use super::envelope::Envelope;
use super::fields::{number, tells, word};

/// The most of a text that is searched for signs, in bytes.
const MAX_WORDS: usize = 2048;

/// Whether an object is an error although something of an answer may stand beside it.
pub(super) fn is_certain(envelope: &Envelope<'_>) -> bool {
    tells(envelope.error)
        || envelope.choices.failed
        || word(envelope.object) == "error"
        || word(envelope.kind) == "error"
        || (is(envelope.success, "false") && envelope.errs)
        || base_resp(envelope.base_resp).is_some_and(|code| code != 0)
}

/// Whether an object that holds nothing of an answer is an error. `name` is the event's, if it has one.
pub(super) fn is_likely(envelope: &Envelope<'_>, name: Option<&[u8]>) -> bool {
    if is_certain(envelope) || envelope.errs || tells(envelope.detail) {
        return true;
    }
    let status = number(envelope.status_code).or(number(envelope.status));
    let code = envelope.code.filter(|code| code.get() != "null");
    let is_status = |status: i64| (400..600).contains(&status);
    if status.is_some_and(is_status) || number(code).is_some_and(is_status) {
        return true;
    }
    let told = word(envelope.status);
    if is(envelope.success, "false") || sounds_wrong(told) {
        return true;
    }
    if word(envelope.message).is_empty() {
        return false;
    }
    // Of other codes than those of HTTP each upstream has its own: with words they are errors.
    if code.is_some_and(|code| !is_fine(code)) {
        return true;
    }
    let name = name.and_then(|name| std::str::from_utf8(name).ok());
    let labels = [word(envelope.kind), told, name.unwrap_or_default()];
    // Words alone are one, unless they call themselves something else, or say that all is well.
    let alone = labels
        .iter()
        .all(|label| label.is_empty() || *label == "message");
    let fine = code.is_some() || is(envelope.success, "true") || number(envelope.status).is_some();
    labels.into_iter().any(sounds_wrong) || (alone && !fine)
}

fn is(value: Option<&RawValue>, json: &str) -> bool {
    value.is_some_and(|value| value.get() == json)
}

/// The status that an error names beside its words.
pub(super) fn status_of(envelope: &Envelope<'_>) -> Option<u16> {
    number(envelope.status_code).and_then(|status| u16::try_from(status).ok())
}

/// Whether a code says that nothing is wrong.
fn is_fine(code: &RawValue) -> bool {
    let fine = ["", "ok", "success", "succeeded"];
    match number(Some(code)) {
        Some(code) => code == 0 || (200..300).contains(&code),
        None => fine
            .iter()
            .any(|fine| word(Some(code)).eq_ignore_ascii_case(fine)),
    }
}

/// MiniMax's `base_resp.status_code`.
fn base_resp(value: Option<&RawValue>) -> Option<i64> {
    number(Envelope::read(value?.get())?.status_code)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn likely(json: &str) -> bool {
        is_likely(&Envelope::read(json).unwrap(), None)
    }

    fn certain(json: &str) -> bool {
        is_certain(&Envelope::read(json).unwrap())
    }

    #[test]
    fn every_shape_of_an_error_is_one() {
        for json in [
            r#"{"error":{"message":"x"}}"#,
            r#"{"error":"x"}"#,
            r#"{"error":["x"]}"#,
            r#"{"error":true,"message":"x"}"#,
            r#"{"error":500}"#,
            r#"{"errors":[{"code":3040}]}"#,
            r#"{"object":"error","message":"x","type":"BadRequestError","code":400}"#,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
            r#"{"detail":"x"}"#,
            r#"{"detail":[{"msg":"x"}]}"#,
            r#"{"detail":{"error":"x"}}"#,
            r#"{"success":false}"#,
            r#"{"success":false,"errors":[{"code":1}]}"#,
            r#"{"base_resp":{"status_code":1008,"status_msg":"x"}}"#,
            r#"{"base_resp":{"status_code":"1008"}}"#,
            r#"{"status":"error","message":"x"}"#,
            r#"{"status":"failed"}"#,
            r#"{"status":429,"title":"Too Many Requests"}"#,
            r#"{"status_code":503}"#,
            r#"{"statusCode":401,"message":"x"}"#,
            r#"{"code":"429","message":"x"}"#,
            r#"{"code":1234,"msg":"x"}"#,
            r#"{"code":"InvalidParameter","message":"x","request_id":"r"}"#,
            r#"{"message":"x"}"#,
            r#"{"message":"x","type":"rate_limit_exceeded","code":null}"#,
            r#"{"Message":"x"}"#,
            r#"{"__type":"ThrottlingException","message":"x"}"#,
            r#"{"error_code":336100,"error_msg":"x"}"#,
            r#"{"errorCode":"E1","errorMessage":"x"}"#,
            r#"{"exception":"x"}"#,
            r#"{"error_description":"x"}"#,
        ] {
            assert!(likely(json), "{json}");
        }
    }

    #[test]
    fn what_says_that_all_is_well_is_no_error() {
        for json in [
            "{}",
            r#"{"error":null}"#,
            r#"{"error":{}}"#,
            r#"{"error":[]}"#,
            r#"{"error":""}"#,
            r#"{"error":false}"#,
            r#"{"error":{"code":0,"message":""}}"#,
            r#"{"error":{"code":null,"message":null,"param":null}}"#,
            r#"{"errors":[]}"#,
            r#"{"detail":null}"#,
            r#"{"code":0,"message":"success"}"#,
            r#"{"code":200,"msg":"ok"}"#,
            r#"{"code":"0","message":"x"}"#,
            r#"{"success":true,"message":"x"}"#,
            r#"{"status":200,"message":"x"}"#,
            r#"{"base_resp":{"status_code":0,"status_msg":"success"}}"#,
            r#"{"status":"processing","message":"x"}"#,
            r#"{"type":"status","message":"x"}"#,
            r#"{"message":{"role":"assistant","content":"x"}}"#,
            r#"{"warning":"x"}"#,
            r#"{"id":"x","model":"error-prone"}"#,
        ] {
            assert!(!likely(json), "{json}");
        }
    }

    #[test]
    fn beside_an_answer_only_what_is_certain_counts() {
        let beside = |fields: &str| {
            format!(r#"{{"choices":[{{"index":0,"message":{{"content":"x"}}}}],{fields}}}"#)
        };
        for fields in [
            r#""error":{"message":"x"}"#,
            r#""object":"error""#,
            r#""success":false,"errors":["x"]"#,
            r#""base_resp":{"status_code":1000}"#,
        ] {
            assert!(certain(&beside(fields)), "{fields}");
        }
        for fields in [
            r#""message":"x""#,
            r#""detail":"x""#,
            r#""warning":"x""#,
            r#""code":500"#,
            r#""status":"failed""#,
            r#""error":null,"errors":[]"#,
        ] {
            assert!(!certain(&beside(fields)), "{fields}");
        }
    }

    #[test]
    fn a_choice_fails_by_its_error_or_by_its_reason() {
        for choice in [
            r#"{"error":{"message":"x"}}"#,
            r#"{"error":"x","finish_reason":"stop"}"#,
            r#"{"message":{"error":"x"}}"#,
            r#"{"finish_reason":"error"}"#,
            r#"{"finish_reason":"ERROR"}"#,
            r#"{"finish_reason":"network_error"}"#,
            r#"{"finish_reason":"engine_error"}"#,
            r#"{"finish_reason":"insufficient_system_resource"}"#,
            r#"{"finish_reason":"abort"}"#,
            r#"{"finish_reason":"TIMEOUT"}"#,
        ] {
            assert!(
                certain(&format!(r#"{{"choices":[{{}},{choice}]}}"#)),
                "{choice}"
            );
        }
        for reason in [
            "stop",
            "length",
            "tool_calls",
            "function_call",
            "content_filter",
            "sensitive",
            "eos",
            "model_length",
            "max_tokens",
            "",
        ] {
            let json = format!(r#"{{"choices":[{{"finish_reason":"{reason}","error":null}}]}}"#);
            assert!(!certain(&json), "{json}");
        }
    }
}
