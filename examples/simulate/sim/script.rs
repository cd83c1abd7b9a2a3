//! What one attempt sees: steps in time, and what the dispatcher must make of them.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pointsman::domain::outcome::Class;

use super::dice::Dice;
use super::fault::Fault;

/// What happens next.
#[derive(Clone, Debug)]
pub enum Act {
    Head(u16, HeaderMap),
    Chunk(Bytes),
    End,
    /// The connection breaks.
    Break,
    Refuse,
    ConnectTimeout,
    Hang,
}

/// What a dispatcher knows once it saw the step.
#[derive(Clone, Copy, Default, Debug)]
pub struct Mark {
    /// Content number so much was in it.
    pub content: bool,
    /// The answer is complete but for its end mark.
    pub finish: bool,
    /// The outcome is certain.
    pub verdict: bool,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub after: Duration,
    pub act: Act,
    pub mark: Mark,
}

/// How the attempt must be judged.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    pub class: Class,
    pub status: Option<u16>,
    pub hint: Option<Duration>,
    /// False for a 403 that says nothing.
    pub certain: bool,
}

/// One attempt's script.
#[derive(Clone, Debug)]
pub struct Script {
    pub steps: Vec<Step>,
    pub verdict: Verdict,
    /// The body of a whole answer or of an error.
    pub body: Bytes,
    /// Content events of the complete answer.
    pub contents: u32,
}

/// What a script is made of.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub attempt: u32,
    pub stream: bool,
    pub fault: Fault,
    /// The moment from which the upstream would serve again.
    pub back_in: Option<Duration>,
    /// How long a good answer takes to begin, and between two of its parts.
    pub latency: Duration,
    pub gap: Duration,
    /// Idle timeout of the stream: a drip stays just below it.
    pub idle: Duration,
    pub wall: SystemTime,
}

struct Writer {
    steps: Vec<Step>,
}

impl Writer {
    fn push(&mut self, after: Duration, act: Act) -> &mut Mark {
        let mark = Mark::default();
        self.steps.push(Step { after, act, mark });
        let last = self.steps.len() - 1;
        &mut self.steps[last].mark
    }
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const NOW: Duration = Duration::ZERO;

fn headers(kind: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Writes the script of a scene.
pub fn write(scene: &Scene, dice: &mut Dice) -> Script {
    if let Some(script) = refusal(scene, dice) {
        return script;
    }
    match scene.fault {
        Fault::Refused => broken(NOW, Act::Refuse, Class::Network),
        Fault::ConnectTimeout => {
            broken(Duration::from_secs(3), Act::ConnectTimeout, Class::Timeout)
        }
        Fault::ResetBeforeHead => broken(scene.latency, Act::Break, Class::Network),
        Fault::Silent => broken(NOW, Act::Hang, Class::Timeout),
        _ if scene.stream => stream(scene, dice),
        _ => whole(scene),
    }
}

fn broken(after: Duration, act: Act, class: Class) -> Script {
    let mut writer = Writer { steps: Vec::new() };
    *writer.push(after, act) = Mark {
        verdict: true,
        ..Mark::default()
    };
    script(writer, class, None)
}

fn script(writer: Writer, class: Class, status: Option<u16>) -> Script {
    Script {
        steps: writer.steps,
        verdict: Verdict {
            class,
            status,
            hint: None,
            certain: true,
        },
        body: Bytes::new(),
        contents: 0,
    }
}

/// Answers that say no with a status, and errors inside a whole 200.
fn refusal(scene: &Scene, dice: &mut Dice) -> Option<Script> {
    let mut headers = headers(JSON);
    let mut hint = None;
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
            "Incorrect API key provided.",
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
            (Class::InvalidKey, 403, "", "", "")
        }
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
            let told = httpdate::parse_http_date(&text).unwrap_or(date);
            let answered = scene.wall + scene.latency;
            hint = Some(told.duration_since(answered).unwrap_or_default());
        }
        Fault::LimitPast => {
            set(&mut headers, "retry-after", "Tue, 01 Jan 2019 00:00:00 GMT");
            hint = Some(Duration::ZERO);
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
        Fault::ForbiddenBare | Fault::BadGateway | Fault::Unavailable | Fault::UnavailableHint => {
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
    script.verdict.hint = hint;
    script.verdict.certain = certain;
    script.body = body;
    Some(script)
}

fn whole(scene: &Scene) -> Script {
    let body = format!(
        r#"{{"id":"a{0}","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"a{0}.0;"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}}}"#,
        scene.attempt
    );
    let body = Bytes::from(body);
    let half = body.len() / 2;
    let mut writer = Writer { steps: Vec::new() };
    let mut class = Class::Success;
    let head = |kind| Act::Head(200, headers(kind));
    match scene.fault {
        Fault::Html => {
            class = Class::Malformed;
            writer.push(scene.latency, head("text/html"));
            writer.push(NOW, Act::Chunk(Bytes::from_static(b"<html>hello</html>")));
            writer.push(NOW, Act::End).verdict = true;
        }
        Fault::Empty => {
            class = Class::Malformed;
            writer.push(scene.latency, head(JSON));
            writer.push(NOW, Act::End).verdict = true;
        }
        Fault::Truncated => {
            class = Class::Malformed;
            writer.push(scene.latency, head(JSON));
            writer.push(NOW, Act::Chunk(body.slice(..half)));
            writer.push(NOW, Act::End).verdict = true;
        }
        Fault::ResetAfterHead | Fault::ResetMidBody => {
            class = Class::Network;
            writer.push(scene.latency, head(JSON));
            if scene.fault == Fault::ResetMidBody {
                writer.push(scene.gap, Act::Chunk(body.slice(..half)));
            }
            writer.push(scene.gap, Act::Break).verdict = true;
        }
        Fault::HeadThenNothing => {
            class = Class::Timeout;
            writer.push(scene.latency, head(JSON));
            writer.push(NOW, Act::Hang);
        }
        Fault::Sliced => {
            writer.push(scene.latency, head(JSON));
            for slice in body.chunks(17) {
                writer.push(NOW, Act::Chunk(Bytes::copy_from_slice(slice)));
            }
            writer.push(scene.gap, Act::End).verdict = true;
        }
        _ => {
            writer.push(scene.latency, head(JSON));
            writer.push(scene.gap, Act::Chunk(body.slice(..half)));
            writer.push(scene.gap, Act::Chunk(body.slice(half..)));
            writer.push(NOW, Act::End).verdict = true;
        }
    }
    let mut script = script(writer, class, Some(200));
    script.body = body;
    script.contents = 1;
    script
}

fn event(text: &str) -> Act {
    Act::Chunk(Bytes::from(format!("data: {text}\n\n")))
}

fn stream(scene: &Scene, dice: &mut Dice) -> Script {
    let contents = dice.between(2, 6) as u32;
    let middle = (contents / 2).max(1);
    let mut writer = Writer { steps: Vec::new() };
    let mut class = Class::Success;
    let kind = match scene.fault {
        Fault::Html => "text/html",
        Fault::WholeForStream => JSON,
        _ => EVENTS,
    };
    writer.push(scene.latency, Act::Head(200, headers(kind)));
    let head = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
    let early = match scene.fault {
        Fault::Html => {
            let html = Bytes::from_static(b"<html>hello</html>");
            writer.push(NOW, Act::Chunk(html));
            Some((Act::End, Class::Malformed))
        }
        Fault::WholeForStream => {
            let mut answer = whole(&Scene {
                fault: Fault::Good,
                ..*scene
            });
            writer.steps = std::mem::take(&mut answer.steps);
            writer.steps.pop();
            Some((Act::End, Class::Malformed))
        }
        Fault::Empty => Some((Act::End, Class::Malformed)),
        Fault::ResetAfterHead => Some((Act::Break, Class::Network)),
        Fault::HeadThenNothing => Some((Act::Hang, Class::Timeout)),
        Fault::DoneOnly => Some((event("[DONE]"), Class::Malformed)),
        Fault::MalformedFirst => Some((event("{\"choices\": [oops"), Class::Malformed)),
        Fault::ErrorFirst => Some((
            event(r#"{"error":{"message":"Oops.","type":"server_error"}}"#),
            Class::Transient,
        )),
        Fault::LimitFirst => Some((
            event(r#"{"error":{"message":"Slow down.","type":"rate_limit_error"}}"#),
            Class::RateLimited,
        )),
        Fault::CommentsForEver => {
            for _ in 0..60 {
                let comment = Bytes::from_static(b": keep-alive\n\n");
                writer.push(Duration::from_millis(997), Act::Chunk(comment));
            }
            Some((Act::Hang, Class::Timeout))
        }
        Fault::SlowFirstToken => {
            writer.push(NOW, event(head));
            Some((Act::Hang, Class::Timeout))
        }
        _ => None,
    };
    if let Some((act, class)) = early {
        let hangs = matches!(act, Act::Hang);
        writer.push(scene.gap, act).verdict = !hangs;
        writer.push(NOW, Act::Hang);
        return script(writer, class, Some(200));
    }
    writer.push(NOW, event(head));
    for n in 0..contents {
        let gap = match scene.fault {
            Fault::Drip if n > 0 => scene.idle - Duration::from_millis(3),
            _ => scene.gap,
        };
        if n == middle {
            match scene.fault {
                Fault::MalformedMiddle => {
                    writer.push(NOW, event("{oops"));
                }
                Fault::Stall => {
                    class = Class::Timeout;
                    writer.push(NOW, Act::Hang);
                    break;
                }
                Fault::Cut => {
                    class = Class::Network;
                    writer.push(scene.gap, Act::End).verdict = true;
                    break;
                }
                Fault::ResetMidBody => {
                    class = Class::Network;
                    writer.push(scene.gap, Act::Break).verdict = true;
                    break;
                }
                Fault::ErrorMiddle => {
                    class = Class::Overloaded;
                    let error = r#"{"error":{"message":"Overloaded.","type":"overloaded_error"}}"#;
                    writer.push(scene.gap, event(error)).verdict = true;
                    break;
                }
                _ => {}
            }
        }
        let text = format!(
            r#"{{"choices":[{{"index":0,"delta":{{"content":"a{}.{n};"}},"finish_reason":null}}]}}"#,
            scene.attempt
        );
        if scene.fault == Fault::Sliced {
            let whole = format!("data: {text}\n\n");
            for slice in whole.as_bytes().chunks(9) {
                writer.push(NOW, Act::Chunk(Bytes::copy_from_slice(slice)));
            }
            if let Some(last) = writer.steps.last_mut() {
                last.after = gap;
                last.mark.content = true;
            }
        } else {
            writer.push(gap, event(&text)).content = true;
        }
    }
    if class == Class::Success {
        let finish = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        writer.push(scene.gap, event(finish)).finish = true;
        match scene.fault {
            Fault::NoDone => writer.push(NOW, Act::End).verdict = true,
            Fault::NoDoneNoClose => {
                writer.push(NOW, Act::Hang);
            }
            _ => writer.push(NOW, event("[DONE]")).verdict = true,
        }
    }
    writer.push(NOW, Act::Hang);
    let mut script = script(writer, class, Some(200));
    script.contents = contents;
    script
}
