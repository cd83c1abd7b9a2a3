//! The requests of a benchmark: made up, or those of a file, each as the bytes that are sent.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::domain::secret::ApiKey;

/// Where the number of a request stands in a prompt.
const NUMBER: &str = "\u{1}";
/// A word of a prompt is about one token.
const WORDS: [&str; 8] = [
    "the", "train", "waits", "at", "a", "signal", "until", "dawn",
];

/// How requests are made up.
#[derive(Clone, Debug)]
pub(super) struct RequestForm {
    pub(super) target: Option<String>,
    pub(super) stream: bool,
    pub(super) input_tokens: usize,
    pub(super) output_tokens: u64,
    /// Each request is the same, down to its bytes.
    pub(super) same: bool,
}

/// Makes requests, by their numbers.
pub(super) struct RequestMaker {
    bodies: Vec<[String; 2]>,
    head: String,
    same: bool,
}

impl RequestMaker {
    /// Requests of this form; with `file` those of its lines in turn, each a body in the form of chat completions.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn new(
        form: &RequestForm,
        file: Option<&Path>,
        token: Option<&ApiKey>,
    ) -> Result<Self, String> {
        let bodies = match file {
            None => vec![made_up(form)],
            Some(path) => {
                let shown = path.display();
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| format!("cannot read {shown}: {error}"))?;
                let lines = (1..)
                    .zip(text.lines())
                    .filter(|(_, line)| !line.trim().is_empty());
                let bodies = lines.map(|(number, line)| {
                    let body = of_line(line, form);
                    body.map_err(|why| format!("{shown} line {number} {why}"))
                });
                bodies.collect::<Result<Vec<_>, _>>()?
            }
        };
        if bodies.is_empty() {
            return Err("the file has no requests".to_owned());
        }
        let mut head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n\
                        content-type: application/json\r\n"
            .to_owned();
        if let Some(token) = token {
            head.push_str(&format!("authorization: Bearer {}\r\n", token.expose()));
        }
        Ok(Self {
            bodies: bodies.iter().map(halves).collect(),
            head,
            same: form.same,
        })
    }

    /// The bytes of the request of this number.
    pub(super) fn request(&self, number: u64) -> Vec<u8> {
        let count = u64::try_from(self.bodies.len()).unwrap_or(1);
        let at = usize::try_from(number % count).unwrap_or_default();
        let Some([before, behind]) = self.bodies.get(at) else {
            return Vec::new();
        };
        let number = match (self.same, behind.is_empty()) {
            (_, true) => String::new(),
            (true, _) => "0".to_owned(),
            (false, _) => number.to_string(),
        };
        let length = before.len() + number.len() + behind.len();
        let head = &self.head;
        format!("{head}content-length: {length}\r\n\r\n{before}{number}{behind}").into_bytes()
    }
}

fn halves(body: &Value) -> [String; 2] {
    let text = body.to_string();
    match text.split_once("\\u0001") {
        Some((before, behind)) => [before.to_owned(), behind.to_owned()],
        None => [text, String::new()],
    }
}

fn made_up(form: &RequestForm) -> Value {
    let words = WORDS
        .iter()
        .cycle()
        .take(form.input_tokens.saturating_sub(2));
    let words = words.copied().collect::<Vec<_>>().join(" ");
    let prompt = format!("Request {NUMBER}: {words}");
    let mut body = json!({"messages": [{"role": "user", "content": prompt}], "max_tokens": form.output_tokens});
    if let Value::Object(body) = &mut body {
        complete(body, form);
    }
    body
}

fn of_line(line: &str, form: &RequestForm) -> Result<Value, String> {
    let read: Value = serde_json::from_str(line).map_err(|error| format!("is no JSON: {error}"))?;
    let Value::Object(mut body) = read else {
        return Err("is no JSON object".to_owned());
    };
    if let Some(Value::Object(inner)) = body.get("body").cloned() {
        body = inner;
    }
    if !body.contains_key("messages") {
        return Err("has no `messages`: write the body of a chat completion".to_owned());
    }
    complete(&mut body, form);
    Ok(Value::Object(body))
}

/// What the command line says goes before what the body says.
fn complete(body: &mut Map<String, Value>, form: &RequestForm) {
    if let Some(target) = &form.target {
        body.insert("model".to_owned(), json!(target));
    }
    if form.stream {
        body.insert("stream".to_owned(), json!(true));
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    } else {
        body.shift_remove("stream");
        body.shift_remove("stream_options");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(same: bool) -> RequestForm {
        RequestForm {
            target: Some("smart".to_owned()),
            stream: true,
            input_tokens: 6,
            output_tokens: 9,
            same,
        }
    }

    fn body(maker: &RequestMaker, number: u64) -> Value {
        let bytes = String::from_utf8(maker.request(number)).unwrap();
        let (head, body) = bytes.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("content-length: {}", body.len())),
            "{head}"
        );
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn each_request_differs_unless_they_are_to_be_the_same() {
        let maker = RequestMaker::new(&form(false), None, None).unwrap();
        let first = body(&maker, 7);
        assert_eq!(first["model"], "smart");
        assert_eq!(first["max_tokens"], 9);
        assert_eq!(
            first["messages"][0]["content"],
            "Request 7: the train waits at"
        );
        assert_ne!(first, body(&maker, 8));
        let same = RequestMaker::new(&form(true), None, None).unwrap();
        assert_eq!(same.request(7), same.request(8));
    }

    #[test]
    fn lines_of_a_file_are_bodies_or_those_of_batches() {
        let line = |text: &str| of_line(text, &form(false));
        let read = line(r#"{"model": "other", "messages": [], "max_tokens": 3}"#).unwrap();
        assert_eq!(
            (&read["model"], &read["max_tokens"]),
            (&json!("smart"), &json!(3))
        );
        assert!(line(r#"{"custom_id": "1", "body": {"messages": []}}"#).is_ok());
        assert!(line("[]").is_err() && line("{}").is_err() && line("{").is_err());
    }
}
