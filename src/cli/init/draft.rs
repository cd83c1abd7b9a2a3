//! The text of a new configuration.

use std::fmt::Write as _;

/// What the virtual provider is called.
pub(super) const VIRTUAL: &str = "smart";

/// A provider that the configuration is to have.
#[derive(Clone, Debug)]
pub(super) struct InitProvider {
    pub(super) name: String,
    /// Of one that is not built in.
    pub(super) url: Option<String>,
    /// What its name alone means.
    pub(super) model: Option<String>,
    /// The variables that have its keys.
    pub(super) wanted: Option<String>,
    /// How many keys there are.
    pub(super) keys: usize,
    /// How many of them seem good; `None`: they were not tested.
    pub(super) tested: Option<usize>,
    /// Whether it is taken.
    pub(super) works: bool,
}

/// A text that YAML reads as one.
pub(super) fn quoted(text: &str) -> String {
    let plain =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/');
    let is_plain =
        text.chars().all(plain) && text.starts_with(|letter: char| letter.is_ascii_alphabetic());
    match is_plain {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// The configuration. It has no key: keys stay in the environment.
pub(super) fn draft(providers: &[InitProvider]) -> String {
    let members: Vec<&InitProvider> = providers.iter().filter(|it| it.model.is_some()).collect();
    let mut out = String::from(
        "# Written by `pointsman init`. `pointsman check` says what it means.\n\
         \n\
         server:\n\
         \x20 listen: 127.0.0.1:8080         # where programs call: http://127.0.0.1:8080/v1\n\
         \x20 # admin_listen: 127.0.0.1:8081 # the live page\n\
         \n\
         llm:\n",
    );
    // Writing to a text never fails.
    if !members.is_empty() {
        let _ = writeln!(
            out,
            "  default_model: {VIRTUAL}          # what a request without a model means"
        );
    }
    out.push_str("  providers:\n");
    for provider in providers {
        provider_lines(provider, &mut out);
    }
    if members.is_empty() {
        out.push_str(
            "  # None of these has a model of its own, so requests name one: `PROVIDER:MODEL`. With `model:` at a provider its name\n  \
             # alone means that, and it can be a part of a chain:\n  \
             # virtual: [{name: smart, upstreams: ['PROVIDER:MODEL']}]\n",
        );
        return out;
    }
    out.push_str(
        "  virtual:\n    \
         # Asked in this order: the next one when one fails, is limited or has no key left.\n",
    );
    let _ = writeln!(out, "    - name: {VIRTUAL}");
    out.push_str(
        "      # policy: latency             # or cost, weighted, least_busy, …: docs/routing.md\n      upstreams:\n",
    );
    for member in members {
        let model = member.model.as_deref().unwrap_or_default();
        let name = quoted(&member.name);
        let _ = writeln!(
            out,
            "        - {name}  # {}",
            model.replace(['\n', '\r'], " ")
        );
    }
    out
}

fn provider_lines(provider: &InitProvider, out: &mut String) {
    let from = provider
        .wanted
        .as_ref()
        .map(|wanted| format!(" from {wanted}"));
    let from = from.unwrap_or_default();
    let keys = match (provider.keys, provider.tested) {
        (0, _) => "needs no key".to_owned(),
        (keys, None) => format!("{keys} {}{from}: not tested", word(keys)),
        (keys, Some(good)) => {
            format!(
                "{keys} {}{from}: {good} good when this was written",
                word(keys)
            )
        }
    };
    let _ = writeln!(out, "    - name: {}  # {keys}", quoted(&provider.name));
    if let Some(url) = &provider.url {
        let _ = writeln!(out, "      base_url: {}", quoted(url));
        out.push_str("      # model: NAME               # what this provider's name alone means\n");
    }
}

const fn word(count: usize) -> &'static str {
    if count == 1 { "key" } else { "keys" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadRequest, load_text};

    fn provider(name: &str, model: Option<&str>) -> InitProvider {
        InitProvider {
            name: name.to_owned(),
            url: None,
            model: model.map(str::to_owned),
            wanted: Some("GROQ_API_KEY".to_owned()),
            keys: 2,
            tested: Some(1),
            works: true,
        }
    }

    #[test]
    fn the_text_is_a_configuration_with_a_chain() {
        let server = InitProvider {
            url: Some("http://127.0.0.1:9/v1".to_owned()),
            keys: 0,
            ..provider("mine", None)
        };
        let text = draft(&[provider("groq", Some("m")), server]);
        for part in [
            "- name: groq  # 2 keys from GROQ_API_KEY: 1 good when this was written\n",
            "base_url: 'http://127.0.0.1:9/v1'\n",
            "- name: mine  # needs no key\n",
            "default_model: smart ",
        ] {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
        let env = [("GROQ_API_KEYS", "k1,k2")];
        let request = LoadRequest {
            env: env
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ..LoadRequest::default()
        };
        let config = load_text("pointsman.yaml", &text, &request).unwrap();
        assert_eq!(
            config.targets.default_chain().map(|chain| &*chain.target),
            Some("smart")
        );
        assert_eq!(config.virtuals.len(), 1);
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        let without = draft(&[InitProvider {
            url: Some("http://127.0.0.1:9/v1".to_owned()),
            ..provider("mine", None)
        }]);
        assert!(load_text("pointsman.yaml", &without, &LoadRequest::default()).is_ok());
    }

    #[test]
    fn names_are_quoted_where_they_need_it() {
        assert_eq!(quoted("groq"), "groq");
        assert_eq!(quoted("a:b"), "'a:b'");
        assert_eq!(quoted("it's"), "'it''s'");
        assert_eq!(quoted("1"), "'1'");
    }
}
