//! Portkey's conditions: those that a header or the request's form can tell become `when`.

use crate::import::field_report::{approximated, mapped, unsupported};
use crate::import::importer::Importer;
use crate::import::source::SourceNode;
use crate::import::tree::YamlTree;

/// The header in which a request carries what is to be known of it.
const METADATA: &str = "x-portkey-metadata";

/// A condition, and the target that it leads to.
pub(super) struct PortkeyCondition {
    pub(super) then: String,
    /// When it holds: one of these. `None` where nothing here can tell.
    pub(super) when: Option<Vec<YamlTree>>,
}

/// Reads the conditions of a strategy.
pub(super) fn read_conditions(
    list: &SourceNode,
    path: &str,
    importer: &mut Importer<'_>,
) -> Vec<PortkeyCondition> {
    let mut conditions = Vec::new();
    for (at, one) in list.items().iter().enumerate() {
        let path = format!("{path}[{at}]");
        let then = one
            .get("then")
            .and_then(SourceNode::name)
            .unwrap_or_default();
        let query = one.get("query").unwrap_or(&SourceNode::Null);
        let read = when(query);
        let shown = crate::import::field_report::shown("query", query);
        let (when, verdict) = match read {
            Ok((when, exact)) => {
                let became = "llm.virtual[].upstreams[].when";
                let verdict = match exact {
                    true => mapped(became),
                    false => approximated(became, format!("by the text of the header {METADATA}")),
                };
                (Some(when), verdict)
            }
            Err(why) => (None, unsupported(why)),
        };
        importer
            .reports
            .add(&format!("{path}.query"), shown, verdict);
        let known = mapped("llm.virtual[].upstreams");
        importer
            .reports
            .add(&format!("{path}.then"), then.to_owned(), known);
        conditions.push(PortkeyCondition {
            then: then.to_owned(),
            when,
        });
    }
    conditions
}

/// The alternatives in which a query holds, and whether they are exactly that.
fn when(query: &SourceNode) -> Result<(Vec<YamlTree>, bool), String> {
    let mut all = vec![YamlTree::map()];
    let mut exact = true;
    for (key, value) in query.entries() {
        let (alternatives, precise) = match key.as_str() {
            "$and" => {
                let mut joined = vec![YamlTree::map()];
                let mut precise = true;
                for part in value.items() {
                    let (next, one) = when(part)?;
                    joined = both(&joined, &next)?;
                    precise &= one;
                }
                (joined, precise)
            }
            "$or" => {
                let mut any = Vec::new();
                let mut precise = true;
                for part in value.items() {
                    let (next, one) = when(part)?;
                    any.extend(next);
                    precise &= one;
                }
                (any, precise)
            }
            key => compared(key, value)?,
        };
        all = both(&all, &alternatives)?;
        exact &= precise;
    }
    match query.entries().is_empty() || all.is_empty() {
        true => Err("expected a query".to_owned()),
        false => Ok((all, exact)),
    }
}

/// What a field is compared with.
fn compared(key: &str, value: &SourceNode) -> Result<(Vec<YamlTree>, bool), String> {
    let values: Vec<&SourceNode> = match value {
        SourceNode::Map(operators) => match &**operators {
            [(operator, value)] if operator == "$eq" => vec![value],
            [(operator, value)] if operator == "$in" => value.items().iter().collect(),
            [(operator, _)] => {
                return Err(format!(
                    "{operator} has no counterpart: write it as `when: {{cel: …}}`"
                ));
            }
            _ => return Err("several operators on one field have no counterpart".to_owned()),
        },
        plain => vec![plain],
    };
    let mut all = Vec::new();
    for value in values {
        let text = value.scalar().ok_or("expected a plain value")?;
        let mut when = YamlTree::map();
        if let Some(name) = key.strip_prefix("metadata.") {
            if text.contains('*') || name.contains('*') {
                return Err("a star stands for any text here".to_owned());
            }
            let quoted = if matches!(value, SourceNode::Text(_)) {
                format!("\"{text}\"")
            } else {
                text
            };
            let pattern = format!("*\"{name}\"*{quoted}*");
            when.set(&["header", METADATA], YamlTree::literal(&pattern));
            all.push((when, false));
        } else if key == "params.stream" {
            when.set(&["stream"], YamlTree::bare(text == "true"));
            all.push((when, true));
        } else {
            return Err(format!(
                "{key} is not looked at: ask for the target by its name"
            ));
        }
    }
    let exact = all.iter().all(|(_, exact)| *exact);
    Ok((all.into_iter().map(|(when, _)| when).collect(), exact))
}

/// Conditions of which one of each side holds.
fn both(left: &[YamlTree], right: &[YamlTree]) -> Result<Vec<YamlTree>, String> {
    const MOST: usize = 32;
    let mut all = Vec::new();
    for one in left {
        for other in right {
            let mut joined = one.clone();
            let YamlTree::Map(entries) = other else {
                continue;
            };
            for (key, value) in entries {
                if joined.get(&[key]).is_some_and(|known| known != value) {
                    return Err("two conditions on what one header says have no counterpart: write them as `when: {cel: …}`".to_owned());
                }
                joined.set(&[key], value.clone());
            }
            all.push(joined);
        }
    }
    match all.len() > MOST {
        true => Err(format!("it has more than {MOST} alternatives")),
        false => Ok(all),
    }
}
