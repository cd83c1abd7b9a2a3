//! Asks before more is spent than was said.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::domain::money::Pico;

/// What a benchmark will cost, as far as it is known.
pub(super) struct CostEstimate {
    /// What one request cost.
    pub(super) each: Option<Pico>,
    /// How many there will be.
    pub(super) requests: Option<u64>,
    /// What may be spent without asking.
    pub(super) most: Pico,
}

impl CostEstimate {
    /// What is to be asked; `None` where it may be spent without.
    fn question(&self) -> Option<String> {
        let most = self.most;
        match (self.each, self.requests) {
            (None, _) => Some(
                "what requests cost here is not known: no answer and no list of prices says it"
                    .to_owned(),
            ),
            // As it goes on, what is spent is counted.
            (Some(_), None) => None,
            (Some(each), Some(requests)) => {
                let all = each.times(requests);
                (all > most).then(|| {
                    format!("{requests} requests of about {each} cost about {all}, more than --max-cost {most}")
                })
            }
        }
    }
}

/// The most that may be spent, `None` for whatever it takes: without asking, by `--yes`, or by an answer at the terminal.
///
/// # Errors
/// It may not.
pub(super) fn ask(estimate: &CostEstimate, yes: bool) -> Result<Option<Pico>, String> {
    let Some(question) = estimate.question() else {
        return Ok((!yes).then_some(estimate.most));
    };
    if yes {
        return Ok(None);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(format!("{question}; --yes goes on all the same"));
    }
    let mut stderr = io::stderr();
    // Who does not see the question answers nothing.
    drop(write!(stderr, "{question}. Go on? [y/N] "));
    let mut line = String::new();
    drop(io::stdin().lock().read_line(&mut line));
    match line.trim() {
        "y" | "Y" | "yes" => Ok(None),
        _ => Err("nothing more was sent".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_cost_more_than_was_said_is_asked_about() {
        let question = |each: Option<u64>, requests, most| {
            let estimate = CostEstimate {
                each: each.map(Pico::new),
                requests,
                most: Pico::new(most),
            };
            estimate.question()
        };
        assert_eq!(question(Some(5), Some(10), 50), None);
        assert!(question(Some(5), Some(11), 50).is_some());
        assert!(question(None, Some(1), 50).is_some());
        assert_eq!(question(Some(5), None, 50), None);
        assert_eq!(question(Some(0), Some(u64::MAX), 0), None);
    }
}
