//! `clients`: the callers and their tokens. Tokens leave this file only as their hashes.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use super::budgets::{self, BudgetSection};
use super::context::Context;
use super::describe::{Describe, Shape};
use super::mask::looks_like_key;
use super::read::{ConfigNode, FromNode, Report, section};
use super::resolved::ClientConfig;
use super::tokens::{self, TokenKeys};
use super::values::{KeyTexts, Names, choice};
use crate::domain::budget::Spender;
use crate::domain::chain::{ResolveError, Targets};
use crate::domain::client::{Allow, ClientLimits, ClientPolicy, Priority, matches};
use crate::domain::near::near;
use crate::wire::token::TokenDigest;

section! {
    /// `clients[]`
    RawClient {
        /// What logs, messages and `pointsman check` call it. Unique.
        name: String = required,
        /// Its token, several for a time in which one takes another's place.
        token | tokens: KeyTexts,
        /// A file with one token per line, relative to this file; read again when it changes.
        token_file: String,
        /// The SHA-256 of its token in hexadecimal digits, one or several.
        token_sha256 | tokens_sha256: Names,
        /// Targets that it may ask for, `*` for any text. Absent: all.
        allow | targets: Allowed,
        /// What it may do at once and per minute.
        limits: ClientLimitsSection,
        /// The same as `limits.rpm`.
        rpm: NonZeroU64,
        /// The same as `limits.tpm`.
        tpm: NonZeroU64,
        /// The same as `limits.max_in_flight`.
        max_in_flight: NonZeroU32,
        /// How much its requests may cost (`docs/budgets.md`).
        budgets: Vec<BudgetSection>,
        /// The class in which its requests wait: `high`, `normal` or `low`. Default `normal`.
        priority: Priority,
    }
}

section! {
    /// `clients[].limits`
    ClientLimitsSection {
        /// Requests per minute.
        rpm: NonZeroU64,
        /// Tokens per minute, prompt and answer together.
        tpm: NonZeroU64,
        /// Requests at the same time.
        max_in_flight: NonZeroU32,
    }
}

/// Names of targets. A key without a value would mean everything, which is hardly meant.
pub(super) struct Allowed(Names);

impl Describe for Allowed {
    fn shape() -> Shape {
        Names::shape()
    }
}

impl FromNode for Allowed {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        Names::read(node, report).map(Self)
    }

    fn no_value(node: &ConfigNode<'_>, report: &mut Report) {
        // A variable that is not set is reported already.
        let place = report.place(&node.path);
        if !report.problems.iter().any(|problem| problem.place == place) {
            let suggestion = "write [] for nothing, or remove it";
            node.reject::<()>("has no value", suggestion, report);
        }
    }
}

impl FromNode for Priority {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let choices = Self::ALL.map(|priority| (priority.as_str(), priority));
        choice(node, &choices, report)
    }
}

/// Reads all of them and the rules between them.
pub(super) fn resolve(
    raw: Vec<RawClient>,
    context: &Context<'_>,
    report: &mut Report,
) -> Vec<ClientConfig> {
    let mut clients: Vec<ClientConfig> = Vec::with_capacity(raw.len());
    for (at, raw) in raw.into_iter().enumerate() {
        let path = format!("clients[{at}]");
        let client = one(raw, &path, context, report);
        let name = &client.policy.name;
        let mut names = clients.iter().map(|other| &other.policy.name);
        if !name.is_empty() && names.any(|other| other == name) {
            let suggestion = "rename one of them, or give one of them both tokens";
            report.problem(
                &path,
                format!("two clients are called `{name}`"),
                suggestion,
            );
        }
        for other in &clients {
            let shared = |token: &&TokenDigest| other.tokens.contains(token);
            if client.tokens.iter().any(|token| shared(&token)) {
                let (one, two) = (&other.policy.name, &client.policy.name);
                let message = format!("`{one}` and `{two}` have the same token");
                report.problem(&path, message, "make a token for each client");
            }
        }
        clients.push(client);
    }
    clients
}

fn one(raw: RawClient, path: &str, context: &Context<'_>, report: &mut Report) -> ClientConfig {
    let name = raw.name.as_deref().unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        report.problem(
            path,
            "the client has no name",
            "write name: …, for logs and limits",
        );
    } else if name.chars().any(char::is_control) {
        let place = format!("{path}.name");
        report.problem(&place, "holds control characters", "write a plain name");
    }
    if looks_like_key(&name) {
        let place = format!("{path}.name");
        let message = format!("`{name}` looks like a key, and names are in every log line");
        report.problem(
            &place,
            message,
            "write the token as `token:`, and a plain name",
        );
    }
    let typed = TokenKeys {
        token: raw.token,
        file: raw.token_file,
        sha256: raw.token_sha256,
        names: ["token", "token_file", "token_sha256"],
    };
    let before = report.problems.len();
    let tokens = tokens::digests(&typed, path, context, report);
    // A variable that is not set is reported already.
    let place = report.place(&format!("{path}.token"));
    let told = report
        .problems
        .iter()
        .any(|problem| problem.place.starts_with(&place));
    if tokens.is_empty() && report.problems.len() == before && !told {
        let suggestion =
            "write token: ${NAME_OF_A_VARIABLE}, token_file: path or token_sha256: 64 digits";
        report.problem(path, "the client has no token", suggestion);
    }
    let limits = raw.limits.unwrap_or_default();
    let policy = ClientPolicy {
        name: Arc::from(name),
        allow: raw
            .allow
            .map_or_else(Allow::everything, |names| Allow::only(names.0.0)),
        limits: ClientLimits {
            rpm: either(limits.rpm, raw.rpm, "rpm", path, report),
            tpm: either(limits.tpm, raw.tpm, "tpm", path, report),
            max_in_flight: either(
                limits.max_in_flight,
                raw.max_in_flight,
                "max_in_flight",
                path,
                report,
            ),
        },
        priority: raw.priority.unwrap_or_default(),
    };
    let owner = Spender::Client(Arc::clone(&policy.name));
    ClientConfig {
        budgets: budgets::budgets(raw.budgets, &owner, path, report),
        policy,
        tokens,
    }
}

/// The value of a limit that may be written in one of two places.
fn either<T>(
    in_limits: Option<T>,
    beside: Option<T>,
    name: &str,
    path: &str,
    report: &mut Report,
) -> Option<T> {
    if in_limits.is_some() && beside.is_some() {
        let message = format!("means the same as limits.{name}");
        let place = format!("{path}.{name}");
        report.problem(&place, message, "remove one of the two");
    }
    in_limits.or(beside)
}

/// Warns of allowed targets that nothing is called.
pub(super) fn check_targets(clients: &[ClientConfig], targets: &Targets, report: &mut Report) {
    let listed = || targets.listed().iter().map(|line| line.id.as_ref());
    for (at, client) in clients.iter().enumerate() {
        let path = format!("clients[{at}].allow");
        let patterns = client.policy.allow.patterns();
        if patterns.is_some_and(<[String]>::is_empty) {
            let message = format!(
                "`{}` may ask for nothing: the list is empty",
                client.policy.name
            );
            report.warn(&path, message);
        }
        for pattern in patterns.unwrap_or_default() {
            // Any model of a provider without a list may be asked for.
            let example = pattern.replace('*', "x");
            let known = match targets.resolve(Some(&example)) {
                Ok(_) => true,
                Err(ResolveError::NoModel { .. }) => true,
                Err(_) => listed().any(|id| matches(pattern, id)),
            };
            if !known {
                let near = near(pattern, listed());
                let hint = near.first().map(|name| format!("; did you mean `{name}`?"));
                let message = format!("nothing is called `{pattern}`{}", hint.unwrap_or_default());
                report.warn(&path, message);
            }
        }
    }
}
