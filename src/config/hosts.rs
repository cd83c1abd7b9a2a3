//! Whose errors a provider sends: recognised by the host that is called, else by the provider's name.
//!
//! A provider of any name at a known host sends that host's errors; the catalogue's addresses are known, and those of
//! `wire/providers.rs`.

use std::sync::LazyLock;

use http::Uri;

use super::catalog;
use crate::wire::classify;
use crate::wire::providers::PROVIDERS;

/// Every known host and its kind of provider. Addresses on this machine are not listed: any server may listen there.
pub fn known() -> &'static [(&'static str, &'static str)] {
    static KNOWN: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
        // Those of clouds depend on regions and resources: their patterns stand in `wire/providers.rs`.
        let listed = |entry: &&catalog::BuiltIn| entry.is_automatic() && entry.cloud.is_none();
        let entries = catalog::all().iter().filter(listed);
        let own = entries.filter_map(|entry| {
            let rest = entry.base_url.split_once("://")?.1;
            let host = rest.split(['/', ':']).next()?;
            Some((entry.id.as_str(), host))
        });
        own.chain(others()).collect()
    });
    &KNOWN
}

/// The hosts that no entry of the catalogue names.
fn others() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = PROVIDERS.iter();
    rows.flat_map(|row| row.hosts.iter().map(|host| (row.id, *host)))
}

/// The kind of provider whose errors come from `base_url`: that of a known host, else `kind`, the built-in provider's
/// that the configuration named, else the provider's `name` where it is one of those whose errors are known; empty
/// when nothing is known.
pub fn kind_of<'a>(kind: &'a str, name: &'a str, base_url: &str) -> &'a str {
    let host = base_url.parse::<Uri>().ok();
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
    let there = known().iter().find(|(_, pattern)| is_at(host, pattern));
    match there {
        Some((kind, _)) => kind,
        None if kind.is_empty() && classify::knows(name) => name,
        None => kind,
    }
}

/// Whether two addresses are known to be those of one vendor, which may have a key that the other one takes. Not of clouds:
/// anyone may have an address there. Nor without TLS.
pub fn same_vendor(url: &str, other: &str) -> bool {
    let is_secure = |url: &str| {
        url.trim_start()
            .to_ascii_lowercase()
            .starts_with("https://")
    };
    let kind = kind_of("", "", url);
    let known = catalog::find(kind).is_some_and(|entry| entry.cloud.is_none());
    known && kind == kind_of("", "", other) && is_secure(url) && is_secure(other)
}

/// Whether a host is what the pattern says, or below it.
fn is_at(host: &str, pattern: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let mut labels = host.rsplit('.');
    pattern.rsplit('.').all(|wanted| {
        labels
            .next()
            .is_some_and(|label| match wanted.split_once('*') {
                Some((start, end)) => {
                    let rest = label.strip_prefix(start);
                    rest.is_some_and(|rest| rest.ends_with(end) && !label.is_empty())
                }
                None => label == wanted,
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_host_tells_whose_errors_come_from_it() {
        for (url, kind) in [
            ("https://openrouter.ai/api/v1", "openrouter"),
            ("https://OpenRouter.AI.:443/api/v1", "openrouter"),
            ("https://eu.api.openai.com/v1", "openai"),
            ("https://api.groq.com/openai/v1", "groq"),
            (
                "https://generativelanguage.googleapis.com/v1beta/openai",
                "google",
            ),
            ("https://mine.openai.azure.com/openai/v1", "azure_openai"),
            (
                "https://mine.services.ai.azure.com/openai/v1",
                "azure_openai",
            ),
            (
                "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1",
                "bedrock",
            ),
            (
                "https://europe-west4-aiplatform.googleapis.com/v1",
                "vertex",
            ),
            (
                "https://dashscope-us.aliyuncs.com/compatible-mode/v1",
                "qwen",
            ),
            ("https://api.together.xyz/v1", "togetherai"),
            ("https://evil-openrouter.ai/v1", ""),
            ("https://openrouter.ai.example/v1", ""),
            ("https://evil-openrouter.ai.example/v1", ""),
            ("https://notopenai.azure.com/v1", ""),
            ("https://s3.eu-west-1.amazonaws.com/v1", ""),
            ("http://127.0.0.1:11434/v1", ""),
            ("http://localhost:8000/v1", ""),
        ] {
            assert_eq!(kind_of("", "mine", url), kind, "{url}");
        }
    }

    #[test]
    fn a_vendor_may_have_several_hosts() {
        let compatible = "https://api.cohere.ai/compatibility/v1";
        for (url, same) in [
            ("https://api.cohere.com/v1/models", true),
            ("http://api.cohere.com/v1/models", false),
            ("https://api.cohere.com.example/v1/models", false),
            ("https://api.groq.com/openai/v1/models", false),
            ("https://example.com/models", false),
        ] {
            assert_eq!(same_vendor(url, compatible), same, "{url}");
        }
        let (one, other) = (
            "https://one.openai.azure.com/",
            "https://other.openai.azure.com/",
        );
        assert!(!same_vendor(one, other), "another customer's");
        assert!(!same_vendor("https://a.example/", "https://b.example/"));
    }

    #[test]
    fn the_host_goes_before_the_name() {
        assert_eq!(
            kind_of("openai", "openai", "https://openrouter.ai/api/v1"),
            "openrouter"
        );
        assert_eq!(
            kind_of("lmstudio", "lmstudio", "http://10.0.0.1:1234/v1"),
            "lmstudio"
        );
        assert_eq!(kind_of("", "bedrock", "http://10.0.0.1/v1"), "bedrock");
        assert_eq!(kind_of("", "mine", "http://10.0.0.1/v1"), "");
    }

    #[test]
    fn every_other_host_is_of_a_kind_whose_errors_are_known() {
        for (kind, host) in others() {
            assert!(classify::knows(kind), "{host}: {kind}");
        }
    }
}
