//! What expressions may speak of: one row for each field of each variable.

use cel::Value;

use crate::domain::asked::RequestShape;
use crate::domain::catalog::capability::Capability;
use crate::domain::money::Pico;
use crate::domain::when::ConditionSubject;

/// What an expression is evaluated for.
pub(super) struct Input<'a> {
    pub asked: &'a RequestShape<'a>,
    pub candidate: &'a dyn ConditionSubject,
    /// The local time in seconds since 1970.
    pub local: i64,
}

/// A field of a variable.
pub(super) struct Field {
    pub variable: &'static str,
    pub name: &'static str,
    /// Its value; one that is not known is not there, which `has(…)` tells.
    pub read: fn(&Input<'_>) -> Option<Value>,
}

const fn field(
    variable: &'static str,
    name: &'static str,
    read: fn(&Input<'_>) -> Option<Value>,
) -> Field {
    Field {
        variable,
        name,
        read,
    }
}

/// All of them. Prices are those of a million tokens.
pub(super) static FIELDS: &[Field] = &[
    field("request", "model", |it| Some(it.asked.model.into())),
    field("request", "stream", |it| Some(Value::Bool(it.asked.stream))),
    field("request", "prompt_tokens", |it| {
        Some(whole(it.asked.prompt_tokens))
    }),
    field("request", "max_tokens", |it| {
        it.asked.output_tokens.map(whole)
    }),
    field("request", "temperature", |it| {
        it.asked.details.temperature().map(Value::Float)
    }),
    field("request", "tools", |it| Some(has(it, Capability::Tools))),
    field("request", "images", |it| Some(has(it, Capability::Images))),
    field("request", "audio", |it| Some(has(it, Capability::Audio))),
    field("request", "has_schema", |it| {
        Some(has(it, Capability::JsonSchema))
    }),
    field("request", "reasoning", |it| {
        Some(has(it, Capability::Reasoning))
    }),
    field("client", "name", |it| {
        Some(it.asked.client.unwrap_or_default().into())
    }),
    field("client", "priority", |it| {
        Some(it.asked.priority.unwrap_or_default().into())
    }),
    field("client", "budget_left", |it| {
        money(it.asked.details.budget_left()?, WHOLE)
    }),
    field("now", "hour", |it| Some(Value::Int(second(it) / 3600))),
    field("now", "minute", |it| Some(Value::Int(second(it) / 60 % 60))),
    field("now", "weekday", |it| Some(Value::Int(weekday(it)))),
    field("target", "name", |it| Some(it.candidate.name().into())),
    field("target", "provider", |it| {
        Some(it.candidate.provider()?.into())
    }),
    field("target", "model", |it| Some(it.candidate.model()?.into())),
    field("target", "price_in", |it| {
        money(it.candidate.input_price()?, PER_MILLION)
    }),
    field("target", "price_out", |it| {
        money(it.candidate.output_price()?, PER_MILLION)
    }),
    field("target", "context", |it| {
        it.candidate.context_window().map(whole)
    }),
    field("target", "ttft_ms", |it| {
        let millis = it.candidate.first_token()?.as_millis();
        Some(whole(u64::try_from(millis).unwrap_or(u64::MAX)))
    }),
    field("target", "in_flight", |it| {
        Some(Value::Int(it.candidate.in_flight().into()))
    }),
    field("target", "used_share", |it| {
        it.candidate.used_share().map(Value::Float)
    }),
    field("target", "tags", |it| {
        let tags: Vec<Value> = it.candidate.tags().into_iter().map(Value::from).collect();
        Some(tags.into())
    }),
];

/// Decimal places of an amount, and of the price of a token as that of a million.
const WHOLE: usize = 12;
const PER_MILLION: usize = 6;

/// An amount as a number to compare with: the one that is nearest to how it is written. Nothing is computed from it.
fn money(amount: Pico, places: usize) -> Option<Value> {
    amount.decimal(places).parse().ok().map(Value::Float)
}

fn whole(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn has(input: &Input<'_>, feature: Capability) -> Value {
    Value::Bool(input.asked.features.has(feature))
}

const DAY: i64 = 24 * 60 * 60;

/// Of the day.
fn second(input: &Input<'_>) -> i64 {
    input.local.rem_euclid(DAY)
}

/// From 1 (Monday) to 7; 1970 began on a Thursday.
fn weekday(input: &Input<'_>) -> i64 {
    (input.local.div_euclid(DAY) + 3).rem_euclid(7) + 1
}
