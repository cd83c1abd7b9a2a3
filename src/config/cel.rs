//! `when.cel` and `policy.cel`: conditions and scores in the Common Expression Language, where the program was built with the
//! feature `cel`.

use std::sync::Arc;

use serde_json::json;

#[cfg(feature = "cel")]
mod compiled;

use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report};
use crate::domain::score_expression::ScoreExpression;
use crate::domain::when::Condition;

/// `llm.virtual[].upstreams[].when.cel`
pub(super) struct CelForm(pub Arc<dyn Condition>);

/// `llm.virtual[].policy.cel`
pub(super) struct CelScoreForm(pub Arc<dyn ScoreExpression>);

impl FromNode for CelForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        expression(condition, node, report).map(Self)
    }
}

impl FromNode for CelScoreForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        expression(score, node, report).map(Self)
    }
}

impl Describe for CelForm {
    fn shape() -> Shape {
        let schema = json!({"type": "string", "pattern": r"\S"});
        Shape::plain("expression", schema)
    }
}

impl Describe for CelScoreForm {
    /// A whole number is an expression, too.
    fn shape() -> Shape {
        let schema = json!({"type": ["string", "integer"], "pattern": r"\S"});
        Shape::plain("expression", schema)
    }
}

/// Reads an expression by `compile`; what is wrong or may not be meant goes into the report.
fn expression<T>(
    compile: fn(&str) -> Result<CelRead<T>, CelUnread>,
    node: &ConfigNode<'_>,
    report: &mut Report,
) -> Option<T> {
    let text = String::read(node, report)?;
    match compile(text.trim()) {
        Ok(read) => {
            if let Some(doubt) = read.doubt {
                report.warn(&node.path, doubt);
            }
            Some(read.expression)
        }
        Err(unread) => node.reject(unread.message, unread.suggestion, report),
    }
}

/// An expression that was read.
struct CelRead<T> {
    expression: T,
    /// What may not be meant by it.
    doubt: Option<String>,
}

/// Why an expression was not read.
struct CelUnread {
    message: String,
    suggestion: &'static str,
}

#[cfg(feature = "cel")]
fn condition(text: &str) -> Result<CelRead<Arc<dyn Condition>>, CelUnread> {
    let read = compiled::condition(text).map_err(|error| CelUnread {
        message: error.to_string(),
        suggestion: "write an expression such as `request.prompt_tokens > 1000 && !request.stream`",
    })?;
    let doubt = read.missing.map(|field| {
        format!(
            "does not hold where there is no `{field}`, which not every request or upstream has; `has(…)` asks for it"
        )
    });
    Ok(CelRead {
        expression: Arc::new(read.expression),
        doubt,
    })
}

#[cfg(feature = "cel")]
fn score(text: &str) -> Result<CelRead<Arc<dyn ScoreExpression>>, CelUnread> {
    let read = compiled::score(text).map_err(|error| CelUnread {
        message: error.to_string(),
        suggestion: "write an expression such as `has(target.price_in) ? 1.0 / (0.1 + target.price_in) : 0.1`",
    })?;
    let doubt = read.missing.map(|field| {
        format!(
            "gives no score where there is no `{field}`, which not every request or upstream has, and leaves such an upstream \
             out; `has(…)` asks for it"
        )
    });
    Ok(CelRead {
        expression: Arc::new(read.expression),
        doubt,
    })
}

#[cfg(any(test, not(feature = "cel")))]
fn unavailable<T>(suggestion: &'static str) -> Result<CelRead<T>, CelUnread> {
    Err(CelUnread {
        message: "this program was built without the feature `cel`; build it with `cargo build --features cel`".to_owned(),
        suggestion,
    })
}

#[cfg(not(feature = "cel"))]
fn condition(_: &str) -> Result<CelRead<Arc<dyn Condition>>, CelUnread> {
    unavailable("write the condition with the other keys of `when`")
}

#[cfg(not(feature = "cel"))]
fn score(_: &str) -> Result<CelRead<Arc<dyn ScoreExpression>>, CelUnread> {
    unavailable("make the score of the other keys of `policy`")
}

#[cfg(test)]
mod tests {
    use super::unavailable;

    #[test]
    fn a_program_without_the_language_says_how_to_build_one_with_it() {
        let unread = unavailable::<()>("write it otherwise").err();
        let said = unread.map(|unread| unread.message).unwrap_or_default();
        assert!(said.contains("without the feature `cel`"), "{said}");
        assert!(said.contains("cargo build --features cel"), "{said}");
    }
}
