//! The screen as a function of the model.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row as Cells, Table, TableState};
use serde_json::Value;

use super::head;
use super::look::Theme;
use super::model::{Pane, ScreenMode, Sort, TopModel, is_good};
use super::overlay;
use super::rows::{Mood, Row, RowKind};
use crate::cli::shown::{millis, span, text};

/// From this width on requests have a column for their cost.
const WIDE: u16 = 100;

/// The parts of the screen: two lines, the tree, the requests, one line.
fn parts(area: Rect) -> [Rect; 4] {
    let rows = [
        Constraint::Length(2),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(1),
    ];
    Layout::vertical(rows).areas(area)
}

/// How many rows of a pane a screen of that size shows.
pub(super) fn page(area: Rect, pane: Pane) -> usize {
    let [_, tree, list, _] = parts(area);
    let pane = match pane {
        Pane::Tree => tree,
        Pane::Requests => list,
    };
    // The frame's two and the titles of the columns.
    usize::from(pane.height.saturating_sub(3))
}

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, model: &TopModel, look: Theme) {
    let [head, tree, list, foot] = parts(frame.area());
    frame.render_widget(Paragraph::new(Vec::from(head::lines(model, look))), head);
    draw_tree(frame, tree, model, look);
    draw_list(frame, list, model, look);
    frame.render_widget(Paragraph::new(footer(model, look)), foot);
    overlay::draw(frame, model, look);
}

fn draw_tree(frame: &mut Frame<'_>, area: Rect, model: &TopModel, look: Theme) {
    let rows = model.rows();
    let statuses = rows.iter().map(|row| tree_row(row, model.age, look));
    let widths = [
        Constraint::Fill(4),
        Constraint::Fill(5),
        Constraint::Length(7),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Fill(3),
    ];
    let titles = ["name", "state", "left", "in flight", "attempts", "limits"];
    let table = Table::new(statuses, widths).header(Cells::new(titles).style(look.faint()));
    let title = title(
        "providers",
        model,
        Pane::Tree,
        ["", "trouble first", "busiest first"],
    );
    put(frame, area, table, Pane::Tree, title, model, look);
}

fn tree_row(row: &Row, age: f64, look: Theme) -> Cells<'static> {
    let indent = match row.kind {
        RowKind::Provider => "",
        RowKind::Upstream | RowKind::Key(_) => "  ",
    };
    let name = format!("{indent}{}", row.name);
    let name = match row.kind {
        RowKind::Provider => Span::styled(name, look.strong()),
        RowKind::Upstream => Span::styled(name, look.faint()),
        RowKind::Key(_) => Span::raw(name),
    };
    let left = match row.left.map(|left| left - age) {
        Some(left) if left > 0.0 => span(left),
        Some(_) => "now".to_owned(),
        None => String::new(),
    };
    let style = match row.mood {
        // Normal rows are faint, so that the others stand out.
        Mood::Well => look.faint(),
        mood => look.mood(mood),
    };
    let (in_flight, attempts) = match row.kind {
        RowKind::Upstream => (String::new(), String::new()),
        RowKind::Provider | RowKind::Key(_) => {
            let most = row.most.map_or_else(String::new, |most| format!("/{most}"));
            (format!("{}{most}", row.in_flight), row.attempts.to_string())
        }
    };
    let full = row.most.is_some_and(|most| row.in_flight >= most);
    let in_flight = if full {
        Span::styled(in_flight, look.mood(Mood::Out))
    } else {
        Span::raw(in_flight)
    };
    Cells::new([
        Cell::from(name),
        Cell::from(Span::styled(row.state.clone(), style)),
        Cell::from(Span::styled(left, style)),
        Cell::from(in_flight),
        Cell::from(attempts),
        Cell::from(Span::styled(row.limits.clone(), look.faint())),
    ])
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, model: &TopModel, look: Theme) {
    let list = model.list();
    // On a narrow screen the names need the room.
    let is_wide = area.width >= WIDE;
    let statuses = list.iter().map(|request| list_row(request, is_wide, look));
    let mut widths = vec![
        Constraint::Length(8),
        Constraint::Fill(2),
        Constraint::Fill(3),
        Constraint::Fill(3),
        Constraint::Length(5),
        Constraint::Length(9),
    ];
    let mut titles = vec!["time", "target", "outcome", "served by", "tries", "took"];
    if is_wide {
        widths.push(Constraint::Length(12));
        titles.push("cost");
    }
    let table = Table::new(statuses, widths).header(Cells::new(titles).style(look.faint()));
    let title = title(
        "requests",
        model,
        Pane::Requests,
        ["", "failed first", "slowest first"],
    );
    put(frame, area, table, Pane::Requests, title, model, look);
    if model.requests.is_none() && area.height > 3 {
        let inside = area.inner(ratatui::layout::Margin::new(1, 2));
        let none = Span::styled("– this process keeps no requests", look.faint());
        frame.render_widget(Paragraph::new(Line::from(none)), inside);
    }
}

fn list_row(request: &Value, is_wide: bool, look: Theme) -> Cells<'static> {
    let at = text(&request["at"]);
    let time = at.get(11..19).unwrap_or_default().to_owned();
    let outcome = match request["outcome"].as_str() {
        Some("answered") => format!("answered {}", request["status"]),
        _ => text(&request["outcome"]).replace('_', " "),
    };
    let style = match (is_good(request), request["outcome"].as_str()) {
        (true, _) => look.good(),
        (false, Some("caller_left")) => look.mood(Mood::Out),
        (false, _) => look.bad(),
    };
    let model = text(&request["upstream"]);
    let model = model.split_once(':').map_or("", |(_, model)| model);
    let served = match request["key"].as_str() {
        Some(_) => format!("{} {model}", text(&request["key"])),
        None => "–".to_owned(),
    };
    let took = request["total_ms"].as_f64();
    let took = took.map_or_else(String::new, millis);
    let attempts = request["attempts"].as_u64().unwrap_or(0);
    let cost = is_wide.then(|| Cell::from(text(&request["cost"])));
    let cells = [
        Cell::from(Span::styled(time, look.faint())),
        Cell::from(text(&request["target"])),
        Cell::from(Span::styled(outcome, style)),
        Cell::from(served),
        Cell::from(match attempts {
            0 | 1 => Span::raw(attempts.to_string()),
            _ => Span::styled(attempts.to_string(), look.mood(Mood::Out)),
        }),
        Cell::from(took),
    ];
    Cells::new(cells.into_iter().chain(cost))
}

/// A pane's name, with what of it is shown and how.
fn title(name: &str, model: &TopModel, pane: Pane, sorts: [&str; 3]) -> String {
    let view = match pane {
        Pane::Tree => &model.tree,
        Pane::Requests => &model.list,
    };
    let [usual, trouble, load] = sorts;
    let sort = match view.sort {
        Sort::Usual => usual,
        Sort::Trouble => trouble,
        Sort::Load => load,
    };
    let mut title = format!(" {name} ");
    if !sort.is_empty() {
        title.push_str(&format!("· {sort} "));
    }
    if !view.filter.is_empty() {
        title.push_str(&format!("· /{} ", view.filter));
    }
    title
}

/// A table in its frame.
fn put(
    frame: &mut Frame<'_>,
    area: Rect,
    table: Table<'_>,
    pane: Pane,
    title: String,
    model: &TopModel,
    look: Theme,
) {
    let focused = model.pane == pane;
    let view = match pane {
        Pane::Tree => &model.tree,
        Pane::Requests => &model.list,
    };
    let block = Block::bordered()
        .border_style(look.frame(focused))
        .title(title);
    let table = table
        .block(block)
        .row_highlight_style(look.selected(focused));
    // The selected row in the middle, so that nothing has to be remembered of the last time.
    let height = usize::from(area.height.saturating_sub(3));
    let offset = view.at.saturating_sub(height / 2);
    let count = match pane {
        Pane::Tree => model.rows().len(),
        Pane::Requests => model.list().len(),
    };
    let offset = offset.min(count.saturating_sub(height));
    let mut state = TableState::new()
        .with_offset(offset)
        .with_selected((count > 0).then_some(view.at));
    frame.render_stateful_widget(table, area, &mut state);
}

/// A question, the result of the last command, or the keys.
fn footer(model: &TopModel, look: Theme) -> Line<'static> {
    match (&model.mode, &model.said) {
        (ScreenMode::Confirm(order), _) => {
            let what = if order.hold {
                format!("hold {} until it is released?", order.target())
            } else {
                format!("release {}?", order.target())
            };
            Line::from(vec![
                Span::styled(what, look.bad()),
                Span::styled("  y: yes   n: no", look.strong()),
            ])
        }
        (ScreenMode::Filter, _) => {
            let filter = match model.pane {
                Pane::Tree => &model.tree.filter,
                Pane::Requests => &model.list.filter,
            };
            Line::from(format!("/{filter}▏  Enter: keep   Esc: all"))
        }
        (_, Some(Ok(said))) => Line::from(Span::styled(said.clone(), look.good())),
        (_, Some(Err(said))) => Line::from(Span::styled(said.clone(), look.bad())),
        _ => {
            let keys = "q quit  Tab pane  Enter show  / filter  s sort  Q hold  r release  ? help";
            Line::from(Span::styled(keys, look.faint()))
        }
    }
}
