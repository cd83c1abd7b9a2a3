//! Errors inside a 2xx, in whatever shape an upstream gives them: in an event of a stream or in place of an answer.
//!
//! Two kinds of signs. Some mean an error whatever is beside them: `error`, `{"object":"error"}` (vLLM), a failed
//! choice (OpenRouter), `base_resp` (MiniMax). Others do so only where nothing of an answer is there: `detail`
//! (FastAPI), a `message`, a `code`, a `status`.

use serde_json::value::RawValue;

use super::envelope::ResponseEnvelope;
pub(super) use super::fields::sounds_wrong;
use super::fields::{fails, is_fine, number, tells, word};

/// Whether an object is an error even if parts of an answer are beside it.
pub(super) fn is_certain(envelope: &ResponseEnvelope<'_>) -> bool {
    fails(envelope.error)
        || envelope.choices.failed
        || word(envelope.object) == "error"
        || word(envelope.kind) == "error"
        || (is(envelope.success, "false") && envelope.errs)
        || base_resp(envelope.base_resp).is_some_and(|code| code != 0)
}

/// The place of an object that may be an error.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// In place of a whole answer.
    Answer,
    /// In a stream, in an event of this name. Notes on the progress come there, too.
    Stream(Option<&'a [u8]>),
}

/// Whether an object that holds nothing of an answer is an error.
pub(super) fn is_likely(envelope: &ResponseEnvelope<'_>, place: Place<'_>) -> bool {
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
    let name = match place {
        Place::Answer => None,
        Place::Stream(name) => name.and_then(|name| std::str::from_utf8(name).ok()),
    };
    let labels = [word(envelope.kind), told, name.unwrap_or_default()];
    // Words alone are one, unless they call themselves something else, or say that all is well. In a stream they must
    // sound like one.
    let is_note = matches!(place, Place::Stream(_)) && !sounds_wrong(word(envelope.message));
    let alone = labels
        .iter()
        .all(|label| label.is_empty() || *label == "message");
    let fine = code.is_some() || is(envelope.success, "true") || number(envelope.status).is_some();
    labels.into_iter().any(sounds_wrong) || (alone && !fine && !is_note)
}

fn is(value: Option<&RawValue>, json: &str) -> bool {
    value.is_some_and(|value| value.get() == json)
}

/// The status that an error names beside its words.
pub(super) fn status_of(envelope: &ResponseEnvelope<'_>) -> Option<u16> {
    number(envelope.status_code).and_then(|status| u16::try_from(status).ok())
}

/// MiniMax's `base_resp.status_code`.
fn base_resp(value: Option<&RawValue>) -> Option<i64> {
    number(ResponseEnvelope::read(value?.get())?.status_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likely(json: &str) -> bool {
        is_likely(&ResponseEnvelope::read(json).unwrap(), Place::Answer)
    }

    fn certain(json: &str) -> bool {
        is_certain(&ResponseEnvelope::read(json).unwrap())
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
    fn an_error_whose_code_says_that_all_is_well_is_none() {
        let beside = |error: &str| {
            format!(r#"{{"choices":[{{"index":0,"message":{{"content":"x"}}}}],"error":{error}}}"#)
        };
        let within = |error: &str| format!(r#"{{"choices":[{{"error":{error}}}]}}"#);
        for error in [
            r#"{"code":0,"message":"success"}"#,
            r#"{"code":"0","message":"ok"}"#,
            r#"{"code":200,"msg":"OK"}"#,
            r#"{"code":"success","message":"done","type":null}"#,
            r#"{"code":0,"message":"no error"}"#,
            r#""none""#,
            r#""OK""#,
            r#""No error""#,
        ] {
            assert!(!certain(&beside(error)), "{error}");
            assert!(!certain(&within(error)), "{error}");
            assert!(!likely(&format!(r#"{{"error":{error}}}"#)), "{error}");
        }
        for error in [
            r#"{"code":0,"message":"connection failed"}"#,
            r#"{"code":"","message":"x"}"#,
            r#"{"code":null,"message":"success"}"#,
            r#"{"code":0,"message":"x","type":"server_error"}"#,
            r#"{"code":500,"message":"success"}"#,
            r#"{"message":"ok"}"#,
            r#""x""#,
            r#"["ok"]"#,
        ] {
            assert!(certain(&beside(error)), "{error}");
            assert!(certain(&within(error)), "{error}");
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
