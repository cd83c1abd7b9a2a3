//! How a key is tested without paying for an answer: where to ask, and what an answer says of the key.
//!
//! A list of models proves a key only where it cannot be had without one. Where it is for everyone, or may be, something
//! else is asked: what the account has left, whose key it is. Sources: the vendors' API references as of 2026-11.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::classify::classify;
use crate::domain::dialect::Operation;
use crate::domain::key_verdict::KeyVerdict;
use crate::domain::outcome::Class;

/// What a URL of a provider is made of for a call that is not below its API root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbePlace {
    /// A path below the API root.
    Api(&'static str),
    /// A path of the API root's host.
    Host(&'static str),
    /// A URL, at another host of the same vendor.
    Vendor(&'static str),
}

/// Whether a good answer to a request for the list of models says that the key is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListProof {
    /// The list needs a good key.
    Proves,
    /// Everyone gets it.
    ProvesNothing,
    /// It depends on the server: it has to be asked without a key, too.
    Unknown,
}

/// What an account says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountState {
    /// In short, for people; empty where nothing is to be said.
    pub note: String,
    /// Nothing is left to spend.
    pub is_spent: bool,
}

/// The free call that a kind of provider has for a key's own account.
struct AccountRow {
    kind: &'static str,
    place: ProbePlace,
    read: fn(&Value) -> AccountState,
}

static ACCOUNTS: &[AccountRow] = &[
    AccountRow {
        kind: "openrouter",
        place: ProbePlace::Api("/auth/key"),
        read: openrouter,
    },
    AccountRow {
        kind: "deepseek",
        place: ProbePlace::Host("/user/balance"),
        read: deepseek,
    },
    AccountRow {
        kind: "huggingface",
        place: ProbePlace::Vendor("https://huggingface.co/api/whoami-v2"),
        read: |_| AccountState::default(),
    },
    AccountRow {
        kind: "moonshot",
        place: ProbePlace::Api("/users/me/balance"),
        read: moonshot,
    },
];

/// Kinds of provider whose list everyone gets.
const PUBLIC: &[&str] = &[
    "openrouter",
    "huggingface",
    "deepinfra",
    "sambanova",
    "nvidia_nim",
    "novita",
    "chutes",
    "vercel",
    "venice",
];
/// Kinds of provider that ask everyone for a key.
const ASKING: &[&str] = &[
    "openai",
    "anthropic",
    "google",
    "google_native",
    "groq",
    "mistralai",
    "togetherai",
    "fireworks",
    "deepseek",
    "cohere",
    "moonshot",
    "xai",
    "cerebras",
];

/// Where a key of this kind of provider asks for its own account, if there is such a call.
pub fn account_place(kind: &str) -> Option<ProbePlace> {
    account_row(kind).map(|row| row.place)
}

fn account_row(kind: &str) -> Option<&'static AccountRow> {
    ACCOUNTS.iter().find(|row| row.kind == kind)
}

/// What the good answer of an account's call says.
pub fn account_state(kind: &str, body: &[u8]) -> AccountState {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    account_row(kind).map_or_else(AccountState::default, |row| (row.read)(&answer))
}

/// Whether the list of this kind of provider proves a key.
pub fn list_proof(kind: &str) -> ListProof {
    match kind {
        kind if PUBLIC.contains(&kind) => ListProof::ProvesNothing,
        kind if ASKING.contains(&kind) => ListProof::Proves,
        _ => ListProof::Unknown,
    }
}

/// What an answer that is no 2xx says of the key, and the provider's words. `kind` is the kind of provider, empty when it is
/// not known.
pub fn refused(
    kind: &str,
    status: u16,
    headers: &HeaderMap,
    body: &Bytes,
    now: SystemTime,
) -> (KeyVerdict, String) {
    let failure = classify(kind, Operation::Chat, status, headers, body, now);
    let verdict = match failure.class {
        // A page or a firewall's bare 403 is nobody's word about the key.
        Class::InvalidKey if failure.certain => KeyVerdict::Invalid,
        Class::QuotaExhausted => KeyVerdict::NoCredit,
        Class::TooLargeForLimit if status == 402 => KeyVerdict::NoCredit,
        Class::RateLimited | Class::TooLargeForLimit => KeyVerdict::RateLimited,
        Class::Overloaded | Class::Transient | Class::Network | Class::Timeout => {
            KeyVerdict::Unreachable
        }
        _ => KeyVerdict::Unproven,
    };
    (verdict, failure.detail)
}

/// `data.limit_remaining` in USD; null without a limit.
fn openrouter(answer: &Value) -> AccountState {
    let data = &answer["data"];
    let Some(left) = data["limit_remaining"].as_f64() else {
        return AccountState::default();
    };
    AccountState {
        note: format!("${left:.2} left"),
        is_spent: left <= 0.0,
    }
}

/// `is_available`, and `balance_infos[].total_balance` as text in a currency.
fn deepseek(answer: &Value) -> AccountState {
    let infos = answer["balance_infos"].as_array();
    let left = infos.into_iter().flatten().filter_map(|info| {
        let (total, currency) = (info["total_balance"].as_str()?, info["currency"].as_str()?);
        Some(format!("{total} {currency} left"))
    });
    AccountState {
        note: left.collect::<Vec<_>>().join(", "),
        is_spent: answer["is_available"] == Value::Bool(false),
    }
}

/// `data.available_balance`: no answers once it is zero or less.
fn moonshot(answer: &Value) -> AccountState {
    let Some(left) = answer["data"]["available_balance"].as_f64() else {
        return AccountState::default();
    };
    AccountState {
        note: format!("{left:.2} left"),
        is_spent: left <= 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_says_what_is_left() {
        let told = |kind: &str, body: &str| {
            let state = account_state(kind, body.as_bytes());
            (state.note, state.is_spent)
        };
        let cases = [
            (
                "openrouter",
                r#"{"data": {"limit_remaining": 1.5}}"#,
                "$1.50 left",
                false,
            ),
            (
                "openrouter",
                r#"{"data": {"limit_remaining": 0}}"#,
                "$0.00 left",
                true,
            ),
            (
                "openrouter",
                r#"{"data": {"limit_remaining": null}}"#,
                "",
                false,
            ),
            (
                "deepseek",
                r#"{"is_available": false, "balance_infos": [{"currency": "CNY", "total_balance": "0.00"}]}"#,
                "0.00 CNY left",
                true,
            ),
            (
                "moonshot",
                r#"{"data": {"available_balance": 49.5}}"#,
                "49.50 left",
                false,
            ),
            ("huggingface", r#"{"name": "me"}"#, "", false),
            ("moonshot", "<html>", "", false),
        ];
        for (kind, body, note, spent) in cases {
            assert_eq!(told(kind, body), (note.to_owned(), spent), "{body}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong_with_the_key() {
        use KeyVerdict::{Invalid, NoCredit, RateLimited, Unproven, Unreachable};
        for (status, body, expected) in [
            (401, r#"{"error": {"message": "no such key"}}"#, Invalid),
            (402, r#"{"error": {"message": "pay first"}}"#, NoCredit),
            (429, r#"{"error": {"message": "slow down"}}"#, RateLimited),
            (
                429,
                r#"{"error": {"code": "insufficient_quota", "message": "no"}}"#,
                NoCredit,
            ),
            (403, "<html>blocked</html>", Unreachable),
            (403, r#"{"error": {"message": "no"}}"#, Unproven),
            (404, r#"{"error": {"message": "no list"}}"#, Unproven),
            (503, r#"{"error": {"message": "later"}}"#, Unreachable),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let headers = HeaderMap::new();
            let now = SystemTime::UNIX_EPOCH;
            let (verdict, _) = refused("", status, &headers, &body, now);
            assert_eq!(verdict, expected, "{status} {body:?}");
        }
    }

    #[test]
    fn a_list_proves_a_key_where_it_needs_one() {
        assert_eq!(list_proof("groq"), ListProof::Proves);
        assert_eq!(list_proof("openrouter"), ListProof::ProvesNothing);
        assert_eq!(list_proof(""), ListProof::Unknown);
        assert!(PUBLIC.iter().all(|kind| !ASKING.contains(kind)));
    }
}
