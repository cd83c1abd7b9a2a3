//! Tables of fields: one row for each field of a format, which says what becomes of it.

use super::field_report::{FieldVerdict, needless, shown, unsupported};
use super::importer::Importer;
use super::source::SourceNode;

/// A field of a file.
pub(super) struct SourceField<'a> {
    /// Where it stands.
    pub(super) path: String,
    /// Its key.
    pub(super) name: &'a str,
    /// What it says.
    pub(super) node: &'a SourceNode,
}

impl SourceField<'_> {
    /// What to say when it is of no type that is understood.
    pub(super) fn wrong(&self, expected: &str) -> FieldVerdict {
        unsupported(format!("expected {expected}"))
    }
}

/// Reads a field into what is being put together of its section.
pub(super) type FieldReader<T> = fn(&mut T, &SourceField<'_>, &mut Importer<'_>) -> FieldVerdict;

/// What becomes of a field.
pub(super) enum FieldRule<T> {
    /// This reads it.
    Read(FieldReader<T>),
    /// It needs no setting here, because of that.
    Needless(&'static str),
    /// Nothing here does that.
    Lacks(&'static str),
}

/// A row of a table: the names of a field, and what becomes of it.
pub(super) type FieldRow<T> = (&'static [&'static str], FieldRule<T>);

/// Reads the fields of a section by a table; what the table does not know goes by `others`.
pub(super) fn read_fields<T>(
    rows: &[FieldRow<T>],
    others: &FieldRule<T>,
    target: &mut T,
    node: &SourceNode,
    path: &str,
    importer: &mut Importer<'_>,
) {
    for (name, node) in node.entries() {
        let field = SourceField {
            path: joined(path, name),
            name,
            node,
        };
        let row = rows
            .iter()
            .find(|(names, _)| names.contains(&name.as_str()));
        let rule = row.map_or(others, |(_, rule)| rule);
        let verdict = match rule {
            _ if *node == SourceNode::Null => needless("nothing stands there"),
            FieldRule::Read(read) => read(target, &field, importer),
            FieldRule::Needless(why) => needless(*why),
            FieldRule::Lacks(why) => unsupported(*why),
        };
        importer
            .reports
            .add(&field.path, shown(name, node), verdict);
    }
}

/// The path of a key below another one.
pub(super) fn joined(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && !key.contains(['.', '[', ' ', '"']);
    match (path, plain) {
        ("", true) => key.to_owned(),
        (path, true) => format!("{path}.{key}"),
        (path, false) => format!("{path}[{key:?}]"),
    }
}
