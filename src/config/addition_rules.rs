//! `additions`: what may be added while the process runs.

use super::additions::AdditionRules;
use super::read::{ConfigNode, FromNode, Report, section};
use super::values::Names;

section! {
    /// `additions`
    AdditionsSection {
        /// Whether providers and keys may be added by way of the admin listener. Whoever may do that decides where secrets
        /// of this process are sent. Default: true where the admin listener asks for a token, else false.
        allow: bool,
        /// The programs that may be run for a key (`exec:`), by their whole paths. Default: none.
        exec: Names,
    }
}

/// What is typed about additions. `tokens`: the admin listener asks for one.
pub(super) fn rules(
    raw: Option<AdditionsSection>,
    tokens: bool,
    report: &mut Report,
) -> AdditionRules {
    let raw = raw.unwrap_or_default();
    let exec = raw.exec.map(|names| names.0).unwrap_or_default();
    for program in exec.iter().filter(|program| !program.starts_with('/')) {
        let message = format!("`{program}` is no whole path");
        report.problem(
            "additions.exec",
            message,
            "write /usr/local/bin/key-of, say",
        );
    }
    AdditionRules {
        allow: raw.allow.unwrap_or(tokens),
        exec,
    }
}
