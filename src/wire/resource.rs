//! Names of what a provider keeps for an account: files, batches, answers, cached contents. Where they stand in answers that
//! made them, and in requests that need them.

use memchr::memmem;
use serde_json::Value;

use super::json;

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
    if let Some(value) = json::value(answer) {
        gather_made(&value, DEEPEST, &mut names);
        return names;
    }
    // Events, or an answer that is not there as a whole.
    let text = String::from_utf8_lossy(answer);
    for data in text.lines().filter_map(|line| line.strip_prefix("data:")) {
        if let Some(value) = json::value(data.trim().as_bytes()) {
            gather_made(&value, DEEPEST, &mut names);
        }
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
const REFERENCES: [&str; 12] = [
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
}

/// What a request refers to by fields that are for that, in whatever depth.
pub fn in_request(body: &[u8]) -> Needed {
    let mut needed = Needed::default();
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

fn gather_references(value: &Value, needed: &mut Needed) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| gather_references(one, needed)),
        Value::Object(fields) => {
            for (field, value) in fields {
                match field.as_str() {
                    "encrypted_content" => {
                        needed.sealed.extend(value.as_str().and_then(sealed));
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

/// What stands for sealed content: its end, which is a checksum of all of it.
fn sealed(text: &str) -> Option<Box<str>> {
    const END: usize = 48;
    let end = text.get(text.len().checked_sub(END)?..)?;
    Some(format!("sealed {end}").into())
}

/// The field `input` of a request without the items that have sealed content; `None` where there are none.
pub fn without_sealed(input: &[u8]) -> Option<Vec<u8>> {
    let Value::Array(mut items) = json::value(input)? else {
        return None;
    };
    let before = items.len();
    let is_open = |item: &Value| item.get("encrypted_content").is_none_or(Value::is_null);
    items.retain(is_open);
    (items.len() < before).then(|| Value::Array(items).to_string().into_bytes())
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
    for data in answer.split(|byte| *byte == b'\n') {
        let data = data.strip_prefix(b"data:").unwrap_or(data);
        if let Some(value) = json::value(data.trim_ascii()) {
            gather_sealed(&value, &mut names);
        }
    }
    if let Some(value) = json::value(answer) {
        gather_sealed(&value, &mut names);
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

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,80}") {
            made(text.as_bytes());
            in_path(&text);
            in_body(text.as_bytes());
        }
    }
}
