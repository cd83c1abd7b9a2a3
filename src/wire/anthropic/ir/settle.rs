//! An answer as other dialects are to read it: the queue that served it in the neutral form, and without what holds where
//! nothing is said.

use crate::wire::ir::fields::text;
use crate::wire::ir::tier::TierWords;
use crate::wire::ir::{ChatAnswer, ContentDelta, Extra, PartBody, StreamItem};

/// Counts and words that tell of nothing out of the ordinary.
const USUAL: [(&str, &str); 3] = [
    ("inference_geo", "global"),
    ("inference_geo", "not_available"),
    ("speed", "standard"),
];

/// A whole answer.
pub(in crate::wire::anthropic) fn settled(mut answer: ChatAnswer) -> ChatAnswer {
    if let Some(usage) = &mut answer.usage {
        answer.service_tier = settle_counts(&mut usage.extra);
    }
    for candidate in &mut answer.candidates {
        for part in &mut candidate.message.parts {
            if matches!(part.body, PartBody::ToolCall(_)) {
                settle_call(&mut part.extra);
            }
        }
    }
    answer
}

/// What one event says.
pub(in crate::wire::anthropic) fn settled_items(items: Vec<StreamItem>) -> Vec<StreamItem> {
    let mut all = Vec::with_capacity(items.len());
    for mut item in items {
        match &mut item {
            StreamItem::Usage(usage) => {
                let tier = settle_counts(&mut usage.extra);
                all.extend(tier.map(StreamItem::ServiceTier));
            }
            StreamItem::Delta {
                delta: ContentDelta::ToolCall { extra, .. },
                ..
            } => settle_call(extra),
            _ => {}
        }
        all.push(item);
    }
    all
}

fn settle_counts(usage: &mut Extra) -> Option<String> {
    for (name, usual) in USUAL {
        if usage.get(name).is_some_and(|value| *value == usual) {
            usage.remove(name);
        }
    }
    text(usage, "service_tier").map(|tier| TierWords::Anthropic.read(&tier))
}

/// A call by the model itself is what is meant without a word.
fn settle_call(extra: &mut Extra) {
    let direct =
        |caller: &serde_json::Value| caller.get("type").is_some_and(|kind| kind == "direct");
    if extra.get("caller").is_some_and(direct) {
        extra.remove("caller");
    }
}
