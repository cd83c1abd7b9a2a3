//! Whether JSON is as a JSON Schema says.

use boon::{Compiler, Schemas, UrlLoader};
use serde_json::Value;

/// What the schema is called among what it refers to.
const NAME: &str = "https://schema.invalid/";

/// Reads nothing: a schema refers to itself only.
struct NothingElse;

impl UrlLoader for NothingElse {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("{url} is not fetched: write it into the schema").into())
    }
}

/// Whether `value` is as `schema` says.
///
/// # Errors
/// What is wrong with the value, or with the schema.
pub(super) fn check(schema: &Value, value: &Value) -> Result<(), String> {
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(NothingElse));
    let mut schemas = Schemas::new();
    let unusable = |error: boon::CompileError| format!("the schema cannot be used: {error}");
    compiler
        .add_resource(NAME, schema.clone())
        .map_err(unusable)?;
    let index = compiler.compile(NAME, &mut schemas).map_err(unusable)?;
    schemas.validate(value, index).map_err(|error| {
        let text = error.to_string();
        // The first line names the schema.
        let lines = text.lines().skip(1).map(str::trim);
        lines.collect::<Vec<_>>().join("; ")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_held_against_a_schema_that_refers_to_nothing_else() {
        let schema =
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}});
        assert_eq!(check(&schema, &json!({"a": 1})), Ok(()));
        assert!(
            check(&schema, &json!({"a": "x"}))
                .unwrap_err()
                .contains("/a")
        );
        assert!(check(&schema, &json!({})).is_err());
        let outside = json!({"$ref": "file:///etc/hostname"});
        assert!(
            check(&outside, &json!(1))
                .unwrap_err()
                .contains("cannot be used")
        );
    }
}
