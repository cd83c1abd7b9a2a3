//! Reading a tree of values into typed sections without stopping at the first mistake.
//!
//! `serde` ends at the first error and knows nothing of near names; an operator wants the whole list. So
//! each key is read on its own, and the mistakes are collected in a [`Report`]. Values are shown in messages
//! only where they cannot be secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use config::{Value, ValueKind};

use super::describe::Describe;
use super::error::{ConfigErrors, Problem};
use super::mask;
use crate::domain::near::near;

/// The origins that layers other than the file carry.
pub(super) const ENVIRONMENT: &str = "the environment";
pub(super) const COMMAND_LINE: &str = "the command line";

/// Mistakes and warnings, collected while reading.
#[derive(Default)]
pub(super) struct Report {
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
    /// A BorgLLM file: unknown keys are warnings.
    pub lenient: bool,
    /// The file's name in messages; empty when there is none.
    pub file: String,
    /// Files that were read.
    pub files: Vec<PathBuf>,
    /// The variables that went into the value at a path.
    pub variables: BTreeMap<String, Vec<String>>,
    /// What of `.env` could not be read.
    pub unread: Option<String>,
    /// Values from places where a key belongs, which may be keys.
    pub suspects: Vec<String>,
}

impl Report {
    /// Why there is no configuration.
    pub fn into_errors(self) -> ConfigErrors {
        ConfigErrors::invalid(self.problems, self.files, &self.suspects)
    }

    /// Notes a value that is written where the name or the file of a key belongs: it is masked if it may be the key.
    pub fn suspect(&mut self, text: &str) {
        if mask::is_suspect(text) {
            self.suspects.push(text.to_owned());
        }
    }

    /// The warnings as they may be shown.
    pub fn take_warnings(&mut self) -> Vec<String> {
        let warnings = std::mem::take(&mut self.warnings).into_iter();
        let shown = warnings.map(|text| mask::masked(&text, &self.suspects).into_owned());
        shown.collect()
    }

    /// A mistake at a key path of the file.
    pub fn problem(&mut self, path: &str, message: impl Into<String>, suggestion: &str) {
        let place = self.place(path);
        self.problem_at(place, message, suggestion);
    }

    /// Reports a mistake at any place.
    pub fn problem_at(&mut self, place: String, message: impl Into<String>, suggestion: &str) {
        self.problems.push(Problem {
            place,
            message: message.into(),
            suggestion: (!suggestion.is_empty()).then(|| suggestion.to_owned()),
        });
    }

    /// Something that works but may not be meant.
    pub fn warn(&mut self, path: &str, message: impl AsRef<str>) {
        let place = self.place(path);
        let text = match place.as_str() {
            "" => message.as_ref().to_owned(),
            place => format!("{place}: {}", message.as_ref()),
        };
        self.warnings.push(text);
    }

    /// What to do about a missing variable, and whether it may be in a line that could not be read.
    pub fn missing(&self, suggestion: &str) -> String {
        match &self.unread {
            Some(unread) => format!("{suggestion}; {unread}"),
            None => suggestion.to_owned(),
        }
    }

    /// A key path with the file it is in.
    pub fn place(&self, path: &str) -> String {
        format!("{} {path}", self.file).trim().to_owned()
    }

    /// Where the value of `node` came from.
    fn origin(&self, node: &ConfigNode<'_>) -> String {
        match node.value.origin() {
            Some(ENVIRONMENT) => {
                let name = node.path.replace(['.', '['], "__").replace(']', "");
                format!("environment POINTSMAN__{}", name.to_uppercase())
            }
            Some(COMMAND_LINE) => format!("command line ({})", node.path),
            _ => self.place(&node.path),
        }
    }
}

/// A value and its path.
pub(super) struct ConfigNode<'a> {
    pub value: &'a Value,
    pub path: String,
}

impl<'a> ConfigNode<'a> {
    /// A member of a table or a list.
    pub fn child(&self, step: &str, value: &'a Value) -> Self {
        let path = match (self.path.as_str(), step.starts_with('[')) {
            ("", _) => step.to_owned(),
            (path, true) => format!("{path}{step}"),
            (path, false) => format!("{path}.{step}"),
        };
        ConfigNode { value, path }
    }

    /// The members of a list; a single value counts as a list of one.
    pub fn items(&self) -> Vec<ConfigNode<'a>> {
        match &self.value.kind {
            ValueKind::Array(values) => values
                .iter()
                .enumerate()
                .map(|(at, value)| self.child(&format!("[{at}]"), value))
                .collect(),
            ValueKind::Nil => Vec::new(),
            _ => vec![self.child("", self.value).renamed(&self.path)],
        }
    }

    fn renamed(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// Reports that the value is not what it should be. Shows it unless a variable went into it.
    pub fn wrong<T>(&self, expected: &str, report: &mut Report) -> Option<T> {
        let found = match &self.value.kind {
            ValueKind::Table(_) => "a map".to_owned(),
            ValueKind::Array(_) => "a list".to_owned(),
            ValueKind::Nil => "nothing".to_owned(),
            _ if report.variables.contains_key(&self.path) => "what its variable holds".to_owned(),
            _ => {
                // Masked before it is cut: a piece of a key does not look like one.
                let shown = self.value.to_string();
                let shown: String = mask::masked(&shown, &[]).chars().take(40).collect();
                format!("`{shown}`")
            }
        };
        self.reject(format!("expected {expected}, found {found}"), "", report)
    }

    /// Reports a mistake at this value.
    pub fn reject<T>(
        &self,
        message: impl Into<String>,
        suggestion: &str,
        report: &mut Report,
    ) -> Option<T> {
        let place = report.origin(self);
        report.problem_at(place, message, suggestion);
        None
    }

    /// The value as text: strings and whole numbers. Others would not come back as they were written.
    pub fn text(&self) -> Option<String> {
        match &self.value.kind {
            ValueKind::String(text) => Some(text.clone()),
            ValueKind::I64(number) => Some(number.to_string()),
            ValueKind::U64(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The value as a number, also when it is written in quotes or comes from a variable.
    pub fn number(&self) -> Option<f64> {
        let number = match &self.value.kind {
            ValueKind::Float(number) => *number,
            ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::String(_) => {
                self.text()?.trim().replace('_', "").parse().ok()?
            }
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    /// The value as a whole number.
    pub fn whole(&self) -> Option<u64> {
        match &self.value.kind {
            ValueKind::Float(number) if number.fract() == 0.0 && (0.0..1e15).contains(number) => {
                format!("{number:.0}").parse().ok()
            }
            _ => self.text()?.trim().replace('_', "").parse().ok(),
        }
    }

    /// The entries of a table, for reading key by key.
    pub fn fields(&self, report: &mut Report) -> Option<TableReader<'a>> {
        let ValueKind::Table(table) = &self.value.kind else {
            return self.wrong("a map of keys and values", report);
        };
        let entries = table
            .iter()
            .map(|(key, value)| (key.clone(), self.child(key, value)));
        Some(TableReader {
            rest: entries.collect(),
            known: BTreeSet::new(),
        })
    }
}

/// The keys of one table that are still to be read.
pub(super) struct TableReader<'a> {
    rest: BTreeMap<String, ConfigNode<'a>>,
    known: BTreeSet<&'static str>,
}

impl TableReader<'_> {
    /// Reads a key by its name or one of its other names.
    pub fn take<T: FromNode>(&mut self, names: &[&'static str], report: &mut Report) -> Option<T> {
        let names = names.iter().map(|name| name.trim_start_matches("r#"));
        let mut found: Option<ConfigNode<'_>> = None;
        for name in names {
            self.known.insert(name);
            let Some(node) = self.rest.remove(name) else {
                continue;
            };
            match &found {
                Some(first) => {
                    let message = format!("`{}` is the same setting", first.path);
                    node.reject::<()>(message, "remove one of the two", report);
                }
                None => found = Some(node),
            }
        }
        let node = found?;
        if node.value.kind == ValueKind::Nil {
            T::no_value(&node, report);
            return None;
        }
        T::read(&node, report)
    }

    /// Reports the keys that were not read, as unknown.
    pub fn finish(self, report: &mut Report) {
        for (key, node) in self.rest {
            let near = near(&key, self.known.iter().copied());
            let suggestion = match near.first() {
                Some(name) => format!("did you mean `{name}`?"),
                None => {
                    let known: Vec<&str> = self.known.iter().copied().collect();
                    format!("known here: {}", known.join(", "))
                }
            };
            if report.lenient {
                report.warn(&node.path, format!("unknown key, ignored; {suggestion}"));
            } else {
                node.reject::<()>("unknown key", &suggestion, report);
            }
        }
    }
}

/// A type that can be read from a value, and says what that value looks like.
pub(super) trait FromNode: Describe + Sized {
    /// Reads the value. `None` when it was wrong, which is then in the report.
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self>;

    /// A key without a value (`clients:`) counts as absent, unless the type says otherwise here.
    fn no_value(_node: &ConfigNode<'_>, _report: &mut Report) {}
}

/// What a type finds wrong with this value.
#[cfg(test)]
pub(super) fn mistakes<T: FromNode>(value: &Value) -> Vec<String> {
    let mut report = Report::default();
    let path = String::new();
    T::read(&ConfigNode { value, path }, &mut report);
    let problems = report.problems.into_iter();
    problems.map(|problem| problem.message).collect()
}

/// Declares a section of the configuration: each key with its documentation and other attributes,
/// its other names, its type, and `= required` where the section is refused without it. The documentation goes into
/// the reference and the schema.
macro_rules! section {
    (@doc doc = $text:literal) => { $text };
    (@doc $($other:tt)*) => { "" };
    (@required) => { false };
    (@required required) => { true };
    ($(#[doc = $about:literal])* $name:ident {
        $($(#[$($attribute:tt)*])* $field:ident $(| $alias:ident)* : $type:ty $(= $required:ident)?,)*
    }) => {
        $(#[doc = $about])*
        #[derive(Default)]
        pub(super) struct $name {
            $($(#[$($attribute)*])* pub $field: Option<$type>,)*
        }

        impl FromNode for $name {
            fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
                let mut fields = node.fields(report)?;
                let section = Self {
                    $($field: fields.take(&[stringify!($field) $(, stringify!($alias))*], report),)*
                };
                fields.finish(report);
                Some(section)
            }
        }

        impl $crate::config::describe::Describe for $name {
            fn shape() -> $crate::config::describe::Shape {
                use $crate::config::describe::{Describe, FieldSpec, Section, Shape};
                const SECTION: Section = Section {
                    about: &[$($about),*],
                    fields: &[$(FieldSpec {
                        names: &[stringify!($field) $(, stringify!($alias))*],
                        doc: &[$($crate::config::read::section!(@doc $($attribute)*)),*],
                        required: $crate::config::read::section!(@required $($required)?),
                        shape: <$type as Describe>::shape,
                        #[cfg(test)]
                        mistakes: $crate::config::read::mistakes::<$type>,
                    }),*],
                };
                Shape::section(&SECTION)
            }
        }
    };
}
pub(super) use section;
