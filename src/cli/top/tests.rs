//! The screen, drawn from a model, and what keys do to it.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};
use serde_json::{Value, json};

use super::keys::{Effect, press};
use super::look::Theme;
use super::model::{HoldCommand, ModelUpdate, Pane, ScreenMode, TopModel};
use super::{draw, overlay};

const COLOR: Option<&str> = None;

fn key(id: &str, in_flight: u64, cooling: &Value) -> Value {
    json!({"id": id, "life": "up", "state": "usable", "in_flight": in_flight, "attempts": 40 + in_flight,
        "hold": null, "invalid": null, "cooling": cooling,
        "limits": {"rpm": 30, "tpm": null, "rpd": null, "max_in_flight": 2},
        "learned": {"max_in_flight": null, "limits": []}})
}

fn provider(name: &str, open: &Value, keys: &Value) -> Value {
    let breaker = if open.is_null() { "closed" } else { "open" };
    json!({"name": name, "life": "up", "hold": null, "cooling": null, "keys": keys,
        "upstreams": [{"model": format!("{name}-m"), "breaker": breaker, "open_until": open, "gone_until": null, "share": 1.0}]})
}

fn state() -> Value {
    let left = |seconds: f64| json!({"at": "2026-11-21T16:00:12.000Z", "seconds_left": seconds});
    let cooling = json!([{"model": "groq-m", "reason": "cooling", "until": left(12.4)}]);
    json!({
        "process": {"version": "0.1.0", "uptime_seconds": 3725.0, "generation": 2, "draining": false, "in_flight": 3},
        "router": {"waiting": 1},
        "providers": [
            provider("cerebras", &Value::Null, &json!([key("cerebras#1", 0, &json!([]))])),
            provider("groq", &left(9.0), &json!([key("groq#1", 2, &json!([])), key("groq#2", 0, &cooling)])),
        ],
    })
}

fn request(number: u64, outcome: &str, status: u64, total: f64) -> Value {
    json!({"number": number, "id": format!("req_{number}"), "at": "2026-11-21T16:01:02.345Z", "client": "ci",
        "operation": "chat/completions", "stream": true, "target": "smart", "outcome": outcome, "status": status,
        "upstream": "groq:groq-m", "key": "groq#1", "attempts": number % 3, "total_ms": total, "first_token_ms": 120.0,
        "prompt_tokens": 12, "completion_tokens": 40, "trace_id": null})
}

fn model() -> TopModel {
    let mut model = TopModel::new("127.0.0.1:8081".to_owned());
    model.hear(ModelUpdate::Look {
        routing: None,
        spend: None,
        state: state(),
        history: Some(json!({"step_seconds": 5, "points": [{"at": "", "requests": 50, "failed": 5, "failovers": 0,
            "p50_ms": 200.0, "p95_ms": 410.0, "first_token_p50_ms": 90.0}]})),
        requests: Some(json!({"kept": 50, "latest": 3, "requests": [
            request(3, "answered", 200, 812.4),
            request(2, "upstreams_exhausted", 502, 90.0),
            request(1, "answered", 200, 2000.0),
        ]})),
    });
    model
}

fn drawn(model: &TopModel, (width, height): (u16, u16), no_color: Option<&str>) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let look = Theme::new(no_color);
    terminal
        .draw(|frame| draw::draw(frame, model, look))
        .unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width);
    let text =
        |row: &[ratatui::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect::<String>();
    rows.map(|row| text(row).trim_end().to_owned()).collect()
}

fn screen(model: &TopModel) -> String {
    lines(&drawn(model, (80, 24), COLOR)).join("\n")
}

fn type_in(model: &mut TopModel, keys: &str) -> Option<Effect> {
    let presses = keys.chars().map(|letter| match letter {
        '\n' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '\u{1b}' => KeyCode::Esc,
        letter => KeyCode::Char(letter),
    });
    let effects = presses.map(|code| press(model, KeyEvent::new(code, KeyModifiers::NONE)));
    effects.last().flatten()
}

/// The text of the selected row.
fn selected(model: &TopModel) -> String {
    let buffer = drawn(model, (80, 24), COLOR);
    let is_selected = |row: usize| {
        let cell = &buffer.content[row * 80 + 3];
        cell.modifier.contains(Modifier::REVERSED)
    };
    let row = (0..24).find(|row| is_selected(*row)).unwrap();
    lines(&buffer)[row].clone()
}

#[test]
fn it_all_fits_on_a_small_screen() {
    let lines = lines(&drawn(&model(), (80, 24), COLOR));
    assert!(
        lines[0].starts_with("pointsman 0.1.0  127.0.0.1:8081  up 62 min  generation 2"),
        "{lines:#?}"
    );
    assert!(
        lines[1].starts_with(
            "10.0 req/s  failed 10.0 %  in flight 3  waiting 1  p50 200 ms  p95 410 ms"
        ),
        "{lines:#?}"
    );
    let text = lines.join("\n");
    for expected in [
        "breaker open          9.0 s",
        "groq#2",
        "cooling for groq-m    12 s",
        "2/2",
        "rpm 30",
        "16:01:02",
        "upstreams exhausted",
        "groq#1 groq-m",
        "812 ms",
        "? help",
    ] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    assert_eq!(lines.len(), 24);
}

#[test]
fn every_size_can_be_drawn() {
    let mut model = model();
    for mode in ["", "?", "\u{1b}/x", "\u{1b}\u{1b}\t\n"] {
        type_in(&mut model, mode);
        for size in [(1, 1), (7, 3), (20, 5), (80, 24), (300, 100)] {
            drawn(&model, size, COLOR);
        }
    }
    drawn(&TopModel::new("x".to_owned()), (80, 24), COLOR);
}

#[test]
fn countdowns_go_on_between_two_looks() {
    let mut model = model();
    model.age = 4.0;
    assert!(screen(&model).contains("5.0 s"));
    model.age = 10.0;
    assert!(screen(&model).contains("now "));
    model.hear(ModelUpdate::Lost("cannot ask 127.0.0.1:8081".to_owned()));
    assert!(screen(&model).contains("NOT ANSWERING"));
}

#[test]
fn what_an_older_process_does_not_tell_is_a_dash() {
    let mut model = model();
    model.hear(ModelUpdate::Look {
        routing: None,
        spend: None,
        state: state(),
        history: None,
        requests: None,
    });
    let text = screen(&model);
    assert!(text.contains("– req/s") && text.contains("p95 –"), "{text}");
    assert!(text.contains("keeps no requests"), "{text}");
}

#[test]
fn without_colours_nothing_is_lost_but_colours() {
    let (with, without) = (
        drawn(&model(), (80, 24), COLOR),
        drawn(&model(), (80, 24), Some("1")),
    );
    assert_eq!(lines(&with), lines(&without));
    let is_plain = |buffer: &Buffer| {
        let mut statuses = buffer.content.iter();
        statuses.all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    };
    assert!(is_plain(&without) && !is_plain(&with));
    assert!(!is_plain(&drawn(&model(), (80, 24), Some(""))));
}

#[test]
fn the_selection_stays_with_its_row() {
    let mut model = model();
    type_in(&mut model, "jj");
    assert!(
        selected(&model).contains("cerebras#1"),
        "{}",
        selected(&model)
    );
    // Sorted otherwise, the same row stays selected.
    type_in(&mut model, "s");
    assert!(selected(&model).contains("cerebras#1"));
    let look = ModelUpdate::Look {
        routing: None,
        spend: None,
        state: state(),
        history: None,
        requests: None,
    };
    model.hear(look);
    assert!(selected(&model).contains("cerebras#1"));
    type_in(&mut model, "G");
    assert!(
        selected(&model).contains("cerebras#1"),
        "trouble is first now"
    );
    type_in(&mut model, "ssg");
    assert!(selected(&model).contains("cerebras"));
    type_in(&mut model, "kkkk");
    assert!(selected(&model).contains("cerebras"));
}

#[test]
fn a_filter_leaves_what_contains_it_with_its_provider() {
    let mut model = model();
    type_in(&mut model, "/OQ#2\n");
    let text = screen(&model);
    assert!(
        text.contains("groq#2") && !text.contains("cerebras"),
        "{text}"
    );
    assert!(
        !text.contains("groq#1  ") && text.contains("/oq#2"),
        "{text}"
    );
    type_in(&mut model, "\u{1b}");
    assert!(screen(&model).contains("cerebras"));
    type_in(&mut model, "\t/exhausted\n");
    let text = screen(&model);
    assert!(!text.contains("812 ms") && text.contains("90 ms"), "{text}");
}

#[test]
fn requests_are_sorted_as_asked() {
    let mut model = model();
    type_in(&mut model, "\t");
    assert!(selected(&model).contains("812 ms"));
    type_in(&mut model, "sg");
    assert!(selected(&model).contains("upstreams exhausted"));
    type_in(&mut model, "sg");
    assert!(selected(&model).contains("2000 ms"));
}

#[test]
fn an_order_needs_a_yes() {
    let mut model = model();
    type_in(&mut model, "jj");
    assert_eq!(type_in(&mut model, "Q"), None);
    assert!(screen(&model).contains("hold cerebras#1 until it is released?  y: yes   n: no"));
    assert_eq!(type_in(&mut model, "n"), None);
    assert_eq!(model.mode, ScreenMode::Browse);
    let order = HoldCommand {
        provider: "cerebras".to_owned(),
        key: Some(1),
        hold: true,
    };
    assert_eq!(type_in(&mut model, "Qy"), Some(Effect::Do(order)));
    model.hear(ModelUpdate::Done(Ok("cerebras#1 is held".to_owned())));
    assert!(screen(&model).contains("cerebras#1 is held"));
    let whole = HoldCommand {
        provider: "cerebras".to_owned(),
        key: None,
        hold: false,
    };
    assert_eq!(type_in(&mut model, "gry"), Some(Effect::Do(whole)));
    // There are no commands to an upstream or a request.
    type_in(&mut model, "jQ");
    assert!(model.mode == ScreenMode::Browse && screen(&model).contains("select a key"));
    type_in(&mut model, "\tr");
    assert_eq!(
        (model.mode.clone(), model.pane),
        (ScreenMode::Browse, Pane::Requests)
    );
}

#[test]
fn q_and_ctrl_c_end_it_wherever_that_is_meant() {
    let mut model = model();
    assert_eq!(type_in(&mut model, "q"), Some(Effect::Quit));
    // In a filter it is a letter.
    assert_eq!(type_in(&mut model, "/q"), None);
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(press(&mut model, ctrl_c), Some(Effect::Quit));
}

#[test]
fn a_request_is_shown_with_every_try() {
    let mut model = model();
    let asked = type_in(&mut model, "\t\n");
    assert_eq!(asked, Some(Effect::Show("req_3".to_owned())));
    assert!(screen(&model).contains(" req_3 "));
    let mut whole = request(3, "answered", 200, 812.4);
    whole["chain"] = json!(["groq:groq-m", "cerebras:m"]);
    whole["tries"] = json!([
        {"upstream": "groq:groq-m", "key": "groq#2", "attempt_reason": "first", "passed_over": [], "asked_ms": 0.1, "waited_ms": 0.0,
         "started_ms": 0.2, "first_byte_ms": 100.0, "first_token_ms": null, "ended_ms": 400.0, "outcome": "rate_limited",
         "status": 429, "detail": "Rate limit reached"},
        {"upstream": "cerebras:m", "key": "cerebras#1", "attempt_reason": "failover",
         "passed_over": [{"upstream": "x:m", "reason": "breaker_open", "until": "2026-11-21T16:02:00.000Z"}],
         "asked_ms": 401.0, "waited_ms": 12.5, "started_ms": 414.0, "first_byte_ms": 500.0, "first_token_ms": 520.0,
         "ended_ms": 812.4, "outcome": "success", "status": 200, "detail": null},
    ]);
    whole["refused"] = Value::Null;
    model.hear(ModelUpdate::Request(
        "req_2".to_owned(),
        Err("of another".to_owned()),
    ));
    model.hear(ModelUpdate::Request("req_3".to_owned(), Ok(whole.clone())));
    let text = screen(&model);
    for expected in [
        "answered 200 after 812.4 ms, first token after 120.0 ms, 12 + 40 tokens",
        "asked by ci",
        "chain: groq:groq-m → cerebras:m",
        "1. groq:groq-m groq#2 (first)  rate limited 429",
        "████████████████················  0.2 – 400.0 ms",
        "Rate limit reached",
        "not x:m: breaker open until 16:02:00",
        "waited 12.5 ms for a key",
    ] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    type_in(&mut model, "\u{1b}");
    assert_eq!(model.mode, ScreenMode::Browse);
    whole["tries"] = json!([]);
    whole["refused"] = json!({"at_ms": 1.0, "cause": "nothing_left", "declined": [
        {"upstream": "groq:groq-m", "reason": "cooling", "until": null}]});
    let lines = overlay::timeline(&whole, Theme::new(COLOR));
    let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
    assert!(
        text.contains(&"refused after 1.0 ms: nothing left".to_owned()),
        "{text:#?}"
    );
    assert!(
        text.contains(&"     not groq:groq-m: cooling".to_owned()),
        "{text:#?}"
    );
}

#[test]
fn a_long_tree_scrolls_to_what_is_selected() {
    let mut model = TopModel::new("x".to_owned());
    let keys: Vec<Value> = (1..=500)
        .map(|n| key(&format!("a#{n}"), 0, &json!([])))
        .collect();
    let mut many = state();
    many["providers"] = json!([provider("a", &Value::Null, &json!(keys))]);
    model.hear(ModelUpdate::Look {
        routing: None,
        spend: None,
        state: many,
        history: None,
        requests: None,
    });
    for at in ["G", "kkkkkkkkkk", "g"] {
        type_in(&mut model, at);
        selected(&model);
    }
    type_in(&mut model, "G");
    assert!(screen(&model).contains("a#500"));
}

#[test]
fn a_wide_screen_has_room_for_costs_and_what_policies_rank_by() {
    let mut model = model();
    let mut answered = request(4, "answered", 200, 12.0);
    answered["cost"] = json!("0.000450");
    model.hear(ModelUpdate::Look {
        routing: Some(Box::new(json!({"upstreams": [{"upstream": "groq:groq-m", "price": {"input": "0.15", "output": "0.6"},
            "stream_ms": 320.0, "used_share": 0.12}]}))),
        spend: Some(Box::new(json!({"rows": [{"cost": "1.250000"}]}))),
        state: state(),
        history: None,
        requests: Some(json!({"requests": [answered]})),
    });
    let wide = lines(&drawn(&model, (180, 24), COLOR)).join("\n");
    for text in [
        "spent today 1.250000",
        "0.15/0.6, first 320 ms, 12 % used",
        "cost",
        "0.000450",
    ] {
        assert!(wide.contains(text), "{text}\n{wide}");
    }
    // On a small one the names go first.
    let narrow = screen(&model);
    assert!(
        narrow.contains("groq#1 groq-m") && !narrow.contains("0.000450"),
        "{narrow}"
    );
}
