//! Names of what a provider keeps for an account: files, batches, answers, cached contents. Where they stand in answers that
//! made them, and in requests that need them.

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
