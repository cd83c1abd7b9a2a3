//! Colours and weights. With `NO_COLOR` set there are weights only (<https://no-color.org>).

use ratatui::style::{Color, Modifier, Style};

use super::rows::Mood;

/// The colours and styles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    color: bool,
}

impl Theme {
    /// As the value of `NO_COLOR` says: any but an empty one means none.
    pub(super) fn new(no_color: Option<&str>) -> Self {
        Self {
            color: no_color.is_none_or(str::is_empty),
        }
    }

    fn colored(self, color: Color) -> Style {
        if self.color {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }

    pub(super) fn mood(self, mood: Mood) -> Style {
        match mood {
            Mood::Bad => self.bad(),
            Mood::Out => self.colored(Color::Yellow),
            Mood::Notable => self.colored(Color::Cyan),
            Mood::Well => self.colored(Color::Green),
        }
    }

    pub(super) fn bad(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn good(self) -> Style {
        self.colored(Color::Green)
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn selected(self, focused: bool) -> Style {
        if focused {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new().add_modifier(Modifier::UNDERLINED)
        }
    }

    /// Of the frame of the pane in use, and of the other one.
    pub(super) fn frame(self, focused: bool) -> Style {
        if focused {
            self.colored(Color::Cyan).add_modifier(Modifier::BOLD)
        } else {
            self.faint()
        }
    }
}
