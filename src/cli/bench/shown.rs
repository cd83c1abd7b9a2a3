//! A benchmark's report, for people and for machines. The names are those of vLLM's `bench serve`.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::load::LoadShape;
use crate::domain::bench::BenchReport;
use crate::domain::shown::plain;

/// One load, and what came of it.
pub(super) struct BenchStep {
    pub(super) shape: LoadShape,
    pub(super) report: BenchReport,
    /// Why it ended early.
    pub(super) stopped: Option<&'static str>,
}

/// The report for people: in full for one step, as a table for several.
pub(super) fn table(steps: &[BenchStep], overhead: Option<f64>) -> String {
    let mut out = String::new();
    match steps {
        [step] => whole(step, &mut out),
        steps => sweep(steps, &mut out),
    }
    if let Some(overhead) = overhead {
        // Writing to a text never fails.
        let _ = writeln!(
            out,
            "{:<34}{overhead:>10.2}",
            "Median gateway overhead (ms):"
        );
    }
    for step in steps {
        faults(step, &mut out);
    }
    out
}

fn described(shape: LoadShape) -> String {
    match shape {
        LoadShape::Open { rate, is_even } => {
            let how = if is_even { "evenly" } else { "Poisson" };
            format!("open loop, {rate} requests/s, {how}")
        }
        LoadShape::Closed { concurrency } => format!("closed loop, {concurrency} at a time"),
    }
}

fn whole(step: &BenchStep, out: &mut String) {
    let report = &step.report;
    let mut count = |name: &str, value: u64| {
        let _ = writeln!(out, "{name:<34}{value:>10}");
    };
    count("Successful requests:", report.completed);
    count("Incomplete requests:", report.incomplete);
    count("Failed requests:", report.failed);
    count("Total input tokens:", report.input_tokens);
    count("Total generated tokens:", report.output_tokens);
    count("Attempts:", report.attempts);
    count("Requests tried again:", report.tried_again);
    count("Answers from the cache:", report.kept);
    let mut rate = |name: &str, value: f64| {
        let _ = writeln!(out, "{name:<34}{value:>10.2}");
    };
    rate("Benchmark duration (s):", report.seconds);
    rate("Request throughput (req/s):", report.request_throughput());
    if let Some(goodput) = report.request_goodput() {
        rate("Request goodput (req/s):", goodput);
    }
    rate(
        "Output token throughput (tok/s):",
        report.output_throughput(),
    );
    rate(
        "Total token throughput (tok/s):",
        report.total_token_throughput(),
    );
    let unknown = match report.unpriced {
        0 => String::new(),
        count => format!(" and {count} of unknown cost"),
    };
    let _ = writeln!(
        out,
        "{:<34}{:>10}{unknown}",
        "Cost:",
        report.cost.to_string()
    );
    let _ = writeln!(out, "Load: {}", described(step.shape));
    let served = report.upstreams.iter();
    let served = served.map(|(name, count)| format!("{} {count}", plain(name, false)));
    let served: Vec<String> = served.collect();
    if !served.is_empty() {
        let _ = writeln!(out, "Served by: {}", served.join(", "));
    }
    let _ = writeln!(
        out,
        "\n{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "(ms)", "Mean", "Median", "Std", "P90", "P95", "P99"
    );
    for (name, figures) in report.latencies() {
        let Some(figures) = figures else { continue };
        let _ = write!(out, "{:<10}", name.to_ascii_uppercase());
        for (_, figure) in figures.named() {
            let _ = write!(out, "{figure:>10.2}");
        }
        out.push('\n');
    }
    out.push('\n');
}

fn sweep(steps: &[BenchStep], out: &mut String) {
    let _ = writeln!(
        out,
        "{:<40}{:>10}{:>8}{:>10}{:>10}{:>12}{:>12}{:>12}{:>12}",
        "LOAD",
        "REQ/S",
        "FAILED",
        "GOODPUT",
        "TOK/S",
        "MED TTFT",
        "P99 TTFT",
        "MED E2EL",
        "P99 E2EL"
    );
    for step in steps {
        let report = &step.report;
        let shown = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
        };
        let _ = writeln!(
            out,
            "{:<40}{:>10.2}{:>8}{:>10}{:>10.1}{:>12}{:>12}{:>12}{:>12}",
            described(step.shape),
            report.request_throughput(),
            report.failed + report.incomplete,
            shown(report.request_goodput()),
            report.output_throughput(),
            shown(report.ttft.map(|figures| figures.median)),
            shown(report.ttft.map(|figures| figures.p99)),
            shown(report.e2el.map(|figures| figures.median)),
            shown(report.e2el.map(|figures| figures.p99)),
        );
    }
    out.push('\n');
}

fn faults(step: &BenchStep, out: &mut String) {
    for (why, count) in &step.report.faults {
        let _ = writeln!(out, "{count} x {}", plain(why, false));
    }
    if let Some(why) = step.stopped {
        let _ = writeln!(out, "stopped early: {why}");
    }
}

/// One step for machines.
pub(super) fn to_json(step: &BenchStep) -> Value {
    let report = &step.report;
    let mut all = Map::new();
    let mut add = |name: &str, value: Value| {
        all.insert(name.to_owned(), value);
    };
    match step.shape {
        LoadShape::Open { rate, is_even } => {
            add("loop", json!("open"));
            add("request_rate", json!(rate));
            add("arrivals", json!(if is_even { "even" } else { "poisson" }));
        }
        LoadShape::Closed { concurrency } => {
            add("loop", json!("closed"));
            add("max_concurrency", json!(concurrency));
        }
    }
    add("duration", json!(report.seconds));
    add("completed", json!(report.completed));
    add("incomplete", json!(report.incomplete));
    add("failed", json!(report.failed));
    add("total_input_tokens", json!(report.input_tokens));
    add("total_output_tokens", json!(report.output_tokens));
    add("request_throughput", json!(report.request_throughput()));
    add("request_goodput", json!(report.request_goodput()));
    add("output_throughput", json!(report.output_throughput()));
    add(
        "total_token_throughput",
        json!(report.total_token_throughput()),
    );
    for (metric, figures) in report.latencies() {
        let Some(figures) = figures else { continue };
        for (name, figure) in figures.named() {
            add(&format!("{name}_{metric}_ms"), json!(figure));
        }
    }
    add("attempts", json!(report.attempts));
    add("requests_tried_again", json!(report.tried_again));
    add("cache_hits", json!(report.kept));
    add("cost", json!(report.cost.to_string()));
    add("requests_of_unknown_cost", json!(report.unpriced));
    add("upstreams", json!(report.upstreams));
    add("faults", json!(report.faults));
    add("stopped", json!(step.stopped));
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bench::{Goals, RequestSample, SampleEnd};

    fn step() -> BenchStep {
        let sample = RequestSample {
            end: SampleEnd::Completed,
            tokens: vec![200.0, 250.0, 300.0, 400.0, 500.0],
            input_tokens: 10,
            output_tokens: 5,
            attempts: 1,
            ..RequestSample::failed("")
        };
        let goals = Goals {
            ttft: Some(250.0),
            ..Goals::default()
        };
        let samples = [sample, RequestSample::failed("429 rate_limited")];
        BenchStep {
            shape: LoadShape::Open {
                rate: 10.0,
                is_even: false,
            },
            report: BenchReport::of(&samples, 2.0, &goals),
            stopped: None,
        }
    }

    #[test]
    fn the_names_are_those_of_vllm() {
        let json = to_json(&step());
        assert_eq!(json["mean_ttft_ms"], 200.0);
        assert_eq!(json["median_itl_ms"], 75.0);
        assert_eq!(json["p99_tpot_ms"], 75.0);
        assert_eq!(json["std_e2el_ms"], 0.0);
        assert_eq!(json["request_goodput"], 0.5);
        assert_eq!(
            (&json["completed"], &json["failed"]),
            (&json!(1), &json!(1))
        );
        let text = table(&[step()], Some(0.123));
        for part in [
            "Request throughput (req/s):             0.50\n",
            "Median gateway overhead (ms):           0.12\n",
            "TPOT           75.00",
            "1 x 429 rate_limited\n",
            "Load: open loop, 10 requests/s, Poisson\n",
        ] {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
        let text = table(&[step(), step()], None);
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("open loop"))
                .count(),
            2
        );
    }
}
