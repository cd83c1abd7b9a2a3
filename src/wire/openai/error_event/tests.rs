//! Clients recognise error events as errors, in every operation, whatever the events are made from.

use super::*;
use crate::wire::openai::stream::inspect;

const TROUBLE: Trouble<'static> = Trouble {
    message: "m",
    kind: "server_error",
    code: "upstreams_exhausted",
};

fn json_of(raw: Bytes) -> Value {
    serde_json::from_slice(&RawEvent { raw }.data()).unwrap()
}

fn chat_error(body: &str, kind: &str) -> Value {
    let nothing = Progress::default();
    let raw = error_event_from_body(Operation::Chat, body.as_bytes(), kind, "req_1", &nothing);
    json_of(raw)["error"].clone()
}

#[test]
fn a_cut_stream_never_looks_complete() {
    for operation in Operation::ALL {
        let event = error_event(operation, TROUBLE, "req_1", &Progress::default());
        assert!(!event.windows(6).any(|part| part == b"[DONE]"));
        assert!(inspect(operation, &RawEvent { raw: event }).error.is_some());
    }
}

#[test]
fn an_error_answer_that_says_nothing_still_becomes_an_error() {
    for body in [
        r#"{"error":null}"#,
        r#"{"error":{}}"#,
        r#"{"error":{"message":""}}"#,
        r#"{"error":""}"#,
        "{}",
        "[]",
        "",
    ] {
        for operation in Operation::ALL {
            let so_far = Progress::default();
            let raw =
                error_event_from_body(operation, body.as_bytes(), SERVER_ERROR, "req_1", &so_far);
            let seen = inspect(operation, &RawEvent { raw });
            assert!(seen.error.is_some(), "{body}");
        }
    }
}

#[test]
fn an_upstreams_error_gets_openais_form_whatever_its_own_is() {
    for body in [
        r#"{"error":{"message":"engine died","code":500}}"#,
        r#"{"error":{"message":"engine died","type":"invalid_request_error"}}"#,
        r#"{"error":"engine died"}"#,
        r#"{"object":"error","message":"engine died","type":"InternalServerError","param":null,"code":500}"#,
        r#"{"detail":"engine died"}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"error","error":{"message":"engine died"}}]}"#,
        "engine died",
    ] {
        let error = chat_error(body, SERVER_ERROR);
        assert_eq!(error["message"], "server error: engine died", "{body}");
        assert!(error["type"].is_string(), "{body}");
        assert!(error["code"].is_string(), "{body}");
    }
}

#[test]
fn what_asking_again_does_not_help_is_not_called_a_server_error() {
    let body = r#"{"error":{"message":"flagged","type":"invalid_request_error","code":"content_filter","param":"messages","x":1}}"#;
    assert_eq!(
        chat_error(body, "invalid_request_error"),
        json!({"message": "flagged", "type": "invalid_request_error", "code": "content_filter", "param": "messages", "x": 1, "request_id": "req_1"})
    );
    let limited = chat_error(r#"{"error":{"message":"slow down"}}"#, "rate_limit_error");
    assert_eq!(limited["message"], "rate limit: slow down");
    assert_eq!(limited["code"], "rate_limit_exceeded");
}

#[test]
fn a_response_fails_as_itself_with_the_next_number() {
    let mut so_far = Progress::default();
    for data in [
        r#"{"type":"response.created","sequence_number":4,"response":{"id":"r","created_at":7,"model":"m","tools":[1]}}"#,
        r#"{"type":"response.output_text.delta","sequence_number":5,"delta":"\"response\""}"#,
    ] {
        let raw = data_event(data.as_bytes());
        so_far.note(&RawEvent { raw });
    }
    let ping = Bytes::from_static(b": ping\n\n");
    so_far.note(&RawEvent { raw: ping });
    let event = json_of(error_event(Operation::Responses, TROUBLE, "req_1", &so_far));
    assert_eq!(event["sequence_number"], 6);
    let response = &event["response"];
    assert_eq!(
        (
            &response["id"],
            &response["created_at"],
            &response["model"],
            &response["tools"]
        ),
        (&json!("r"), &json!(7), &json!("m"), &json!([1]))
    );
    assert_eq!(
        response["error"],
        json!({"code": "server_error", "message": "server error: m"})
    );
    assert_eq!(event["pointsman_code"], "upstreams_exhausted");
}

#[test]
fn events_without_numbers_are_counted() {
    let mut so_far = Progress::default();
    for _ in 0..3 {
        let raw = data_event(br#"{"type":"response.output_text.delta","delta":"x"}"#);
        so_far.note(&RawEvent { raw });
    }
    let event = json_of(error_event(Operation::Responses, TROUBLE, "req_1", &so_far));
    assert_eq!(event["sequence_number"], 3);
    assert_eq!(event["response"]["id"], "resp_req_1");
}
