//! What all readers of formats share: the report, the draft, and the names of variables for keys.

use super::draft::ConfigDraft;
use super::field_report::{FieldReports, is_secret_name};
use super::source::SourceNode;
use super::tree::YamlTree;
use super::variables::{dollars, is_variable, variable_name};
use crate::config::masked;
use crate::domain::secret::ApiKey;

/// Texts that programs ask for where no key is needed.
const PLACEHOLDERS: [&str; 18] = [
    "",
    "-",
    "?",
    "any",
    "anything",
    "dummy",
    "dummy-key",
    "empty",
    "fake",
    "fake-key",
    "lm-studio",
    "lmstudio",
    "no-key",
    "none",
    "not-needed",
    "ollama",
    "placeholder",
    "sk-no-key-required",
];

/// How a format refers to environment variables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum References {
    /// Not at all.
    None,
    /// `os.environ/NAME`, as the whole text.
    OsEnviron,
    /// `$NAME` and `${NAME}`, anywhere.
    Dollar,
}

/// An import under way.
pub(super) struct Importer<'a> {
    /// What became of the fields.
    pub(super) reports: FieldReports,
    /// What will be written.
    pub(super) draft: ConfigDraft,
    /// Reads a file that this one includes.
    pub(super) include: &'a dyn Fn(&str) -> Result<String, String>,
    references: References,
    copy_keys: bool,
    /// Variables that the result names.
    variables: Vec<String>,
    /// Variables that the source names somewhere: no other key may be given their names.
    reserved: Vec<String>,
    /// Keys that were written out, by the variables that they are asked of now.
    literals: Vec<(ApiKey, String)>,
}

impl<'a> Importer<'a> {
    pub(super) fn new(
        references: References,
        copy_keys: bool,
        include: &'a dyn Fn(&str) -> Result<String, String>,
    ) -> Self {
        Self {
            reports: FieldReports::default(),
            draft: ConfigDraft::default(),
            include,
            references,
            copy_keys,
            variables: Vec::new(),
            reserved: Vec::new(),
            literals: Vec::new(),
        }
    }

    /// The variables that the result names, as they came.
    pub(super) fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Takes note of all variables that a file names, before any of its keys is given a name.
    pub(super) fn reserve(&mut self, node: &SourceNode) {
        match node {
            SourceNode::Text(text) => {
                if let Some((_, names)) = self.referring(text) {
                    self.reserved.extend(names);
                }
            }
            SourceNode::List(items) => items.iter().for_each(|item| self.reserve(item)),
            SourceNode::Map(entries) => entries.iter().for_each(|(_, item)| self.reserve(item)),
            SourceNode::Null | SourceNode::Bool(_) | SourceNode::Number(_) => {}
        }
    }

    /// Takes note of one variable's name.
    pub(super) fn reserve_name(&mut self, name: &str) {
        self.reserved.push(name.to_owned());
    }

    /// A text as it is to be written, and the variables in it; `None` when there are none.
    fn referring(&self, text: &str) -> Option<(YamlTree, Vec<String>)> {
        match self.references {
            References::None => None,
            References::OsEnviron => {
                let name = text.trim().strip_prefix("os.environ/")?.trim();
                is_variable(name).then(|| (YamlTree::variable(name), vec![name.to_owned()]))
            }
            References::Dollar => dollars(text),
        }
    }

    /// Whether a text names a variable.
    pub(super) fn refers(&self, text: &str) -> bool {
        self.referring(text).is_some()
    }

    /// A text as it is to be written.
    pub(super) fn text(&mut self, text: &str) -> YamlTree {
        match self.referring(text) {
            Some((tree, names)) => {
                names.iter().for_each(|name| self.name(name));
                tree
            }
            None => YamlTree::literal(text),
        }
    }

    /// A text that must not be written where it looks like a key. `wanted` names the variable then.
    pub(super) fn guarded(&mut self, text: &str, wanted: &str) -> YamlTree {
        match masked(text) == text || self.refers(text) {
            true => self.text(text),
            false => self
                .secret(text, wanted)
                .map_or_else(|| YamlTree::literal(""), |(key, _)| key),
        }
    }

    /// The address of a provider. One with a key in it is asked of a variable that is named after the provider.
    pub(super) fn address(&mut self, url: &str, provider: &str) -> YamlTree {
        self.guarded(url.trim(), &format!("{provider}_BASE_URL"))
    }

    /// A value as it is to be written, such as a parameter of requests. What looks like a key is asked of a variable.
    pub(super) fn tree(&mut self, name: &str, node: &SourceNode) -> YamlTree {
        match node {
            SourceNode::Null => YamlTree::bare("null"),
            SourceNode::Bool(said) => YamlTree::bare(said),
            SourceNode::Number(text) => YamlTree::bare(text),
            SourceNode::Text(text) if is_secret_name(name) => match self.secret(text, name) {
                Some((key, _)) => key,
                None => YamlTree::literal(text),
            },
            SourceNode::Text(text) => self.guarded(text, name),
            SourceNode::List(items) => {
                YamlTree::List(items.iter().map(|item| self.tree(name, item)).collect())
            }
            SourceNode::Map(entries) => {
                let tree =
                    |(key, value): &(String, SourceNode)| (key.clone(), self.tree(key, value));
                YamlTree::Map(entries.iter().map(tree).collect())
            }
        }
    }

    /// The variable of that name.
    pub(super) fn variable(&mut self, name: &str) -> YamlTree {
        self.name(name);
        YamlTree::variable(name)
    }

    fn name(&mut self, name: &str) {
        if !self.variables.iter().any(|known| known == name) {
            self.variables.push(name.to_owned());
        }
    }

    /// A secret as it is to be written, and what to say of it: a variable's value, by the name that it had or by `wanted`.
    /// `None` for a text that only stands in a key's place.
    pub(super) fn secret(&mut self, text: &str, wanted: &str) -> Option<(YamlTree, String)> {
        let text = text.trim();
        if self.refers(text) {
            return Some((self.text(text), String::new()));
        }
        if PLACEHOLDERS.contains(&text.to_ascii_lowercase().as_str()) {
            return None;
        }
        if self.copy_keys {
            let why = "the key was copied, as asked: keep the file from others' eyes";
            return Some((YamlTree::literal(text), why.to_owned()));
        }
        let key = ApiKey::new(text);
        let known = self.literals.iter().find(|(known, _)| *known == key);
        let name = known.map(|(_, name)| name.clone());
        let name = name.unwrap_or_else(|| {
            let name = self.free_name(wanted);
            self.literals.push((key, name.clone()));
            name
        });
        let why = format!("the key itself is not copied: set {name} to it");
        Some((self.variable(&name), why))
    }

    /// A variable's name that nothing else has.
    fn free_name(&self, wanted: &str) -> String {
        let wanted = variable_name(wanted);
        let taken = |name: &String| {
            let mut literals = self.literals.iter();
            self.reserved.contains(name) || literals.any(|(_, known)| known == name)
        };
        let numbered = (2..).map(|number: u32| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        names.find(|name| !taken(name)).unwrap_or(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn importer(references: References, copy: bool) -> Importer<'static> {
        Importer::new(references, copy, &|_| Err(String::new()))
    }

    fn yaml(tree: &YamlTree) -> String {
        tree.to_yaml().trim().to_owned()
    }

    #[test]
    fn variables_are_named_in_each_formats_own_way() {
        let mut dollar = importer(References::Dollar, false);
        assert_eq!(yaml(&dollar.text("$A/x/${B}")), "\"${A}/x/${B}\"");
        assert_eq!(
            yaml(&dollar.text("cost: 5$, ${a-b}")),
            "\"cost: 5$, $${a-b}\""
        );
        assert_eq!(dollar.variables(), ["A", "B"]);
        let mut environ = importer(References::OsEnviron, false);
        assert_eq!(yaml(&environ.text("os.environ/KEY")), "\"${KEY}\"");
        assert_eq!(yaml(&environ.text("${KEY}")), "\"$${KEY}\"");
    }

    #[test]
    fn keys_that_are_written_out_get_names_that_nothing_else_has() {
        let mut one = importer(References::OsEnviron, false);
        one.reserve(&SourceNode::List(vec![SourceNode::Text(
            "os.environ/OPENAI_API_KEY".to_owned(),
        )]));
        let (key, why) = one.secret("sk-first", "OPENAI_API_KEY").unwrap();
        assert_eq!(yaml(&key), "\"${OPENAI_API_KEY_2}\"");
        assert!(why.contains("OPENAI_API_KEY_2") && !why.contains("first"));
        let (again, _) = one.secret("sk-first", "OTHER").unwrap();
        assert_eq!(again, key);
        let (other, _) = one.secret("sk-second", "OPENAI_API_KEY").unwrap();
        assert_eq!(yaml(&other), "\"${OPENAI_API_KEY_3}\"");
        assert!(one.secret("EMPTY", "X").is_none());
        let (copied, _) = importer(References::None, true)
            .secret("sk-first", "X")
            .unwrap();
        assert_eq!(yaml(&copied), "sk-first");
    }
}
