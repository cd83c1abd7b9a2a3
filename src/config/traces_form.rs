//! `telemetry.traces`: which requests are sent as traces. The standard `OTEL_…` variables win over the file, as they do
//! in `telemetry.otlp`.

use std::time::Duration;

use super::otlp::Otel;
use super::read::{ConfigNode, FromNode, Report, section};
use super::traces::{SLOW, TracesPolicy, WAITED};
use super::values::{Fraction, Span};
use crate::domain::sampling::{Keep, Sampler};

section! {
    /// `telemetry.traces`
    TracesForm {
        /// Whether traces are pushed to `telemetry.otlp`, where that is set. Default true.
        push: bool,
        /// The share of the traces that begin here that is sent, from 0 to 1. Where a caller sends its own
        /// `traceparent`, that decides. Default 1.
        sample: Fraction,
        /// Whether requests that failed, went on to another upstream, were hedged or rescued are sent although they
        /// were not sampled. Default true.
        keep_failures: bool,
        /// A request that waited this long for a key is sent although it was not sampled; `0`: none is. Default `5s`.
        keep_waited: Span,
        /// A request that took this long is sent although it was not sampled; `0`: none is. Default `60s`.
        keep_slow: Span,
    }
}

/// What the file and the variables say together; and whether anything is sent at all.
pub(super) fn policy(raw: Option<TracesForm>, otel: &mut Otel<'_>) -> (TracesPolicy, bool) {
    let raw = raw.unwrap_or_default();
    let usual = TracesPolicy::default();
    let span = |raw: Option<Span>, usual: Duration| {
        let span = raw.map_or(usual, |Span(span)| span);
        (!span.is_zero()).then_some(span)
    };
    let share = raw.sample.map(|Fraction(share)| share);
    let file = Sampler {
        share: share.unwrap_or(usual.sampler.share),
        ..usual.sampler
    };
    let sampler = sampler(otel);
    let off = sampler.is_some_and(|sampler| !sampler.parent_based && sampler.share <= 0.0);
    let delay = otel.millis("OTEL_BSP_SCHEDULE_DELAY");
    let queue = otel.count("OTEL_BSP_MAX_QUEUE_SIZE");
    let batch = otel.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
    let policy = TracesPolicy {
        sampler: sampler.unwrap_or(file),
        keep: Keep {
            failures: raw.keep_failures.unwrap_or(usual.keep.failures),
            waited: span(raw.keep_waited, WAITED),
            slow: span(raw.keep_slow, SLOW),
        },
        delay: delay.unwrap_or(usual.delay),
        queue: queue.unwrap_or(usual.queue),
        batch: batch.unwrap_or(usual.batch),
        propagates: propagates(otel),
    };
    (policy, raw.push.unwrap_or(true) && !off)
}

/// What `OTEL_TRACES_SAMPLER` and its argument say.
fn sampler(otel: &mut Otel<'_>) -> Option<Sampler> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    let text = otel.text(NAME)?;
    let (parent_based, root) = match text.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, text),
    };
    let share = match root {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => ratio(otel),
        _ => return otel.ignored(NAME, "names no sampler that is known here"),
    };
    Some(Sampler {
        share,
        parent_based,
    })
}

fn ratio(otel: &mut Otel<'_>) -> f64 {
    const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(text) = otel.text(NAME) else {
        return 1.0;
    };
    let share = text.parse().ok();
    match share.filter(|share| (0.0..=1.0).contains(share)) {
        Some(share) => share,
        None => otel
            .ignored(NAME, "is no number from 0 to 1")
            .unwrap_or(1.0),
    }
}

/// What `OTEL_PROPAGATORS` says. Baggage, which is in OpenTelemetry's default, is never passed on.
fn propagates(otel: &mut Otel<'_>) -> bool {
    const NAME: &str = "OTEL_PROPAGATORS";
    let Some(text) = otel.text(NAME) else {
        return true;
    };
    let words = text.split(',').map(str::trim);
    let mut heard = false;
    for word in words {
        match word {
            "tracecontext" => heard = true,
            "none" | "baggage" | "" => {}
            _ => {
                let why = "names a propagator other than tracecontext";
                otel.ignored::<()>(NAME, why);
            }
        }
    }
    heard
}
