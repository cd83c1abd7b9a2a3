//! What one attempt sees: steps in time, and what the dispatcher must make of them.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use pointsman::domain::outcome::Class;

use super::dice::Dice;
use super::fault::Fault;
use super::flood::{self, Flood};
use super::plan::PROMPT;
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
    /// It says that the model is at work.
    pub life: bool,
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
    /// The same as a moment: then what is left of it when the answer comes is the hint.
    pub date: Option<SystemTime>,
    /// False for a 403 that says nothing.
    pub certain: bool,
}

/// One attempt's script.
#[derive(Clone, Debug)]
pub struct Script {
    pub steps: Vec<Step>,
    /// What comes after them, for ever.
    pub flood: Option<Flood>,
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
    /// Tokens of the answer, as it says itself.
    pub answer: u64,
    /// Whether streams say it too.
    pub counts: bool,
    /// Why it ends.
    pub finish: &'static str,
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
        _ if scene.stream => stream(scene, dice),
        _ => whole(scene, dice),
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
        flood: None,
        verdict: Verdict {
            class,
            status,
            hint: None,
            date: None,
            certain: true,
        },
        body: Bytes::new(),
        texts: Vec::new(),
    }
}

fn whole(scene: &Scene, dice: &mut Dice) -> Script {
    let body = format!(
        r#"{{"id":"a{0}","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"a{0}.0;"}},"finish_reason":"{3}"}}],"usage":{{"prompt_tokens":{PROMPT},"completion_tokens":{1},"total_tokens":{2}}}}}"#,
        scene.attempt,
        scene.answer,
        PROMPT + scene.answer,
        scene.finish
    );
    let body = Bytes::from(body);
    let half = body.len() / 2;
    let mut writer = Writer { steps: Vec::new() };
    let mut class = Class::Success;
    let head = |kind| Act::Head(200, headers(kind));
    let mut start = Writer { steps: Vec::new() };
    start.push(scene.latency, head(JSON));
    if let Some((flood, class)) = flood::whole(scene, &body, &mut start, dice) {
        let mut script = script(start, class, Some(200));
        script.flood = Some(flood);
        return script;
    }
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

fn said(text: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#)
}

fn event(text: &str) -> Act {
    Act::Chunk(Bytes::from(format!("data: {text}\n\n")))
}

fn stream(scene: &Scene, dice: &mut Dice) -> Script {
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
            let good = Scene {
                fault: Fault::Good,
                ..scene.clone()
            };
            let mut answer = whole(&good, dice);
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
    if let Some((flood, class)) = flood::before_content(scene, dice) {
        let mut script = script(writer, class, Some(200));
        script.flood = Some(flood);
        return script;
    }
    writer.push(NOW, event(head));
    let mut endless = None;
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
            if let Some((flood, how)) = flood::in_the_middle(scene, dice) {
                class = how;
                endless = Some(flood);
                break;
            }
            match scene.fault {
                Fault::MalformedMiddle => {
                    class = Class::Malformed;
                    writer.push(scene.gap, event("{oops")).verdict = true;
                    break;
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
        let finish = format!(
            r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{}"}}]}}"#,
            scene.finish
        );
        writer.push(scene.gap, event(&finish)).finish = true;
        if scene.counts {
            let usage = format!(
                r#"{{"choices":[],"usage":{{"prompt_tokens":{PROMPT},"completion_tokens":{}}}}}"#,
                scene.answer
            );
            writer.push(NOW, event(&usage));
        }
        match scene.fault {
            Fault::NoDone => writer.push(NOW, Act::End).verdict = true,
            Fault::NoDoneNoClose => {
                writer.push(NOW, Act::Hang);
            }
            Fault::FinishFlood => {}
            _ => writer.push(NOW, event("[DONE]")).verdict = true,
        }
    }
    let endless = endless.or_else(|| flood::after_the_end(scene, dice));
    if endless.is_none() {
        writer.push(NOW, Act::Hang);
    }
    let mut script = script(writer, class, Some(200));
    script.flood = endless;
    script.texts = scene.texts.clone();
    script
}
