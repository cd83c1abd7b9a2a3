//! Results in the form of JUnit's reports, which most systems that build and test read.

use std::fmt::Write as _;

use super::verdict::CaseResult;

/// The report: a suite for each target.
pub fn junit(results: &[CaseResult]) -> String {
    let mut targets: Vec<&str> = Vec::new();
    for result in results {
        if !targets.contains(&result.target.as_str()) {
            targets.push(&result.target);
        }
    }
    let all: Vec<&CaseResult> = results.iter().collect();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pointsman eval\"{}>\n",
        counts(&all)
    );
    for target in targets {
        let of: Vec<&CaseResult> = results.iter().filter(|it| it.target == target).collect();
        // Writing to a text never fails.
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\"{}>",
            escaped(target),
            counts(&of)
        );
        for result in of {
            case(result, &mut out);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn seconds(result: &CaseResult) -> f64 {
    let answer = result.answer.as_ref();
    answer.map_or(0.0, |answer| answer.millis / 1e3)
}

fn counts(results: &[&CaseResult]) -> String {
    let failed = results.iter().filter(|it| !it.passed && it.answer.is_ok());
    let errors = results.iter().filter(|it| it.answer.is_err());
    let time: f64 = results.iter().map(|it| seconds(it)).sum();
    format!(
        " tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{time:.3}\"",
        results.len(),
        failed.count(),
        errors.count()
    )
}

fn case(result: &CaseResult, out: &mut String) {
    let head = format!(
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\"",
        escaped(&result.case),
        escaped(&result.target),
        seconds(result)
    );
    match (&result.answer, result.passed) {
        (Ok(_), true) => {
            let _ = writeln!(out, "{head}/>");
        }
        (Ok(answer), false) => {
            let failed = result.assertions.iter().filter(|it| !it.passed);
            let reasons = failed.map(|it| format!("{}: {}", it.name, it.reason));
            let reasons: Vec<String> = reasons.collect();
            let _ = writeln!(
                out,
                "{head}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                escaped(&reasons.join("; ")),
                escaped(&answer.output())
            );
        }
        (Err(why), _) => {
            let _ = writeln!(
                out,
                "{head}>\n      <error message=\"{}\"/>\n    </testcase>",
                escaped(why)
            );
        }
    }
}

/// A text for XML: escaped, without the characters that XML cannot have.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::answer::EvalAnswer;
    use crate::eval::assertion::AssertionResult;

    #[test]
    fn each_target_is_a_suite_and_texts_are_escaped() {
        let result = |target: &str, passed: bool, answer| CaseResult {
            target: target.to_owned(),
            case: "a <b>".to_owned(),
            passed,
            score: 0.0,
            assertions: vec![AssertionResult {
                name: "contains".to_owned(),
                weight: 1.0,
                passed,
                reason: "no \"x\"".to_owned(),
            }],
            answer,
        };
        let answer = EvalAnswer {
            text: "a\u{1b}\n&".to_owned(),
            millis: 1500.0,
            ..EvalAnswer::default()
        };
        let xml = junit(&[
            result("t", true, Ok(answer.clone())),
            result("t", false, Ok(answer)),
            result("u", false, Err("429".to_owned())),
        ]);
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="pointsman eval" tests="3" failures="1" errors="1" time="3.000">
  <testsuite name="t" tests="2" failures="1" errors="0" time="3.000">
    <testcase name="a &lt;b&gt;" classname="t" time="1.500"/>
    <testcase name="a &lt;b&gt;" classname="t" time="1.500">
      <failure message="contains: no &quot;x&quot;">a�&#10;&amp;</failure>
    </testcase>
  </testsuite>
  <testsuite name="u" tests="1" failures="0" errors="1" time="0.000">
    <testcase name="a &lt;b&gt;" classname="u" time="0.000">
      <error message="429"/>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(xml, expected);
    }
}
