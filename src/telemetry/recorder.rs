//! Where every request is told of when it has ended, once. What is made of that (lines, numbers, spans, pages) is
//! decided here, so that all of them agree.

use super::history::History;
use super::request_line;
use super::ring::Ring;
use super::told::Told;

/// What a process tells of its requests.
#[derive(Debug)]
pub struct Recorder {
    ring: Ring,
    history: History,
}

impl Recorder {
    /// Keeps so many of the latest requests.
    pub fn new(kept: usize) -> Self {
        Self {
            ring: Ring::new(kept),
            history: History::default(),
        }
    }

    /// A request has ended.
    pub fn tell(&self, told: Told) {
        request_line::emit(&told);
        self.history.ended(&told);
        self.ring.push(told);
    }

    /// A request was refused at the door: nothing was decided, so that a flood of them does not wash away the others'
    /// stories.
    pub fn turned_away(&self, told: &Told) {
        request_line::emit(told);
        self.history.ended(told);
    }

    /// The last quarter of an hour as numbers.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The latest requests.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }
}
