//! What became of each field of an imported file, and what may be shown of it.

use std::collections::HashMap;

use crate::config::masked;
use crate::domain::secret::ApiKey;

use super::source::SourceNode;

/// The most characters of a value that are shown.
const MOST_SHOWN: usize = 60;

/// How well a field could be taken over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FieldKind {
    /// It means the same here, or needs no setting here.
    Mapped,
    /// Something like it is here; `why` says what differs.
    Approximated,
    /// Nothing here does that; `why` says what it is instead, or what is missing.
    Unsupported,
}

impl FieldKind {
    /// All kinds, best first.
    pub const ALL: [Self; 3] = [Self::Mapped, Self::Approximated, Self::Unsupported];

    /// The kind as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Approximated => "approximated",
            Self::Unsupported => "unsupported",
        }
    }
}

/// What became of one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldReport {
    /// Where it stands in its file: `model_list[0].litellm_params.rpm`.
    pub path: String,
    /// What it says, with whatever may be a secret masked, and cut to a line.
    pub value: String,
    /// The key that it became; empty when it became nothing.
    pub became: String,
    /// How well.
    pub kind: FieldKind,
    /// What differs, what is missing, or what to do; empty when there is nothing to say.
    pub why: String,
}

/// What a row of a table says of a field.
pub(super) enum FieldVerdict {
    /// That this became of it.
    Is(FieldKind, String, String),
    /// That its own fields are told one by one.
    Nested,
}

/// It is this key here.
pub(super) fn mapped(became: impl Into<String>) -> FieldVerdict {
    FieldVerdict::Is(FieldKind::Mapped, became.into(), String::new())
}

/// It is this key here, and something is to be known of it.
pub(super) fn mapped_with(became: impl Into<String>, why: impl Into<String>) -> FieldVerdict {
    FieldVerdict::Is(FieldKind::Mapped, became.into(), why.into())
}

/// It needs no setting here, because of that.
pub(super) fn needless(why: impl Into<String>) -> FieldVerdict {
    FieldVerdict::Is(FieldKind::Mapped, String::new(), why.into())
}

/// It is nearly this key here; that differs.
pub(super) fn approximated(became: impl Into<String>, why: impl Into<String>) -> FieldVerdict {
    FieldVerdict::Is(FieldKind::Approximated, became.into(), why.into())
}

/// It is nothing here, because of that.
pub(super) fn unsupported(why: impl Into<String>) -> FieldVerdict {
    FieldVerdict::Is(FieldKind::Unsupported, String::new(), why.into())
}

/// What is told of the fields so far, in their order.
#[derive(Default)]
pub(super) struct FieldReports {
    all: Vec<FieldReport>,
    /// Where the one of each path is.
    places: HashMap<String, usize>,
}

impl FieldReports {
    /// Tells of a field; of one that was told of already it is kept what was worse.
    pub(super) fn add(&mut self, path: &str, value: String, verdict: FieldVerdict) {
        let FieldVerdict::Is(kind, became, why) = verdict else {
            return;
        };
        let report = FieldReport {
            path: path.to_owned(),
            value,
            became,
            kind,
            why,
        };
        match self.known(path) {
            Some(known) if known.kind >= kind => {}
            Some(known) => *known = report,
            None => {
                self.places.insert(path.to_owned(), self.all.len());
                self.all.push(report);
            }
        }
    }

    fn known(&mut self, path: &str) -> Option<&mut FieldReport> {
        let at = *self.places.get(path)?;
        self.all.get_mut(at)
    }

    /// Tells something else of a field, now that more is known.
    pub(super) fn revise(&mut self, path: &str, verdict: FieldVerdict) {
        let FieldVerdict::Is(kind, became, why) = verdict else {
            return;
        };
        if let Some(known) = self.known(path) {
            *known = FieldReport {
                kind,
                became,
                why,
                path: std::mem::take(&mut known.path),
                value: std::mem::take(&mut known.value),
            };
        }
    }

    /// Whether something was told of a field.
    pub(super) fn knows(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Says of everything at and below a path that it is not taken over, because of that.
    pub(super) fn drop_below(&mut self, path: &str, why: &str) {
        let below = |report: &&mut FieldReport| is_below(&report.path, path);
        for report in self.all.iter_mut().filter(below) {
            if report.kind != FieldKind::Unsupported {
                report.kind = FieldKind::Unsupported;
                report.became.clear();
                why.clone_into(&mut report.why);
            }
        }
    }

    /// Says of everything at and below a path that it needs no setting here, because of that.
    pub(super) fn spare_below(&mut self, path: &str, why: &str) {
        let below = |report: &&mut FieldReport| is_below(&report.path, path);
        for report in self.all.iter_mut().filter(below) {
            report.kind = FieldKind::Mapped;
            report.became.clear();
            why.clone_into(&mut report.why);
        }
    }

    /// Says `key` by its name, at and below each of these paths: `llm.providers[groq]` rather than `llm.providers[]`.
    pub(super) fn name_below(&mut self, key: &str, names: &HashMap<&str, String>) {
        for report in &mut self.all {
            let own = std::iter::once(report.path.as_str());
            let mut paths = own.chain(ancestors(&report.path)).chain([""]);
            if let Some(named) = paths.find_map(|path| names.get(path)) {
                report.became = report.became.replace(key, named);
            }
        }
    }

    /// Says of addresses that were asked of variables why that is.
    pub(super) fn explain_addresses(&mut self) {
        let address = |report: &&mut FieldReport| report.became.ends_with(".base_url");
        for report in self.all.iter_mut().filter(address) {
            if report.why.is_empty() && report.value.contains("****") {
                "what looks like a key in it is not copied: set the variable to the whole address"
                    .clone_into(&mut report.why);
            }
        }
    }

    /// All of them, in the order of the file: what was told later of a part of a field stands behind that field.
    pub(super) fn into_all(self) -> Vec<FieldReport> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut order: Vec<usize> = Vec::new();
        for (at, report) in self.all.iter().enumerate() {
            let above = ancestors(&report.path).find_map(|path| places.get(path).copied());
            let place = above.unwrap_or(at);
            places.insert(&report.path, place);
            order.push(place);
        }
        let mut all: Vec<(usize, FieldReport)> = order.into_iter().zip(self.all).collect();
        all.sort_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, report)| report).collect()
    }
}

/// The paths of the fields that a field is in, innermost first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.rmatch_indices(['.', '[']);
    ends.filter_map(|(end, _)| path.get(..end))
}

fn is_below(path: &str, above: &str) -> bool {
    let rest = path.strip_prefix(above);
    above.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What may be shown of a value: nothing that looks like a key, or stands under a name that belongs to one.
pub(super) fn shown(name: &str, node: &SourceNode) -> String {
    let text = match node {
        SourceNode::Null => String::new(),
        SourceNode::Text(text) if is_secret_name(name) && !is_reference(text) => {
            ApiKey::new(text.as_str()).masked()
        }
        SourceNode::Bool(_) | SourceNode::Number(_) | SourceNode::Text(_) => {
            masked(&node.scalar().unwrap_or_default())
        }
        SourceNode::List(items) if items.iter().all(|item| item.scalar().is_some()) => {
            let items: Vec<String> = items.iter().map(|item| shown(name, item)).collect();
            format!("[{}]", items.join(", "))
        }
        SourceNode::List(items) if items.len() == 1 => "1 entry".to_owned(),
        SourceNode::List(items) => format!("{} entries", items.len()),
        SourceNode::Map(entries) => {
            let keys: Vec<String> = entries.iter().map(|(key, _)| masked(key)).collect();
            format!("{{{}}}", keys.join(", "))
        }
    };
    let text = text.replace(['\n', '\r', '\t'], " ");
    match text.chars().count() > MOST_SHOWN {
        true => text.chars().take(MOST_SHOWN - 1).chain(['…']).collect(),
        false => text,
    }
}

/// Whether keys and passwords stand under such a name.
pub(super) fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 9] = [
        "key",
        "token",
        "secret",
        "password",
        "passwd",
        "credential",
        "authorization",
        "cookie",
        "auth",
    ];
    let name = name.to_ascii_lowercase();
    // There stands the name of a variable, or of something else; what looks like a key there is masked by its form.
    if ["_env", "_env_var", "_name"]
        .iter()
        .any(|end| name.ends_with(end))
    {
        return false;
    }
    let counts = ["max_tokens", "tokens", "max_completion_tokens", "per_token"];
    let counted = counts.iter().any(|count| name.ends_with(count)) || name.contains("cost");
    !counted && PARTS.iter().any(|part| name.contains(part))
}

/// Whether a text names a variable rather than being a secret itself.
pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with("os.environ/") || text.starts_with('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SourceNode {
        SourceNode::Text(text.to_owned())
    }

    #[test]
    fn secrets_are_masked_by_name_and_by_form() {
        for (name, value, expected) in [
            ("redis_password", "uap_core_2025_abcdef", "****cdef"),
            ("redis_password", "hunter2", "****"),
            (
                "api_key",
                "os.environ/GROQ_API_KEY",
                "os.environ/GROQ_API_KEY",
            ),
            (
                "database_url",
                "postgres://me:hunter2@db/x",
                "postgres://****@db/x",
            ),
            (
                "model",
                "groq/llama-3.3-70b-versatile",
                "groq/llama-3.3-70b-versatile",
            ),
            ("anything", "sk-live-0123456789abcdef", "****cdef"),
            ("max_tokens", "131072", "131072"),
        ] {
            assert_eq!(shown(name, &text(value)), expected, "{name}");
        }
        let hidden = SourceNode::Map(vec![("password".to_owned(), text("hunter2"))]);
        assert_eq!(shown("x", &hidden), "{password}");
        assert_eq!(
            shown("tokens_file", &SourceNode::List(vec![text("hunter2")])),
            "[****]"
        );
    }

    #[test]
    fn the_worse_word_on_a_field_stays() {
        let mut reports = FieldReports::default();
        reports.add("a.b", String::new(), unsupported("no"));
        reports.add("a.b", String::new(), mapped("x"));
        reports.add("a.c", String::new(), mapped("llm.providers[].rpm"));
        reports.add("ab", String::new(), mapped("llm.providers[].tpm"));
        let names = HashMap::from([("a", "llm.providers[g]".to_owned())]);
        reports.name_below("llm.providers[]", &names);
        reports.drop_below("a.b", "why");
        reports.add("a.b[0]", String::new(), mapped(""));
        let mut all = reports.into_all();
        assert_eq!(all.remove(1).path, "a.b[0]", "in the order of the file");
        assert_eq!(
            (all[0].kind, all[0].why.as_str()),
            (FieldKind::Unsupported, "no")
        );
        assert_eq!(all[1].became, "llm.providers[g].rpm");
        assert_eq!(all[2].became, "llm.providers[].tpm");
    }
}
