//! `fleet`: whether processes with the same keys tell each other what they find out.

use config::ValueKind;
use serde_json::json;

use super::cache_keys::{self, ValkeyUrl};
use super::context::Context;
use super::describe::{Describe, Shape};
use super::fleet_config::FleetConfig;
use super::outbound;
use super::read::{ConfigNode, FromNode, Report, section};
use super::values::{Names, choice};
use crate::domain::fleet::{LostPolicy, OnLost};

/// The fleet's name where none is given.
const NAME: &str = "pointsman";

section! {
    /// `fleet`
    FleetSection {
        /// The server that all processes of the fleet share, Valkey or any other that speaks the Redis protocol, from version
        /// 6.2 on: `redis://host:6379`, `rediss://user:password@host:6379/0` (with TLS) or `unix:/path`. Never shown with its
        /// password.
        url: ValkeyUrl = required,
        /// The fleet's name: processes of one name share what they know. Names in the server begin with `{pm:NAME}:`. Default
        /// `pointsman`.
        name: FleetName,
        /// A file with the fleet's secret, the same for all of its processes, relative to this file: 32 bytes as they are, in
        /// hexadecimal digits or in base64. What is in the server is named and signed with it.
        secret_file: String = required,
        /// Files of certificate authorities (PEM), relative to this file, that vouch for the server in place of the system's.
        ca_file | ca_files: Names,
        /// What becomes of shared limits while the server cannot be asked and a process's share has ended. `share`: an even part, by
        /// the number of processes that were there last. `local`: the whole limit in each process. `refuse`: 429
        /// `fleet_unavailable`. One word is for rates and concurrency; hard budgets have their own. Default `share`, for
        /// hard budgets `refuse`.
        on_lost: OnLostForm,
    }
}

section! {
    /// `fleet.on_lost` by what is limited
    OnLostTable {
        /// Requests and tokens per minute and day, of keys and clients. Default `share`.
        rates: OnLost,
        /// `max_in_flight` of keys and clients. Default `share`.
        concurrency: OnLost,
        /// Hard budgets, beyond what is claimed: `refuse` is the only word with which they are never overspent. Default `refuse`.
        budgets: OnLost,
    }
}

/// `fleet.on_lost`
#[derive(Clone, Copy)]
pub(super) struct OnLostForm(LostPolicy);

const ON_LOST: [(&str, OnLost); 3] = [
    ("share", OnLost::Share),
    ("local", OnLost::Local),
    ("refuse", OnLost::Refuse),
];

impl FromNode for OnLost {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        choice(node, &ON_LOST, report)
    }
}

impl Describe for OnLost {
    fn shape() -> Shape {
        Shape::choice(ON_LOST.map(|(word, _)| word))
    }
}

impl FromNode for OnLostForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let usual = LostPolicy::default();
        if !matches!(node.value.kind, ValueKind::Table(_)) {
            let word = OnLost::read(node, report)?;
            return Some(Self(LostPolicy {
                rates: word,
                concurrency: word,
                ..usual
            }));
        }
        let table = OnLostTable::read(node, report)?;
        Some(Self(LostPolicy {
            rates: table.rates.unwrap_or(usual.rates),
            concurrency: table.concurrency.unwrap_or(usual.concurrency),
            budgets: table.budgets.unwrap_or(usual.budgets),
        }))
    }
}

impl Describe for OnLostForm {
    fn shape() -> Shape {
        OnLost::shape().or(OnLostTable::shape())
    }
}

/// `fleet.name`
pub(super) struct FleetName(String);

impl FromNode for FleetName {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let text = String::read(node, report)?;
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(letter);
        if !is_name {
            let suggestion = "write 1 to 64 letters, digits and - _ .";
            return node.reject("is no name of a fleet", suggestion, report);
        }
        Some(Self(text))
    }
}

impl Describe for FleetName {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "integer"}, {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"}
        ]});
        Shape::plain("name of a fleet", schema)
    }
}

/// The fleet; `None` without one, or with a mistake, which is reported.
pub(super) fn resolve(
    raw: Option<FleetSection>,
    context: &Context<'_>,
    report: &mut Report,
) -> Option<FleetConfig> {
    let raw = raw?;
    let authorities = outbound::authorities(raw.ca_file, "fleet", &context.dir, report);
    let secret = match raw.secret_file.as_deref() {
        Some(file) => cache_keys::key_of_file(file, "fleet.secret_file", &context.dir, report),
        None => {
            let suggestion = "make one with: openssl rand -base64 32 > fleet.key";
            report.problem("fleet", "needs a secret_file", suggestion);
            None
        }
    };
    let Some(ValkeyUrl(server)) = raw.url else {
        let place = report.place("fleet.url");
        if !report.problems.iter().any(|problem| problem.place == place) {
            let suggestion = "write url: redis://host:6379";
            report.problem("fleet", "needs a server", suggestion);
        }
        return None;
    };
    cache_keys::check(&server, !authorities.is_empty(), "fleet", report);
    Some(FleetConfig {
        server,
        authorities,
        name: raw.name.map_or_else(|| NAME.to_owned(), |name| name.0),
        secret: secret?,
        lost: raw
            .on_lost
            .map_or_else(LostPolicy::default, |OnLostForm(lost)| lost),
    })
}
