//! Translation between dialects: the cases of `tests/fixtures/translation` against the real binary.

mod assertions;
mod case;
pub mod dialects;
pub mod features;
mod fields;
pub mod grammar;
mod matrix;
mod pairs;
mod paths;
mod properties;
mod returns;
pub mod streams;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::support::behaviour::Behaviour;
use crate::support::scripted::Received;
use crate::support::{Answer, At, Gateway, Match, ScriptedUpstream};
use assertions::{Seen, failures};
use case::Case;

/// A gateway with a provider for each case, so that no case touches the health of another one's upstream.
async fn gateway(cases: &[Case], upstream: &ScriptedUpstream) -> Gateway {
    let root = upstream.base_url().replace("/v1", "");
    let providers: Vec<Value> = cases
        .iter()
        .map(|case| {
            json!({
                "name": case.id, "dialect": case.upstream, "api_key": format!("key-of-{}", case.id),
                "base_url": format!("{root}/{}/{}", case.id, dialects::version(&case.upstream)),
                "retry": {"same_upstream": 0},
            })
        })
        .collect();
    let providers = Value::from(providers);
    let yaml = format!("llm: {{providers: {providers}}}\ndispatch: {{await_cooldown: 0s}}\n");
    Gateway::start(&yaml, &[]).await
}

#[tokio::test]
async fn every_case_is_translated_as_it_should_be() {
    let cases = case::all();
    let only = std::env::var("POINTSMAN_TEST_CASE").unwrap_or_default();
    let upstream =
        ScriptedUpstream::playing([Behaviour::error(404, "not_found", "no such route")]).await;
    let gateway = gateway(&cases, &upstream).await;
    let mut problems = Vec::new();
    let mut ran = 0;
    for case in cases.iter().filter(|case| case.id.contains(&only)) {
        let failed = Run {
            case,
            gateway: &gateway,
            upstream: &upstream,
        }
        .check()
        .await;
        ran += 1;
        if !failed.is_empty() {
            problems.push(format!("{}\n    {}", case.id, failed.join("\n    ")));
        }
    }
    assert!(
        problems.is_empty(),
        "{} of {ran} cases fail:\n  {}\n",
        problems.len(),
        problems.join("\n  ")
    );
    assert!(ran > 0, "no case was run");
}

/// One case on its way.
struct Run<'a> {
    case: &'a Case,
    gateway: &'a Gateway,
    upstream: &'a ScriptedUpstream,
}

impl Run<'_> {
    async fn check(&self) -> Vec<String> {
        let case = self.case;
        let scripted = case.value("upstream_response");
        let body = case.answer_body();
        self.script(&scripted, body.as_deref());
        let fields = case.request();
        let sent = self.body(&fields);
        let (answer, received) = self.send(&sent).await;
        let plain = dialects::plain(&case.upstream).to_string();
        let mut seen = Seen {
            client: sent.into_bytes(),
            upstream: body.unwrap_or(plain).into_bytes(),
            ..Seen::default()
        };
        let wanted = json!({
            "path": case.value("expect_upstream_path"), "request": case.value("expect_upstream_request"),
        });
        let mut failed = self.upstream_failures(&wanted, received.as_ref(), &mut seen);
        failed.extend(self.client_failures(&answer, &mut seen));
        let second = case.value("second_turn");
        if failed.is_empty() && second.is_object() {
            failed.extend(self.second_turn(&second, &answer, &fields).await);
        }
        if !failed.is_empty() {
            let text = String::from_utf8_lossy(&answer.body);
            failed.push(format!(
                "status {}, answer: {}",
                answer.status,
                text.trim().chars().take(1500).collect::<String>()
            ));
            let got = received.map_or("nothing".into(), |got| {
                String::from_utf8_lossy(&got.body).into_owned()
            });
            failed.push(format!(
                "the upstream got: {}",
                got.chars().take(1500).collect::<String>()
            ));
        }
        failed
    }

    /// What the upstream does for this case.
    fn script(&self, scripted: &Value, body: Option<&str>) {
        let case = self.case;
        let mut behaviour = match scripted.get("sse") {
            Some(frames) => sse(frames, scripted),
            None if body.is_none() && case.stream => plain_stream(&case.upstream),
            None => Behaviour::json(
                200,
                body.unwrap_or(&dialects::plain(&case.upstream).to_string()),
            ),
        };
        if let Some(status) = scripted["status"].as_u64() {
            behaviour = behaviour.status(u16::try_from(status).unwrap());
        }
        for (name, value) in scripted["headers"].as_object().into_iter().flatten() {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            behaviour = behaviour.header(name, &value);
        }
        let root = format!("/{}/{}", case.id, dialects::version(&case.upstream));
        let wanted = match case.upstream.as_str() {
            // It knows no other route.
            "openai" => Match::path(&format!("{root}/chat/completions")),
            _ => Match::below(&format!("{root}/")),
        };
        self.upstream.on(wanted, [behaviour]);
    }

    /// The client's body of these fields.
    fn body(&self, fields: &[(String, String)]) -> String {
        let mut all = Vec::new();
        if dialects::model_in_body(&self.case.client) {
            all.push(format!("\"model\":{}", Value::from(self.target())));
            if self.case.stream {
                all.push("\"stream\":true".to_owned());
            }
        }
        all.extend(
            fields
                .iter()
                .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))),
        );
        format!("{{{}}}", all.join(","))
    }

    fn target(&self) -> String {
        format!("{}:{}", self.case.id, self.case.model)
    }

    /// Sends a body; the answer, and the last request that reached the upstream and was not turned away.
    async fn send(&self, body: &str) -> (Answer, Option<Received>) {
        let case = self.case;
        let before = self.upstream.count();
        let target = self.target();
        let path = match case.text("client_path") {
            Some(path) => path.replace("{model}", &target),
            None => dialects::path(&case.client, &target, case.stream),
        };
        let query = case
            .text("client_query")
            .map_or(String::new(), |query| format!("?{query}"));
        let mut call = self.gateway.post(&format!("{path}{query}"), body);
        for (name, value) in dialects::headers(&case.client) {
            call = call.header(name, value);
        }
        for (name, value) in case
            .value("client_headers")
            .as_object()
            .into_iter()
            .flatten()
        {
            call = call.header(name, value.as_str().unwrap());
        }
        let answer = call.send().await;
        let known =
            |one: &Received| case.upstream != "openai" || one.path.ends_with("/chat/completions");
        let received = self.upstream.requests().split_off(before);
        (answer, received.into_iter().rfind(known))
    }

    fn upstream_failures(
        &self,
        wanted: &Value,
        received: Option<&Received>,
        seen: &mut Seen,
    ) -> Vec<String> {
        if wanted["path"].is_null() && wanted["request"].is_null() {
            return Vec::new();
        }
        let Some(received) = received else {
            return vec!["nothing reached the upstream".to_owned()];
        };
        let mut failed = Vec::new();
        if let Some(pattern) = wanted["path"].as_str()
            && !Regex::new(pattern).unwrap().is_match(&received.path)
        {
            failed.push(format!("the upstream was asked at {}", received.path));
        }
        let body = received.json();
        seen.root = if self.case.upstream == "gemini" {
            camel(body)
        } else {
            body
        };
        seen.bytes.clone_from(&received.body);
        failed.extend(
            failures(&wanted["request"], seen)
                .into_iter()
                .map(|one| format!("request: {one}")),
        );
        failed
    }

    fn client_failures(&self, answer: &Answer, seen: &mut Seen) -> Vec<String> {
        let wanted = self.case.value("expect_client_response");
        let mut failed = Vec::new();
        let allowed = match &wanted["status"] {
            Value::Null => vec![json!(200)],
            Value::Array(all) => all.clone(),
            one => vec![one.clone()],
        };
        if !allowed.contains(&json!(answer.status)) {
            failed.push(format!("status {} is none of {allowed:?}", answer.status));
        }
        let headers = answer.headers.iter().map(|(name, value)| {
            (
                name.as_str().to_owned(),
                Value::from(String::from_utf8_lossy(value.as_bytes())),
            )
        });
        seen.headers = headers.collect::<Map<_, _>>().into();
        seen.bytes = answer.body.to_vec();
        let text = String::from_utf8_lossy(&answer.body);
        let is_stream = answer
            .header("content-type")
            .starts_with("text/event-stream");
        if is_stream {
            let events = streams::events(&text);
            failed.extend(grammar::faults(&self.case.client, &events));
            seen.root = streams::seen(&self.case.client, &events);
        } else {
            seen.root = serde_json::from_str(&text).unwrap_or(Value::Null);
        }
        let assertions = if is_stream {
            &wanted["events"]
        } else {
            &wanted["body"]
        };
        if assertions.is_null() && (wanted.get("events").is_some() || wanted.get("body").is_some())
        {
            failed.push(format!(
                "the answer is {}a stream",
                if is_stream { "" } else { "not " }
            ));
        }
        failed.extend(
            failures(assertions, seen)
                .into_iter()
                .map(|one| format!("answer: {one}")),
        );
        let dropped = answer.header("x-pointsman-dropped");
        for name in self
            .case
            .value("expect_dropped")
            .as_array()
            .into_iter()
            .flatten()
        {
            if !dropped.split(", ").any(|one| one == name) {
                failed.push(format!("x-pointsman-dropped lacks {name}: {dropped:?}"));
            }
        }
        failed
    }

    async fn second_turn(
        &self,
        second: &Value,
        answer: &Answer,
        fields: &[(String, String)],
    ) -> Vec<String> {
        let case = self.case;
        let answer = answer.json();
        let mut append = second["append"].to_string();
        for (at, id) in dialects::call_ids(&case.client, &answer).iter().enumerate() {
            append = append.replace(&format!("${{call:{at}}}"), id);
        }
        let append: Vec<Value> = serde_json::from_str(&append).unwrap();
        let request = case.value("client_request");
        let (field, conversation) = dialects::continued(&case.client, &request, &answer, &append);
        let fields: Vec<(String, String)> = fields
            .iter()
            .map(|(name, value)| {
                let value = if name == field {
                    conversation.to_string()
                } else {
                    value.clone()
                };
                (name.clone(), value)
            })
            .collect();
        self.script(
            &second["upstream_response"],
            case.second_answer_body().as_deref(),
        );
        let (answer, received) = self.send(&self.body(&fields)).await;
        let wanted = json!({
            "path": second["expect_upstream_path"], "request": second["expect_upstream_request"],
        });
        let mut failed = self.upstream_failures(&wanted, received.as_ref(), &mut Seen::default());
        if answer.status != 200 {
            failed.push(format!("status {}", answer.status));
        }
        if !failed.is_empty() {
            let got = received.map_or("nothing".into(), |got| {
                String::from_utf8_lossy(&got.body).into_owned()
            });
            failed.push(format!("the second request at the upstream: {got}"));
        }
        failed
            .into_iter()
            .map(|one| format!("second turn: {one}"))
            .collect()
    }
}

/// A streamed answer of these frames.
fn sse(frames: &Value, scripted: &Value) -> Behaviour {
    let eol = scripted["eol"].as_str().unwrap_or("\n");
    let frames: Vec<String> = frames
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| {
            let mut text = String::new();
            if let Some(comment) = frame["comment"].as_str() {
                text.push_str(&format!(": {comment}{eol}"));
            }
            if let Some(name) = frame["event"].as_str() {
                text.push_str(&format!("event: {name}{eol}"));
            }
            match &frame["data"] {
                Value::Null => {}
                Value::String(data) => text.push_str(&format!("data: {data}{eol}")),
                data => text.push_str(&format!("data: {data}{eol}")),
            }
            text + eol
        })
        .collect();
    let count = frames.len();
    let behaviour = Behaviour::events(frames);
    match scripted["cut"].as_bool() {
        Some(true) => behaviour.close(At::AfterPart(count)),
        _ => behaviour,
    }
}

fn plain_stream(dialect: &str) -> Behaviour {
    let frames = dialects::plain_stream(dialect)
        .into_iter()
        .map(|(name, data)| {
            let name = name.map_or(String::new(), |name| format!("event: {name}\n"));
            format!("{name}data: {data}\n\n")
        });
    Behaviour::events(frames.collect::<Vec<_>>())
}

/// The fields of a request to Gemini in camelCase; what callers wrote inside of it stays.
fn camel(value: Value) -> Value {
    const THEIRS: [&str; 7] = [
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "labels",
    ];
    match value {
        Value::Array(items) => items.into_iter().map(camel).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let mut words = name.split('_');
                let mut own = words.next().unwrap_or("").to_owned();
                for word in words {
                    let (first, rest) = word.split_at(word.len().min(1));
                    own += &first.to_ascii_uppercase();
                    own += rest;
                }
                let value = if THEIRS.contains(&own.as_str()) {
                    value
                } else {
                    camel(value)
                };
                (own, value)
            })
            .collect(),
        value => value,
    }
}
