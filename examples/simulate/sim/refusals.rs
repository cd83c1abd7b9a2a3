//! Answers that say no: every status, every form of a hint, and an error inside of a whole 200.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pointsman::domain::outcome::Class;

use super::dice::Dice;
use super::fault::Fault;
use super::script::{Act, JSON, NOW, Scene, Script, Writer, headers, script};

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// What says that one request is larger than the whole limit.
pub const TOO_LARGE: &str = "Request too large on tokens per min (TPM): Limit 300, Requested 360.";

/// What says that the request needs something which is not there.
pub const NO_TOOLS: &str = "No endpoints found that support tool use.";

/// Answers that say no with a status, and errors inside a whole 200.
pub fn refusal(scene: &Scene, dice: &mut Dice) -> Option<Script> {
    let mut headers = headers(JSON);
    let mut hint = None;
    let mut until = None;
    let mut certain = true;
    let (class, status, kind, code, mut message) = match scene.fault {
        Fault::LimitSeconds
        | Fault::LimitFraction
        | Fault::LimitMillis
        | Fault::LimitDate
        | Fault::LimitPast
        | Fault::LimitNegative
        | Fault::LimitGarbage
        | Fault::LimitHuge
        | Fault::LimitReset
        | Fault::LimitWords
        | Fault::LimitBare => (
            Class::RateLimited,
            429,
            "rate_limit_error",
            "rate_limit_exceeded",
            "Slow down.",
        ),
        Fault::PaymentRequired => (
            Class::QuotaExhausted,
            402,
            "billing",
            "payment_required",
            "Pay first.",
        ),
        Fault::QuotaIn429 => (
            Class::QuotaExhausted,
            429,
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your current quota.",
        ),
        Fault::Unauthorized => (
            Class::InvalidKey,
            401,
            "invalid_request_error",
            "invalid_api_key",
            "Incorrect API key provided:",
        ),
        Fault::ForbiddenKey => (
            Class::InvalidKey,
            403,
            "permission_error",
            "invalid_api_key",
            "No permission.",
        ),
        Fault::ForbiddenBare => {
            certain = false;
            (Class::InvalidKey, 403, "", "", "No.")
        }
        Fault::TooLarge | Fault::TooLargeInside => (
            Class::TooLargeForLimit,
            if scene.fault == Fault::TooLarge {
                429
            } else {
                200
            },
            "tokens",
            "rate_limit_exceeded",
            TOO_LARGE,
        ),
        Fault::Unsupported | Fault::UnsupportedInside => (
            Class::Unsupported,
            if scene.fault == Fault::Unsupported {
                404
            } else {
                200
            },
            "",
            "",
            NO_TOOLS,
        ),
        Fault::ForeignForbidden => (Class::Transient, 403, "", "", ""),
        Fault::ForeignNotFound => (Class::Transient, 404, "", "", ""),
        Fault::ForeignProxy => (Class::Transient, 407, "", "", ""),
        Fault::ForeignQuoted => (
            Class::Transient,
            404,
            "",
            "404",
            "upstream: 404 page not found",
        ),
        Fault::Error500 => (
            Class::Transient,
            500,
            "server_error",
            "internal_error",
            "Oops.",
        ),
        Fault::BadGateway => (Class::Transient, 502, "", "", ""),
        Fault::Unavailable | Fault::UnavailableHint => (Class::Overloaded, 503, "", "", ""),
        Fault::Overloaded => (
            Class::Overloaded,
            529,
            "overloaded_error",
            "",
            "Overloaded.",
        ),
        Fault::RequestTimeout => (
            Class::Transient,
            408,
            "server_error",
            "timeout",
            "Too slow.",
        ),
        Fault::BadRequest => (
            Class::CallerFault,
            400,
            "invalid_request_error",
            "invalid_value",
            "No such role.",
        ),
        Fault::Unprocessable => (
            Class::CallerFault,
            422,
            "invalid_request_error",
            "",
            "Wrong type.",
        ),
        Fault::ContextOverflow => (
            Class::ContextOverflow,
            400,
            "invalid_request_error",
            "context_length_exceeded",
            "Too long.",
        ),
        Fault::ContentPolicy => (
            Class::ContentPolicy,
            400,
            "invalid_request_error",
            "content_policy_violation",
            "No.",
        ),
        Fault::ModelGone => (
            Class::ModelGone,
            404,
            "invalid_request_error",
            "model_not_found",
            "The model does not exist.",
        ),
        Fault::ErrorJson => (Class::Transient, 200, "server_error", "", "Oops."),
        _ => return None,
    };
    let back_in = scene.back_in.unwrap_or_else(|| dice.millis(0, 20_000));
    let seconds = back_in.as_secs() + u64::from(back_in.subsec_nanos() > 0);
    let words;
    match scene.fault {
        Fault::LimitSeconds | Fault::UnavailableHint | Fault::PaymentRequired => {
            set(&mut headers, "retry-after", &seconds.to_string());
            hint = Some(Duration::from_secs(seconds));
        }
        Fault::LimitFraction => {
            let tenths = back_in.as_millis() as u64 / 100 + 1;
            set(
                &mut headers,
                "retry-after",
                &format!("{}.{}", tenths / 10, tenths % 10),
            );
            hint = Some(Duration::from_millis(tenths * 100));
        }
        Fault::LimitMillis => {
            let millis = back_in.as_millis() as u64 + 1;
            set(&mut headers, "retry-after-ms", &millis.to_string());
            hint = Some(Duration::from_millis(millis));
        }
        Fault::LimitDate => {
            // Dates have whole seconds; the world's clock starts at one.
            let date = scene.wall + Duration::from_secs(seconds + 1);
            let text = httpdate::fmt_http_date(date);
            set(&mut headers, "retry-after", &text);
            until = httpdate::parse_http_date(&text).ok();
        }
        Fault::LimitPast => {
            set(&mut headers, "retry-after", "Tue, 01 Jan 2019 00:00:00 GMT");
        }
        Fault::LimitNegative => set(&mut headers, "retry-after", "-7"),
        Fault::LimitGarbage => set(&mut headers, "retry-after", "soon, I hope"),
        Fault::LimitHuge => set(&mut headers, "retry-after", "1000000000000"),
        Fault::LimitReset => {
            set(&mut headers, "x-ratelimit-remaining-requests", "0");
            set(
                &mut headers,
                "x-ratelimit-reset-requests",
                &format!("{seconds}s"),
            );
            hint = Some(Duration::from_secs(seconds));
        }
        Fault::LimitWords => {
            words = format!("Rate limit reached. Please try again in {seconds}s.");
            message = &words;
            hint = Some(Duration::from_secs(seconds));
        }
        _ => {}
    }
    let body = match scene.fault {
        // As many do: what must never come back is in the answer.
        Fault::Unauthorized => format!(
            r#"{{"error":{{"message":"{message} {}","type":"{kind}","code":"{code}"}}}}"#,
            scene.key
        ),
        Fault::ForeignNotFound | Fault::ForeignProxy => {
            set(&mut headers, "content-type", "text/plain");
            "404 page not found".to_owned()
        }
        Fault::ForeignForbidden
        | Fault::BadGateway
        | Fault::Unavailable
        | Fault::UnavailableHint => {
            set(&mut headers, "content-type", "text/html");
            "<html><body>no</body></html>".to_owned()
        }
        _ => format!(
            r#"{{"error":{{"message":"{message}","type":"{kind}","code":"{code}","attempt":{}}}}}"#,
            scene.attempt
        ),
    };
    let body = Bytes::from(body);
    let mut writer = Writer { steps: Vec::new() };
    writer.push(scene.latency, Act::Head(status, headers));
    writer.push(NOW, Act::Chunk(body.clone()));
    writer.push(NOW, Act::End).verdict = true;
    let mut script = script(writer, class, Some(status));
    // A zero says nothing.
    script.verdict.hint = hint.filter(|hint| !hint.is_zero());
    script.verdict.date = until;
    script.verdict.certain = certain;
    script.body = body;
    Some(script)
}
