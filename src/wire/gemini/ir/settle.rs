//! What is read, as other dialects are to read it: probabilities and queues in the neutral form, counts that say the same
//! again left out, and what was carried for other providers in the place of the thoughts that it is of.

use serde_json::Value;

use super::logprobs;
use crate::wire::gemini::ID;
use crate::wire::ir::fields::text;
use crate::wire::ir::tier::TierWords;
use crate::wire::ir::{
    ChatAnswer, ChatMessage, ChatRequest, ChatRole, ContentDelta, ContentPart, Extra, PartBody,
    ReasoningPart, StreamItem, bare_text,
};

/// Counts by what was counted.
const BY_KIND: [&str; 4] = [
    "cacheTokensDetails",
    "candidatesTokensDetails",
    "promptTokensDetails",
    "toolUsePromptTokensDetails",
];

/// A whole answer.
pub(in crate::wire::gemini) fn settled(mut answer: ChatAnswer) -> ChatAnswer {
    if let Some(usage) = &mut answer.usage {
        answer.service_tier = settle_counts(&mut usage.extra);
    }
    for candidate in &mut answer.candidates {
        candidate.logprobs = settle_candidate(&mut candidate.extra);
    }
    answer
}

/// What one event says.
pub(in crate::wire::gemini) fn settled_items(items: Vec<StreamItem>) -> Vec<StreamItem> {
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        match item {
            StreamItem::Usage(mut usage) => {
                let tier = settle_counts(&mut usage.extra);
                all.push(StreamItem::Usage(usage));
                all.extend(tier.map(StreamItem::ServiceTier));
            }
            StreamItem::CandidateExtra {
                candidate,
                mut extra,
            } => {
                let tokens = settle_candidate(&mut extra);
                if !tokens.is_empty() {
                    let own = |item: &StreamItem| matches!(item, StreamItem::Delta { candidate: of, .. } if *of == candidate);
                    let at = all.iter().position(own).unwrap_or(all.len());
                    let delta = ContentDelta::Logprobs(tokens);
                    all.insert(at, StreamItem::Delta { candidate, delta });
                }
                if !extra.is_empty() {
                    all.push(StreamItem::CandidateExtra { candidate, extra });
                }
            }
            item => all.push(item),
        }
    }
    all
}

fn settle_candidate(extra: &mut Extra) -> Vec<crate::wire::ir::TokenLogprob> {
    // The usage has it.
    extra.remove("tokenCount");
    logprobs::take(extra)
}

/// The queue that served the answer. Of counts by kind those of text are what is left of the whole.
fn settle_counts(usage: &mut Extra) -> Option<String> {
    // It is counted in the prompt.
    usage.remove("toolUsePromptTokenCount");
    for name in BY_KIND {
        let Some(Value::Array(kinds)) = usage.get_mut(name) else {
            continue;
        };
        kinds.retain(|kind| {
            let modality = kind.get("modality").and_then(Value::as_str);
            !matches!(modality, Some("TEXT" | "MODALITY_UNSPECIFIED"))
        });
        if kinds.is_empty() {
            usage.remove(name);
        }
    }
    let tiers = ["serviceTier", "trafficType"].map(|name| text(usage, name));
    let tier = tiers.into_iter().flatten().next()?;
    let unknown = ["TRAFFIC_TYPE_UNSPECIFIED", "unspecified", ""];
    (!unknown.contains(&tier.as_str())).then(|| TierWords::Gemini.read(&tier))
}

/// A request. Clients keep each piece of a streamed answer as a content of its own: those in a row are one answer. A thought
/// in pieces has behind them, or behind what followed them, what was carried of it as a whole: that takes the place of the
/// pieces.
pub(super) fn settled_request(mut request: ChatRequest) -> ChatRequest {
    let mut messages: Vec<ChatMessage> = Vec::with_capacity(request.messages.len());
    for message in request.messages {
        match messages.last_mut() {
            Some(last)
                if last.role == ChatRole::Assistant && message.role == ChatRole::Assistant =>
            {
                last.parts.extend(message.parts);
                last.extra.extend(message.extra);
            }
            _ => messages.push(message),
        }
    }
    let models = messages.iter_mut();
    for message in models.filter(|message| message.role == ChatRole::Assistant) {
        if message.parts.iter().any(is_carried) {
            message.parts = in_place(std::mem::take(&mut message.parts));
        }
        message.parts = joined(std::mem::take(&mut message.parts));
    }
    request.messages = messages;
    request
}

/// Texts in a row as one text, and so the words of a thought that nobody signed. A signature between two texts ends
/// neither.
fn joined(parts: Vec<ContentPart>) -> Vec<ContentPart> {
    let mut all: Vec<ContentPart> = Vec::with_capacity(parts.len());
    for mut part in parts {
        let is_text = bare_text(&mut part).is_some();
        let mut before = all.iter_mut().rev();
        let last = before.find(|last| !is_text || !is_bare_signature(last));
        let text = last.and_then(|last| match is_text {
            true => bare_text(last),
            false => bare_thought(last),
        });
        let more = match is_text {
            true => bare_text(&mut part),
            false => bare_thought(&mut part),
        };
        match (text, more) {
            (Some(text), Some(more)) => text.push_str(more),
            _ => all.push(part),
        }
    }
    all
}

/// The words of a thought of which nothing more is said.
fn bare_thought(part: &mut ContentPart) -> Option<&mut String> {
    let is_bare = piece(part).is_some() && part.cache.is_none() && part.extra.is_empty();
    match &mut part.body {
        PartBody::Reasoning(thought) if is_bare => thought.text.as_mut(),
        _ => None,
    }
}

/// Whether it is nothing but Google's signature of something.
fn is_bare_signature(part: &ContentPart) -> bool {
    thought(part).is_some_and(|thought| thought.text.is_none()) && !is_carried(part)
}

fn thought(part: &ContentPart) -> Option<&ReasoningPart> {
    match &part.body {
        PartBody::Reasoning(thought) => Some(thought),
        _ => None,
    }
}

/// Whether it is a thought that was carried for another provider.
fn is_carried(part: &ContentPart) -> bool {
    let maker = thought(part).and_then(|thought| thought.maker.as_deref());
    maker.is_some_and(|maker| maker != ID)
}

/// The words of a piece that nobody signed.
fn piece(part: &ContentPart) -> Option<&str> {
    let own = thought(part).filter(|_| !is_carried(part))?;
    let bare = own.signature.is_none() && own.encrypted.is_none();
    own.text.as_deref().filter(|_| bare)
}

fn in_place(parts: Vec<ContentPart>) -> Vec<ContentPart> {
    let mut all: Vec<ContentPart> = Vec::with_capacity(parts.len());
    for part in parts {
        let whole = match is_carried(&part) {
            true => thought(&part).and_then(|thought| thought.text.clone()),
            false => None,
        };
        let place = whole.and_then(|whole| place_of(&all, &whole));
        match place {
            Some((begin, end)) => drop(all.splice(begin..end, [part])),
            None => all.push(part),
        }
    }
    all
}

/// Where pieces stand in a row that make up these words.
fn place_of(parts: &[ContentPart], whole: &str) -> Option<(usize, usize)> {
    (0..parts.len()).rev().find_map(|begin| {
        let mut rest = whole;
        for (end, part) in parts.iter().enumerate().skip(begin) {
            rest = rest.strip_prefix(piece(part)?)?;
            if rest.is_empty() {
                return Some((begin, end + 1));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinks(text: &str, maker: &'static str) -> ContentPart {
        ContentPart::new(PartBody::Reasoning(ReasoningPart {
            text: Some(text.to_owned()),
            maker: Some(maker.into()),
            ..ReasoningPart::default()
        }))
    }

    #[test]
    fn what_was_carried_takes_the_place_of_its_pieces() {
        let text = ContentPart::text("ok");
        let parts = vec![
            thinks("H", ID),
            thinks("m.", ID),
            text.clone(),
            thinks("Hm.", "anthropic"),
        ];
        assert_eq!(in_place(parts), [thinks("Hm.", "anthropic"), text.clone()]);
        let other = vec![thinks("Hm", ID), text, thinks("Hm.", "anthropic")];
        assert_eq!(in_place(other.clone()), other);
    }
}
