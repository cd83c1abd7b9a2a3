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
                    false => approximated(
                        became,
                        format!("by the text of the header {METADATA}, as JSON on one line"),
                    ),
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

/// One way in which a query holds.
#[derive(Clone, Default)]
struct Alternative {
    /// Fields of the metadata, and what they say as JSON.
    fields: Vec<(String, String)>,
    stream: Option<bool>,
}

/// The most ways in which a query may hold.
const MOST: usize = 32;
/// The most fields of the metadata that one of them may name: they are looked for in every order.
const MOST_FIELDS: usize = 3;

/// The conditions of which one holds when a query does, and whether they are exactly that.
fn when(query: &SourceNode) -> Result<(Vec<YamlTree>, bool), String> {
    let alternatives = alternatives(query)?;
    let exact = alternatives.iter().all(|one| one.fields.is_empty());
    let mut all = Vec::new();
    for one in &alternatives {
        all.extend(one.conditions()?);
    }
    match all.len() {
        0 => Err("never holds".to_owned()),
        1..=MOST => Ok((all, exact)),
        _ => Err(too_many()),
    }
}

fn too_many() -> String {
    format!("it has more than {MOST} alternatives: write it as `when: {{cel: …}}`")
}

fn alternatives(query: &SourceNode) -> Result<Vec<Alternative>, String> {
    if query.entries().is_empty() {
        return Err("expected a query".to_owned());
    }
    let mut all = vec![Alternative::default()];
    for (key, value) in query.entries() {
        let mut more = Vec::new();
        match key.as_str() {
            "$and" => {
                more.push(Alternative::default());
                for part in value.items() {
                    more = both(&more, &alternatives(part)?);
                }
            }
            "$or" => {
                for part in value.items() {
                    more.extend(alternatives(part)?);
                }
            }
            key => more = compared(key, value)?,
        }
        all = both(&all, &more);
        if all.len() > MOST {
            return Err(too_many());
        }
    }
    Ok(all)
}

/// What a field is compared with.
fn compared(key: &str, value: &SourceNode) -> Result<Vec<Alternative>, String> {
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
        if let Some(name) = key.strip_prefix("metadata.") {
            let odd = |text: &str| text.contains(['*', '"', '\\']);
            if odd(&text) || odd(name) {
                return Err("stars and quotes cannot be looked for in a header".to_owned());
            }
            let json = match value {
                SourceNode::Text(_) => format!("\"{text}\""),
                _ => text,
            };
            all.push(Alternative {
                fields: vec![(name.to_owned(), json)],
                stream: None,
            });
        } else if key == "params.stream" {
            all.push(Alternative {
                fields: Vec::new(),
                stream: Some(text == "true"),
            });
        } else {
            return Err(format!(
                "{key} is not looked at: ask for the target by its name"
            ));
        }
    }
    Ok(all)
}

/// The ways in which one of each side holds.
fn both(left: &[Alternative], right: &[Alternative]) -> Vec<Alternative> {
    let pairs = left
        .iter()
        .flat_map(|one| right.iter().map(move |other| (one, other)));
    pairs.filter_map(|(one, other)| one.and(other)).collect()
}

impl Alternative {
    /// Both at once; `None` where they contradict each other.
    fn and(&self, other: &Self) -> Option<Self> {
        let mut joined = self.clone();
        for (name, json) in &other.fields {
            match joined.fields.iter().find(|(known, _)| known == name) {
                Some((_, known)) if known == json => {}
                Some(_) => return None,
                None => joined.fields.push((name.clone(), json.clone())),
            }
        }
        match (joined.stream, other.stream) {
            (Some(one), Some(other)) if one != other => None,
            (one, other) => {
                joined.stream = one.or(other);
                Some(joined)
            }
        }
    }

    /// As conditions: texts that the header has in the forms in which programs write JSON on one line.
    fn conditions(&self) -> Result<Vec<YamlTree>, String> {
        let mut blank = YamlTree::map();
        if let Some(stream) = self.stream {
            blank.set(&["stream"], YamlTree::bare(stream));
        }
        if self.fields.is_empty() {
            return Ok(vec![blank]);
        }
        if self.fields.len() > MOST_FIELDS {
            return Err(format!(
                "it looks at more than {MOST_FIELDS} fields at once: write it as `when: {{cel: …}}`"
            ));
        }
        let mut all = Vec::new();
        for colon in [":", ": "] {
            for order in orders(&self.fields) {
                for end in ends(&order) {
                    let mut pattern = String::from("*");
                    for (at, (name, json)) in order.iter().enumerate() {
                        let last = at + 1 == order.len();
                        let after = match (last, json.ends_with('"')) {
                            (true, _) => end,
                            (false, true) => "",
                            (false, false) => ",",
                        };
                        pattern += &format!("\"{name}\"{colon}{json}{after}*");
                    }
                    let mut condition = blank.clone();
                    condition.set(&["header", METADATA], YamlTree::literal(&pattern));
                    all.push(condition);
                }
            }
        }
        Ok(all)
    }
}

/// What may stand behind the last field: a number ends where the next field, or nothing more, comes.
fn ends(order: &[(String, String)]) -> &'static [&'static str] {
    match order.last() {
        Some((_, json)) if !json.ends_with('"') => &[",", "}"],
        _ => &[""],
    }
}

/// All orders of a few fields.
fn orders(fields: &[(String, String)]) -> Vec<Vec<(String, String)>> {
    if fields.len() < 2 {
        return vec![fields.to_vec()];
    }
    let mut all = Vec::new();
    for (at, first) in fields.iter().enumerate() {
        let mut rest = fields.to_vec();
        rest.remove(at);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}
