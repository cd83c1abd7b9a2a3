//! The names, kinds and meanings of keys, as data: the reference and the schema are written from it.
//!
//! A value that can be read must describe itself ([`Describe`] is a supertrait of `FromNode`), so that every key has
//! a description.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A map of keys, as declared by `section!`.
pub(super) struct Section {
    /// Its documentation, line by line: its path in backticks, and more where one path has several forms.
    pub about: &'static [&'static str],
    pub fields: &'static [FieldSpec],
}

/// One key of a section.
pub(super) struct FieldSpec {
    /// Its name, then its other names.
    pub names: &'static [&'static str],
    /// Its documentation, line by line; empty texts say nothing.
    pub doc: &'static [&'static str],
    /// A map without it is refused.
    pub required: bool,
    pub shape: fn() -> Shape,
    /// What its type finds wrong with a value.
    #[cfg(test)]
    pub mistakes: fn(&config::Value) -> Vec<String>,
}

impl Section {
    /// The section's path, such as `llm.providers[].retry`; empty for the whole file.
    pub fn path(&self) -> &'static str {
        let mut parts = self.about.iter().flat_map(|line| line.split('`'));
        parts.nth(1).unwrap_or_default()
    }

    /// Its documentation without the final stop.
    pub fn title(&self) -> String {
        self.about.concat().trim().trim_end_matches('.').to_owned()
    }

    /// Where the reference speaks of it: its title as such addresses are made of headings.
    pub fn anchor(&self) -> String {
        let title = self.title().to_lowercase();
        let kept = title.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        });
        kept.collect()
    }

    /// What the schema calls it.
    fn part(&self) -> String {
        self.path().replace("[]", "")
    }

    /// The schema of the value.
    pub fn schema(&self) -> Value {
        let mut properties = serde_json::Map::new();
        for field in self.fields {
            let shape = (field.shape)();
            for (at, name) in field.names().enumerate() {
                let mut schema = shape.schema.clone();
                let doc = match at {
                    0 => field.text(),
                    _ => format!("The same as `{}`. {}", field.name(), field.text()),
                };
                if let Some(schema) = schema.as_object_mut() {
                    schema.insert("description".to_owned(), doc.into());
                    if let Some(default) = field.default() {
                        schema.insert("default".to_owned(), default);
                    }
                }
                properties.insert(name.to_owned(), schema);
            }
        }
        let required = self.fields.iter().filter(|field| field.required);
        let required: Vec<&str> = required.map(FieldSpec::name).collect();
        let mut schema = json!({
            // With all keys commented out, nothing is there.
            "type": ["object", "null"],
            "properties": properties,
            "additionalProperties": false,
        });
        if let Some(schema) = schema.as_object_mut().filter(|_| !required.is_empty()) {
            schema.insert("required".to_owned(), required.into());
        }
        schema
    }
}

impl FieldSpec {
    /// Its name and its other names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().map(|name| name.trim_start_matches("r#"))
    }

    pub fn name(&self) -> &'static str {
        self.names().next().unwrap_or_default()
    }

    /// Its documentation in one line.
    pub fn text(&self) -> String {
        let lines: Vec<&str> = self.doc.iter().map(|line| line.trim()).collect();
        lines.join(" ").trim().to_owned()
    }

    /// Its documentation without the sentence on its default, and that: `Default 10.`, ``Default `5s`.``
    pub fn split_default(&self) -> (String, Option<String>) {
        let text = self.text();
        let found = text.rsplit_once("Default ").and_then(|(before, rest)| {
            let value = rest.strip_suffix('.')?;
            let quoted = value
                .strip_prefix('`')
                .and_then(|value| value.strip_suffix('`'));
            // More than a value is a sentence of its own: `true where there is a client_ca`.
            let value = quoted.unwrap_or(value);
            let plain = !value.contains([' ', '`']);
            plain.then(|| (before.trim().to_owned(), value.to_owned()))
        });
        match found {
            Some((text, default)) => (text, Some(default)),
            None => (text, None),
        }
    }

    /// The value when the key is absent, if its documentation names one.
    pub fn default(&self) -> Option<Value> {
        let text = self.split_default().1?;
        Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

/// What a value looks like.
pub(super) struct Shape {
    /// In a word, as the reference says it (Markdown).
    pub word: String,
    /// As a JSON Schema.
    pub schema: Value,
    /// What that refers to, by name.
    pub parts: BTreeMap<&'static str, Value>,
    /// The sections that it refers to.
    pub sections: Vec<&'static Section>,
}

impl Shape {
    /// A kind of value with a name of its own in the schema.
    pub fn named(name: &'static str, word: &str, schema: Value) -> Self {
        let mut shape = Self::plain(word, reference(name));
        shape.parts.insert(name, either(schema, variable()));
        shape.parts.insert("variable", the_variable());
        shape
    }

    /// A value of this schema.
    pub fn plain(word: &str, schema: Value) -> Self {
        Self {
            word: word.to_owned(),
            schema,
            parts: BTreeMap::new(),
            sections: Vec::new(),
        }
    }

    /// One of these words; `false` means `off`, as in YAML 1.1.
    pub fn choice<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let words: Vec<&str> = words.into_iter().collect();
        let mut values: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
        if words.contains(&"off") {
            values.push(Value::Bool(false));
        }
        let shown: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let schema = either(json!({"enum": values}), variable());
        let mut shape = Self::plain(&shown.join(", "), schema);
        shape.parts.insert("variable", the_variable());
        shape
    }

    /// A value that is a section.
    pub fn section(section: &'static Section) -> Self {
        let word = format!("[section](#{})", section.anchor());
        let mut shape = Self::plain(&word, reference(&section.part()));
        shape.sections.push(section);
        shape
    }

    /// A list of such values.
    pub fn listed(self) -> Self {
        let mut item = self.schema;
        // An empty value may be a section, but not a member of a list.
        let only_tables = |schema: &mut Value| {
            if let Some(schema) = schema.as_object_mut()
                && let Some(Value::String(name)) = schema.get("$ref")
                && self.sections.iter().any(|it| *name == path_of(&it.part()))
            {
                schema.insert("type".to_owned(), "object".into());
            }
        };
        match item.get_mut("anyOf").and_then(Value::as_array_mut) {
            Some(all) => all.iter_mut().for_each(only_tables),
            None => only_tables(&mut item),
        }
        Self {
            word: format!("list of {}", plural(&self.word)),
            schema: json!({"type": ["array", "null"], "items": item}),
            ..self
        }
    }

    /// A map of any names and such values.
    pub fn mapped(self, word: &str) -> Self {
        Self {
            word: word.to_owned(),
            schema: json!({"type": ["object", "null"], "additionalProperties": self.schema}),
            ..self
        }
    }

    /// A value of either kind.
    pub fn or(mut self, other: Self) -> Self {
        self.word = format!("{} or {}", self.word, other.word);
        self.schema = either(self.schema, other.schema);
        self.parts.extend(other.parts);
        self.sections.extend(other.sections);
        self
    }
}

/// A text that becomes a value when its variables are put in.
fn the_variable() -> Value {
    json!({
        "type": "string",
        "pattern": r"\$\{",
        "description": "`${VAR}` or `${VAR:-default}`: the value of an environment variable",
    })
}

fn variable() -> Value {
    reference("variable")
}

/// A schema that takes what either takes.
fn either(one: Value, other: Value) -> Value {
    let alternatives = |schema: Value| match schema.get("anyOf").and_then(Value::as_array) {
        Some(any) if schema.as_object().is_some_and(|map| map.len() == 1) => any.clone(),
        _ => vec![schema],
    };
    let mut all = alternatives(one);
    for schema in alternatives(other) {
        if !all.contains(&schema) {
            all.push(schema);
        }
    }
    json!({"anyOf": all})
}

fn plural(word: &str) -> String {
    let word = word.replace("[section]", "[sections]");
    match word.as_str() {
        "time" | "text" => word + "s",
        _ => word.replace("text or", "texts or"),
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": path_of(name)})
}

fn path_of(name: &str) -> String {
    format!("#/$defs/{name}")
}

/// A type of value that says what it looks like.
pub(super) trait Describe {
    fn shape() -> Shape;
}

/// All sections that can be reached from `root`, itself first, each once, parents before children.
pub(super) fn sections(root: &'static Section) -> Vec<&'static Section> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(section) = found.get(at) {
        let shapes = section.fields.iter().map(|field| (field.shape)());
        let below: Vec<&'static Section> = shapes.flat_map(|shape| shape.sections).collect();
        for below in below {
            if !found.iter().any(|known| known.about == below.about) {
                found.push(below);
            }
        }
        at += 1;
    }
    found
}

/// The names of sections and of kinds of values, with the schema of each.
pub(super) fn parts(root: &'static Section) -> BTreeMap<String, Value> {
    let mut parts = BTreeMap::new();
    for section in sections(root) {
        for field in section.fields {
            let named = (field.shape)().parts.into_iter();
            parts.extend(named.map(|(name, schema)| (name.to_owned(), schema)));
        }
        if !section.path().is_empty() {
            parts.insert(section.part(), section.schema());
        }
    }
    parts
}
