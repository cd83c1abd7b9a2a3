//! What is understood of hedging, rescue and prefills, and what is said of mistakes.

use std::time::Duration;

use super::*;
use crate::domain::hedge::{HedgeAfter, HedgePolicy};
use crate::domain::profile::{Profile, TargetPolicy};
use crate::domain::rescue::{Prefill, RescueMode, RescuePolicy};

fn rescue(text: &str) -> Option<RescuePolicy> {
    let text = format!(
        "llm: {{providers: [{{name: echo}}], virtual: [{{name: v, upstreams: [echo], rescue: {text}}}]}}"
    );
    yaml(&text, &[]).unwrap().policies.of("v").rescue
}

#[test]
fn a_rescue_is_a_mode_or_a_mode_with_a_hold() {
    let policy = |mode, millis| {
        let hold = Duration::from_millis(millis);
        Some(RescuePolicy { mode, hold })
    };
    assert_eq!(rescue("off"), None);
    assert_eq!(rescue("restart"), policy(RescueMode::Restart, 0));
    assert_eq!(rescue("continue"), policy(RescueMode::Continue, 0));
    let held = rescue("{mode: continue, hold: 200ms}");
    assert_eq!(held, policy(RescueMode::Continue, 200));
    assert_eq!(rescue("{mode: off, hold: 200ms}"), None);
}

#[test]
fn hedging_is_off_unless_asked_for() {
    let with = |hedge: &str| {
        let text = format!("llm: {{providers: [{{name: echo}}]}}\ndispatch: {{{hedge}}}");
        yaml(&text, &[]).unwrap().dispatch.hedge
    };
    assert_eq!(with(""), None);
    assert_eq!(with("hedge: {}"), Some(HedgePolicy::default()));
    let after = HedgeAfter::Span(Duration::from_secs(2));
    let expected = HedgePolicy {
        after,
        max_ratio: 0.5,
    };
    assert_eq!(with("hedge: {after: 2s, max_ratio: 0.5}"), Some(expected));
    assert_eq!(with("hedge: {after: p95}"), Some(HedgePolicy::default()));
}

#[test]
fn a_provider_knows_its_prefill_unless_it_is_told_another() {
    let of = |provider: &str| {
        let config = yaml(&format!("llm: {{providers: [{{{provider}}}]}}"), &[]).unwrap();
        config.providers.into_iter().next().unwrap()
    };
    let mistral = of("name: mistral, api_key: k");
    assert_eq!(mistral.prefill, Some(Prefill::PrefixEchoed));
    let deepseek = of("name: deepseek, api_key: k");
    assert_eq!(
        deepseek.prefill_url.as_deref(),
        Some("https://api.deepseek.com/beta")
    );
    let own = of("name: deepseek, api_key: k, base_url: 'http://localhost:1/v1'");
    assert_eq!((own.prefill, own.prefill_url), (None, None));
    let off = of("name: mistral, api_key: k, prefill: off");
    assert_eq!(off.prefill, None);
    let custom = of("name: x, base_url: 'http://localhost:1/v1', prefill: continue_final_message");
    assert_eq!(custom.prefill, Some(Prefill::ContinueFinalMessage));
}

#[test]
fn mistakes_say_what_to_write() {
    let text = "
llm:
  providers: [{name: echo, prefill: prefx}, {name: groq, api_key: k, prefill_url: 'localhost:1'}]
  virtual:
    - {name: v, upstreams: [echo], rescue: restrat}
    - {name: w, upstreams: [echo], rescue: {mode: restart, hold: 2m}}
    - {name: x, upstreams: [echo], rescue: {hold: 2s}}
dispatch: {hedge: {after: p50, max_ratio: 2, afer: 1}}
";
    has(
        &mistakes(text, &[]),
        &[
            "llm.providers[0].prefill: expected one of off, prefix, prefix_echoed, partial, continue_final_message, assistant; did you mean `prefix`?",
            "llm.providers[1].prefill_url: ",
            "llm.virtual[0].rescue: expected one of off, restart, continue; did you mean `restart`?",
            "llm.virtual[1].rescue: hold is longer than a minute",
            "llm.virtual[2].rescue: has no mode",
            "dispatch.hedge.after: expected p95, or a time above zero",
            "dispatch.hedge.max_ratio: expected a number from 0 to 1",
            "dispatch.hedge.afer: unknown key; did you mean `after`?",
        ],
    );
}

#[test]
fn a_profile_is_a_word_for_several_keys_and_each_of_them_counts_for_more() {
    let of = |virtual_: &str, dispatch: &str| {
        let text = format!(
            "llm: {{providers: [{{name: echo, timeouts: {{idle: 1s}}}}], virtual: [{{name: v, upstreams: [echo], {virtual_}}}, \
             {{name: w, upstreams: [echo]}}]}}\ndispatch: {{{dispatch}}}"
        );
        yaml(&text, &[]).unwrap().policies
    };
    let seconds = Duration::from_secs;
    let own = of("profile: interactive", "");
    let policy = own.of("v");
    assert_eq!(policy.rescue.unwrap().mode, RescueMode::Continue);
    assert_eq!((policy.patience, policy.hedge), (seconds(3), true));
    assert_eq!(policy.first_token, Some(seconds(10)));
    assert_eq!(own.of("w"), &TargetPolicy::default(), "nobody else has it");
    let written = of("profile: interactive, rescue: off", "patience: 1s");
    assert_eq!(written.of("v").rescue, None);
    assert_eq!(written.of("v").patience, seconds(1));
    let all = of("profile: off", "profile: interactive");
    assert_eq!(all.of("v"), &TargetPolicy::default());
    for target in ["w", "echo", "echo:m"] {
        assert_eq!(
            all.of(target).profile,
            Some(Profile::Interactive),
            "{target}"
        );
    }
    let rescued = of("rescue: restart", "profile: interactive");
    assert_eq!(rescued.of("v").rescue.unwrap().mode, RescueMode::Restart);
    assert_eq!(rescued.of("v").patience, seconds(3));
    let text = mistakes(
        "dispatch: {profile: batch}\nllm: {providers: [{name: echo}]}",
        &[],
    );
    has(&text, &["expected one of off, interactive"]);
}

#[test]
fn a_first_token_that_a_provider_chose_is_not_shortened() {
    let timeouts = |text: &str| {
        let text = format!("llm: {{providers: [{{name: echo, timeouts: {text}}}]}}");
        let config = yaml(&text, &[]).unwrap();
        let due = Duration::from_secs(10);
        let timeouts = config.providers[0].timeouts.with_first_token(Some(due));
        (
            timeouts.first_byte.as_secs(),
            timeouts.first_token.as_secs(),
        )
    };
    assert_eq!(timeouts("{}"), (10, 10));
    assert_eq!(timeouts("{first_byte: 5s}"), (5, 10));
    assert_eq!(timeouts("{first_token: 90s}"), (60, 90));
}
