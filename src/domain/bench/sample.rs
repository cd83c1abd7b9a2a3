//! One request of a benchmark: when its tokens came, how it ended, whether it kept to what was asked.

use std::sync::Arc;

use super::numbers::real;
use crate::domain::money::Pico;

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SampleEnd {
    /// With all of its answer.
    Completed,
    /// Its answer broke off, for this reason.
    Incomplete(String),
    /// Without an answer, for this reason.
    Failed(String),
}

/// One request of a benchmark.
#[derive(Clone, PartialEq, Debug)]
pub struct RequestSample {
    /// How it ended.
    pub end: SampleEnd,
    /// When each piece of its stream with content came.
    pub tokens: Vec<f64>,
    /// When all of it was there, for an answer that is no stream.
    pub whole: Option<f64>,
    /// Tokens of its prompt, as the answer says.
    pub input_tokens: u64,
    /// Tokens of its answer, as it says; else the pieces with content.
    pub output_tokens: u64,
    /// Attempts that it took, as the answer says.
    pub attempts: u64,
    /// The upstream that served it.
    pub upstream: Option<Arc<str>>,
    /// Whether its answer was a kept one, or that of an equal request.
    pub is_kept: bool,
    /// What it cost, as far as that is known.
    pub cost: Option<Pico>,
}

impl RequestSample {
    /// One that has got nothing so far.
    pub fn failed(why: impl Into<String>) -> Self {
        Self {
            end: SampleEnd::Failed(why.into()),
            tokens: Vec::new(),
            whole: None,
            input_tokens: 0,
            output_tokens: 0,
            attempts: 0,
            upstream: None,
            is_kept: false,
            cost: None,
        }
    }

    /// Time to the first token; of streams only.
    pub fn ttft(&self) -> Option<f64> {
        self.tokens.first().copied()
    }

    /// End-to-end latency: until the last token of a stream, or all of a whole answer.
    pub fn e2el(&self) -> Option<f64> {
        self.whole.or_else(|| self.tokens.last().copied())
    }

    /// Inter-token latencies: each gap between two pieces of a stream with content.
    pub fn itl(&self) -> impl Iterator<Item = f64> {
        let later = self.tokens.iter().skip(1);
        self.tokens.iter().zip(later).map(|(one, next)| next - one)
    }

    /// Time per output token after the first; of streams with more than one token.
    pub fn tpot(&self) -> Option<f64> {
        let later = self
            .output_tokens
            .checked_sub(1)
            .filter(|later| *later > 0)?;
        let streamed = self.e2el()? - self.ttft()?;
        Some(streamed / real(later))
    }
}

/// What a request must keep to for goodput, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Goals {
    /// The longest time to the first token.
    pub ttft: Option<f64>,
    /// The longest time per output token.
    pub tpot: Option<f64>,
    /// The longest end-to-end latency.
    pub e2el: Option<f64>,
}

impl Goals {
    /// Whether there is any.
    pub const fn are_set(&self) -> bool {
        self.ttft.is_some() || self.tpot.is_some() || self.e2el.is_some()
    }

    /// Whether a request keeps to all of them. What it has no figure for, it keeps.
    pub fn are_met(&self, sample: &RequestSample) -> bool {
        let within = |goal: Option<f64>, took: Option<f64>| {
            goal.zip(took).is_none_or(|(goal, took)| took <= goal)
        };
        within(self.ttft, sample.ttft())
            && within(self.tpot, sample.tpot())
            && within(self.e2el, sample.e2el())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(tokens: &[f64]) -> RequestSample {
        RequestSample {
            end: SampleEnd::Completed,
            tokens: tokens.to_vec(),
            output_tokens: u64::try_from(tokens.len()).unwrap(),
            ..RequestSample::failed("")
        }
    }

    #[test]
    fn a_stream_has_the_latencies_of_its_tokens() {
        let sample = stream(&[200.0, 250.0, 300.0, 400.0, 500.0]);
        assert_eq!(sample.ttft(), Some(200.0));
        assert_eq!(sample.itl().collect::<Vec<_>>(), [50.0, 50.0, 100.0, 100.0]);
        assert_eq!(sample.tpot(), Some(75.0));
        assert_eq!(sample.e2el(), Some(500.0));
        let goals = |tpot| Goals {
            ttft: Some(250.0),
            tpot: Some(tpot),
            e2el: None,
        };
        assert!(goals(80.0).are_met(&sample));
        assert!(!goals(70.0).are_met(&sample));
    }

    #[test]
    fn one_token_has_no_time_per_token_and_a_whole_answer_no_first_one() {
        assert_eq!(stream(&[10.0]).tpot(), None);
        let whole = RequestSample {
            whole: Some(40.0),
            output_tokens: 9,
            ..RequestSample::failed("")
        };
        assert_eq!(
            (whole.ttft(), whole.tpot(), whole.e2el()),
            (None, None, Some(40.0))
        );
    }
}
