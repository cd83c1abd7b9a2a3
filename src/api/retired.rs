//! Routes that APIs had once: old programs are told what to call in their place.

use crate::domain::dialect::Operation;

/// What stands first in a path behind the version, and what is called now.
const RETIRED: [(&str, &str); 9] = [
    ("assistants", "/v1/responses"),
    ("threads", "/v1/responses"),
    ("engines", "/v1/models"),
    ("edits", "/v1/chat/completions"),
    ("answers", "/v1/chat/completions"),
    ("classifications", "/v1/chat/completions"),
    ("search", "/v1/embeddings"),
    ("fine-tunes", "/passthrough/{provider}/fine_tuning/jobs"),
    ("complete", "/v1/messages"),
];

/// Methods behind a model that Google's API had once, and what is called now.
const RETIRED_METHODS: [(&str, &str); 7] = [
    ("generateText", "generateContent"),
    ("generateMessage", "generateContent"),
    ("generateAnswer", "generateContent"),
    ("countMessageTokens", "countTokens"),
    ("countTextTokens", "countTokens"),
    ("embedText", "embedContent"),
    ("batchEmbedText", "batchEmbedContents"),
];

/// What to call in place of a path that was retired; `None` for any other path.
pub(super) fn successor(path: &str) -> Option<String> {
    if let Some((model, method)) = path.rsplit_once(':')
        && let Some((_, now)) = RETIRED_METHODS.iter().find(|(old, _)| *old == method)
    {
        return Some(format!("{model}:{now}"));
    }
    let tail = path.strip_prefix("/v1").unwrap_or(path).strip_prefix('/')?;
    let (first, rest) = tail.split_once('/').unwrap_or((tail, ""));
    let (old, now) = RETIRED.iter().find(|(old, _)| *old == first)?;
    // `/engines/{model}/completions`: what was asked of the model is asked with it in the body.
    let asked = rest.find('/').and_then(|at| rest.get(at..));
    let operation = asked.filter(|_| *old == "engines").and_then(Operation::at);
    Some(
        operation
            .map_or(*now, |operation| operation.spec().route)
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_retired_has_a_successor() {
        for (path, now) in [
            ("/v1/assistants", Some("/v1/responses")),
            ("/threads/t_1/runs", Some("/v1/responses")),
            ("/v1/engines", Some("/v1/models")),
            ("/v1/engines/davinci/completions", Some("/v1/completions")),
            (
                "/v1/engines/a/chat/completions",
                Some("/v1/chat/completions"),
            ),
            ("/v1/complete", Some("/v1/messages")),
            (
                "/v1beta/models/m:generateText",
                Some("/v1beta/models/m:generateContent"),
            ),
            ("/v1/assistantship", None),
            ("/v1/nothing", None),
            ("/", None),
        ] {
            assert_eq!(successor(path).as_deref(), now, "{path}");
        }
    }
}
