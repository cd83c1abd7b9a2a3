//! What one attempt sees: steps in time, and what the dispatcher must make of them.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use pointsman::domain::outcome::Class;

use super::dice::Dice;
use super::fault::Fault;
use super::refusals::{self, NO_TOOLS, TOO_LARGE};

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
    /// What the contents of the complete answer say, with those that were there already when it was to go on.
    pub texts: Vec<String>,
}

/// What a script is made of.
#[derive(Clone, Debug)]
pub struct Scene {
    pub attempt: u32,
    /// What the complete answer says.
    pub texts: Vec<String>,
    /// So many of them are in the request already; `echo`: they are repeated.
    pub sent: usize,
    pub echo: bool,
    /// With which it is asked.
    pub key: String,
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

pub(super) struct Writer {
    pub(super) steps: Vec<Step>,
}

impl Writer {
    pub(super) fn push(&mut self, after: Duration, act: Act) -> &mut Mark {
        let mark = Mark::default();
        self.steps.push(Step { after, act, mark });
        let last = self.steps.len() - 1;
        &mut self.steps[last].mark
    }
}

pub(super) const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
/// Bytes.
const FLOOD: usize = 5 * 1024 * 1024;
pub(super) const NOW: Duration = Duration::ZERO;

pub(super) fn headers(kind: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers
}

/// Writes the script of a scene.
pub fn write(scene: &Scene, dice: &mut Dice) -> Script {
    if let Some(script) = refusals::refusal(scene, dice) {
        return script;
    }
    match scene.fault {
        Fault::Refused => broken(NOW, Act::Refuse, Class::Network),
        Fault::ConnectTimeout => {
            broken(Duration::from_secs(3), Act::ConnectTimeout, Class::Timeout)
        }
        Fault::ResetBeforeHead => broken(scene.latency, Act::Break, Class::Network),
        Fault::Silent => broken(NOW, Act::Hang, Class::Timeout),
        _ if scene.stream => stream(scene),
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

pub(super) fn script(writer: Writer, class: Class, status: Option<u16>) -> Script {
    Script {
        steps: writer.steps,
        verdict: Verdict {
            class,
            status,
            hint: None,
            certain: true,
        },
        body: Bytes::new(),
        texts: Vec::new(),
    }
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
    script.texts = scene.texts.clone();
    script
}

/// More than may come before the first content, without any.
fn flood(fault: Fault) -> Bytes {
    static BLANK: LazyLock<Bytes> = LazyLock::new(|| "\n".repeat(FLOOD).into());
    static COMMENT: LazyLock<Bytes> =
        LazyLock::new(|| format!(": {}\n\n", "x".repeat(FLOOD)).into());
    static EMPTY: LazyLock<Bytes> = LazyLock::new(|| {
        let padding = "x".repeat(64 * 1024);
        let empty = format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}}}}],\"obfuscation\":\"{padding}\"}}\n\n"
        );
        empty.repeat(FLOOD / empty.len() + 1).into()
    });
    match fault {
        Fault::BlankFlood => BLANK.clone(),
        Fault::CommentFlood => COMMENT.clone(),
        _ => EMPTY.clone(),
    }
}

fn said(text: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#)
}

fn event(text: &str) -> Act {
    Act::Chunk(Bytes::from(format!("data: {text}\n\n")))
}

fn stream(scene: &Scene) -> Script {
    let contents = scene.texts.len();
    // Behind its own first words: before those there is no middle, and nothing to break.
    let middle = (contents / 2).max(1).max(scene.sent + 1);
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
                ..scene.clone()
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
        Fault::TooLargeFirst => Some((
            event(&format!(r#"{{"error":{{"message":"{TOO_LARGE}"}}}}"#)),
            Class::TooLargeForLimit,
        )),
        Fault::UnsupportedFirst => Some((
            event(&format!(
                r#"{{"error":{{"message":"{NO_TOOLS}","code":404}}}}"#
            )),
            Class::Unsupported,
        )),
        Fault::CommentsForEver => {
            for _ in 0..60 {
                let comment = Bytes::from_static(b": keep-alive\n\n");
                writer.push(Duration::from_millis(997), Act::Chunk(comment));
            }
            Some((Act::Hang, Class::Timeout))
        }
        Fault::BlankFlood | Fault::CommentFlood | Fault::EmptyFlood => {
            Some((Act::Chunk(flood(scene.fault)), Class::Malformed))
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
    if scene.echo && scene.sent > 0 {
        let echo = scene.texts.iter().take(scene.sent).map(String::as_str);
        writer
            .push(scene.gap, event(&said(&echo.collect::<String>())))
            .content = true;
    }
    for (n, text) in scene.texts.iter().enumerate().skip(scene.sent) {
        let gap = match scene.fault {
            Fault::Drip if n > scene.sent => scene.idle - Duration::from_millis(3),
            _ => scene.gap,
        };
        if n == middle {
            match scene.fault {
                Fault::MalformedMiddle => {
                    class = Class::Malformed;
                    writer.push(scene.gap, event("{oops")).verdict = true;
                    break;
                }
                Fault::Stall | Fault::BlankStall => {
                    if scene.fault == Fault::BlankStall {
                        let blank = Bytes::from_static(b"\n\n");
                        for _ in 0..600 {
                            let blank = Act::Chunk(blank.clone());
                            writer.push(Duration::from_millis(97), blank);
                        }
                    }
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
        let text = said(text);
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
    script.texts = scene.texts.clone();
    script
}
