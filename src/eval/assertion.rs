//! Assertions: what is asked of an answer, by promptfoo's names. `not-` before a name asks for the opposite.

use regex::Regex;
use serde_json::{Value, json};

use super::answer::EvalAnswer;
use super::schema;
use crate::domain::money::Pico;

/// What is asked.
#[derive(Clone, Debug)]
enum AssertionKind {
    Equals(Value),
    /// All of these, or any of them, are in the output; letter case counts or not.
    Contains {
        parts: Vec<String>,
        any: bool,
        folded: bool,
    },
    Regex(Box<Regex>),
    IsJson(Option<Value>),
    FinishReason(String),
    ToolsCall,
    /// In milliseconds.
    Latency(f64),
    Cost(Pico),
}

/// One assertion of a case.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Its name as it is written.
    pub name: String,
    /// What it counts for.
    pub weight: f64,
    kind: AssertionKind,
    negated: bool,
}

/// What became of an assertion.
#[derive(Clone, PartialEq, Debug)]
pub struct AssertionResult {
    /// Its name as it is written.
    pub name: String,
    /// What it counts for.
    pub weight: f64,
    /// Whether it holds.
    pub passed: bool,
    /// Why not; empty where it holds.
    pub reason: String,
}

/// The names, for messages.
const NAMES: &str = "equals, contains, icontains, contains-all, contains-any, icontains-all, icontains-any, regex, is-json, \
    finish-reason, is-valid-openai-tools-call, latency, cost, each with not- before it";

impl Assertion {
    /// Reads one. `filled` puts the values of variables into texts.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(node: &Value, filled: &dyn Fn(&str) -> String) -> Result<Self, String> {
        let name = node["type"].as_str().ok_or("has no `type`")?;
        let (negated, bare) = match name.strip_prefix("not-") {
            Some(bare) => (true, bare),
            None => (false, name),
        };
        let value = filled_in(&node["value"], filled);
        let weight = match &node["weight"] {
            Value::Null => 1.0,
            weight => weight.as_f64().ok_or("`weight` is no number")?,
        };
        if weight < 0.0 {
            return Err("`weight` is negative".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            weight,
            kind: kind(bare, value, &node["threshold"])?,
            negated,
        })
    }

    /// Holds it against an answer. `tools` are those of the request.
    pub(super) fn result(&self, answer: &EvalAnswer, tools: &[Value]) -> AssertionResult {
        let held = self.held(answer, tools);
        let (passed, reason) = match (held, self.negated) {
            (Ok(()), false) => (true, String::new()),
            (Err(why), false) => (false, why),
            (Ok(()), true) => (false, format!("`{}` holds, and must not", self.name)),
            (Err(_), true) => (true, String::new()),
        };
        AssertionResult {
            name: self.name.clone(),
            weight: self.weight,
            passed,
            reason,
        }
    }

    fn held(&self, answer: &EvalAnswer, tools: &[Value]) -> Result<(), String> {
        let output = answer.output();
        match &self.kind {
            AssertionKind::Equals(wanted) => {
                let same = match wanted {
                    Value::String(text) => output == *text,
                    wanted => serde_json::from_str::<Value>(&output).is_ok_and(|it| it == *wanted),
                };
                same.then_some(())
                    .ok_or_else(|| "the output is another one".to_owned())
            }
            AssertionKind::Contains { parts, any, folded } => {
                let fold = |text: &str| match folded {
                    true => text.to_lowercase(),
                    false => text.to_owned(),
                };
                let all = fold(&output);
                let missing = parts.iter().filter(|part| !all.contains(&fold(part)));
                let missing: Vec<String> = missing.map(|part| format!("`{part}`")).collect();
                let holds = match any {
                    true => missing.len() < parts.len(),
                    false => missing.is_empty(),
                };
                holds
                    .then_some(())
                    .ok_or_else(|| format!("the output has no {}", missing.join(", ")))
            }
            AssertionKind::Regex(regex) => {
                let found = regex.is_match(&output);
                found
                    .then_some(())
                    .ok_or_else(|| format!("the output does not match `{regex}`"))
            }
            AssertionKind::IsJson(schema) => {
                let value: Value = serde_json::from_str(&output)
                    .map_err(|error| format!("the output is no JSON: {error}"))?;
                schema
                    .as_ref()
                    .map_or(Ok(()), |schema| schema::check(schema, &value))
            }
            AssertionKind::FinishReason(wanted) => {
                let reason = &answer.finish_reason;
                let same = reason.eq_ignore_ascii_case(wanted);
                same.then_some(())
                    .ok_or_else(|| format!("it ended with `{reason}`"))
            }
            AssertionKind::ToolsCall => tools_call(answer, tools),
            AssertionKind::Latency(most) => {
                let took = answer.millis;
                (took <= *most)
                    .then_some(())
                    .ok_or_else(|| format!("it took {took:.0} ms"))
            }
            AssertionKind::Cost(most) => match answer.cost {
                None => Err("what it cost is not known".to_owned()),
                Some(cost) => (cost <= *most)
                    .then_some(())
                    .ok_or_else(|| format!("it cost {cost}")),
            },
        }
    }
}

fn kind(name: &str, value: Value, threshold: &Value) -> Result<AssertionKind, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("`value` is no text".to_owned()),
    };
    let contains = |parts: Vec<String>, any: bool| AssertionKind::Contains {
        parts,
        any,
        folded: name.starts_with('i'),
    };
    Ok(match name {
        "equals" if value.is_null() => return Err("has no `value`".to_owned()),
        "equals" => AssertionKind::Equals(value),
        "contains" | "icontains" => contains(vec![text(&value)?], false),
        "contains-all" | "icontains-all" => contains(texts(&value)?, false),
        "contains-any" | "icontains-any" => contains(texts(&value)?, true),
        "regex" => {
            let regex = Regex::new(&text(&value)?);
            AssertionKind::Regex(Box::new(regex.map_err(|error| error.to_string())?))
        }
        "is-json" => AssertionKind::IsJson(schema_of(value)?),
        "finish-reason" => AssertionKind::FinishReason(text(&value)?),
        "is-valid-openai-tools-call" => AssertionKind::ToolsCall,
        "latency" => {
            let most = threshold.as_f64().filter(|most| *most >= 0.0);
            AssertionKind::Latency(most.ok_or("`threshold` is no number of milliseconds")?)
        }
        "cost" => {
            let most = match threshold {
                Value::Number(most) => Pico::rounded(&most.to_string()),
                Value::String(most) => Pico::parse(most),
                _ => None,
            };
            AssertionKind::Cost(most.ok_or("`threshold` is no amount")?)
        }
        other => return Err(format!("`{other}` is not known here; known are {NAMES}")),
    })
}

/// A list of texts; one text with commas is one, too.
fn texts(value: &Value) -> Result<Vec<String>, String> {
    let parts: Vec<String> = match value {
        Value::String(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        Value::Array(items) => {
            let items = items.iter().map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                Value::Number(number) => Ok(number.to_string()),
                _ => Err("`value` has what is no text".to_owned()),
            });
            items.collect::<Result<_, _>>()?
        }
        _ => return Err("`value` is no list of texts".to_owned()),
    };
    match parts.is_empty() {
        true => Err("`value` is empty".to_owned()),
        false => Ok(parts),
    }
}

/// A schema: a map, or the text of one.
fn schema_of(value: Value) -> Result<Option<Value>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => {
            let read = crate::import::read_json(&text);
            read.map(Some)
                .map_err(|why| format!("`value` is no schema: {why}"))
        }
        value => Ok(Some(value)),
    }
}

/// The texts in a value with variables filled in.
fn filled_in(value: &Value, filled: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => json!(filled(text)),
        Value::Array(items) => items.iter().map(|item| filled_in(item, filled)).collect(),
        other => other.clone(),
    }
}

/// Whether an answer calls tools, each by a name and with arguments in JSON; those that are known as their schemas say.
fn tools_call(answer: &EvalAnswer, tools: &[Value]) -> Result<(), String> {
    if answer.tool_calls.is_empty() {
        return Err("it calls no tool".to_owned());
    }
    for call in &answer.tool_calls {
        let function = &call["function"];
        let name = function["name"].as_str().ok_or("a call has no name")?;
        let written = function["arguments"].as_str().unwrap_or_default();
        let arguments: Value = serde_json::from_str(written)
            .map_err(|_| format!("the arguments of `{name}` are no JSON"))?;
        if tools.is_empty() {
            continue;
        }
        let mut named = tools.iter().map(|tool| &tool["function"]);
        let tool = named.find(|function| function["name"] == name);
        let tool = tool.ok_or_else(|| format!("there is no tool `{name}`"))?;
        if let Some(schema) = tool.get("parameters") {
            let checked = schema::check(schema, &arguments);
            checked.map_err(|why| format!("the arguments of `{name}`: {why}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a test: what is asserted is written in place"
    )]
    fn holds(assertion: Value, answer: &EvalAnswer) -> bool {
        let read = Assertion::read(&assertion, &str::to_owned).unwrap();
        let tools = [json!({"type": "function", "function": {"name": "f",
            "parameters": {"type": "object", "required": ["a"]}}})];
        let result = read.result(answer, &tools);
        assert_eq!(result.passed, result.reason.is_empty());
        result.passed
    }

    fn says(text: &str) -> EvalAnswer {
        EvalAnswer {
            text: text.to_owned(),
            finish_reason: "stop".to_owned(),
            millis: 120.0,
            cost: Pico::parse("0.002"),
            ..EvalAnswer::default()
        }
    }

    #[test]
    fn texts_are_compared_as_the_name_says() {
        let answer = says("Hello, World 42");
        for (name, value, expected) in [
            ("equals", json!("Hello, World 42"), true),
            ("equals", json!("hello, world 42"), false),
            ("contains", json!("World"), true),
            ("contains", json!("world"), false),
            ("contains", json!(42), true),
            ("icontains", json!("WORLD"), true),
            ("contains-all", json!(["Hello", "42"]), true),
            ("contains-all", json!(["Hello", "43"]), false),
            ("contains-any", json!("43, World"), true),
            ("contains-any", json!(["43"]), false),
            ("icontains-any", json!(["hello"]), true),
            ("regex", json!("^Hello.*\\d+$"), true),
            ("regex", json!("^\\d"), false),
            ("finish-reason", json!("stop"), true),
            ("finish-reason", json!("length"), false),
        ] {
            let assertion = json!({"type": name, "value": value});
            assert_eq!(holds(assertion, &answer), expected, "{name} {value}");
            let opposite = json!({"type": format!("not-{name}"), "value": value});
            assert_eq!(holds(opposite, &answer), !expected, "not-{name} {value}");
        }
    }

    #[test]
    fn json_is_held_against_a_schema_if_there_is_one() {
        let assertion = |schema: Value| json!({"type": "is-json", "value": schema});
        let needs_a = json!({"type": "object", "required": ["a"]});
        assert!(holds(assertion(Value::Null), &says("[1]")));
        assert!(!holds(assertion(Value::Null), &says("here: [1]")));
        assert!(holds(assertion(needs_a.clone()), &says(r#"{"a": 1}"#)));
        assert!(!holds(assertion(needs_a), &says(r#"{"b": 1}"#)));
        let text = json!("type: object\nrequired: [a]\n");
        assert!(!holds(assertion(text), &says("{}")));
        let equals = json!({"type": "equals", "value": {"a": [1, 2]}});
        assert!(holds(equals, &says(r#"{"a":[1,2]}"#)));
    }

    #[test]
    fn time_and_cost_have_thresholds() {
        let answer = says("x");
        let at = |name: &str, threshold: Value| json!({"type": name, "threshold": threshold});
        assert!(holds(at("latency", json!(120)), &answer));
        assert!(!holds(at("latency", json!(119.9)), &answer));
        assert!(holds(at("cost", json!(0.002)), &answer));
        assert!(!holds(at("cost", json!("0.0019")), &answer));
        let unknown = EvalAnswer {
            cost: None,
            ..says("x")
        };
        assert!(!holds(at("cost", json!(1)), &unknown));
    }

    #[test]
    fn calls_of_tools_have_names_and_arguments_that_fit() {
        let calling = |name: &str, arguments: &str| EvalAnswer {
            tool_calls: vec![json!({"function": {"name": name, "arguments": arguments}})],
            ..EvalAnswer::default()
        };
        let assertion = || json!({"type": "is-valid-openai-tools-call"});
        assert!(holds(assertion(), &calling("f", r#"{"a": 1}"#)));
        assert!(!holds(assertion(), &calling("f", "{}")));
        assert!(!holds(assertion(), &calling("f", "{")));
        assert!(!holds(assertion(), &calling("g", r#"{"a": 1}"#)));
        assert!(!holds(assertion(), &says("f()")));
    }

    #[test]
    fn what_cannot_be_asked_is_told() {
        for wrong in [
            json!({"value": "x"}),
            json!({"type": "llm-rubric", "value": "is it nice?"}),
            json!({"type": "regex", "value": "("}),
            json!({"type": "contains"}),
            json!({"type": "equals"}),
            json!({"type": "latency"}),
            json!({"type": "cost", "threshold": "cheap"}),
            json!({"type": "contains-all", "value": []}),
            json!({"type": "contains", "value": "x", "weight": -1}),
        ] {
            assert!(Assertion::read(&wrong, &str::to_owned).is_err(), "{wrong}");
        }
    }
}
