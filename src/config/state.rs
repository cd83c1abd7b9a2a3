//! `state`: whether the state of keys is kept in a file, for the next process.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::Context;
use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report, section};

section! {
    /// `state`
    State {
        /// The file, relative to this one. Absent: nothing is kept.
        path: StateFile,
    }
}

/// `state.path`
pub(super) struct StateFile(PathBuf);

impl StateFile {
    /// The whole path.
    pub(super) fn at(self, dir: &Path) -> PathBuf {
        dir.join(self.0)
    }
}

impl FromNode for StateFile {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let text = String::read(node, report)?;
        let path = text.trim();
        if path.is_empty() || path.ends_with('/') {
            let suggestion = "write /var/lib/pointsman/state.json, say, or remove state";
            return node.reject("names no file", suggestion, report);
        }
        Some(Self(PathBuf::from(path)))
    }
}

impl Describe for StateFile {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "integer"}, {"type": "string", "pattern": "[^/\\s]\\s*$"}
        ]});
        Shape::plain("path of a file", schema)
    }
}

/// The whole path, when there is one.
pub(super) fn path(raw: Option<State>, context: &Context<'_>) -> Option<PathBuf> {
    Some(raw?.path?.at(&context.dir))
}
