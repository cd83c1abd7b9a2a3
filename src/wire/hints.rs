//! Routing hints in requests, as OpenRouter's clients send them: `provider`, `models` and `route`.
//!
//! Source: OpenRouter's documentation of provider routing (2026-08). Its `provider` names who serves a model; here these are
//! the providers of this configuration.

use std::time::Duration;

use serde_json::{Map, Value};

use super::json;
use super::request::RequestDoc;
use crate::domain::hint_fields::DataPolicy;
use crate::domain::hints::{HintSort, Hints, UnitPrices};
use crate::domain::money::Pico;

/// The fields that are taken out of a request.
pub const FIELDS: [&str; 3] = ["provider", "models", "route"];
/// The most names in one list.
const MOST: usize = 64;
/// What of `provider` names providers of this configuration, and means nothing at OpenRouter itself.
const OWN: [&str; 4] = ["order", "only", "ignore", "allow_fallbacks"];
/// What is followed here.
const FOLLOWED: [&str; 11] = [
    "order",
    "only",
    "ignore",
    "allow_fallbacks",
    "sort",
    "max_price",
    "require_parameters",
    "data_collection",
    "zdr",
    "preferred_min_throughput",
    "preferred_max_latency",
];

/// A hint of the wrong type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the field `{field}` must be {expected}")]
pub struct HintError {
    /// Its path.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

/// The hints of one request.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RequestHints {
    /// What they say.
    pub hints: Hints,
    /// What nobody but OpenRouter follows, by path.
    pub unknown: Vec<Box<str>>,
    /// The field `provider` for OpenRouter, as JSON; `None`: nothing is left of it.
    pub provider: Option<Vec<u8>>,
}

/// Reads the hints of a request; `None` when it has no such field.
///
/// # Errors
/// A field that is given twice or has the wrong type.
pub fn read(doc: &RequestDoc) -> Result<Option<RequestHints>, HintError> {
    for field in FIELDS {
        if doc.count(field) > 1 {
            let expected = "given once";
            return Err(HintError { field, expected });
        }
    }
    if !FIELDS.iter().any(|field| doc.has(field)) {
        return Ok(None);
    }
    let mut read = RequestHints::default();
    if let Some(models) = doc.raw("models").and_then(json::value) {
        read.hints.models = names(Some(&models), "models")?;
    }
    let provider = doc.raw("provider").and_then(json::value);
    match provider.unwrap_or(Value::Null) {
        Value::Null => {}
        Value::Object(mut fields) => {
            provider_fields(&fields, &mut read.hints)?;
            let unknown = fields.keys().filter(|name| !FOLLOWED.contains(&&***name));
            read.unknown = unknown
                .map(|name| format!("provider.{name}").into())
                .collect();
            fields.retain(|name, _| !OWN.contains(&&**name));
            let rest = !fields.is_empty();
            read.provider = rest.then(|| Value::Object(fields).to_string().into_bytes());
        }
        _ => return Err(wrong("provider", "an object")),
    }
    Ok(Some(read))
}

const fn wrong(field: &'static str, expected: &'static str) -> HintError {
    HintError { field, expected }
}

fn provider_fields(fields: &Map<String, Value>, hints: &mut Hints) -> Result<(), HintError> {
    let get = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let flag = |name: &str, field: &'static str, usual: bool| match get(name) {
        None => Ok(usual),
        Some(value) => value.as_bool().ok_or(wrong(field, "true or false")),
    };
    hints.order = names(get("order"), "provider.order")?;
    hints.only = names(get("only"), "provider.only")?;
    hints.ignore = names(get("ignore"), "provider.ignore")?;
    hints.no_fallbacks = !flag("allow_fallbacks", "provider.allow_fallbacks", true)?;
    hints.require_parameters = flag("require_parameters", "provider.require_parameters", false)?;
    match get("data_collection").map(Value::as_str) {
        None | Some(Some("allow")) => {}
        Some(Some("deny")) => hints.data_policy = DataPolicy::NoCollection,
        Some(_) => return Err(wrong("provider.data_collection", "`allow` or `deny`")),
    }
    if flag("zdr", "provider.zdr", false)? {
        hints.data_policy = DataPolicy::Zdr;
    }
    if let Some(value) = get("sort") {
        sort(value, hints)?;
    }
    if let Some(value) = get("max_price") {
        hints.max_price = Some(prices(value)?);
    }
    let field = "provider.preferred_min_throughput";
    hints.min_throughput = preferred(get("preferred_min_throughput"), field)?;
    let field = "provider.preferred_max_latency";
    let seconds = preferred(get("preferred_max_latency"), field)?;
    let span = seconds.map(Duration::try_from_secs_f64).transpose();
    hints.max_latency = span.map_err(|_| wrong(field, "a number of seconds"))?;
    Ok(())
}

/// A list of names, or none.
fn names(value: Option<&Value>, field: &'static str) -> Result<Vec<Box<str>>, HintError> {
    let wrong = || wrong(field, "a list of at most 64 names");
    let items = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= MOST => items,
        Some(_) => return Err(wrong()),
    };
    let names = items.iter().map(|item| Some(Box::from(item.as_str()?)));
    let names: Option<Vec<Box<str>>> = names.collect();
    names.ok_or_else(wrong)
}

/// A word, or `{by, partition}`.
fn sort(value: &Value, hints: &mut Hints) -> Result<(), HintError> {
    const FIELD: &str = "provider.sort";
    let word = match value {
        Value::Object(fields) => {
            let partition = fields.get("partition").filter(|value| !value.is_null());
            match partition.map(Value::as_str) {
                None | Some(Some("model")) => {}
                Some(Some("none")) => hints.across_models = true,
                Some(_) => return Err(wrong("provider.sort.partition", "`model` or `none`")),
            }
            fields.get("by").and_then(Value::as_str)
        }
        other => other.as_str(),
    };
    let mut all = HintSort::ALL.into_iter();
    let found = all.find(|sort| word == Some(sort.as_str()));
    let found = found.ok_or(wrong(FIELD, "`price`, `throughput` or `latency`"))?;
    hints.sort = Some(found);
    Ok(())
}

/// USD for a million tokens, for a request and for a picture.
fn prices(value: &Value) -> Result<UnitPrices, HintError> {
    const WRONG: HintError = wrong(
        "provider.max_price",
        "an object with prices: {prompt, completion} per million tokens, {request, image} each",
    );
    let fields = value.as_object().ok_or(WRONG)?;
    let read = |name: &str, parse: fn(&str) -> Option<Pico>| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => parse(&number.to_string()).map(Some).ok_or(WRONG),
        Some(Value::String(text)) => parse(text).map(Some).ok_or(WRONG),
        Some(_) => Err(WRONG),
    };
    Ok(UnitPrices {
        prompt: read("prompt", Pico::per_token_of_million)?,
        completion: read("completion", Pico::per_token_of_million)?,
        request: read("request", Pico::parse)?,
        image: read("image", Pico::parse)?,
    })
}

/// A number, or numbers by percentile, of which the lowest percentile that is there counts: averages are kept here.
fn preferred(value: Option<&Value>, field: &'static str) -> Result<Option<f64>, HintError> {
    let number = match value {
        None => return Ok(None),
        Some(Value::Object(fields)) => {
            let percentiles = ["p50", "p75", "p90", "p99"];
            percentiles
                .iter()
                .find_map(|name| fields.get(*name)?.as_f64())
        }
        Some(other) => other.as_f64(),
    };
    let number = number.filter(|number| number.is_finite() && *number >= 0.0);
    number
        .map(Some)
        .ok_or(wrong(field, "a number, or numbers by percentile"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn of(fields: &str) -> Result<Option<RequestHints>, HintError> {
        read(&RequestDoc::parse(Bytes::from(format!("{{{fields}}}"))).unwrap())
    }

    fn hints(fields: &str) -> RequestHints {
        of(fields).unwrap().unwrap()
    }

    #[test]
    fn every_field_is_read() {
        let read = hints(
            r#""models":["a","b:c"],"route":"fallback","provider":{"order":["x"],"only":["x","y"],"ignore":["z"],
            "allow_fallbacks":false,"sort":{"by":"throughput","partition":"none"},"max_price":{"prompt":0.1,"completion":"2",
            "request":0.01},"require_parameters":true,"data_collection":"deny","preferred_min_throughput":50,
            "preferred_max_latency":{"p90":2.5},"quantizations":["fp8"]}"#,
        );
        let boxed = |all: &[&str]| {
            all.iter()
                .map(|name| Box::from(*name))
                .collect::<Vec<Box<str>>>()
        };
        let expected = Hints {
            models: boxed(&["a", "b:c"]),
            order: boxed(&["x"]),
            no_fallbacks: true,
            only: boxed(&["x", "y"]),
            ignore: boxed(&["z"]),
            sort: Some(HintSort::Throughput),
            across_models: true,
            max_price: Some(UnitPrices {
                prompt: Some(Pico::new(100_000)),
                completion: Some(Pico::new(2_000_000)),
                request: Some(Pico::new(10_000_000_000)),
                image: None,
            }),
            require_parameters: true,
            data_policy: DataPolicy::NoCollection,
            min_throughput: Some(50.0),
            max_latency: Some(Duration::from_millis(2500)),
        };
        assert_eq!(read.hints, expected);
        assert_eq!(read.unknown, boxed(&["provider.quantizations"]));
        let left: Value = serde_json::from_slice(&read.provider.unwrap()).unwrap();
        let left = left.as_object().unwrap();
        assert!(OWN.iter().all(|own| !left.contains_key(*own)), "{left:?}");
        assert!(left.contains_key("sort") && left.contains_key("quantizations"));
    }

    #[test]
    fn nothing_says_nothing() {
        assert_eq!(of(r#""model":"m""#), Ok(None));
        for fields in [
            r#""provider":null"#,
            r#""provider":{}"#,
            r#""models":[]"#,
            r#""models":null,"route":null"#,
            r#""provider":{"order":null,"only":[],"sort":null,"max_price":null,"zdr":false,"data_collection":"allow"}"#,
        ] {
            assert_eq!(hints(fields).hints, Hints::default(), "{fields}");
        }
        assert_eq!(hints(r#""provider":{"only":["a"]}"#).provider, None);
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named() {
        for (fields, field) in [
            (r#""provider":"groq""#, "provider"),
            (r#""provider":{},"provider":{}"#, "provider"),
            (r#""models":"a""#, "models"),
            (r#""models":[1]"#, "models"),
            (r#""provider":{"only":"a"}"#, "provider.only"),
            (r#""provider":{"order":[null]}"#, "provider.order"),
            (
                r#""provider":{"allow_fallbacks":"no"}"#,
                "provider.allow_fallbacks",
            ),
            (r#""provider":{"sort":"best"}"#, "provider.sort"),
            (
                r#""provider":{"sort":{"partition":"none"}}"#,
                "provider.sort",
            ),
            (
                r#""provider":{"sort":{"by":"price","partition":"x"}}"#,
                "provider.sort.partition",
            ),
            (r#""provider":{"max_price":1}"#, "provider.max_price"),
            (
                r#""provider":{"max_price":{"prompt":-1}}"#,
                "provider.max_price",
            ),
            (
                r#""provider":{"data_collection":true}"#,
                "provider.data_collection",
            ),
            (
                r#""provider":{"preferred_max_latency":-1}"#,
                "provider.preferred_max_latency",
            ),
            (
                r#""provider":{"preferred_max_latency":1e300}"#,
                "provider.preferred_max_latency",
            ),
        ] {
            assert_eq!(of(fields).unwrap_err().field, field, "{fields}");
        }
        let many = vec!["\"a\""; MOST + 1].join(",");
        assert!(of(&format!(r#""models":[{many}]"#)).is_err());
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_a_panic(
            provider in r#"(\{("(order|sort|max_price|zdr|only)":(\[?"?[a-z0-9.-]{0,6}"?\]?|\{"by":"price"\}),?){0,3}\}|[0-9]{1,4})"#,
        ) {
            let body = Bytes::from(format!(r#"{{"provider":{provider}}}"#));
            if let Ok(doc) = RequestDoc::parse(body) {
                let _ = read(&doc);
            }
        }
    }
}
