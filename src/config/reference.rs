//! The reference of all keys for people, and the JSON Schema for their editors; both written from what the sections say
//! of themselves.

use std::fmt::Write;

use serde_json::{Value, json};

use super::describe::{Describe, FieldSpec, Section, parts, sections};
use super::raw::Root;

const INTRODUCTION: &str = "\
# Configuration reference

Every key of a configuration file. The program itself writes this text and `config/schema.json`, from the comments of
its source: `pointsman check --reference` and `pointsman check --schema`.

An editor that knows JSON Schema completes keys and shows mistakes; in a YAML file it asks for this first line, with the
path or the address of `config/schema.json`:

```yaml
# yaml-language-server: $schema=config/schema.json
```

- A *time* is `500ms`, `3s`, `2m`, `1.5h`, `1d` or a number of seconds; at most a year.
- A *size* is `32MiB`, `500KB` or a number of bytes.
- `${VAR}` and `${VAR:-default}` stand for environment variables, anywhere in a text.
- An unknown key is a mistake; a key with nothing behind it is as if it were not there.
- `POINTSMAN__SERVER__MAX_BODY=1MiB` in the environment sets `server.max_body`.
";

/// The reference as Markdown.
pub fn reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    // Writing to a string cannot fail.
    let _ = write_sections(&mut out);
    out
}

fn write_sections(out: &mut String) -> std::fmt::Result {
    let sections = root_sections();
    let mut all = sections.clone();
    // The order of the file: the sections of `llm.providers[]` follow it.
    all.sort_by_cached_key(|section| order(section, &sections));
    for section in all {
        writeln!(out, "\n## {}\n", section.title())?;
        writeln!(out, "| Key | Value | Default | Meaning |")?;
        writeln!(out, "|---|---|---|---|")?;
        for field in section.fields {
            writeln!(out, "{}", row(field))?;
        }
    }
    Ok(())
}

/// The position of a section in the file among `all`: the index of each step of its path among its parent's keys.
fn order(section: &Section, all: &[&'static Section]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut parent = String::new();
    for step in section.path().split('.').filter(|step| !step.is_empty()) {
        let name = step.trim_end_matches("[]");
        let of_parent = |other: &&&Section| other.path() == parent;
        let mut fields = all.iter().filter(of_parent).flat_map(|it| it.fields);
        places.push(
            fields
                .position(|field| field.name() == name)
                .unwrap_or(usize::MAX),
        );
        if !parent.is_empty() {
            parent.push('.');
        }
        parent.push_str(step);
    }
    places
}

fn root_sections() -> Vec<&'static Section> {
    let root = Root::shape().sections;
    root.into_iter().flat_map(sections).collect()
}

fn row(field: &FieldSpec) -> String {
    let mut names = field.names().map(|name| format!("`{name}`"));
    let mut key = names.next().unwrap_or_default();
    let others: Vec<String> = names.collect();
    if !others.is_empty() {
        key = format!("{key}, also {}", others.join(", "));
    }
    if field.required {
        key.push_str(" (required)");
    }
    let (meaning, default) = field.split_default();
    let default = default.map_or_else(String::new, |default| format!("`{default}`"));
    let statuses =
        [key, (field.shape)().word, default, meaning].map(|status| status.replace('|', "\\|"));
    format!("| {} |", statuses.join(" | "))
}

/// The JSON Schema (draft 2020-12) of a configuration file.
pub fn schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pointsman's configuration",
    });
    for root in Root::shape().sections {
        if let (Some(schema), Value::Object(own)) = (schema.as_object_mut(), root.schema()) {
            schema.extend(own);
            schema.insert("$defs".to_owned(), json!(parts(root)));
        }
    }
    schema
}
