//! Scores in a language of their own. No I/O, no clock, no logging.

use std::fmt;
use std::sync::Arc;

use super::asked::RequestShape;
use super::when::ConditionSubject;
use super::zone::Zone;

/// An expression that gives an upstream a score for a request.
pub trait ScoreExpression: Send + Sync {
    /// As it is written.
    fn text(&self) -> &str;
    /// The score of that upstream, finite, at this local time in seconds since 1970; `None` when that cannot be told.
    fn score(
        &self,
        asked: &RequestShape<'_>,
        candidate: &dyn ConditionSubject,
        local: i64,
    ) -> Option<f64>;
}

/// Such an expression, and where its times of day are.
#[derive(Clone)]
pub struct CustomScore {
    /// The expression.
    pub expression: Arc<dyn ScoreExpression>,
    /// The zone.
    pub zone: Zone,
}

impl CustomScore {
    /// The score of an upstream; `None` when that cannot be told.
    pub fn of(&self, asked: &RequestShape<'_>, candidate: &dyn ConditionSubject) -> Option<f64> {
        let local = self.zone.local(asked.unix);
        self.expression.score(asked, candidate, local)
    }
}

impl fmt::Display for CustomScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cel: {}", self.expression.text())?;
        match &*self.zone.name {
            "UTC" => Ok(()),
            name => write!(f, ", timezone: {name}"),
        }
    }
}
