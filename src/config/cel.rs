//! `when.cel`: a condition in the Common Expression Language, where the program was built with the feature `cel`.

use std::sync::Arc;

use serde_json::json;

#[cfg(feature = "cel")]
mod compiled;

use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report};
use crate::domain::when::Condition;

/// `llm.virtual[].upstreams[].when.cel`
pub(super) struct CelForm(pub Arc<dyn Condition>);

impl FromNode for CelForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let text = String::read(node, report)?;
        match compile(text.trim()) {
            Ok(read) => {
                if let Some(doubt) = read.doubt {
                    report.warn(&node.path, doubt);
                }
                Some(Self(read.condition))
            }
            Err(unread) => node.reject(unread.message, unread.suggestion, report),
        }
    }
}

impl Describe for CelForm {
    fn shape() -> Shape {
        let schema = json!({"type": "string", "pattern": r"\S"});
        Shape::plain("expression", schema)
    }
}

/// An expression that was read.
struct CelRead {
    condition: Arc<dyn Condition>,
    /// What may not be meant by it.
    doubt: Option<String>,
}

/// Why an expression was not read.
struct CelUnread {
    message: String,
    suggestion: &'static str,
}

#[cfg(feature = "cel")]
fn compile(text: &str) -> Result<CelRead, CelUnread> {
    let read = compiled::compile(text).map_err(|error| CelUnread {
        message: error.to_string(),
        suggestion: "write an expression such as `request.prompt_tokens > 1000 && !request.stream`",
    })?;
    let doubt = read.missing.map(|field| {
        format!(
            "does not hold where there is no `{field}`, which not every request or upstream has; `has(…)` asks for it"
        )
    });
    Ok(CelRead {
        condition: Arc::new(read.condition),
        doubt,
    })
}

#[cfg(not(feature = "cel"))]
fn compile(_: &str) -> Result<CelRead, CelUnread> {
    Err(CelUnread {
        message: "this program was built without the feature `cel`".to_owned(),
        suggestion: "build it with `cargo build --features cel`, or write the condition with the other keys of `when`",
    })
}
