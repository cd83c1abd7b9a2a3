//! What the providers' errors mean, as tables: one row is one recognisable answer.
//!
//! A table is ordered by what must not be mistaken: keys, quota, the prompt's size, content, the model,
//! capacity, rate. The rows come from the providers' documentation, their client libraries and reports of what
//! they really send.

pub(in crate::wire) mod clouds;
mod common;
pub(in crate::wire) mod hosts;
pub(in crate::wire) mod local;
pub(in crate::wire) mod makers;
pub(in crate::wire) mod table;

pub(super) use common::{COMMON, STATUSLESS};
#[cfg(test)]
pub(super) use table::ErrorRule;
pub(super) use table::{error_pattern, is_about_the_prompt};
#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::error_doc::ErrorField;
    use crate::wire::providers::PROVIDERS;

    #[test]
    fn every_pattern_compiles() {
        let mut seen = 0;
        let tables = PROVIDERS.iter().filter_map(|row| row.errors);
        for table in tables.chain([&COMMON, &STATUSLESS]) {
            for (at, rule) in table.rules.iter().enumerate() {
                let wants = rule
                    .when
                    .iter()
                    .any(|(field, _)| *field == ErrorField::Message);
                assert_eq!(wants, table.regex(at).is_some(), "{:?}", rule.when);
                seen += 1;
            }
        }
        assert!(seen > 200, "{seen}");
    }
}
