//! The two lines at the top: the process, and what its requests were like in the last minute.

use ratatui::text::{Line, Span};
use serde_json::Value;

use super::figures;
use super::look::Theme;
use super::model::TopModel;
use crate::cli::shown::{items, millis, span, text};

/// Steps of the history that are shown as figures: a minute, the step under way included.
const RECENT: usize = 12;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Shown for an unknown figure.
const NONE: &str = "–";

pub(super) fn lines(model: &TopModel, look: Theme) -> [Line<'static>; 2] {
    [process(model, look), traffic(model, look)]
}

fn process(model: &TopModel, look: Theme) -> Line<'static> {
    let process = &model.state["process"];
    let uptime = process["uptime_seconds"].as_f64().unwrap_or(0.0) + model.age;
    let mut parts = vec![
        Span::styled(
            format!("pointsman {}", text(&process["version"])),
            look.strong(),
        ),
        Span::raw(format!(
            "  {}  up {}  generation {}",
            model.place,
            span(uptime.floor()),
            process["generation"],
        )),
    ];
    if let Some(cost) = figures::spent(model.spend.as_deref()) {
        parts.push(Span::raw(format!("  spent today {cost}")));
    }
    if process["draining"] == true {
        parts.push(Span::styled("  draining", look.bad()));
    }
    if let Some(why) = &model.lost {
        let lost = format!("  NOT ANSWERING for {}: {why}", span(model.age));
        parts.push(Span::styled(lost, look.bad()));
    }
    Line::from(parts)
}

fn traffic(model: &TopModel, look: Theme) -> Line<'static> {
    let figures = figures(model.history.as_ref());
    let number = |value: &Value| value.as_u64().map_or(NONE.to_owned(), |n| n.to_string());
    let time = |value: Option<f64>| value.map_or(NONE.to_owned(), millis);
    let failed = figures.failed.unwrap_or(0.0);
    let failed = Span::styled(
        match figures.failed {
            Some(share) => format!("failed {:.1} %", share * 100.0),
            None => format!("failed {NONE}"),
        },
        if failed > 0.0 {
            look.bad()
        } else {
            look.faint()
        },
    );
    let rate = figures.rate;
    let rate = rate.map_or(NONE.to_owned(), |rate| format!("{rate:.1}"));
    Line::from(vec![
        Span::styled(format!("{rate} req/s  "), look.strong()),
        failed,
        Span::raw(format!(
            "  in flight {}  waiting {}  p50 {}  p95 {}  first token {}  ",
            number(&model.state["process"]["in_flight"]),
            number(&model.state["router"]["waiting"]),
            time(figures.p50),
            time(figures.p95),
            time(figures.first_token),
        )),
        Span::styled(figures.bars, look.good()),
    ])
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Figures {
    rate: Option<f64>,
    failed: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    first_token: Option<f64>,
    bars: String,
}

fn figures(history: Option<&Value>) -> Figures {
    let Some(history) = history else {
        return Figures::default();
    };
    let step = history["step_seconds"].as_f64().unwrap_or(5.0);
    let points = items(&history["points"]);
    let recent = points.get(points.len().saturating_sub(RECENT)..);
    let recent = recent.unwrap_or_default();
    let number = |point: &Value, name: &str| point[name].as_f64().unwrap_or(0.0);
    // The last step is under way: it would make the rate too low.
    let whole = match recent {
        [whole @ .., _] if !whole.is_empty() => whole,
        all => all,
    };
    let sum = |name: &str| whole.iter().map(|point| number(point, name)).sum::<f64>();
    // The figure of the latest step that has one.
    let last = |name: &str| recent.iter().rev().find_map(|point| point[name].as_f64());
    let seconds = whole.iter().map(|_| step).sum::<f64>();
    let most = recent
        .iter()
        .map(|point| number(point, "requests"))
        .fold(1.0, f64::max);
    let bars = recent.iter().map(|point| {
        let share = number(point, "requests") / most;
        let reached = |bar: &usize| {
            let threshold = f64::from(u32::try_from(*bar).unwrap_or(0)) / 8.0;
            share > threshold
        };
        let height = (0..BARS.len()).rev().find(reached).unwrap_or(0);
        BARS.get(height).copied().unwrap_or(' ')
    });
    let requests = sum("requests");
    Figures {
        rate: (seconds > 0.0).then(|| requests / seconds),
        failed: (seconds > 0.0).then(|| sum("failed") / requests.max(1.0)),
        p50: last("p50_ms"),
        p95: last("p95_ms"),
        first_token: last("first_token_p50_ms"),
        bars: bars.collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_minute_counts() {
        let point = |requests: u64, p95: Option<f64>| {
            json!({"at": "", "requests": requests, "failed": requests / 10, "p50_ms": p95, "p95_ms": p95,
                "first_token_p50_ms": null})
        };
        let mut points = vec![point(1000, Some(1.0)); 100];
        points.extend(vec![point(20, Some(300.0)); 11]);
        points.push(point(0, None));
        let figures = figures(Some(&json!({"step_seconds": 5, "points": points})));
        assert_eq!(figures.p95, Some(300.0));
        assert_eq!(figures.first_token, None);
        assert_eq!(figures.bars, "███████████▁");
        assert!((figures.rate.unwrap() - 4.0).abs() < 1e-9);
        assert!((figures.failed.unwrap() - 0.1).abs() < 1e-9);
        assert_eq!(super::figures(None), Figures::default());
    }
}
