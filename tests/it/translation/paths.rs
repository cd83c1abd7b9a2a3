//! Where an assertion looks: `$.a[0]..b[*?c=d]`.

use serde_json::Value;

/// One step of a path.
enum Step {
    Field(String),
    Below(String),
    Item(i64),
    All,
    First(Vec<String>, String),
    Each(Vec<String>, String),
}

/// What stands at a path: `None` where there is nothing. A path that may lead to several values gives a list.
pub fn at(root: &Value, path: &str) -> Option<Value> {
    let steps = steps(path);
    let many = |step: &Step| matches!(step, Step::All | Step::Each(..) | Step::Below(_));
    let mut found = vec![root];
    for step in &steps {
        found = found
            .into_iter()
            .flat_map(|value| step.from(value))
            .collect();
    }
    if steps.iter().any(many) {
        return Some(found.into_iter().cloned().collect());
    }
    found.first().copied().cloned()
}

impl Step {
    fn from<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let items = || value.as_array().into_iter().flatten();
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Below(name) => below(value, name),
            Self::Item(at) => {
                let list = value.as_array().map_or(&[][..], Vec::as_slice);
                let at = match usize::try_from(*at) {
                    Ok(at) => Some(at),
                    Err(_) => list.len().checked_sub(usize::try_from(-at).unwrap()),
                };
                at.and_then(|at| list.get(at)).into_iter().collect()
            }
            Self::All => items().collect(),
            Self::First(field, wanted) => items()
                .find(|item| is(item, field, wanted))
                .into_iter()
                .collect(),
            Self::Each(field, wanted) => items().filter(|item| is(item, field, wanted)).collect(),
        }
    }
}

fn is(item: &Value, field: &[String], wanted: &str) -> bool {
    let found = field.iter().try_fold(item, |value, name| value.get(name));
    match found {
        Some(Value::String(text)) => text == wanted,
        // Numbers and flags by their words.
        Some(other) => format!("{other}") == wanted,
        None => false,
    }
}

fn below<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(own, value)| {
                let here = (own == name).then_some(value);
                here.into_iter().chain(below(value, name))
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| below(item, name)).collect(),
        _ => Vec::new(),
    }
}

fn steps(path: &str) -> Vec<Step> {
    let mut rest = path
        .strip_prefix('$')
        .unwrap_or_else(|| panic!("{path} does not begin with $"));
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (inside, tail) = inner
                .split_once(']')
                .unwrap_or_else(|| panic!("{path}: no ]"));
            rest = tail;
            steps.push(bracket(inside));
            continue;
        }
        let (kind, tail): (fn(String) -> Step, &str) = match rest.strip_prefix("..") {
            Some(tail) => (Step::Below, tail),
            None => (
                Step::Field,
                rest.strip_prefix('.')
                    .unwrap_or_else(|| panic!("{path} at {rest}")),
            ),
        };
        let end = tail.find(['.', '[']).unwrap_or(tail.len());
        steps.push(kind(tail[..end].to_owned()));
        rest = &tail[end..];
    }
    steps
}

fn bracket(inside: &str) -> Step {
    let condition = |text: &str| {
        let (field, wanted) = text.split_once('=').unwrap();
        let field = field.split('.').map(str::to_owned).collect();
        (field, wanted.to_owned())
    };
    match inside.strip_prefix('*') {
        Some("") => Step::All,
        Some(rest) => {
            let (field, wanted) = condition(&rest[1..]);
            Step::Each(field, wanted)
        }
        None => match inside.strip_prefix('?') {
            Some(rest) => {
                let (field, wanted) = condition(rest);
                Step::First(field, wanted)
            }
            None => Step::Item(inside.parse().unwrap()),
        },
    }
}

#[test]
fn paths_lead_where_they_say() {
    let root = serde_json::json!({"a": [{"t": "x", "v": 1}, {"t": "y", "v": 2, "a": {"v": 3}}], "b": {"c-d": null}});
    for (path, found) in [
        ("$.a[0].v", Some(serde_json::json!(1))),
        ("$.a[-1].v", Some(serde_json::json!(2))),
        ("$.a[-3].v", None),
        ("$.a[*].t", Some(serde_json::json!(["x", "y"]))),
        ("$.a[?t=y].v", Some(serde_json::json!(2))),
        ("$.a[?a.v=3].v", Some(serde_json::json!(2))),
        ("$.a[*?t=z].v", Some(serde_json::json!([]))),
        ("$..v", Some(serde_json::json!([1, 2, 3]))),
        ("$.b.c-d", Some(Value::Null)),
        ("$.nothing", None),
    ] {
        assert_eq!(at(&root, path), found, "{path}");
    }
}
