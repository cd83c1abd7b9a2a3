//! How lost fields are named to a caller: in its own words, without the places in lists that stand on the way.

use super::ir::Losses;
use crate::domain::dropped::Dropped;

/// Fields of the neutral form and what a dialect calls them. A field that begins with one of these is renamed in its
/// beginning; the first row that fits counts. A row that begins with `*.` is about what stands in a list: the field is
/// what follows, and the row gives it its whole name.
pub type Spelling = &'static [(&'static str, &'static str)];

/// Fields of answers that say nothing about what the model said: their loss is not worth a word.
const SILENT: [&str; 36] = [
    "completion_time",
    "content_filter_results",
    "cost",
    "cost_details",
    "created",
    "createTime",
    "created_at",
    "estimated_cost",
    "finish_details",
    "id",
    "index",
    "is_byok",
    "kv_transfer_params",
    "model",
    "modelVersion",
    "native_finish_reason",
    "obfuscation",
    "object",
    "prompt_filter_results",
    "prompt_time",
    "prompt_token_ids",
    "provider",
    "queue_time",
    "responseId",
    "role",
    "sequence_number",
    "status",
    "stop_reason",
    "stop_sequence",
    "system_fingerprint",
    "time_info",
    "timings",
    "token_ids",
    "total_time",
    "type",
    "x_groq",
];

/// Notes what of a request was lost, as its caller spells it.
pub fn note_request(dropped: &mut Dropped, losses: &Losses, spelling: Spelling) {
    for loss in losses {
        dropped.add(&name(&loss.path, spelling));
    }
}

/// Notes what of an answer was lost: `answer.` and the name that it had at its upstream.
pub fn note_answer(dropped: &mut Dropped, losses: &Losses) {
    for loss in losses {
        let name = name(&loss.path, &[]);
        let last = name.rsplit('.').next().unwrap_or_default();
        // Costs may have parts.
        let counted = name
            .strip_prefix("usage.")
            .and_then(|name| name.split('.').next());
        let is_silent = |word: &str| SILENT.contains(&word);
        if !name.is_empty() && !is_silent(last) && !counted.is_some_and(is_silent) {
            dropped.add(&format!("answer.{name}"));
        }
    }
}

/// `messages[3].content[0].cache_control` is `cache_control`, `tools[2].web_search` is `web_search`, `messages[3]` is
/// `messages`.
fn name(path: &str, spelling: Spelling) -> String {
    let renamed = spelling.iter().find_map(|(neutral, own)| {
        let rest = path.strip_prefix(neutral)?;
        let whole = rest.is_empty() || rest.starts_with(['.', '[']) || neutral.ends_with('.');
        whole.then(|| format!("{own}{rest}"))
    });
    let path = renamed.unwrap_or_else(|| path.to_owned());
    let mut rest = path.as_str();
    // What a field's place in a list is followed by is what was lost.
    while let Some((_, after)) = rest.split_once("].") {
        rest = after;
    }
    let end = rest.find('[').unwrap_or(rest.len());
    let name = rest.get(..end).unwrap_or_default();
    // Of a message itself only what its dialect says is lost.
    let in_part = path
        .get(..path.len() - rest.len())
        .is_some_and(|before| before.contains("content["));
    let own = if in_part {
        of_item(name, spelling)
    } else {
        None
    };
    own.unwrap_or(name).to_owned()
}

/// What a dialect calls a field of what stands in a list.
pub fn of_item(name: &str, spelling: Spelling) -> Option<&'static str> {
    let found = spelling
        .iter()
        .find(|(neutral, _)| neutral.strip_prefix("*.") == Some(name));
    found.map(|(_, own)| *own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::Loss;

    const WORDS: Spelling = &[
        ("sampling.stop", "stop_sequences"),
        ("sampling.", ""),
        ("messages", "input"),
        ("*.audio", "input_audio"),
    ];

    fn losses(paths: &[&str]) -> Losses {
        let paths = paths.iter().map(|path| Loss::new(*path, ""));
        paths.collect()
    }

    #[test]
    fn fields_have_the_names_that_the_caller_gave_them() {
        let mut dropped = Dropped::default();
        let paths = [
            "sampling.stop",
            "sampling.top_k",
            "messages[3].content[0].cache_control",
            "messages[3].content[1]",
            "messages[2]",
            "messages[4].content[0].audio",
            "audio",
            "tools[2].web_search",
            "stream_options.include_obfuscation",
            "messages_other",
        ];
        note_request(&mut dropped, &losses(&paths), WORDS);
        assert_eq!(
            dropped.to_string(),
            "stop_sequences, top_k, cache_control, content, input, input_audio, audio, web_search, \
             stream_options.include_obfuscation, messages_other"
        );
    }

    #[test]
    fn bookkeeping_of_answers_is_not_worth_a_word() {
        let mut dropped = Dropped::default();
        let paths = [
            "object",
            "usage.cost",
            "usage.cost_details.upstream",
            "usage.cache_creation.ephemeral_1h_input_tokens",
            "choices[0].logprobs",
            "choices[0].index",
            "",
        ];
        note_answer(&mut dropped, &losses(&paths));
        assert_eq!(
            dropped.to_string(),
            "answer.usage.cache_creation.ephemeral_1h_input_tokens, answer.logprobs"
        );
    }
}
