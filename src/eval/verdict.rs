//! What a case comes to at a target.

use super::answer::EvalAnswer;
use super::assertion::AssertionResult;
use super::file::{EvalCase, EvalTarget};

/// What one case came to at one target.
#[derive(Clone, PartialEq, Debug)]
pub struct CaseResult {
    /// The target.
    pub target: String,
    /// The case.
    pub case: String,
    /// Whether it is as it should be.
    pub passed: bool,
    /// The weighted share of its assertions that hold, 0 to 1.
    pub score: f64,
    /// Each assertion.
    pub assertions: Vec<AssertionResult>,
    /// The answer; or why there is none.
    pub answer: Result<EvalAnswer, String>,
}

/// Holds an answer against a case.
pub fn judged(
    case: &EvalCase,
    target: &EvalTarget,
    answer: Result<EvalAnswer, String>,
) -> CaseResult {
    let results: Vec<AssertionResult> = match &answer {
        Ok(answer) => {
            let all = case.assertions.iter();
            all.map(|assertion| assertion.result(answer, &target.tools))
                .collect()
        }
        Err(_) => Vec::new(),
    };
    let weights: f64 = results.iter().map(|result| result.weight).sum();
    let held = results.iter().filter(|result| result.passed);
    // From zero: the sum of nothing is a negative one.
    let held = held.fold(0.0, |sum, result| sum + result.weight);
    let score = match (&answer, weights > 0.0) {
        (Err(_), _) => 0.0,
        (Ok(_), true) => held / weights,
        (Ok(_), false) => 1.0,
    };
    let passed = answer.is_ok()
        && match case.threshold {
            Some(threshold) => score >= threshold,
            // What weighs nothing is told, and decides nothing.
            None => results
                .iter()
                .all(|result| result.passed || result.weight == 0.0),
        };
    CaseResult {
        target: target.label.clone(),
        case: case.name.clone(),
        passed,
        score,
        assertions: results,
        answer,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::eval::file::read;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a test: what is asserted is written in place"
    )]
    fn case(assertions: serde_json::Value, threshold: Option<f64>) -> EvalCase {
        let text = json!({
            "targets": ["t"], "prompts": ["hi"],
            "tests": [{"assert": assertions, "threshold": threshold}],
        });
        read(&text.to_string()).unwrap().cases.remove(0)
    }

    fn result(assertions: serde_json::Value, threshold: Option<f64>) -> CaseResult {
        let target = EvalTarget {
            label: "t".to_owned(),
            model: "t".to_owned(),
            body: serde_json::Map::new(),
            tools: Vec::new(),
        };
        let answer = EvalAnswer {
            text: "hello world".to_owned(),
            ..EvalAnswer::default()
        };
        judged(&case(assertions, threshold), &target, Ok(answer))
    }

    #[test]
    fn a_case_passes_when_all_hold_or_enough_of_their_weight() {
        let both = json!([
            {"type": "contains", "value": "hello", "weight": 3},
            {"type": "contains", "value": "moon"},
        ]);
        let all = result(both.clone(), None);
        assert_eq!((all.passed, all.score), (false, 0.75));
        assert!(result(both.clone(), Some(0.75)).passed);
        assert!(!result(both, Some(0.8)).passed);
        let told = json!([
            {"type": "contains", "value": "hello"},
            {"type": "contains", "value": "moon", "weight": 0},
        ]);
        assert_eq!(
            (result(told.clone(), None).passed, result(told, None).score),
            (true, 1.0)
        );
        assert!(result(json!([]), None).passed);
        let none = result(json!([{"type": "contains", "value": "moon"}]), None);
        assert_eq!(format!("{:.2}", none.score), "0.00");
    }
}
