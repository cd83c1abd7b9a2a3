//! What OpenAI's models take, by the generation that their names tell.

use serde_json::Number;

use crate::wire::ir::SamplingParams;

/// What a model refuses that reasons before it answers, in the words of the neutral form.
/// <https://platform.openai.com/docs/guides/latest-model>
const REFUSED: &str = "the model takes it only where it does not reason";

/// The model's name in small letters, without who serves it.
fn bare(model: &str) -> String {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.to_ascii_lowercase()
}

/// Whether it is one of the o series.
fn is_o(name: &str) -> bool {
    let digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    name.strip_prefix('o').is_some_and(digit)
}

/// What follows `gpt-` in the names of GPT-5 and what came after it.
fn new_gpt(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("gpt-")?;
    rest.starts_with(['5', '6', '7', '8', '9']).then_some(rest)
}

/// Whether a model is one of those that take `developer` messages and know the limit of tokens by its new name alone.
pub(super) fn is_new(model: &str) -> bool {
    let name = bare(model);
    is_o(&name) || new_gpt(&name).is_some()
}

/// Whether the model reasons at this effort. The o series and GPT-5 itself always do, the models for code unless they are told
/// otherwise, later ones where they are asked to, those for chats never.
fn reasons(model: &str, effort: Option<&str>) -> bool {
    let name = bare(model);
    let gpt = new_gpt(&name);
    if name.contains("-chat") || (gpt.is_none() && !is_o(&name)) {
        return false;
    }
    let first = gpt.is_none_or(|rest| rest.starts_with('5') && !rest.starts_with("5."));
    let by_default = name.contains("codex") || name.contains("-pro");
    first || effort.map_or(by_default, |effort| effort != "none")
}

/// Takes out of a request what the model refuses, and tells each with the reason, but for values that mean nothing.
pub(in crate::wire) fn fit_sampling(
    sampling: &mut SamplingParams,
    model: &str,
    effort: Option<&str>,
    mut lost: impl FnMut(&'static str, &'static str),
) {
    if !reasons(model, effort) {
        return;
    }
    let usual = |value: &Number, usual: f64| value.as_f64() == Some(usual);
    let numbers = [
        ("sampling.temperature", &mut sampling.temperature, 1.0),
        ("sampling.top_p", &mut sampling.top_p, 1.0),
        (
            "sampling.presence_penalty",
            &mut sampling.presence_penalty,
            0.0,
        ),
        (
            "sampling.frequency_penalty",
            &mut sampling.frequency_penalty,
            0.0,
        ),
        ("sampling.top_logprobs", &mut sampling.top_logprobs, 0.0),
    ];
    for (path, value, says_nothing) in numbers {
        if value
            .take()
            .is_some_and(|value| !usual(&value, says_nothing))
        {
            lost(path, REFUSED);
        }
    }
    if sampling.logprobs.take() == Some(true) {
        lost("sampling.logprobs", REFUSED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_by_what_they_take() {
        for (model, new) in [
            ("gpt-5.6", true),
            ("openai/gpt-5", true),
            ("o3-mini", true),
            ("gpt-4o", false),
            ("openai/gpt-oss-120b", false),
            ("olmo-3", false),
            ("test-model", false),
        ] {
            assert_eq!(is_new(model), new, "{model}");
        }
    }

    #[test]
    fn some_reason_by_default_and_some_when_asked() {
        for (model, alone, low, none) in [
            ("o4-mini", true, true, true),
            ("openai/gpt-5-mini", true, true, true),
            ("gpt-5.2", false, true, false),
            ("gpt-5.1-codex-max", true, true, false),
            ("gpt-5.2-pro", true, true, false),
            ("gpt-6", false, true, false),
            ("gpt-5-chat-latest", false, false, false),
            ("gpt-4o", false, false, false),
            ("qwen3-32b", false, false, false),
        ] {
            let all = [None, Some("low"), Some("none")].map(|effort| reasons(model, effort));
            assert_eq!(all, [alone, low, none], "{model}");
        }
    }
}
