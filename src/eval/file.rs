//! The file of an evaluation: targets, prompts and cases, as promptfoo's configuration has them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::assertion::Assertion;
use crate::import::read_json;

/// Where requests go.
#[derive(Clone, PartialEq, Debug)]
pub struct EvalTarget {
    /// What it is called in reports.
    pub label: String,
    /// What is asked for, as the `model` of requests.
    pub model: String,
    /// What else stands in the body of requests.
    pub body: Map<String, Value>,
    /// The tools among that.
    pub tools: Vec<Value>,
}

/// One case: a conversation, and what is asked of its answer.
#[derive(Clone, Debug)]
pub struct EvalCase {
    /// What it is called in reports.
    pub name: String,
    /// The messages.
    pub messages: Value,
    /// What is asked.
    pub assertions: Vec<Assertion>,
    /// The score that is enough; `None`: all must hold.
    pub threshold: Option<f64>,
}

impl EvalCase {
    /// The body of its request at a target.
    pub fn body(&self, target: &EvalTarget) -> Value {
        let mut body = target.body.clone();
        body.insert("model".to_owned(), json!(target.model));
        body.insert("messages".to_owned(), self.messages.clone());
        Value::Object(body)
    }
}

/// A file.
#[derive(Clone, Debug)]
pub struct EvalFile {
    /// The targets, in order.
    pub targets: Vec<EvalTarget>,
    /// The cases: each test with each prompt.
    pub cases: Vec<EvalCase>,
}

/// What is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EvalError {
    /// It is neither YAML nor JSON.
    #[error("it cannot be read: {0}")]
    Text(String),
    /// A part of it cannot be used.
    #[error("{place}: {message}")]
    Part {
        /// Where.
        place: String,
        /// What is wrong, and what to do.
        message: String,
    },
}

fn wrong(place: impl Into<String>, message: impl Into<String>) -> EvalError {
    EvalError::Part {
        place: place.into(),
        message: message.into(),
    }
}

/// Keys that have no meaning here, and may stand there all the same.
const PASSED_OVER: [&str; 8] = [
    "description",
    "metadata",
    "outputPath",
    "tags",
    "sharing",
    "commandLineOptions",
    "evaluateOptions",
    "env",
];
const KEYS: [&str; 5] = ["prompts", "targets", "providers", "defaultTest", "tests"];
const TEST_KEYS: [&str; 5] = ["description", "vars", "assert", "threshold", "metadata"];

/// Reads a file. Its keys are promptfoo's: `prompts`, `providers` or `targets`, `defaultTest`, `tests`.
///
/// # Errors
/// The first thing that is wrong with it. Nothing is passed over that would change what is tested.
pub fn read(text: &str) -> Result<EvalFile, EvalError> {
    let file = read_json(text).map_err(EvalError::Text)?;
    known(&file, &[&KEYS[..], &PASSED_OVER[..]].concat(), "the file")?;
    let places = ["targets", "providers"].into_iter();
    let targets = places.flat_map(|place| {
        let all = listed(&file[place]).into_iter().enumerate();
        all.map(move |(at, node)| target(&node, &format!("{place}[{at}]")))
    });
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    let prompts = listed(&file["prompts"]).into_iter().enumerate();
    let prompts = prompts.map(|(at, node)| prompt(&node, &format!("prompts[{at}]")));
    let prompts = prompts.collect::<Result<Vec<_>, _>>()?;
    let usual = TestDefaults::read(&file["defaultTest"])?;
    let tests = listed(&file["tests"]);
    if tests.is_empty() {
        return Err(wrong("tests", "there are none: write at least one"));
    }
    if prompts.is_empty() {
        return Err(wrong("prompts", "there are none: write at least one"));
    }
    let mut cases = Vec::new();
    for (at, test) in tests.iter().enumerate() {
        for (number, prompt) in prompts.iter().enumerate() {
            let number = (prompts.len() > 1).then_some(number + 1);
            cases.push(case(test, at, prompt, number, &usual)?);
        }
    }
    Ok(EvalFile { targets, cases })
}

/// A list, or one value in place of one.
fn listed(node: &Value) -> Vec<Value> {
    match node {
        Value::Null => Vec::new(),
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

fn known(node: &Value, keys: &[&str], place: &str) -> Result<(), EvalError> {
    let object = node
        .as_object()
        .ok_or_else(|| wrong(place, "is no map of keys"))?;
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(wrong(
            place,
            format!("`{key}` is not known here; known are {}", keys.join(", ")),
        )),
        None => Ok(()),
    }
}

/// A target by its name, or with `id`, `label` and `config`, which goes into bodies.
fn target(node: &Value, place: &str) -> Result<EvalTarget, EvalError> {
    if let Some(name) = node.as_str() {
        return Ok(EvalTarget {
            label: name.to_owned(),
            model: name.to_owned(),
            body: Map::new(),
            tools: Vec::new(),
        });
    }
    known(node, &["id", "label", "config"], place)?;
    let model = node["id"]
        .as_str()
        .ok_or_else(|| wrong(place, "has no `id`: the name of a target"))?;
    let body = match &node["config"] {
        Value::Null => Map::new(),
        Value::Object(body) => body.clone(),
        _ => return Err(wrong(place, "`config` is no map of keys")),
    };
    let tools = body.get("tools").and_then(Value::as_array);
    Ok(EvalTarget {
        label: node["label"].as_str().unwrap_or(model).to_owned(),
        model: model.to_owned(),
        tools: tools.cloned().unwrap_or_default(),
        body,
    })
}

/// A prompt: a text, or messages; a text that is a JSON list is messages, too.
fn prompt(node: &Value, place: &str) -> Result<Value, EvalError> {
    match node {
        Value::String(text) if text.starts_with("file://") => {
            Err(wrong(place, "prompts in files are not read: write it here"))
        }
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(messages @ Value::Array(_)) => Ok(messages),
            _ => Ok(json!([{"role": "user", "content": text}])),
        },
        Value::Array(_) => Ok(node.clone()),
        _ => Err(wrong(place, "is neither a text nor a list of messages")),
    }
}

/// What holds for every test.
struct TestDefaults {
    vars: BTreeMap<String, String>,
    assertions: Vec<Value>,
    threshold: Option<f64>,
}

impl TestDefaults {
    fn read(node: &Value) -> Result<Self, EvalError> {
        let place = "defaultTest";
        if !node.is_null() {
            known(node, &TEST_KEYS, place)?;
        }
        Ok(Self {
            vars: vars(&node["vars"], place)?,
            assertions: listed(&node["assert"]),
            threshold: threshold(&node["threshold"], place)?,
        })
    }
}

fn vars(node: &Value, place: &str) -> Result<BTreeMap<String, String>, EvalError> {
    let vars = match node {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(vars) => vars,
        _ => return Err(wrong(place, "`vars` is no map of keys")),
    };
    let vars = vars.iter().map(|(name, value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        Value::Array(_) => Err(wrong(
            place,
            format!("the variable `{name}` is a list: write a test for each of its values"),
        )),
        other => Ok((name.clone(), other.to_string())),
    });
    vars.collect()
}

fn threshold(node: &Value, place: &str) -> Result<Option<f64>, EvalError> {
    if node.is_null() {
        return Ok(None);
    }
    let share = node.as_f64().filter(|share| (0.0..=1.0).contains(share));
    share
        .map(Some)
        .ok_or_else(|| wrong(place, "`threshold` is no number from 0 to 1"))
}

fn case(
    test: &Value,
    at: usize,
    prompt: &Value,
    number: Option<usize>,
    usual: &TestDefaults,
) -> Result<EvalCase, EvalError> {
    let place = format!("tests[{at}]");
    known(test, &TEST_KEYS, &place)?;
    let mut all = usual.vars.clone();
    all.extend(vars(&test["vars"], &place)?);
    let own = listed(&test["assert"]);
    let filled = |text: &str| filled(text, &all);
    let assertions = usual.assertions.iter().chain(&own).enumerate();
    let assertions = assertions.map(|(number, node)| {
        let read = Assertion::read(node, &filled);
        read.map_err(|why| wrong(format!("{place}.assert[{number}]"), why))
    });
    let name = test["description"].as_str().map(filled);
    let name = name.unwrap_or_else(|| format!("test {}", at + 1));
    Ok(EvalCase {
        name: match number {
            Some(number) => format!("{name}, prompt {number}"),
            None => name,
        },
        messages: messages(prompt, &filled),
        assertions: assertions.collect::<Result<_, _>>()?,
        threshold: threshold(&test["threshold"], &place)?.or(usual.threshold),
    })
}

/// The texts in messages with variables filled in.
fn messages(node: &Value, filled: &dyn Fn(&str) -> String) -> Value {
    match node {
        Value::String(text) => json!(filled(text)),
        Value::Array(items) => items.iter().map(|item| messages(item, filled)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| (name.clone(), messages(value, filled)))
                .collect()
        }
        other => other.clone(),
    }
}

/// A text with the values of its `{{ variables }}`. One that is not known stays as it is.
fn filled(text: &str, vars: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        out.push_str(before);
        let found = behind.split_once("}}");
        let value = found.and_then(|(name, after)| Some((vars.get(name.trim())?, after)));
        match value {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push_str("{{");
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "
prompts:
  - 'Translate {{ word }} into {{language}}'
  - [{role: system, content: 'You speak {{language}}'}, {role: user, content: '{{word}}'}]
targets: [smart, {id: 'groq:m', label: small, config: {temperature: 0, tools: [{type: function}]}}]
defaultTest: {vars: {language: German}, assert: [{type: latency, threshold: 5000}]}
tests:
  - {description: 'the {{word}}', vars: {word: dog}, assert: [{type: icontains, value: 'hund {{word}}'}], threshold: 0.5}
  - {vars: {word: cat, language: French}}
";

    #[test]
    fn a_file_is_targets_and_cases() {
        let file = read(FILE).unwrap();
        let labels: Vec<&str> = file.targets.iter().map(|it| it.label.as_str()).collect();
        assert_eq!(labels, ["smart", "small"]);
        assert_eq!(file.targets[1].tools.len(), 1);
        let names: Vec<&str> = file.cases.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "the dog, prompt 1",
                "the dog, prompt 2",
                "test 2, prompt 1",
                "test 2, prompt 2"
            ]
        );
        let body = file.cases[0].body(&file.targets[1]);
        assert_eq!(body["model"], "groq:m");
        assert_eq!(body["temperature"], 0);
        assert_eq!(body["messages"][0]["content"], "Translate dog into German");
        assert_eq!(file.cases[3].messages[0]["content"], "You speak French");
        assert_eq!(file.cases[0].assertions.len(), 2);
        assert_eq!(
            (file.cases[0].threshold, file.cases[2].threshold),
            (Some(0.5), None)
        );
    }

    #[test]
    fn nothing_is_passed_over_that_would_change_the_test() {
        for (text, part) in [
            ("a: [", "cannot be read"),
            ("{prompts: [a], tests: []}", "tests: there are none"),
            ("{tests: [{}]}", "prompts: there are none"),
            (
                "{prompts: [a], tests: [{}], scenarios: []}",
                "`scenarios` is not known",
            ),
            (
                "{prompts: [a], tests: [{options: {}}]}",
                "tests[0]: `options` is not known",
            ),
            (
                "{prompts: ['file://a'], tests: [{}]}",
                "prompts[0]: prompts in files",
            ),
            (
                "{prompts: [a], tests: [{vars: {a: [1]}}]}",
                "the variable `a` is a list",
            ),
            (
                "{prompts: [a], tests: [{assert: [{type: llm-rubric}]}]}",
                "tests[0].assert[0]: `llm-rubric`",
            ),
            (
                "{prompts: [a], targets: [{label: x}], tests: [{}]}",
                "targets[0]: has no `id`",
            ),
            ("{prompts: [a], tests: [{threshold: 2}]}", "`threshold`"),
        ] {
            let error = read(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn texts_without_variables_stay(text in "[a-z{} ]{0,40}") {
            prop_assert_eq!(filled(&text, &BTreeMap::new()), text);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,200}") {
            let _ = read(&text);
        }
    }
}
