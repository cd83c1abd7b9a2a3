//! Names of what a provider keeps for an account: files, batches, answers, cached contents. Where they stand in answers that
//! made them, and in requests that need them. Of the same kind are what only one account can open, and signatures of thoughts.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};
use serde_json::{Map, Value};

use super::json;
use super::seals::is_of_account;

/// Shorter texts are no names of resources, in bytes.
const SHORTEST: usize = 6;
/// Longest name of a resource, in bytes.
pub const LONGEST: usize = 256;
/// Most names that are taken from one answer or one request.
const MOST: usize = 64;
/// So deep are names looked for in an answer.
const DEEPEST: usize = 3;

/// Whether a refusal says that the key may not do this one thing.
pub fn is_about_scope(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["permission", "scope", "not allowed"]
        .into_iter()
        .any(|word| words.contains(word))
}

/// The names of what an answer says was made: `id`, `name` where it has the form of a path, and fields that end in `_id`, in
/// its objects but not in its lists.
pub fn made(answer: &[u8]) -> Vec<Box<str>> {
    let mut names = Vec::new();
    for document in documents(answer) {
        gather_made(&document, DEEPEST, &mut names);
    }
    names
}

fn gather_made(value: &Value, depth: usize, names: &mut Vec<Box<str>>) {
    let Value::Object(fields) = value else { return };
    for (field, value) in fields {
        match value {
            Value::String(text) => {
                let is_path = || text.contains('/') && !text.contains(':');
                let named = match field.as_str() {
                    "id" => true,
                    "name" => is_path(),
                    field => field.ends_with("_id"),
                };
                if named && names.len() < MOST && is_name(text) {
                    names.push(text.as_str().into());
                }
            }
            Value::Object(_) if depth > 1 => gather_made(value, depth - 1, names),
            _ => {}
        }
    }
}

/// Whether a text may be the name of a resource.
fn is_name(text: &str) -> bool {
    (SHORTEST..=LONGEST).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && text
            .bytes()
            .any(|byte| byte.is_ascii_digit() || b"-_/".contains(&byte))
}

/// What in a path with its query may name a resource: each segment, two that follow each other, each value of the query.
pub fn in_path(path: &str) -> Vec<Box<str>> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut names: Vec<Box<str>> = Vec::new();
    let mut last = None;
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        // Google's methods follow a colon.
        let segment = segment.split(':').next().unwrap_or(segment);
        if let Some(last) = last {
            names.push(format!("{last}/{segment}").into());
        }
        names.push(segment.into());
        last = Some(segment);
    }
    for pair in query.split('&') {
        let value = pair.split_once('=').map_or("", |(_, value)| value);
        names.push(value.into());
    }
    names.retain(|name| is_name(name));
    names.truncate(MOST);
    names
}

/// What in a JSON body may name a resource: its texts. Of a URL, as Google names files by, the last two segments.
pub fn in_body(body: &[u8]) -> Vec<Box<str>> {
    let mut names = Vec::new();
    if let Some(value) = json::value(body) {
        gather_texts(&value, &mut names);
    }
    names
}

/// Fields of requests that refer to what a provider holds. Those of one name in several dialects are one entry.
const REFERENCES: [&str; 13] = [
    "previous_response_id",
    "conversation",
    "cachedContent",
    "cached_content",
    "file_id",
    "file_ids",
    "fileUri",
    "file_uri",
    "vector_store_ids",
    "container",
    "container_id",
    "previous_interaction_id",
    "encrypted_content",
];

/// What a request needs of its provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Needed {
    /// What it refers to: without that it cannot be answered.
    pub names: Vec<Box<str>>,
    /// What stands for its sealed contents, which can be left out.
    pub sealed: Vec<Box<str>>,
    /// What stands for the signatures of its last thoughts. Their maker knows them with every key; the one that they came
    /// with is the best.
    pub thoughts: Vec<Box<str>>,
}

/// What a request refers to by fields that are for that, in whatever depth.
pub fn in_request(body: &[u8]) -> Needed {
    let mut needed = Needed {
        thoughts: signatures(body),
        ..Needed::default()
    };
    // Nearly all requests have none of these: they are not parsed for it.
    let refers = |field: &str| memmem::find(body, field.as_bytes()).is_some();
    if !REFERENCES.iter().any(|field| refers(field)) {
        return needed;
    }
    if let Some(value) = json::value(body) {
        gather_references(&value, &mut needed);
    }
    needed
}

/// Whether a field holds what a program or a model made up: arguments and results of tools, and schemas. What is called a
/// file or a container in there is none of a provider's.
fn is_made_up(fields: &Map<String, Value>, field: &str) -> bool {
    match field {
        "args"
        | "arguments"
        | "parameters"
        | "input_schema"
        | "inputSchema"
        | "schema"
        | "json_schema"
        | "parametersJsonSchema"
        | "parameters_json_schema"
        | "responseSchema"
        | "response_schema"
        | "responseJsonSchema"
        | "response_json_schema"
        | "metadata" => true,
        // Of a call, whose tool has a name; requests of the Responses API have their conversation there.
        "input" | "response" => fields.contains_key("name"),
        // A result at Bedrock.
        "json" => true,
        _ => false,
    }
}

fn gather_references(value: &Value, needed: &mut Needed) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| gather_references(one, needed)),
        Value::Object(fields) => {
            for (field, value) in fields {
                if is_made_up(fields, field) {
                    continue;
                }
                match field.as_str() {
                    "encrypted_content" => {
                        let own = value.as_str().filter(|text| is_of_account(text));
                        needed.sealed.extend(own.and_then(sealed));
                    }
                    field if REFERENCES.contains(&field) => {
                        gather_texts(value, &mut needed.names);
                    }
                    _ => gather_references(value, needed),
                }
            }
        }
        _ => {}
    }
}

/// What stands in front of the value of a signature, in each dialect: `signature`, `thoughtSignature`, `thought_signature`.
const SIGNATURE: &[u8] = b"ignature\"";
/// So many signatures stand for a conversation: the last ones.
const SIGNATURES: usize = 4;
/// What the field of something begins with that an answer says its provider made for it.
const HELD: [&[u8]; 2] = [b"\"container", b"\"file_id\""];
/// What looks for these, made once: every answer and every event of one is searched.
static SIGNATURE_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(SIGNATURE));
static HELD_FINDERS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| HELD.map(Finder::new));

/// What stands for the last signatures in a request, an answer, or an event of one. The text is searched and not read:
/// requests that carry thoughts are long.
fn signatures(text: &[u8]) -> Vec<Box<str>> {
    // The search from the end is the slower one, and hardly ever needed.
    if SIGNATURE_FINDER.find(text).is_none() {
        return Vec::new();
    }
    let ends = memmem::rfind_iter(text, SIGNATURE);
    let values = ends.filter_map(|at| {
        let rest = text.get(at + SIGNATURE.len()..)?.trim_ascii_start();
        let rest = rest.strip_prefix(b":")?.trim_ascii_start();
        let rest = rest.strip_prefix(b"\"")?;
        let end = memchr::memchr(b'"', rest)?;
        let value = std::str::from_utf8(rest.get(..end)?).ok()?;
        if value.len() < SHORTEST {
            return None;
        }
        let from = value.len().saturating_sub(MARK);
        Some(format!("thought {}", value.get(from..)?).into())
    });
    values.take(SIGNATURES).collect()
}

/// What an answer, or an event of one, says that its key holds from now on: containers and the files in them, and
/// signatures.
pub fn told(answer: &[u8]) -> Vec<Box<str>> {
    let mut names = signatures(answer);
    if HELD_FINDERS
        .iter()
        .any(|finder| finder.find(answer).is_some())
    {
        for document in documents(answer) {
            gather_held(&document, &mut names);
        }
    }
    names
}

fn gather_held(value: &Value, names: &mut Vec<Box<str>>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| gather_held(one, names)),
        Value::Object(fields) => {
            for (field, value) in fields {
                if is_made_up(fields, field) {
                    continue;
                }
                match field.as_str() {
                    "container" => gather_texts(value.get("id").unwrap_or(value), names),
                    "container_id" | "file_id" => gather_texts(value, names),
                    _ => gather_held(value, names),
                }
            }
        }
        _ => {}
    }
}

/// The JSON of an answer, or that of each of its events.
fn documents(answer: &[u8]) -> Vec<Value> {
    if let Some(value) = json::value(answer) {
        return vec![value];
    }
    let lines = answer.split(|byte| *byte == b'\n');
    let data = lines.filter_map(|line| line.strip_prefix(b"data:"));
    data.filter_map(|data| json::value(data.trim_ascii()))
        .collect()
}

/// The end of a long opaque text stands for all of it: it is a checksum, or as good as one. In bytes.
const MARK: usize = 48;

/// What stands for sealed content: its end, which is a checksum of all of it.
fn sealed(text: &str) -> Option<Box<str>> {
    let end = text.get(text.len().checked_sub(MARK)?..)?;
    Some(format!("sealed {end}").into())
}

/// Whether a request that says this in its field `include` asks for sealed contents.
pub fn asks_for_sealed(include: &[u8]) -> bool {
    memmem::find(include, b"encrypted_content").is_some()
}

/// What stands for the sealed contents in an answer or an event of one.
pub fn sealed_in(answer: &[u8]) -> Vec<Box<str>> {
    let mut names = Vec::new();
    if memmem::find(answer, b"\"encrypted_content\"").is_none() {
        return names;
    }
    for document in documents(answer) {
        gather_sealed(&document, &mut names);
    }
    names
}

fn gather_sealed(value: &Value, names: &mut Vec<Box<str>>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| gather_sealed(one, names)),
        Value::Object(fields) => {
            for (field, value) in fields {
                match field.as_str() {
                    "encrypted_content" => names.extend(value.as_str().and_then(sealed)),
                    _ => gather_sealed(value, names),
                }
            }
        }
        _ => {}
    }
}

fn gather_texts(value: &Value, names: &mut Vec<Box<str>>) {
    if names.len() >= MOST {
        return;
    }
    match value {
        Value::String(text) => names.extend(named_by(text)),
        Value::Array(all) => all.iter().for_each(|one| gather_texts(one, names)),
        Value::Object(fields) => fields.values().for_each(|one| gather_texts(one, names)),
        _ => {}
    }
}

fn named_by(text: &str) -> Option<Box<str>> {
    let Some((_, rest)) = text.split_once("://") else {
        return is_name(text).then(|| text.into());
    };
    let rest = Some(rest).filter(|rest| rest.len() <= LONGEST)?;
    let mut from_end = rest.rsplitn(3, '/');
    let (last, before) = (from_end.next()?, from_end.next()?);
    let name = format!("{before}/{last}");
    is_name(&name).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(names: &[Box<str>]) -> Vec<&str> {
        names.iter().map(|name| &**name).collect()
    }

    #[test]
    fn what_was_made_is_named_by_its_answer() {
        let events = "event: response.created\ndata: {\"response\":{\"id\":\"resp_12\"}}\n\n";
        for (answer, expected) in [
            (
                r#"{"id":"file-abc123","object":"file","filename":"a.txt"}"#,
                vec!["file-abc123"],
            ),
            (
                r#"{"file":{"name":"files/x1y2","uri":"https://g/v1beta/files/x1y2"}}"#,
                vec!["files/x1y2"],
            ),
            (
                r#"{"name":"cachedContents/k-1","model":"models/m"}"#,
                vec!["cachedContents/k-1"],
            ),
            (
                r#"{"id":"batch_1","input_file_id":"file-9","data":[{"id":"no-1234"}]}"#,
                vec!["batch_1", "file-9"],
            ),
            (events, vec!["resp_12"]),
            ("no json", vec![]),
        ] {
            assert_eq!(texts(&made(answer.as_bytes())), expected, "{answer}");
        }
    }

    #[test]
    fn what_is_needed_is_named_by_path_query_and_body() {
        let path = in_path("/v1/vector_stores/vs_123/files/file-abc?after=file-9x&limit=20");
        for name in ["vs_123", "file-abc", "file-9x", "vector_stores/vs_123"] {
            assert!(texts(&path).contains(&name), "{name}: {path:?}");
        }
        assert!(texts(&in_path("/v1beta/files/x1y2:download")).contains(&"files/x1y2"));
        let body = br#"{"input_file_id":"file-abc","x":[{"fileUri":"https://g.example/v1beta/files/x1y2"}],"text":"two words"}"#;
        assert_eq!(texts(&in_body(body)), ["file-abc", "files/x1y2"]);
    }

    #[test]
    fn what_an_answer_holds_is_told_in_every_dialect() {
        for (answer, expected) in [
            (
                r#"{"content":[{"type":"thinking","signature":"sig-123456"}],"container":{"id":"container_1a"}}"#,
                vec!["thought sig-123456", "container_1a"],
            ),
            (
                "event: x\ndata: {\"delta\":{\"container\":{\"id\":\"container_1a\"}}}\n\n",
                vec!["container_1a"],
            ),
            (
                r#"{"output":[{"type":"code_interpreter_call","container_id":"cntr_12"},{"content":[{"annotations":[{"file_id":"cfile_1","container_id":"cntr_12"}]}]}]}"#,
                vec!["cntr_12", "cntr_12", "cfile_1"],
            ),
            (
                r#"{"candidates":[{"content":{"parts":[{"thoughtSignature" : "Ab+/c=="}]}}]}"#,
                vec!["thought Ab+/c=="],
            ),
            (r#"{"type":"signature_delta","signature":""}"#, vec![]),
            // What a model asks a tool for is none of its provider's.
            (
                r#"{"content":[{"type":"tool_use","id":"toolu_1","name":"read","input":{"file_id":"1BxiMVs0XRA5nFMd","container":"web-app-1"}}]}"#,
                vec![],
            ),
            (
                r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"read","args":{"file_id":"1BxiMVs0XRA5nFMd"}}}]}}]}"#,
                vec![],
            ),
            (r#"{"container":null,"signature":"#, vec![]),
        ] {
            let mut told = told(answer.as_bytes());
            let mut expected = expected;
            let order = |names: &mut Vec<Box<str>>| names.sort();
            order(&mut told);
            expected.sort_unstable();
            assert_eq!(texts(&told), expected, "{answer}");
        }
        let long = "x".repeat(200) + &"y".repeat(MARK);
        let asked = format!(r#"{{"messages":[{{"thinking":"","signature":"{long}"}}]}}"#);
        let needed = in_request(asked.as_bytes());
        assert_eq!(
            texts(&needed.thoughts),
            [format!("thought {}", "y".repeat(MARK))]
        );
        assert!(needed.names.is_empty() && needed.sealed.is_empty());
    }

    #[test]
    fn arguments_and_results_of_tools_refer_to_nothing() {
        for (asked, expected) in [
            (
                r#"{"messages":[{"content":[{"type":"tool_use","id":"toolu_1","name":"read","input":{"file_id":"file-abc1"}}]}]}"#,
                vec![],
            ),
            (
                r#"{"contents":[{"parts":[{"functionCall":{"name":"f","args":{"container":"web-1"}}},{"functionResponse":{"name":"f","response":{"file_uri":"files/x-1"}}}]}]}"#,
                vec![],
            ),
            (
                r#"{"tools":[{"name":"f","input_schema":{"properties":{"file_id":{"default":"file-abc1"}}}}],"metadata":{"container":"web-1"}}"#,
                vec![],
            ),
            (
                r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-abc1"}]},{"type":"function_call_output","output":[{"type":"input_file","file_id":"file-abc2"}]}]}"#,
                vec!["file-abc1", "file-abc2"],
            ),
            (
                r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image","source":{"type":"file","file_id":"file_011"}}]}]}],"container":"container_1a"}"#,
                vec!["file_011", "container_1a"],
            ),
        ] {
            assert_eq!(
                texts(&in_request(asked.as_bytes()).names),
                expected,
                "{asked}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,80}") {
            made(text.as_bytes());
            told(text.as_bytes());
            told(format!("\"signature\":{text}\"container").as_bytes());
            in_request(format!("signature\" :\"{text}").as_bytes());
            in_path(&text);
            in_body(text.as_bytes());
        }
    }
}
