//! What is in front of the screen for a while: the help, and one request's timeline.

use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};
use serde_json::Value;

use super::figures;
use super::look::Theme;
use super::model::{ScreenMode, TopModel, is_good};
use super::rows::Mood;
use crate::cli::shown::{items, text};

const HELP: [(&str, &str); 12] = [
    ("↑ ↓  k j", "select the row above or below"),
    ("PgUp PgDn", "a page up or down"),
    ("g G", "the first row, the last row"),
    ("Tab", "the other pane"),
    ("Enter", "the selected request's timeline"),
    ("/", "show only what contains a text; Esc: all again"),
    ("s", "sort: as configured, trouble first, busiest first"),
    ("Q", "hold the selected key or provider, after a yes"),
    ("r", "release it from whatever keeps it away, after a yes"),
    ("?", "this"),
    ("q  Ctrl-C", "quit; the server keeps running"),
    ("", "colours are off with NO_COLOR"),
];
/// The columns of a try's bar.
const BAR: u32 = 32;

pub(super) fn draw(frame: &mut Frame<'_>, model: &TopModel, look: Theme) {
    match &model.mode {
        ScreenMode::Browse | ScreenMode::Filter | ScreenMode::Confirm(_) => {}
        ScreenMode::Help => {
            let lines = HELP.iter().map(|(key, what)| {
                let key = Span::styled(format!(" {key:<11}"), look.strong());
                Line::from(vec![key, Span::raw(*what)])
            });
            let height = u16::try_from(HELP.len()).unwrap_or(0) + 2;
            let area = middle(frame.area(), 66, height);
            put(frame, area, " help ", lines.collect(), 0, look);
        }
        ScreenMode::Request { id, shown, scroll } => {
            let lines = match shown {
                None => vec![Line::from("…")],
                Some(Err(why)) => vec![Line::from(Span::styled(why.clone(), look.bad()))],
                Some(Ok(request)) => timeline(request, look),
            };
            let area = frame.area();
            let area = middle(
                area,
                area.width.saturating_sub(4),
                area.height.saturating_sub(2),
            );
            put(frame, area, &format!(" {id} "), lines, *scroll, look);
        }
    }
}

fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let [area] = Layout::vertical([Constraint::Length(height)])
        .flex(Flex::Center)
        .areas(area);
    let [area] = Layout::horizontal([Constraint::Length(width)])
        .flex(Flex::Center)
        .areas(area);
    area
}

fn put(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    lines: Vec<Line<'_>>,
    scroll: u16,
    look: Theme,
) {
    let most = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let scroll = scroll.min(most.saturating_sub(area.height.saturating_sub(2)));
    let block = Block::bordered()
        .border_style(look.frame(true))
        .title(title);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block).scroll((scroll, 0)), area);
}

/// Everything that is kept of one request, as lines.
pub(super) fn timeline(request: &Value, look: Theme) -> Vec<Line<'static>> {
    let millis = |name: &str| request[name].as_f64().map(|ms| format!("{ms:.1} ms"));
    let client = text(&request["client"]);
    let stream = if request["stream"] == true {
        " stream"
    } else {
        ""
    };
    let outcome = match request["status"].as_u64() {
        Some(status) => format!("{} {status}", text(&request["outcome"])),
        None => text(&request["outcome"]),
    };
    let style = if is_good(request) {
        look.good()
    } else {
        look.bad()
    };
    let mut head = vec![
        Span::styled(outcome, style),
        Span::raw(format!(" after {}", millis("total_ms").unwrap_or_default())),
    ];
    if let Some(first) = millis("first_token_ms") {
        head.push(Span::raw(format!(", first token after {first}")));
    }
    let tokens = |name: &str| request[name].as_u64();
    if let (Some(prompt), Some(answer)) = (tokens("prompt_tokens"), tokens("completion_tokens")) {
        head.push(Span::raw(format!(", {prompt} + {answer} tokens")));
    }
    if let Some(cost) = request["cost"].as_str() {
        let kind = text(&request["cost_kind"]);
        head.push(Span::raw(format!(", cost {cost} ({kind})")));
    }
    let chain = items(&request["chain"]).iter().map(text);
    let mut lines = vec![
        Line::from(head),
        Line::from(format!(
            "{} {}{stream} for {}{}",
            text(&request["at"]),
            text(&request["operation"]),
            text(&request["target"]),
            if client.is_empty() {
                String::new()
            } else {
                format!(", asked by {client}")
            },
        )),
        Line::from(format!("chain: {}", chain.collect::<Vec<_>>().join(" → "))),
    ];
    let why = figures::routed(&request["routing"]).into_iter();
    lines.extend(why.map(|why| Line::from(Span::styled(why, look.faint()))));
    lines.push(Line::default());
    let total = request["total_ms"].as_f64().unwrap_or(0.0);
    for (n, attempt) in items(&request["tries"]).iter().enumerate() {
        lines.extend(passed_over(&attempt["passed_over"], look));
        lines.extend(attempt_lines(n + 1, attempt, total, look));
    }
    let met = items(&request["rescue_obstacles"]).iter();
    lines.extend(met.map(|met| obstacle(met, look)));
    if let Some(refused) = request["refused"].as_object() {
        let cause = refused.get("cause").map(text).unwrap_or_default();
        let at = refused.get("at_ms").and_then(Value::as_f64).unwrap_or(0.0);
        let said = format!("refused after {at:.1} ms: {}", cause.replace('_', " "));
        lines.push(Line::from(Span::styled(said, look.bad())));
        if let Some(declined) = refused.get("declined") {
            lines.extend(passed_over(declined, look));
        }
    }
    lines
}

/// What kept a stream from being rescued.
fn obstacle(met: &Value, look: Theme) -> Line<'static> {
    let upstream = text(&met["upstream"]);
    let what = match upstream.as_str() {
        "" => "not rescued".to_owned(),
        at => format!("not continued at {at}"),
    };
    let at = met["at_ms"].as_f64().unwrap_or(0.0);
    let said = format!("{what} after {at:.1} ms: {}", text(&met["detail"]));
    Line::from(Span::styled(said, look.mood(Mood::Out)))
}

fn passed_over(all: &Value, look: Theme) -> Vec<Line<'static>> {
    // Upstreams that were tried are listed above.
    let news = items(all).iter().filter(|one| one["reason"] != "tried");
    let lines = news.map(|one| {
        let until = text(&one["until"]);
        let until = until
            .get(11..19)
            .map_or_else(String::new, |it| format!(" until {it}"));
        let reason = text(&one["reason"]).replace('_', " ");
        let said = format!("     not {}: {reason}{until}", text(&one["upstream"]));
        Line::from(Span::styled(said, look.mood(Mood::Out)))
    });
    lines.collect()
}

fn attempt_lines(n: usize, attempt: &Value, total: f64, look: Theme) -> Vec<Line<'static>> {
    let number = |name: &str| attempt[name].as_f64();
    let (started, ended) = (number("started_ms"), number("ended_ms"));
    let (from, to) = (started.unwrap_or(0.0), ended.unwrap_or(total));
    let class = text(&attempt["outcome"]);
    let style = match class.as_str() {
        "success" => look.good(),
        "cancelled" => look.faint(),
        _ => look.bad(),
    };
    let class = class.replace('_', " ");
    let class = match attempt["status"].as_u64() {
        Some(status) => format!("{class} {status}"),
        None => class,
    };
    let mut lines = vec![
        Line::from(vec![
            Span::styled(format!("{n:>3}. "), look.strong()),
            Span::raw(format!(
                "{} {} ({})  ",
                text(&attempt["upstream"]),
                text(&attempt["key"]),
                text(&attempt["attempt_reason"]).replace('_', " "),
            )),
            Span::styled(class, style),
        ]),
        Line::from(vec![
            Span::raw("     "),
            Span::styled(bar(from, to, total), style),
            Span::raw(format!("  {from:.1} – {to:.1} ms")),
            Span::raw(match number("first_token_ms") {
                Some(first) => format!(", first token at {first:.1}"),
                None => String::new(),
            }),
        ]),
    ];
    let waited = number("waited_ms").filter(|waited| *waited >= 1.0);
    let waited = waited.map(|waited| format!("waited {waited:.1} ms for a key"));
    let detail = Some(text(&attempt["detail"])).filter(|detail| !detail.is_empty());
    for said in waited.into_iter().chain(detail) {
        lines.push(Line::from(Span::styled(
            format!("     {said}"),
            look.faint(),
        )));
    }
    lines
}

/// Where in the whole of the request this part of it was.
fn bar(from: f64, to: f64, total: f64) -> String {
    let total = total.max(to).max(f64::MIN_POSITIVE);
    let place = |column: u32| f64::from(column) / f64::from(BAR) * total;
    let statuses = (0..BAR).map(|column| {
        // A cell is filled if the part covers any of it.
        let inside = place(column) < to && from < place(column + 1);
        let begins = place(column) <= from && from < place(column + 1);
        if inside || begins { '█' } else { '·' }
    });
    statuses.collect()
}
