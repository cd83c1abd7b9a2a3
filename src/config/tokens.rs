//! Tokens that callers show: given as they are, in a file, or by their hash. They leave this file only as their hashes.

use super::context::Context;
use super::keys;
use super::read::Report;
use super::resolved::KeyConfig;
use super::values::{KeyTexts, Names};
use crate::wire::token::TokenDigest;

/// Tokens of fewer bytes than this are too easy to guess: 16 random ones cannot be.
const SHORT: usize = 16;

/// The keys of a section that name tokens.
pub(super) struct TokenKeys {
    /// The tokens themselves.
    pub(super) token: Option<KeyTexts>,
    /// A file with one per line.
    pub(super) file: Option<String>,
    /// The hashes of tokens.
    pub(super) sha256: Option<Names>,
    /// What these three are called.
    pub(super) names: [&'static str; 3],
}

/// The hashes, each once; empty where nothing is typed, or nothing of use.
pub(super) fn digests(
    typed: &TokenKeys,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> Vec<TokenDigest> {
    let kinds = [
        typed.token.is_some(),
        typed.file.is_some(),
        typed.sha256.is_some(),
    ];
    if kinds.into_iter().filter(|given| *given).count() > 1 {
        let [token, file, sha256] = typed.names;
        let message = format!("only one of {token}, {file} and {sha256} may be given");
        report.problem(path, message, "remove the others");
    }
    let mut digests = hashed(typed, path, report);
    for token in plain(typed, path, context, report) {
        let Some(material) = token.material.as_ref().filter(|_| keys::sendable(&token)) else {
            let message = format!(
                "the token from {} holds characters that a header can't carry",
                token.source
            );
            report.problem(path, message, "check it for stray characters");
            continue;
        };
        let bytes = material.expose().as_bytes();
        if bytes.len() < SHORT {
            let message = format!(
                "the token from {} has fewer than {SHORT} characters and can be guessed: `openssl rand -hex 24` makes a good one",
                token.source
            );
            report.warn(path, message);
        }
        digests.push(TokenDigest::of(bytes));
    }
    let mut distinct: Vec<TokenDigest> = Vec::with_capacity(digests.len());
    for digest in digests {
        if !distinct.contains(&digest) {
            distinct.push(digest);
        }
    }
    distinct
}

/// Tokens that are given by their hash.
fn hashed(typed: &TokenKeys, path: &str, report: &mut Report) -> Vec<TokenDigest> {
    let mut digests = Vec::new();
    let texts = typed.sha256.as_ref().map(|names| names.0.as_slice());
    for text in texts.unwrap_or_default() {
        // The value may be the token itself: it is not shown.
        match TokenDigest::from_hex(text) {
            Some(digest) => digests.push(digest),
            None => {
                let [_, _, name] = typed.names;
                let place = format!("{path}.{name}");
                let suggestion = "write what `printf %s \"$TOKEN\" | sha256sum` prints";
                report.problem(&place, "is not 64 hexadecimal digits", suggestion);
            }
        }
    }
    digests
}

/// Tokens that are given as they are.
fn plain(
    typed: &TokenKeys,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> Vec<KeyConfig> {
    let texts = typed.token.as_ref().map(|texts| texts.0.as_slice());
    let mut tokens: Vec<KeyConfig> = texts
        .unwrap_or_default()
        .iter()
        .map(|(material, source)| KeyConfig {
            account: None,
            material: Some(material.clone()),
            source: source.clone(),
        })
        .collect();
    if let Some(file) = &typed.file {
        let [_, name, _] = typed.names;
        let place = format!("{path}.{name}");
        report.suspect(file);
        let full = context.dir.join(file);
        report.files.push(full.clone());
        match keys::from_file(&full) {
            Ok(found) if found.keys.is_empty() => {
                report.problem(
                    &place,
                    format!("{file} holds no token"),
                    "write one token per line",
                );
            }
            Ok(found) => tokens.extend(found.told(report)),
            Err(error) => report.problem(&place, format!("{file} can't be read: {error}"), ""),
        }
    }
    tokens
}
