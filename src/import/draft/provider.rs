//! A provider as a file describes it.

use crate::config::catalog::{self, BuiltIn};
use crate::config::masked;
use crate::import::spans::span;
use crate::import::tree::YamlTree;
use crate::import::variables::variable_name;

/// How long an attempt, and a request as a whole, may take where the configuration does not say so.
pub(super) const USUAL_MILLIS: u64 = 600_000;

/// A provider as a file describes it. Equal ones become one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::import) struct DraftProvider {
    /// What it should be called.
    pub(in crate::import) hint: String,
    /// The built-in provider that it is.
    pub(in crate::import) builtin: Option<&'static BuiltIn>,
    /// Its keys, but `name`, `models` and `prices`.
    pub(in crate::import) settings: YamlTree,
    /// How long its whole answers may take, in milliseconds; 0 where nothing says so.
    pub(super) timeout: u64,
}

impl DraftProvider {
    /// The built-in provider of that name or alias.
    pub(in crate::import) fn built_in(name: &str) -> Self {
        Self {
            hint: name.to_owned(),
            builtin: catalog::find(name),
            settings: YamlTree::map(),
            timeout: 0,
        }
    }

    /// A provider of one's own.
    pub(in crate::import) fn own(hint: &str) -> Self {
        Self {
            hint: hint.to_owned(),
            builtin: None,
            settings: YamlTree::map(),
            timeout: 0,
        }
    }

    /// Sets one of its keys.
    pub(in crate::import) fn set(&mut self, path: &[&str], value: YamlTree) {
        self.settings.set(path, value);
    }

    /// Sets how long whole answers may take, in milliseconds.
    pub(in crate::import) fn set_timeout(&mut self, millis: u64) {
        self.timeout = millis;
        if millis > USUAL_MILLIS {
            self.set(&["timeouts", "total"], span(millis));
        }
        self.set(&["timeouts", "response"], span(millis));
    }

    /// Whether it has that key.
    pub(in crate::import) fn has(&self, key: &str) -> bool {
        self.settings.get(&[key]).is_some()
    }

    /// The variable that its key is usually in.
    pub(in crate::import) fn usual_variable(&self) -> String {
        let usual = self.builtin.and_then(|entry| entry.env.first());
        usual.cloned().unwrap_or_else(|| {
            let name = variable_name(&self.hint);
            format!("{name}_API_KEY")
        })
    }
}

impl DraftProvider {
    /// What it is called if nothing else is: a name that a provider may have, and that means no built-in one by accident.
    pub(super) fn base_name(&self) -> String {
        let letters = self.hint.trim().chars().map(|c| match c {
            ':' | ',' | '*' => '-',
            c if c.is_whitespace() || c.is_control() => '-',
            c => c,
        });
        let name: String = letters.collect();
        let name = match name.is_empty() || masked(&name) != name {
            true => "provider".to_owned(),
            false => name,
        };
        // A built-in name would bring that provider's dialect, and its keys to a stranger.
        let brings = |entry: &BuiltIn| {
            let keyless = !self.has("api_key") && !entry.local;
            keyless || entry.cloud.is_some() || entry.dialect().id() != "openai"
        };
        match self.builtin.is_none() && catalog::find(&name).is_some_and(brings) {
            true => format!("{name}-custom"),
            false => name,
        }
    }
}
