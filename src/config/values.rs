//! The kinds of values that keys hold: times, sizes, shares, lists, choices, headers, parameters.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use config::{Value, ValueKind};
use http::{HeaderName, HeaderValue};
use serde_json::Map;
use zeroize::Zeroizing;

use super::odd_keys;
use super::read::{ConfigNode, ENVIRONMENT, FromNode, Report};
use super::units;
use crate::domain::near::near;
use crate::domain::secret::ApiKey;
use crate::wire::request::is_spelled_like;

impl FromNode for String {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        match node.text() {
            Some(text) => Some(text),
            None => match &node.value.kind {
                ValueKind::Float(_) | ValueKind::Boolean(_) => {
                    node.reject("expected text", "put the value in quotes", report)
                }
                _ => node.wrong("text", report),
            },
        }
    }
}

impl FromNode for bool {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let text = match &node.value.kind {
            ValueKind::Boolean(flag) => return Some(*flag),
            _ => node.text().unwrap_or_default().trim().to_lowercase(),
        };
        match text.as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => node.wrong("true or false", report),
        }
    }
}

macro_rules! whole {
    ($($type:ty: $expected:literal,)*) => {$(
        impl FromNode for $type {
            fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
                let number = node.whole().and_then(|number| number.try_into().ok());
                number.or_else(|| node.wrong($expected, report))
            }
        }
    )*};
}

whole! {
    u64: "a whole number, 0 or more",
    u32: "a whole number, 0 or more",
    usize: "a whole number, 0 or more",
}

macro_rules! positive {
    ($($type:ty: $plain:ty,)*) => {$(
        impl FromNode for $type {
            fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
                let number = node.whole().and_then(|number| <$plain>::try_from(number).ok());
                number
                    .and_then(Self::new)
                    .or_else(|| node.wrong("a whole number, 1 or more", report))
            }
        }
    )*};
}

positive! {
    NonZeroU64: u64,
    NonZeroU32: u32,
    NonZeroUsize: usize,
}

/// A number, 0 or more.
pub(super) struct Amount(pub f64);

impl FromNode for Amount {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        match node.number() {
            Some(number) if number >= 0.0 => Some(Self(number)),
            _ => node.wrong("a number, 0 or more", report),
        }
    }
}

/// A share, 0 to 1.
pub(super) struct Fraction(pub f64);

impl FromNode for Fraction {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        match node.number() {
            Some(number) if (0.0..=1.0).contains(&number) => Some(Self(number)),
            _ => node.wrong("a number from 0 to 1", report),
        }
    }
}

/// A share that was typed, or the usual one.
pub(super) fn share(raw: Option<Fraction>, usual: f64) -> f64 {
    raw.map_or(usual, |Fraction(share)| share)
}

/// A time, 0 or longer.
#[derive(Clone, Copy)]
pub(super) struct Span(pub Duration);

impl Span {
    /// Reads a time without a report.
    pub fn of(node: &ConfigNode<'_>) -> Option<Self> {
        let span = match &node.value.kind {
            ValueKind::String(text) => units::duration(text),
            _ => units::seconds_to_duration(node.number()?),
        };
        span.map(Self)
    }
}

impl FromNode for Span {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        Self::of(node).or_else(|| {
            node.wrong(
                "a time such as 500ms, 3s, 2m, or a number of seconds",
                report,
            )
        })
    }
}

/// A time longer than 0.
#[derive(Clone, Copy)]
pub(super) struct PositiveSpan(pub Duration);

impl FromNode for PositiveSpan {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        match Span::of(node) {
            Some(Span(span)) if !span.is_zero() => Some(Self(span)),
            _ => node.wrong("a time above zero such as 500ms, 3s, 2m", report),
        }
    }
}

/// A size in bytes, at least one.
pub(super) struct Size(pub usize);

impl FromNode for Size {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        match node.text().as_deref().and_then(units::size) {
            Some(bytes) if bytes > 0 => Some(Self(bytes)),
            _ => node.wrong("a size such as 32MiB, 500KB, or a number of bytes", report),
        }
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if !matches!(node.value.kind, ValueKind::Array(_)) {
            return node.wrong("a list", report);
        }
        // What was wrong in one member must not hide what is wrong in the next.
        Some(
            node.items()
                .iter()
                .filter_map(|item| T::read(item, report))
                .collect(),
        )
    }
}

/// Names: a list, or one text with commas or spaces between them.
pub(super) struct Names(pub Vec<String>);

impl FromNode for Names {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let mut names = Vec::new();
        let listed = matches!(node.value.kind, ValueKind::Array(_));
        for item in node.items() {
            let Some(text) = String::read(&item, report) else {
                continue;
            };
            if listed {
                names.push(text.trim().to_owned());
            } else {
                names.extend(words(&text));
            }
        }
        names.retain(|name| !name.is_empty());
        Some(Self(names))
    }
}

/// Splits at commas and white space.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
}

/// Keys with the path of each; never shown.
pub(super) struct KeyTexts(pub Vec<(ApiKey, String)>);

impl FromNode for KeyTexts {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let mut keys = Vec::new();
        for item in node.items() {
            match &item.value.kind {
                ValueKind::String(text) => {
                    let variables = report.variables.get(&item.path);
                    let variables = variables.map(|names| format!(" ({})", names.join(", ")));
                    let place = report.place(&item.path) + &variables.unwrap_or_default();
                    report.warnings.extend(odd_keys::told(text, &place));
                    keys.extend(words(text).map(|word| (ApiKey::new(word), item.path.clone())));
                }
                ValueKind::Nil => {}
                _ => {
                    item.reject::<()>("a key must be text", "put it in quotes", report);
                }
            }
        }
        Some(Self(keys))
    }
}

/// Extra request headers, sorted by name. Their values may be secrets and are never shown.
pub(super) struct Headers(pub Vec<(String, ApiKey)>);

impl FromNode for Headers {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let ValueKind::Table(table) = &node.value.kind else {
            return node.reject("expected a map of header names and values", "", report);
        };
        let mut headers: Vec<(String, ApiKey)> = Vec::new();
        for (name, value) in table {
            let entry = node.child(name, value);
            let Some(text) = entry.text().map(Zeroizing::new) else {
                entry.reject::<()>("a header's value must be text", "put it in quotes", report);
                continue;
            };
            if HeaderName::try_from(name.as_str()).is_err() {
                entry.reject::<()>("is not a legal header name", "", report);
            } else if HeaderValue::try_from(text.trim()).is_err() {
                entry.reject::<()>(
                    "the value holds characters that a header can't carry",
                    "",
                    report,
                );
            } else if OURS.contains(&name.to_lowercase().as_str()) {
                entry.reject::<()>("this header is made per request", "remove it", report);
            } else {
                headers.push((name.clone(), ApiKey::new(text.trim())));
            }
        }
        headers.sort_by(|one, other| one.0.cmp(&other.0));
        Some(Self(headers))
    }
}

/// Names and texts, sorted by name.
pub(super) struct Texts(pub Vec<(String, String)>);

impl FromNode for Texts {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let ValueKind::Table(table) = &node.value.kind else {
            return node.wrong("a map of names and texts", report);
        };
        let texts = table.iter().filter_map(|(name, value)| {
            let text = String::read(&node.child(name, value), report)?;
            Some((name.clone(), text))
        });
        let mut texts: Vec<(String, String)> = texts.collect();
        texts.sort();
        Some(Self(texts))
    }
}

/// Headers that belong to the connection or to the body.
const OURS: [&str; 11] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "accept-encoding",
];

/// Request parameters, as JSON.
pub(super) struct Params(pub Map<String, serde_json::Value>);

impl FromNode for Params {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let ValueKind::Table(table) = &node.value.kind else {
            return node.wrong("a map of parameters and values", report);
        };
        let mut params = Map::new();
        for (name, value) in table {
            let entry = node.child(name, value);
            let decided = ["model", "messages", "input", "prompt", "stream"];
            if decided.iter().any(|own| is_spelled_like(name, own)) {
                entry.reject::<()>(
                    "is decided by the caller and the route",
                    "remove it",
                    report,
                );
            } else if let Some(value) = json(&entry, report) {
                params.insert(name.clone(), value);
            }
        }
        Some(Self(params))
    }
}

/// A value as JSON. What came through a variable is text to begin with: numbers and the like are recognised.
fn json(node: &ConfigNode<'_>, report: &mut Report) -> Option<serde_json::Value> {
    let number = |float: f64| serde_json::Number::from_f64(float).map(serde_json::Value::Number);
    match &node.value.kind {
        ValueKind::Nil => Some(serde_json::Value::Null),
        ValueKind::Boolean(flag) => Some((*flag).into()),
        ValueKind::I64(whole) => Some((*whole).into()),
        ValueKind::U64(whole) => Some((*whole).into()),
        ValueKind::Float(float) => {
            number(*float).or_else(|| node.reject("is not a number of JSON", "", report))
        }
        ValueKind::String(text) => {
            let typed = node.value.origin() == Some(ENVIRONMENT)
                || report.variables.contains_key(&node.path);
            let parsed = serde_json::from_str::<serde_json::Value>(text).ok();
            Some(
                parsed
                    .filter(|_| typed)
                    .unwrap_or_else(|| text.clone().into()),
            )
        }
        ValueKind::Array(_) => node.items().iter().map(|item| json(item, report)).collect(),
        ValueKind::Table(table) => {
            let member = |(name, value): (&String, &Value)| {
                Some((name.clone(), json(&node.child(name, value), report)?))
            };
            let members: Option<Map<String, serde_json::Value>> =
                table.iter().map(member).collect();
            members.map(serde_json::Value::Object)
        }
        _ => node.wrong("a number that fits in 64 bits", report),
    }
}

/// Reads one of several words; the error names all of them and the nearest.
pub(super) fn choice<T: Copy>(
    node: &ConfigNode<'_>,
    choices: &[(&'static str, T)],
    report: &mut Report,
) -> Option<T> {
    let text = node.text().unwrap_or_default().trim().to_lowercase();
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
        return Some(*value);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let suggestion = near(&text, names.iter().copied())
        .first()
        .map(|name| format!("did you mean `{name}`?"))
        .unwrap_or_default();
    let message = format!("expected one of {}", names.join(", "));
    node.reject(message, &suggestion, report)
}
