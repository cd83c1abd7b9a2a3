//! What a key press means: it changes the model, or asks for something outside of it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{HoldCommand, Pane, ScreenMode, TopModel};

/// What a key press asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// Quit the program.
    Quit,
    /// One request with everything that is kept of it.
    Show(String),
    /// A command that was confirmed.
    Do(HoldCommand),
}

/// Takes one key press in.
pub(super) fn press(model: &mut TopModel, key: KeyEvent) -> Option<Effect> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Effect::Quit);
    }
    match &mut model.mode {
        ScreenMode::Browse => return browse(model, key.code),
        ScreenMode::Help => model.mode = ScreenMode::Browse,
        ScreenMode::Filter => filter(model, key.code),
        ScreenMode::Confirm(order) => match key.code {
            KeyCode::Char('y' | 'Y') => {
                let order = order.clone();
                model.mode = ScreenMode::Browse;
                return Some(Effect::Do(order));
            }
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => model.mode = ScreenMode::Browse,
            _ => {}
        },
        ScreenMode::Request { scroll, .. } => match key.code {
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Enter => model.mode = ScreenMode::Browse,
            KeyCode::Down | KeyCode::Char('j') => *scroll = scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
            KeyCode::PageDown => *scroll = scroll.saturating_add(10),
            KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
            _ => {}
        },
    }
    None
}

fn browse(model: &mut TopModel, code: KeyCode) -> Option<Effect> {
    let page = isize::try_from(model.page.max(2) - 1).unwrap_or(isize::MAX);
    // The result of the last command has been read by now.
    model.said = None;
    match code {
        KeyCode::Char('q') => return Some(Effect::Quit),
        KeyCode::Down | KeyCode::Char('j') => model.step(1),
        KeyCode::Up | KeyCode::Char('k') => model.step(-1),
        KeyCode::PageDown => model.step(page),
        KeyCode::PageUp => model.step(-page),
        KeyCode::Home | KeyCode::Char('g') => model.step(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => model.step(isize::MAX),
        KeyCode::Tab | KeyCode::BackTab => {
            model.pane = match model.pane {
                Pane::Tree => Pane::Requests,
                Pane::Requests => Pane::Tree,
            };
        }
        KeyCode::Char('/') => model.mode = ScreenMode::Filter,
        KeyCode::Esc => {
            model.view().filter.clear();
            model.settle();
        }
        KeyCode::Char('s') => model.sort(),
        KeyCode::Char('?' | 'h') => model.mode = ScreenMode::Help,
        KeyCode::Char('r') => confirm(model, false),
        KeyCode::Char('Q') => confirm(model, true),
        KeyCode::Enter => {
            let id = model.request()?;
            model.mode = ScreenMode::Request {
                id: id.clone(),
                shown: None,
                scroll: 0,
            };
            return Some(Effect::Show(id));
        }
        _ => {}
    }
    None
}

fn confirm(model: &mut TopModel, hold: bool) {
    match model.order(hold) {
        Some(order) => model.mode = ScreenMode::Confirm(order),
        None => model.said = Some(Err("select a key or a provider first".to_owned())),
    }
}

fn filter(model: &mut TopModel, code: KeyCode) {
    match code {
        KeyCode::Enter => model.mode = ScreenMode::Browse,
        KeyCode::Esc => {
            model.view().filter.clear();
            model.mode = ScreenMode::Browse;
        }
        KeyCode::Backspace => {
            model.view().filter.pop();
        }
        KeyCode::Char(letter) => model.view().filter.extend(letter.to_lowercase()),
        _ => {}
    }
    model.settle();
}
