//! Numbers in an error's text: whether one request is larger than a limit, and how large a context window is.
//!
//! A limit of a minute or a credit that is used up passes. One that is smaller than this single request does not, and
//! says nothing about smaller requests. Only the two numbers distinguish these: the status, the code and the first
//! words are often the same.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::tables::{error_pattern, is_about_the_prompt};
use crate::wire::error_doc::{Doc, ErrorField};

/// A number as people and programs write it; at most 12 digits.
const NUMBER: &str = r"\d[\d,_]{0,14}";

/// Windows outside of this are numbers of something else, in tokens.
const WINDOWS: std::ops::RangeInclusive<u64> = 64..=1_000_000_000;

/// The size of one request, and the limit that it exceeds. `N` stands for a number.
static ASKED_AND_LIMIT: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        // OpenAI, Groq: "Limit 30000, Requested 36055"; a "Used" between them takes no part.
        r"\blimit\b[^\d]{0,20}(?P<limit>N)\b.{0,80}?\brequested\b[^\d]{0,20}(?P<asked>N)",
        // "Requested 9000 tokens, but the limit is 8000"; OpenRouter: "requested up to 4096 tokens, but can only
        // afford 512".
        r"\brequested\b[^\d]{0,30}(?P<asked>N)\b[^\d]{0,80}?\b(?:limit|maximum|max|quota|afford|credits?|balance)\b[^\d]{0,40}(?P<limit>N)",
        // "This request needs 9000 tokens, which exceeds your limit of 8000", "Request size 9000 > limit 8000".
        r"\b(?:request|prompt|input)\b[^\d]{0,60}(?P<asked>N)\b[^\d]{0,60}?\b(?:limit|maximum|max|afford)\b[^\d]{0,40}(?P<limit>N)",
        // "A single request may not use more than 8000 tokens (requested: 9000)", "This request would exceed your limit of
        // 8000 tokens per minute by itself: it has 9000 tokens".
        r"\b(?:single|this|your|one) request\b[^\d]{0,80}\b(?:limit|maximum|max|than)\b[^\d]{0,30}(?P<limit>N)\b[^\d]{0,60}?\b(?:requested|has|have|had|got|needs?|contains?|uses?)\b[^\d]{0,20}(?P<asked>N)",
    ];
    patterns.iter().filter_map(|text| compile(text)).collect()
});

/// How many tokens a prompt has, and how many there may be, in words that no table knows.
static TOKENS_AND_WINDOW: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        // "Input sequence too long: 9000 > 4096", "input_len 9000 is larger than session_len 4096".
        r"\b(?:prompt|input|context|sequence|conversation|messages|request|tokens?)(?:_len(?:gth)?)?\b[^\d]{0,60}(?P<asked>N)\b[^\d]{0,60}?(?:[>/]|\b(?:longer|larger|greater|more|over|above|beyond|exceed(?:s|ed|ing)?|limit|maximum|max|allows?|only|than)\b)[^\d]{0,60}(?P<limit>N)",
        // "maximum sequence length is 4096 tokens, but 9000 were given", "Maximum is 4096, got 9000".
        r"\b(?:max|maximum|limit|up to|at most|only|less than|below|window|length)\b[^\d]{0,40}(?P<limit>N)\b[^\d]{0,60}?\b(?:but|got|given|have|has|had|requested|received|contains?|provided|prompt|input)\b[^\d]{0,40}(?P<asked>N)",
    ];
    patterns.iter().filter_map(|text| compile(text)).collect()
});

/// What numbers of a context window count.
static OF_A_WINDOW: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"\btokens?\b|\bcontext\b|\bsequence\b|\b(?:n_?ctx|(?:input|prompt|session|seq|model|max_seq|max_model)_len)",
    )
});

/// What numbers beside them may count that are none of the prompt's tokens.
static OF_SOMETHING_ELSE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"\b(?:completions?|output|generate|new_tokens|max_\w*tokens|temperature|top_\w+|logprobs|images?|pixels?|files?|bytes|seconds|characters|chars|items?|array|batch|inputs|stop|tools?|functions?|dimensions?)\b|\bper[ -](?:second|min|hour|day)|\brate\b|\b[TR]P[SMHD]\b",
    )
});

/// What says that a number is of a rate or a credit, and not of a model's window.
static OF_A_LIMIT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"\bper[ -](?:second|min|hour|day|month)|\b[TR]P[SMHD]\b|\brate.?limit|\btier\b|\bafford\b|\bcredits?\b",
    )
});

/// What says that a number is the sum of several requests.
static OF_MANY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"\bused\b|\balready\b|\bso far\b|\bcurrent(?:ly)?\b|\b(?:in|within|over|during) the (?:last|past)\b|\bthis (?:minute|hour|day)\b",
    )
});

/// What numbers count: `unit`, what one request can be too large in, or `count`, what several requests add up to.
static UNITS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"(?P<count>\brequests\b|\b(?:request|call|input|prompt) (?:rate|count|number)\b|\brate of\b|\bcalls\b|\bqueries\b|\btimes\b|\bconnections\b|\bconcurren\w*|\b[RQ]P[SMHD]\b|\bcount\b)|(?P<unit>\btokens?\b|\bTP[SMHD]\b|\bcharacters?\b|\bchars\b|\bcredits?\b|\bafford\b|\bbytes\b|\brequest size\b)",
    )
});

/// The bytes on either side of two numbers in which their unit is looked for.
const BESIDE: usize = 80;

/// Where an error names the context window.
static WINDOW: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        r"\bcontext[ _](?:length|window|size|limit)\b[^\d]{0,40}?(?P<limit>N)(?:\s*tokens?\b)?(?:\s*\+\s*N)*(?:\s*>\s*(?P<sum>N))?",
        r"\b(?:maximum|max)[ _]model[ _]len(?:gth)?\b[^\d]{0,12}(?P<limit>N)",
        r"\bmax_(?:model_len|seq_len|num_tokens|input_len)\b[^\d]{0,12}(?P<limit>N)",
        r"\bmaximum (?:prompt|input|allowed|allowed input) length\b[^\d]{0,12}(?P<limit>N)",
        r"\bmaximum number of tokens allowed\b[^\d]{0,12}(?P<limit>N)",
        r"\bmodel (?:only )?(?:supports up to|token limit|maximum)\b[^\d]{0,12}(?P<limit>N)",
        r">\s*(?P<limit>N) maximum|\b(?P<before>N) maximum context length",
        r"\bmust (?:have less than|be <=|be less than)\s*(?P<limit>N)",
        r"\b(?:while |exceeds? the |exceeds? )?limit (?:is|of)\s*(?P<limit>N)",
        r"\bcannot exceed\s*(?P<limit>N)",
        r"\bmaxLength\b[^\d]{0,4}(?P<limit>N)",
        r"\brange of input length should be \[\d+,\s*(?P<limit>N)",
        r"\bcontext of (?P<limit>N) tokens",
    ];
    patterns.iter().filter_map(|text| compile(text)).collect()
});

/// The limit, or the credit that is left, that this one request is larger than, by the numbers of the error. A limit of
/// zero is no limit of a request: nothing fits.
///
/// Two numbers are not enough: they must be of tokens, characters or credits. Those of a rate of requests pass with time.
pub(super) fn exceeded_limit(status: Option<u16>, doc: &Doc) -> Option<u64> {
    let text = doc.text().as_bytes();
    if doc.says(ErrorField::Type, "requests") {
        return None;
    }
    let is_limit = || OF_A_LIMIT.as_ref().is_some_and(|of| of.is_match(text));
    match status {
        Some(402 | 429) => {}
        // The same numbers elsewhere are mostly those of a context window.
        Some(400 | 403 | 413 | 422) | None if is_limit() => {}
        _ => return None,
    }
    ASKED_AND_LIMIT.iter().enumerate().find_map(|(at, regex)| {
        let found = regex.captures(text)?;
        let said = found.get(0).map_or(0..0, |said| said.range());
        // In the first form what was used before has a number of its own.
        let beside = text
            .get(said.start..after(text, said.end))
            .unwrap_or_default();
        let many = at != 0 && OF_MANY.as_ref().is_none_or(|of| of.is_match(beside));
        let asked = number(&found, "asked").unwrap_or(0);
        let limit = number(&found, "limit").unwrap_or(0);
        let exceeded = !many && limit > 0 && asked > limit && is_of_a_size(text, said);
        exceeded.then_some(limit)
    })
}

/// The window that a prompt is too long for, by the two numbers of the error. For errors that say nothing known: it costs
/// no more than asking another upstream.
pub(super) fn exceeded_window(doc: &Doc) -> Option<u64> {
    let text = doc.text().as_bytes();
    let says = |regex: &LazyLock<Option<Regex>>| regex.as_ref().is_some_and(|it| it.is_match(text));
    if !says(&OF_A_WINDOW) || says(&OF_SOMETHING_ELSE) || !is_about_the_prompt(text) {
        return None;
    }
    TOKENS_AND_WINDOW.iter().find_map(|regex| {
        let found = regex.captures(text)?;
        let limit = number(&found, "limit")?;
        (WINDOWS.contains(&limit) && number(&found, "asked")? > limit).then_some(limit)
    })
}

/// Whether the numbers in `said` are sizes of a request: by the words among and right behind
/// them, else by the last unit before them.
fn is_of_a_size(text: &[u8], said: Range<usize>) -> bool {
    let Some(units) = UNITS.as_ref() else {
        return false;
    };
    let names = |part: Range<usize>| {
        let part = text.get(part).unwrap_or_default();
        let found = units.captures_iter(part);
        found.map(|found| found.name("unit").is_some()).collect()
    };
    let among: Vec<bool> = names(said.start..after(text, said.end));
    if !among.is_empty() {
        return among.iter().all(|is_size| *is_size);
    }
    let before: Vec<bool> = names(said.start.saturating_sub(BESIDE)..said.start);
    before.last().is_some_and(|is_size| *is_size)
}

/// The end of the sentence that goes on at `from`, or of what may still say something of it.
fn after(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let rest = rest.get(..BESIDE).unwrap_or(rest);
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'.' | b';' | b'\n'));
    from + end.unwrap_or(rest.len())
}

/// The context window that the error names, in tokens.
pub(super) fn window(doc: &Doc) -> Option<u64> {
    let named = || {
        let text = doc.text().as_bytes();
        let found = WINDOW.iter().find_map(|regex| {
            let found = regex.captures(text)?;
            number(&found, "sum")
                .or_else(|| number(&found, "limit"))
                .or_else(|| number(&found, "before"))
        });
        found.filter(|window| WINDOWS.contains(window))
    };
    // Of two numbers the window is the smaller one; a single one may be the prompt's.
    doc.context()
        .or_else(|| exceeded_window(doc))
        .or_else(named)
}

pub(super) fn number(found: &Captures<'_>, name: &str) -> Option<u64> {
    let text = std::str::from_utf8(found.name(name)?.as_bytes()).ok()?;
    text.replace([',', '_'], "").parse().ok()
}

pub(super) fn compile(pattern: &str) -> Option<Regex> {
    error_pattern(&pattern.replace('N', NUMBER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!((ASKED_AND_LIMIT.len(), WINDOW.len()), (4, 13));
        assert_eq!(TOKENS_AND_WINDOW.len(), 2);
        assert!(OF_A_WINDOW.is_some() && OF_SOMETHING_ELSE.is_some());
        assert!(OF_A_LIMIT.is_some() && OF_MANY.is_some() && UNITS.is_some());
    }
}
