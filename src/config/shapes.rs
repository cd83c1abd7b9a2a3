//! What each kind of value looks like: for the reference in a word, for the schema as patterns.
//!
//! A test holds every description against what the type reads.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use serde_json::json;

use super::admin::AdminListen;
use super::describe::{Describe, Shape};
use super::listen::Listens;
use super::listeners::{self, Http2, Http2Table};
use super::otlp::{Compression, HttpUrl};
use super::outbound::ProxyForm;
use super::policies::{CooldownForm, CooldownTable, Growing, WaitsForm};
use super::raw::{AwaitTimeout, Cooldowns, UpstreamRef, UpstreamTable};
use super::resolved::LogFormat;
use super::streams::{
    HedgeTime, PrefillForm, ProfileForm, RescueForm, RescueModeForm, RescueTable,
};
use super::telemetry::{ContentCapture, Patterns, Temporality};
use super::values::{
    Amount, Fraction, Headers, KeyTexts, Names, Params, PositiveSpan, Size, Span, Texts,
};
use crate::domain::budget::{Mode, UnpricedSpend};
use crate::domain::caching::{CacheStoreKind, CacheWhen};
use crate::domain::chain::NameMatch;
use crate::domain::client::Priority;
use crate::domain::cooldown::CooldownScope;
use crate::domain::dialect::NativeRoute;
use crate::domain::dropped::Unsupported;
use crate::domain::profile::Fetch;
use crate::domain::profile::Profile;
use crate::domain::rescue::Prefill;
use crate::domain::rotation::KeyRotation;
use crate::wire::auth::AuthScheme;
use crate::wire::dialects::{Dialect, UPSTREAM};

/// A number and its unit, as text.
const TIME: &str = r"^\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*(s|secs?|seconds?|ms|millis|us|µs|m|mins?|minutes?|h|hours?|d|days?)?\s*$";
const SIZE: &str = r"^\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*([kKmMgG]([iI]?[bB]?)|[bB])?\s*$";
const WHOLE: &str = r"^\s*\+?[0-9_]+\s*$";
const NUMBER: &str = r"^\s*\+?[0-9_.]+([eE][+-]?[0-9]+)?\s*$";
const FLAG: &str = r"^\s*([tT][rR][uU][eE]|[yY][eE][sS]|[oO][nN]|[fF][aA][lL][sS][eE]|[nN][oO]|[oO][fF][fF]|[01])\s*$";

impl Describe for String {
    fn shape() -> Shape {
        Shape::plain("text", json!({"type": ["string", "integer"]}))
    }
}

impl Describe for bool {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "boolean"}, {"enum": [0, 1]}, {"type": "string", "pattern": FLAG}
        ]});
        Shape::named("flag", "`true` or `false`", schema)
    }
}

fn whole(name: &'static str, word: &str, least: u32) -> Shape {
    let schema = json!({"anyOf": [
        {"type": "integer", "minimum": least}, {"type": "string", "pattern": WHOLE}
    ]});
    Shape::named(name, word, schema)
}

macro_rules! whole {
    ($name:literal, $word:literal, $least:literal: $($type:ty),*) => {$(
        impl Describe for $type {
            fn shape() -> Shape {
                whole($name, $word, $least)
            }
        }
    )*};
}

whole!("whole", "whole number", 0: u64, u32, usize);
whole!("count", "whole number, 1 or more", 1: NonZeroU64, NonZeroU32, NonZeroUsize);

impl Describe for Amount {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "number", "minimum": 0}, {"type": "string", "pattern": NUMBER}
        ]});
        Shape::named("amount", "number, 0 or more", schema)
    }
}

impl Describe for Fraction {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": NUMBER}
        ]});
        Shape::named("share", "share, 0 to 1", schema)
    }
}

impl Describe for Span {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "number", "minimum": 0}, {"type": "string", "pattern": TIME}
        ]});
        Shape::named("time", "time", schema)
    }
}

impl Describe for PositiveSpan {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": TIME}
        ]});
        Shape::named("positive_time", "time above 0", schema)
    }
}

impl Describe for Size {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "integer", "minimum": 1}, {"type": "string", "pattern": SIZE}
        ]});
        Shape::named("size", "size", schema)
    }
}

impl<T: Describe> Describe for Vec<T> {
    fn shape() -> Shape {
        T::shape().listed()
    }
}

impl Describe for Names {
    fn shape() -> Shape {
        let schema = String::shape().or(String::shape().listed()).schema;
        Shape::named("names", "list, or text with commas", schema)
    }
}

impl Describe for KeyTexts {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "string"}, {"type": ["array", "null"], "items": {"type": ["string", "null"]}}
        ]});
        Shape::named("keys", "list, or text with commas", schema)
    }
}

impl Describe for Headers {
    fn shape() -> Shape {
        String::shape().mapped("map of names and texts")
    }
}

impl Describe for Texts {
    fn shape() -> Shape {
        String::shape().mapped("map of names and texts")
    }
}

impl Describe for HttpUrl {
    fn shape() -> Shape {
        let schema = json!({"type": "string", "pattern": "^\\s*[hH][tT][tT][pP][sS]?://"});
        Shape::plain("URL", schema)
    }
}

impl Describe for Compression {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(|(word, _)| word))
    }
}

impl Describe for ContentCapture {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(|(word, _)| word))
    }
}

impl Describe for Patterns {
    fn shape() -> Shape {
        Names::shape()
    }
}

impl Describe for Temporality {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(|(word, _)| word))
    }
}

impl Describe for Params {
    fn shape() -> Shape {
        Shape::plain("", json!(true)).mapped("map of names and any values")
    }
}

impl Describe for Listens {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "string"}, {"type": ["array", "null"], "items": {"type": "string"}, "minItems": 1}
        ]});
        Shape::named("addresses", "address, or list of addresses", schema)
    }
}

impl Describe for Http2 {
    fn shape() -> Shape {
        bool::shape().or(Http2Table::shape())
    }
}

impl Describe for listeners::OctalMode {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "integer", "minimum": 600, "maximum": 777},
            {"type": "string", "pattern": "^\\s*(0o)*0*[67][0-7]{2}\\s*$"}
        ]});
        Shape::named("mode", "octal permission bits, quoted", schema)
    }
}

impl Describe for ProxyForm {
    fn shape() -> Shape {
        Shape::choice(["off", "environment"]).or(Shape::plain(
            "URL",
            json!({"type": "string", "pattern": "^\\s*[hH][tT][tT][pP][sS]?://"}),
        ))
    }
}

impl Describe for AdminListen {
    fn shape() -> Shape {
        Shape::choice(["off"]).or(Listens::shape())
    }
}

impl Describe for Dialect {
    fn shape() -> Shape {
        Shape::choice(UPSTREAM.map(|dialect| dialect.id()))
    }
}

impl Describe for AuthScheme {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(|(name, _)| name))
    }
}

impl Describe for KeyRotation {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(Self::as_str))
    }
}

impl Describe for NameMatch {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(Self::as_str))
    }
}

impl Describe for Unsupported {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(Self::as_str))
    }
}

impl Describe for Fetch {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(Self::as_str))
    }
}

impl Describe for CacheStoreKind {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(Self::as_str))
    }
}

impl Describe for CacheWhen {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(Self::as_str))
    }
}

impl Describe for NativeRoute {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(Self::as_str))
    }
}

impl Describe for CooldownScope {
    fn shape() -> Shape {
        Shape::choice(["key_model", "key", "provider"])
    }
}

impl Describe for LogFormat {
    fn shape() -> Shape {
        Shape::choice(["text", "json"])
    }
}

impl Describe for Mode {
    fn shape() -> Shape {
        Shape::choice(["hard", "soft"])
    }
}

impl Describe for UnpricedSpend {
    fn shape() -> Shape {
        Shape::choice(["refuse", "allow"])
    }
}

impl Describe for Priority {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(Self::as_str))
    }
}

impl Describe for WaitsForm {
    fn shape() -> Shape {
        let growing = Growing::shape();
        Span::shape().or(Vec::<Span>::shape()).or(growing)
    }
}

impl Describe for CooldownForm {
    fn shape() -> Shape {
        Span::shape().or(CooldownTable::shape())
    }
}

impl Describe for Cooldowns {
    fn shape() -> Shape {
        Span::shape().or(Span::shape().mapped("map of providers and times"))
    }
}

impl Describe for AwaitTimeout {
    fn shape() -> Shape {
        let table = json!({
            "type": ["object", "null"],
            "properties": {"default": Span::shape().schema},
            "additionalProperties": false,
        });
        Span::shape().or(Shape::plain("`{default: time}`", table))
    }
}

impl Describe for UpstreamRef {
    fn shape() -> Shape {
        String::shape().or(UpstreamTable::shape())
    }
}

impl Describe for HedgeTime {
    fn shape() -> Shape {
        Shape::choice(["p95"]).or(PositiveSpan::shape())
    }
}

impl Describe for RescueModeForm {
    fn shape() -> Shape {
        Shape::choice(["off", "restart", "continue"])
    }
}

impl Describe for ProfileForm {
    fn shape() -> Shape {
        Shape::choice(["off", Profile::Interactive.as_str()])
    }
}

impl Describe for RescueForm {
    fn shape() -> Shape {
        RescueModeForm::shape().or(RescueTable::shape())
    }
}

impl Describe for PrefillForm {
    fn shape() -> Shape {
        Shape::choice(
            ["off"]
                .into_iter()
                .chain(Prefill::ALL.map(|(name, _)| name)),
        )
    }
}
