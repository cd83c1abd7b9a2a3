//! Addresses: those that a configuration takes, and those of the clouds that host others' models.

use super::draft::DraftProvider;
use super::importer::Importer;
use super::tree::YamlTree;

/// Why a URL cannot be an address here; variables are believed.
pub(super) fn wrong_url(url: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = url.trim().split_once("://") else {
        return Some("its address is no URL");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !["http", "https"].contains(&scheme) || host.is_empty() {
        return Some("its address is no http:// or https:// URL");
    }
    if host.contains('@') {
        return Some("its address holds a password: put it into headers");
    }
    if host.starts_with("169.254.") {
        return Some("its address is a link-local one: write it with allow_link_local");
    }
    let odd = |c: char| {
        c == '#' || c == '{' || c == '<' || c == '>' || c.is_whitespace() || c.is_control()
    };
    if rest.contains(odd) {
        return Some("its address is no URL");
    }
    let query = rest.contains('?') && !rest.contains("/chat/completions?");
    query.then_some("its address has a query: write it as base_url and query")
}

/// A name for a provider at a URL that has no other one: the host without what all hosts have.
pub(super) fn name_of_host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', ':']).next().unwrap_or_default();
    if host.parse::<std::net::IpAddr>().is_ok() || host.is_empty() {
        return "local".to_owned();
    }
    // The domain under its top level, else the host alone.
    let mut parts = host.rsplit('.');
    match (parts.next(), parts.next()) {
        (_, Some(domain)) if domain.len() > 3 => domain.to_owned(),
        _ => host.split('.').next().unwrap_or(host).to_owned(),
    }
}

/// Sets the address of Azure's OpenAI: one of its two forms, by the version that is asked for.
pub(super) fn set_azure(
    provider: &mut DraftProvider,
    base: &str,
    version: Option<&str>,
    importer: &mut Importer<'_>,
) {
    let base = base.trim().trim_end_matches('/');
    let v1 = version.is_none_or(|version| ["v1", "preview", "latest"].contains(&version));
    if let Some(version) = version.filter(|version| *version != "v1") {
        let version = importer.text(version);
        provider.set(&["query", "api-version"], version);
    }
    if importer.refers(base) {
        let base = importer.text(base);
        provider.set(&["base_url"], base);
        return;
    }
    let root = base.split_once("/openai").map_or(base, |(root, _)| root);
    let form = if v1 {
        "openai/v1"
    } else {
        "openai/deployments/{deployment}"
    };
    provider.set(&["base_url"], YamlTree::literal(&format!("{root}/{form}")));
}

/// The built-in provider for a model at Vertex, by who made it.
pub(super) fn vertex(model: &str) -> Option<&'static str> {
    let model = model.to_ascii_lowercase();
    let google = [
        "gemini",
        "gemma",
        "text-embedding",
        "textembedding",
        "text-multilingual",
    ];
    if model.contains("claude") {
        Some("vertex_anthropic")
    } else {
        let found = google.iter().any(|name| model.starts_with(name));
        found.then_some("vertex")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_a_configuration_refuses_are_told() {
        for url in [
            "localhost:8000",
            "ftp://h/v1",
            "https://me:pw@h/v1",
            "https://h/v1?key=x",
            "http://169.254.169.254/v1",
            "https://<host>/v1",
            "https:///v1",
        ] {
            assert!(wrong_url(url).is_some(), "{url}");
        }
        assert_eq!(
            wrong_url("http://h:80/v1/chat/completions?api-version=1"),
            None
        );
        assert_eq!(wrong_url("https://h.example.com/v1/"), None);
    }

    #[test]
    fn hosts_give_names() {
        for (url, name) in [
            ("https://api.siliconflow.cn/v1", "siliconflow"),
            ("http://ollama:11434", "ollama"),
            ("http://qwen3-coder:8001/v1", "qwen3-coder"),
            ("http://127.0.0.1:8000/v1", "local"),
            ("https://my-gateway.example.com/v1", "example"),
        ] {
            assert_eq!(name_of_host(url), name);
        }
    }
}
