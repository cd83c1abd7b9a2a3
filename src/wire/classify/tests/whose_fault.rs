//! Refusals as providers, routers, self-hosted servers and what stands before them send them: whose fault each one is.

use super::*;

const CASES: &str = include_str!("whose_fault.txt");

#[test]
fn each_refusal_is_whose_fault_it_is() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let lines = CASES.lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts: Vec<&str> = line.splitn(5, " | ").collect();
        let &[kind, status, class, window, body] = &parts[..] else {
            panic!("not a case: {line}");
        };
        let kind = kind.trim_start_matches('-');
        let body = body.replace("(nothing)", "").replace("\\n", "\n");
        let failure = match status.parse().unwrap() {
            200 => inside(kind, None, &body),
            status => say(kind, status, &body),
        };
        if failure.class.as_str() != class {
            wrong.push(format!("{} in place of {line}", failure.class.as_str()));
        }
        if failure.window != window.parse().ok() {
            wrong.push(format!("{:?} in place of {line}", failure.window));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 150, "{seen}");
}

proptest! {
    #[test]
    fn two_numbers_decide_whether_a_request_is_too_large(limit in 1u64..1_000_000, asked in 1u64..1_000_000) {
        for words in [
            format!("Rate limit reached on tokens per min (TPM): Limit {limit}, Used 0, Requested {asked}."),
            format!("You requested up to {asked} tokens, but can only afford {limit}"),
        ] {
            let body = serde_json::json!({"error": {"message": words}}).to_string();
            let class = say("", 429, &body).class;
            prop_assert_eq!(class == TooLargeForLimit, asked > limit, "{} {:?}", body, class);
        }
    }

    #[test]
    fn any_numbers_are_read(text in "(limit|requested|afford|context length|max|tokens|>|[0-9,_]{1,40}| |\\.){0,30}", status in 400u16..530) {
        let body = serde_json::json!({"error": {"message": text}}).to_string();
        let failure = say("", status, &body);
        prop_assert!(failure.window.is_none_or(|window| window >= 64));
    }
}
