//! `telemetry`: metrics, traces and recent requests, in addition to the log.

use std::collections::BTreeMap;
use std::time::Duration;

use config::ValueKind;

use super::otlp::{self, Authorities, Otel, OtlpForm, OtlpPolicy};
use super::read::{ConfigNode, FromNode, Report, section};
use super::traces::TracesPolicy;
use super::traces_form::{self, TracesForm};
use super::values::{PositiveSpan, choice};
use crate::wire::mask::Mask;

/// The default number of requests that are kept.
const RECENT: usize = 1000;
/// The largest number of requests that can be kept: each takes about a kilobyte.
const MOST: usize = 100_000;
/// The default interval of metrics exports (OpenTelemetry's default).
const INTERVAL: Duration = Duration::from_secs(60);

section! {
    /// `telemetry`
    Telemetry {
        /// How many of the latest requests are kept with all that was decided about them; 0: none. At most 100000.
        /// Default 1000.
        recent_requests: usize,
        /// Where metrics and traces are pushed to.
        otlp: OtlpForm,
        /// What is counted and measured.
        metrics: MetricsForm,
        /// Which requests are sent as traces.
        traces: TracesForm,
        /// Whether traces contain the texts of prompts and answers: no (`off`), or with what `mask` matches masked
        /// (`masked`). Default `off`.
        content: ContentCapture,
        /// Regular expressions for what is masked, before e-mail addresses, tokens and the keys of providers, which
        /// always are.
        mask: Patterns,
    }
}

section! {
    /// `telemetry.metrics`
    MetricsForm {
        /// Whether metrics are pushed to `telemetry.otlp`, where that is set. `GET /metrics` is there in any case.
        /// Default true.
        push: bool,
        /// How often. Default `60s`.
        interval: PositiveSpan,
        /// Whether counts are reported since the start (`cumulative`), since the last export (`delta`), or as it takes
        /// less memory (`low_memory`). Default `cumulative`.
        temporality: Temporality,
    }
}

/// Whether traces contain the texts of prompts and answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ContentCapture {
    /// No texts.
    #[default]
    Off,
    /// The texts, masked.
    Masked,
}

impl ContentCapture {
    /// The names in the configuration.
    pub(super) const ALL: [(&'static str, Self); 2] =
        [("off", Self::Off), ("masked", Self::Masked)];
}

impl FromNode for ContentCapture {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        // YAML has `off` as a flag.
        match node.value.kind {
            ValueKind::Boolean(false) => Some(Self::Off),
            _ => choice(node, &Self::ALL, report),
        }
    }
}

/// Valid regular expressions.
pub(super) struct Patterns(Vec<String>);

impl FromNode for Patterns {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let mut all = Vec::new();
        for item in node.items() {
            let text = String::read(&item, report)?;
            match Mask::new(std::slice::from_ref(&text)) {
                Ok(_) => all.push(text),
                Err(why) => return item.reject(&why, "see docs.rs/regex for what is one", report),
            }
        }
        Some(Self(all))
    }
}

/// Since when counts that are pushed count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Temporality {
    /// Since the start.
    #[default]
    Cumulative,
    /// Since the last export.
    Delta,
    /// Whatever takes less memory.
    LowMemory,
}

impl Temporality {
    /// The names in the configuration.
    pub(super) const ALL: [(&'static str, Self); 3] = [
        ("cumulative", Self::Cumulative),
        ("delta", Self::Delta),
        ("low_memory", Self::LowMemory),
    ];
}

impl FromNode for Temporality {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        choice(node, &Self::ALL, report)
    }
}

/// The settings of metrics, traces and recent requests.
#[derive(Clone, PartialEq, Debug)]
pub struct TelemetryPolicy {
    /// The number of recent requests that are kept.
    pub recent_requests: usize,
    /// What is pushed where.
    pub otlp: OtlpPolicy,
    /// How metrics are pushed.
    pub metrics: MetricsPolicy,
    /// Which requests are sent as traces.
    pub traces: TracesPolicy,
    /// Whether traces contain the texts of prompts and answers.
    pub content: ContentCapture,
    /// Regular expressions for what is masked in them, valid ones.
    pub mask: Vec<String>,
}

/// How metrics are pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MetricsPolicy {
    /// The interval between two exports.
    pub interval: Duration,
    /// Since when counts count.
    pub temporality: Temporality,
}

impl Default for TelemetryPolicy {
    fn default() -> Self {
        Self {
            recent_requests: RECENT,
            otlp: OtlpPolicy::default(),
            metrics: MetricsPolicy {
                interval: INTERVAL,
                temporality: Temporality::default(),
            },
            traces: TracesPolicy::default(),
            content: ContentCapture::default(),
            mask: Vec::new(),
        }
    }
}

/// With the defaults filled in.
pub(super) fn policy(
    raw: Option<Telemetry>,
    env: &BTreeMap<String, String>,
    authorities: Authorities<'_>,
    report: &mut Report,
) -> TelemetryPolicy {
    let usual = TelemetryPolicy::default();
    let raw = raw.unwrap_or_default();
    let kept = raw.recent_requests.unwrap_or(usual.recent_requests);
    let metrics = raw.metrics.unwrap_or_default();
    let mut otlp = otlp::policy(raw.otlp, env, authorities, report);
    if metrics.push == Some(false) {
        otlp.metrics = None;
    }
    let mut otel = Otel { env, report };
    let interval = otel.millis("OTEL_METRIC_EXPORT_INTERVAL");
    let interval = interval.or(metrics.interval.map(|PositiveSpan(span)| span));
    let (traces, sent) = traces_form::policy(raw.traces, &mut otel);
    if !sent {
        otlp.traces = None;
    }
    TelemetryPolicy {
        recent_requests: kept.min(MOST),
        otlp,
        metrics: MetricsPolicy {
            interval: interval.unwrap_or(usual.metrics.interval),
            temporality: temporality(&mut otel)
                .or(metrics.temporality)
                .unwrap_or_default(),
        },
        traces,
        content: raw.content.unwrap_or_default(),
        mask: raw.mask.map(|Patterns(all)| all).unwrap_or_default(),
    }
}

fn temporality(otel: &mut Otel<'_>) -> Option<Temporality> {
    const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let text = otel.text(NAME)?.to_lowercase().replace('_', "");
    let mut known = Temporality::ALL.iter();
    match known.find(|(word, _)| word.replace('_', "") == text) {
        Some((_, temporality)) => Some(*temporality),
        None => otel.ignored(NAME, "names neither cumulative, delta nor lowmemory"),
    }
}
