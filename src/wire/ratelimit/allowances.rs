//! What is left of each limit that an answer's headers describe: OpenAI's `x-ratelimit-remaining-*` and its
//! relatives, Anthropic's, and the IETF's drafts. For good answers as for refusals.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};

use super::duration;
use super::windows::{parameter, wait};
use crate::domain::allowance::{Allowance, Unit};
use crate::wire::providers::traits_of;

/// What is renewed later than a month says nothing about the pace of requests.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// Larger counts are mistakes; smaller ones are exact as `f64`.
const MOST: f64 = 1e15;

/// The limits that the headers describe with what is left of them and when they are renewed. Nonsense, unknown
/// numbers and limits whose renewal has passed or is not known are left out.
///
/// `kind` is the provider's name in the catalogue: some name no reset, but are known to count per minute.
pub fn allowances(kind: &str, headers: &HeaderMap, wall_now: SystemTime) -> Vec<Allowance> {
    let mut found = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        if !name.contains("ratelimit") {
            continue;
        }
        if name == "ratelimit" {
            structured(value, headers, &mut found);
        } else if name.contains("remaining") {
            found.extend(one(kind, headers, name, value, wall_now));
        }
    }
    found
}

fn one(
    kind: &str,
    headers: &HeaderMap,
    name: &str,
    value: &HeaderValue,
    wall_now: SystemTime,
) -> Option<Allowance> {
    // Fireworks counts cached prompts in a second way: the plain one is enough.
    if name.contains("adjusted") {
        return None;
    }
    let sibling = |word: &str| {
        let value = headers.get(name.replace("remaining", word))?;
        Some(value.to_str().ok()?.trim())
    };
    let remaining = count(value.to_str().ok()?)?;
    let limit = match sibling("limit") {
        // 0 and -1 are Azure's way to say that it doesn't know.
        Some(text) => Some(count(text).filter(|limit| *limit > 0.0)?),
        None if traits_of(kind).tells_limits => return None,
        None => None,
    };
    let period = period(name);
    let reset = match sibling("reset") {
        Some(text) => wait(text, wall_now)?,
        None => unnamed_reset(kind, period, limit?, remaining)?,
    };
    allowance(unit(name), period, limit, remaining, reset)
}

fn allowance(
    unit: Unit,
    period: Duration,
    limit: Option<f64>,
    remaining: f64,
    reset: Duration,
) -> Option<Allowance> {
    let makes_sense = !reset.is_zero() && reset <= LONGEST;
    makes_sense.then_some(Allowance {
        unit,
        period,
        limit,
        remaining: remaining.min(limit.unwrap_or(remaining)),
        reset,
    })
}

/// Providers that name no reset refill evenly, over the period in the limit's name or over a minute.
fn unnamed_reset(kind: &str, period: Duration, limit: f64, remaining: f64) -> Option<Duration> {
    let period = match kind {
        _ if !period.is_zero() => period,
        _ => traits_of(kind).refills?,
    };
    let used = 1.0 - (remaining / limit).clamp(0.0, 1.0);
    duration::from_seconds(period.as_secs_f64() * used)
}

fn unit(name: &str) -> Unit {
    let has = |word: &str| name.contains(word);
    if !has("token") {
        Unit::Requests
    } else if has("project") {
        Unit::ProjectTokens
    } else if has("input") || has("prompt") {
        Unit::PromptTokens
    } else if has("output") || has("generated") {
        Unit::AnswerTokens
    } else {
        Unit::Tokens
    }
}

fn period(name: &str) -> Duration {
    let seconds = [
        ("-5-minute", 300),
        ("-minute", 60),
        ("-second", 1),
        ("-hour", 3600),
        ("-day", 86_400),
        ("-month", 30 * 86_400),
    ];
    let named = seconds.iter().find(|(end, _)| name.ends_with(end));
    Duration::from_secs(named.map_or(0, |(_, seconds)| *seconds))
}

fn count(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    (0.0..=MOST).contains(&number).then_some(number)
}

/// `"api";r=0;t=55` with `ratelimit-policy: "api";q=100;w=60`, or in earlier drafts
/// `limit=100, remaining=50, reset=30` (draft-ietf-httpapi-ratelimit-headers).
fn structured(value: &HeaderValue, headers: &HeaderMap, found: &mut Vec<Allowance>) {
    let Ok(text) = value.to_str() else { return };
    let requests = |limit: Option<f64>, remaining: f64, reset: f64| {
        let limit = limit.filter(|limit| *limit > 0.0 && *limit <= MOST);
        let makes_sense = (0.0..=MOST).contains(&remaining);
        let reset = duration::from_seconds(reset).filter(|_| makes_sense)?;
        allowance(Unit::Requests, Duration::ZERO, limit, remaining, reset)
    };
    if text.contains("remaining=") {
        let flat = text.replace(',', ";");
        if let (Some(remaining), Some(reset)) =
            (parameter(&flat, "remaining"), parameter(&flat, "reset"))
        {
            found.extend(requests(parameter(&flat, "limit"), remaining, reset));
        }
        return;
    }
    let policies = headers.get("ratelimit-policy");
    let policies = policies.and_then(|value| value.to_str().ok()).unwrap_or("");
    let name = |item: &str| item.split(';').next().unwrap_or("").trim().to_owned();
    for item in text.split(',') {
        let (Some(remaining), Some(reset)) = (parameter(item, "r"), parameter(item, "t")) else {
            continue;
        };
        let policy = policies
            .split(',')
            .find(|policy| name(policy) == name(item));
        let limit = policy.and_then(|policy| parameter(policy, "q"));
        found.extend(requests(limit, remaining, reset));
    }
    // Without names to distinguish them the tightest one counts.
    found.sort_by(|a, b| a.remaining.total_cmp(&b.remaining));
    found.dedup_by(|later, first| later.unit == first.unit && later.period == first.period);
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_790_000_000;

    fn read(kind: &str, pairs: &[(&str, &str)]) -> Vec<Allowance> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        allowances(kind, &headers, now)
    }

    fn shown(kind: &str, pairs: &[(&str, &str)]) -> Vec<String> {
        let mut all: Vec<String> = read(kind, pairs)
            .iter()
            .map(|one| {
                let limit = one.limit.map_or("?".to_owned(), |limit| limit.to_string());
                let (unit, reset) = (one.unit.as_str(), one.reset.as_millis());
                format!("{unit} {}/{limit} {reset}ms", one.remaining)
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn openai_groq_cerebras_anthropic_and_the_drafts_are_read() {
        assert_eq!(
            shown(
                "openai",
                &[
                    ("x-ratelimit-limit-requests", "60"),
                    ("x-ratelimit-remaining-requests", "59"),
                    ("x-ratelimit-reset-requests", "1s"),
                    ("x-ratelimit-limit-tokens", "150000"),
                    ("x-ratelimit-remaining-tokens", "149984"),
                    ("x-ratelimit-reset-tokens", "6m0s"),
                ]
            ),
            ["requests 59/60 1000ms", "tokens 149984/150000 360000ms"]
        );
        assert_eq!(
            shown(
                "cerebras",
                &[
                    ("x-ratelimit-remaining-requests-day", "14"),
                    ("x-ratelimit-reset-requests-day", "11726.28"),
                    ("x-ratelimit-remaining-tokens-minute", "0"),
                    ("x-ratelimit-reset-tokens-minute", "26.5"),
                ]
            ),
            ["requests 14/? 11726280ms", "tokens 0/? 26500ms"]
        );
        assert_eq!(
            shown(
                "anthropic",
                &[
                    ("anthropic-ratelimit-requests-limit", "50"),
                    ("anthropic-ratelimit-requests-remaining", "49"),
                    ("anthropic-ratelimit-requests-reset", "2026-09-21T14:13:21Z"),
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    (
                        "anthropic-ratelimit-input-tokens-reset",
                        "2026-09-21T14:13:30Z"
                    ),
                ]
            ),
            ["prompt_tokens 0/? 10000ms", "requests 49/50 1000ms"]
        );
        assert_eq!(
            shown(
                "huggingface",
                &[
                    ("ratelimit", "\"api\";r=3;t=55"),
                    ("ratelimit-policy", "\"api\";q=100;w=60"),
                ]
            ),
            ["requests 3/100 55000ms"]
        );
        assert_eq!(
            shown("", &[("ratelimit", "limit=100, remaining=50, reset=5")]),
            ["requests 50/100 5000ms"]
        );
        assert_eq!(
            shown(
                "openrouter",
                &[
                    ("x-ratelimit-limit", "20"),
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1790000007000"),
                ]
            ),
            ["requests 0/20 7000ms"]
        );
    }

    #[test]
    fn a_limit_without_a_reset_is_believed_where_its_period_is_known() {
        let mistral = [
            ("x-ratelimit-limit-req-minute", "60"),
            ("x-ratelimit-remaining-req-minute", "30"),
        ];
        assert_eq!(shown("mistral", &mistral), ["requests 30/60 30000ms"]);
        let plain = [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "0"),
        ];
        assert_eq!(shown("fireworks", &plain), ["requests 0/60 60000ms"]);
        assert_eq!(shown("custom", &plain), [""; 0]);
    }

    #[test]
    fn nonsense_and_the_past_say_nothing() {
        for (limit, remaining, reset) in [
            ("0", "0", "5"),
            ("-1", "-1", "-1"),
            ("10", "-1", "5"),
            ("10", "many", "5"),
            ("10", "NaN", "5"),
            ("x", "0", "5"),
            ("10", "0", "0"),
            ("10", "0", "soon"),
            ("10", "0", "1589999999"),
            ("10", "0", "99999999"),
        ] {
            let headers = [
                ("x-ratelimit-limit-requests", limit),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", reset),
            ];
            assert_eq!(shown("", &headers), [""; 0], "{limit} {remaining} {reset}");
        }
        let azure = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "5"),
        ];
        assert_eq!(shown("azure_openai", &azure), [""; 0]);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_in_range(name in "(x-|anthropic-)?ratelimit(-limit|-remaining|-reset)?(-requests|-tokens)?(-day|-minute)?",
                                      values in prop::collection::vec("[ -~]{0,24}", 3)) {
            let stem = name.replace("-limit", "-remaining").replace("-reset", "-remaining");
            let pairs = [
                (stem.clone(), &values[0]),
                (stem.replace("remaining", "limit"), &values[1]),
                (stem.replace("remaining", "reset"), &values[2]),
            ];
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            for one in read("openai", &pairs) {
                prop_assert!(one.remaining >= 0.0 && one.remaining <= MOST);
                prop_assert!(one.limit.is_none_or(|limit| limit > 0.0));
                prop_assert!(!one.reset.is_zero() && one.reset <= LONGEST);
            }
        }
    }
}
