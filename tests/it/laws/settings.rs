//! Laws of configurations: any text is either a configuration whose values are in range, or a list of mistakes that
//! say something; neither shows a key that the text does not name.
//!
//! The input is a line with `yaml`, `toml` or `json`, and the file's text.

use pointsman::cli::check::{render, render_json};
use pointsman::config::{Additions, Config, ConfigErrors, LoadRequest, load_text};

use super::line;

const SECRET: &str = "gsk-0123456789-secret-of-nobody";
const OTHER: &str = "a-key-that-is-written-out";

pub fn hold(data: &[u8]) {
    let (ending, text) = line(data);
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    // Other files than the one at hand are not the law's to read.
    if ["_file", "_dir", "cert", "key:", "client_ca"]
        .iter()
        .any(|part| text.contains(part))
    {
        return;
    }
    let name = match ending {
        b"toml" => "pointsman.toml",
        b"json" => "pointsman.json",
        b"borg" => "borg.yaml",
        _ => "pointsman.yaml",
    };
    let pairs = [("GROQ_API_KEY", SECRET), ("NAME", OTHER), ("EMPTY", "")];
    let request = LoadRequest {
        working_dir: "/nonexistent".into(),
        env: pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect(),
        ..LoadRequest::default()
    };
    let shown = match load_text(name, text, &request) {
        Ok(config) => {
            in_range(&config);
            let none = Additions::default();
            format!(
                "{config:?} {} {}",
                render(&config, &none),
                render_json(&config, &none)
            )
        }
        Err(ConfigErrors::Invalid { problems, .. }) => {
            assert!(!problems.is_empty());
            assert!(
                problems
                    .iter()
                    .all(|problem| !problem.message.trim().is_empty())
            );
            problems
                .iter()
                .map(|problem| format!("{problem}\n{problem:?}"))
                .collect()
        }
        Err(error @ ConfigErrors::NothingConfigured { .. }) => error.to_string(),
    };
    let named = text.contains("GROQ_API_KEY") || text.contains("gsk");
    assert!(named || !shown.contains(SECRET), "{shown}");
}

fn in_range(config: &Config) {
    assert!(!config.server.listen.is_empty());
    assert!(config.server.max_body > 0 && config.server.max_in_flight > 0);
    assert!(!config.providers.is_empty());
    for provider in &config.providers {
        assert!(!provider.keys.is_empty());
        assert!(!provider.name.as_str().is_empty());
        assert!((0.0..=1.0).contains(&provider.mock.failure_rate));
        assert!(provider.cooldown.default <= provider.cooldown.max);
        assert!(!provider.timeouts.connect.is_zero() && !provider.timeouts.total.is_zero());
    }
    for chain in config.targets.chains() {
        assert!(!chain.upstreams.is_empty(), "{}", chain.target);
    }
    assert!(
        config
            .clients
            .iter()
            .all(|client| !client.tokens.is_empty())
    );
}
