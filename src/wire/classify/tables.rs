//! What the providers' errors mean, as tables: one row is one recognisable answer.
//!
//! A row holds when its status is among those listed (none listed: any) and every fact it names is found.
//! The first row that holds wins, so a table is ordered by what must not be mistaken: keys, quota, the
//! prompt's size, content, the model, capacity, rate. The rows come from the providers' documentation, their
//! client libraries and reports of what they really send.

mod clouds;
mod common;
mod hosts;
mod local;
mod makers;

use std::sync::{LazyLock, OnceLock};

use regex::{Regex, RegexBuilder};

use crate::domain::outcome::Class;
use crate::wire::error_doc::{Doc, Field};

pub(super) use common::COMMON;

/// One row: a class, and what it is known by.
pub(super) struct Rule {
    class: Class,
    status: &'static [u16],
    when: &'static [(Field, &'static str)],
}

/// A provider's rows. Their regular expressions are compiled when the provider's first error arrives.
pub(super) struct Table {
    rules: &'static [Rule],
    compiled: OnceLock<Vec<Option<Regex>>>,
}

/// Declares a table: `[statuses] Class if Field "value", Field "value";`, or `[statuses] Class;`.
/// A `Message` is a regular expression that ignores case.
macro_rules! table {
    ($name:ident $([$($status:literal),*] $class:ident $(if $($field:ident $value:literal),+)?;)+) => {
        pub(in crate::wire::classify) static $name: Table = Table::new(&[$(
            $crate::wire::classify::tables::Rule {
                class: $crate::domain::outcome::Class::$class,
                status: &[$($status),*],
                when: &[$($(($crate::wire::error_doc::Field::$field, $value)),+)?],
            },
        )+]);
    };
}
use table;

/// The table of a provider of the catalogue; `None` for any other.
pub(super) fn table_of(kind: &str) -> Option<&'static Table> {
    Some(match kind {
        "anthropic" => &makers::ANTHROPIC,
        "azure_openai" => &clouds::AZURE_OPENAI,
        "bedrock" => &clouds::BEDROCK,
        "cerebras" => &hosts::CEREBRAS,
        "cloudflare" => &clouds::CLOUDFLARE,
        "cohere" => &makers::COHERE,
        "deepinfra" => &hosts::DEEPINFRA,
        "deepseek" => &makers::DEEPSEEK,
        "featherless" => &hosts::FEATHERLESS,
        "fireworks" => &hosts::FIREWORKS,
        "github_models" => &clouds::GITHUB_MODELS,
        "google" => &clouds::GOOGLE,
        "groq" => &hosts::GROQ,
        "huggingface" => &clouds::HUGGINGFACE,
        "llamacpp" => &local::LLAMACPP,
        "lmstudio" => &local::LMSTUDIO,
        "minimax" => &makers::MINIMAX,
        "mistralai" => &makers::MISTRALAI,
        "moonshot" => &makers::MOONSHOT,
        "novita" => &hosts::NOVITA,
        "nvidia_nim" => &clouds::NVIDIA_NIM,
        "ollama" => &local::OLLAMA,
        "openai" => &makers::OPENAI,
        "openrouter" => &hosts::OPENROUTER,
        "perplexity" => &makers::PERPLEXITY,
        "qwen" => &makers::QWEN,
        "sambanova" => &hosts::SAMBANOVA,
        "scaleway" => &clouds::SCALEWAY,
        "togetherai" => &hosts::TOGETHERAI,
        "vertex" => &clouds::VERTEX,
        "vllm" => &local::VLLM,
        "xai" => &makers::XAI,
        "zai" => &makers::ZAI,
        _ => return None,
    })
}

/// Messages that speak of size without meaning the prompt: an output cap, or a rate in tokens.
static NOT_THE_PROMPT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"max_(completion_|output_|new_)?tokens['`]?.{0,40}(is too large|too large|exceeds (the )?(limit|maximum)|must be less)|throttl|rate.?limit|please wait|too many requests",
    )
});

impl Table {
    const fn new(rules: &'static [Rule]) -> Self {
        Self {
            rules,
            compiled: OnceLock::new(),
        }
    }

    fn compiled(&self) -> &[Option<Regex>] {
        self.compiled.get_or_init(|| {
            let pattern = |rule: &Rule| {
                let (_, text) = rule
                    .when
                    .iter()
                    .find(|(field, _)| *field == Field::Message)?;
                compile(text)
            };
            self.rules.iter().map(pattern).collect()
        })
    }

    /// The class of the first row that knows the error by something it says. A status that is not known
    /// contradicts no row.
    pub(super) fn by_facts(&self, status: Option<u16>, doc: &Doc) -> Option<Class> {
        let rows = self.rules.iter().zip(self.compiled());
        rows.filter(|(rule, _)| !rule.when.is_empty() && rule.allows(status))
            .find(|(rule, regex)| rule.holds(regex.as_ref(), doc))
            .map(|(rule, _)| rule.class)
    }

    /// The class of the first row that knows the error by its status alone.
    pub(super) fn by_status(&self, status: u16) -> Option<Class> {
        let mut bare = self.rules.iter().filter(|rule| rule.when.is_empty());
        bare.find(|rule| rule.status.contains(&status))
            .map(|rule| rule.class)
    }
}

impl Rule {
    fn allows(&self, status: Option<u16>) -> bool {
        self.status.is_empty() || status.is_none_or(|status| self.status.contains(&status))
    }

    fn holds(&self, regex: Option<&Regex>, doc: &Doc) -> bool {
        self.when.iter().all(|(field, value)| match field {
            Field::Message => {
                let text = doc.text();
                let about_the_prompt = self.class != Class::ContextOverflow
                    || self.status == [413]
                    || !NOT_THE_PROMPT
                        .as_ref()
                        .is_some_and(|not| not.is_match(text));
                about_the_prompt && regex.is_some_and(|regex| regex.is_match(text))
            }
            _ => doc.says(*field, value),
        })
    }
}

fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        let mut seen = 0;
        let kinds = "anthropic azure_openai bedrock cerebras cloudflare cohere deepinfra deepseek featherless fireworks \
            github_models google groq huggingface llamacpp lmstudio minimax mistralai moonshot novita nvidia_nim ollama \
            openai openrouter perplexity qwen sambanova scaleway togetherai vertex vllm xai zai";
        let tables = kinds.split_whitespace().map(|kind| table_of(kind).unwrap());
        for table in tables.chain([&COMMON]) {
            for (rule, regex) in table.rules.iter().zip(table.compiled()) {
                let wants = rule.when.iter().any(|(field, _)| *field == Field::Message);
                assert_eq!(wants, regex.is_some(), "{:?}", rule.when);
                seen += 1;
            }
        }
        assert!(seen > 200 && NOT_THE_PROMPT.is_some(), "{seen}");
    }
}
