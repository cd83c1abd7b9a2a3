//! What a table of errors is, and which of its rows knows an answer.
//!
//! A row holds when its status is among those listed (none listed: any) and every fact it names is found.
//! The first row that holds wins.

use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

use crate::domain::outcome::Class;
use crate::wire::error_doc::{Doc, ErrorField};

/// One row: a class, and what it is known by.
pub(in crate::wire) struct ErrorRule {
    pub(in crate::wire::classify) class: Class,
    /// Among these; none: any.
    pub(in crate::wire::classify) status: &'static [u16],
    pub(in crate::wire::classify) when: &'static [(ErrorField, &'static str)],
}

/// A provider's rows. A row's regular expression is compiled when an error first comes that only it can decide: all
/// of them at once would take longer than many a caller waits.
pub(in crate::wire) struct ErrorTable {
    pub(in crate::wire) rules: &'static [ErrorRule],
    compiled: OnceLock<Vec<OnceLock<Option<Regex>>>>,
}

/// Declares a table: `[statuses] Class if ErrorField "value", ErrorField "value";`, or `[statuses] Class;`.
/// A `Message` is a regular expression that ignores case.
macro_rules! table {
    ($name:ident $([$($status:literal),*] $class:ident $(if $($field:ident $value:literal),+)?;)+) => {
        pub(in crate::wire) static $name: ErrorTable = ErrorTable::new(&[$(
            $crate::wire::classify::tables::table::ErrorRule {
                class: $crate::domain::outcome::Class::$class,
                status: &[$($status),*],
                when: &[$($(($crate::wire::error_doc::ErrorField::$field, $value)),+)?],
            },
        )+]);
    };
}
pub(super) use table;

/// Messages that speak of size without meaning the prompt: an output cap, or a rate in tokens.
static NOT_THE_PROMPT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    error_pattern(
        r"max_(completion_|output_|new_)?tokens['`]?.{0,40}(is too large|too large|exceeds (the )?(limit|maximum)|must be less)|supports at most [\d,]+ (completion |output )?tokens|throttl|rate.?limit|please wait|too many requests",
    )
});

impl ErrorTable {
    pub(super) const fn new(rules: &'static [ErrorRule]) -> Self {
        Self {
            rules,
            compiled: OnceLock::new(),
        }
    }

    /// The regular expression of row `at`; `None` where it has none.
    pub(super) fn regex(&self, at: usize) -> Option<&Regex> {
        let compiled = self
            .compiled
            .get_or_init(|| self.rules.iter().map(|_| OnceLock::new()).collect());
        let rule = self.rules.get(at)?;
        let regex = compiled.get(at)?.get_or_init(|| {
            let mut facts = rule.when.iter();
            let (_, text) = facts.find(|(field, _)| *field == ErrorField::Message)?;
            error_pattern(text)
        });
        regex.as_ref()
    }

    /// The class of the first row that knows the error by something it says. A status that is not known
    /// contradicts no row, but then mere words take no key and no model away (see [`ErrorRule::allows`]).
    pub(in crate::wire::classify) fn by_facts(
        &self,
        status: Option<u16>,
        doc: &Doc,
    ) -> Option<Class> {
        let rows = self.rules.iter().enumerate();
        rows.filter(|(_, rule)| !rule.when.is_empty() && rule.allows(status))
            .find(|(at, rule)| rule.holds(doc) && rule.says(doc, || self.regex(*at)))
            .map(|(_, rule)| rule.class)
    }

    /// The class of the first row that knows the error by its status alone.
    pub(in crate::wire::classify) fn by_status(&self, status: u16) -> Option<Class> {
        let mut bare = self.rules.iter().filter(|rule| rule.when.is_empty());
        bare.find(|rule| rule.status.contains(&status))
            .map(|rule| rule.class)
    }
}

impl ErrorRule {
    /// Whether the row may decide about an answer with this status. Without one, words that mean a key, a credit or a
    /// model beside their own status may mean anything (a tool of an agent has keys, too, and every engine speaks of
    /// its model): such rows need a code or a type.
    fn allows(&self, status: Option<u16>) -> bool {
        let Some(status) = status else {
            return self.status.is_empty() || !self.blames() || self.is_coded();
        };
        self.status.is_empty() || self.status.contains(&status)
    }

    /// Whether the row makes a key or a model unavailable to all requests.
    fn blames(&self) -> bool {
        matches!(
            self.class,
            Class::InvalidKey | Class::QuotaExhausted | Class::ModelGone
        )
    }

    /// Whether the row asks for something that was chosen to be compared, such as a code or a type.
    fn is_coded(&self) -> bool {
        let loose = |field| {
            matches!(
                field,
                ErrorField::Message | ErrorField::Body | ErrorField::Header
            )
        };
        self.when.iter().any(|(field, _)| !loose(*field))
    }

    /// Whether every fact but the words is found.
    fn holds(&self, doc: &Doc) -> bool {
        let mut facts = self.when.iter();
        facts.all(|(field, value)| *field == ErrorField::Message || doc.says(*field, value))
    }

    /// Whether the words, if the row asks for any, are found.
    fn says<'a>(&self, doc: &Doc, regex: impl FnOnce() -> Option<&'a Regex>) -> bool {
        if self
            .when
            .iter()
            .all(|(field, _)| *field != ErrorField::Message)
        {
            return true;
        }
        let text = doc.text().as_bytes();
        if text.trim_ascii().is_empty() {
            return false;
        }
        let about_the_prompt = self.class != Class::ContextOverflow
            || self.status == [413]
            || is_about_the_prompt(text);
        about_the_prompt && regex().is_some_and(|regex| regex.is_match(text))
    }
}

/// Whether a message that speaks of size may mean the prompt.
pub(in crate::wire::classify) fn is_about_the_prompt(text: &[u8]) -> bool {
    let not = NOT_THE_PROMPT.as_ref();
    !not.is_some_and(|not| not.is_match(text))
}

/// A pattern in the words of an error. It ignores case, and `.` is any byte. Bytes and ASCII: what upstreams say needs no more, and Unicode's classes make repetitions many times as large and
/// slow to compile, which the first error of a process would wait for.
pub(in crate::wire::classify) fn error_pattern(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_prompt_compiles() {
        assert!(NOT_THE_PROMPT.is_some());
    }
}
