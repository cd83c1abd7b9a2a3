//! An answer as other dialects are to read it: words that hosts of this API have for the same reason, and thoughts that they
//! tell twice.

use serde_json::Value;

use super::fields::{count, inside, take, text};
use super::message::decode_detail;
use crate::wire::ir::{
    ChatAnswer, ChatRequest, ChatRole, ContentDelta, ContentPart, Extra, MediaSource, PartBody,
    ReasoningPart, StopReason, StreamItem, UsageCounts, logprobs,
};

/// The list in which thoughts stand with what signs them, beside a field that has their words alone.
const DETAILS: &str = "reasoning_details";
/// What hosts call a reason that has another name at OpenAI: Together, Mistral, Z.ai, and what functions were before tools.
const REASONS: [(&str, StopReason); 4] = [
    ("eos", StopReason::EndTurn),
    ("model_length", StopReason::Length),
    ("sensitive", StopReason::ContentFilter),
    ("function_call", StopReason::ToolCalls),
];

/// A whole answer.
pub(in crate::wire::openai) fn settled(mut answer: ChatAnswer) -> ChatAnswer {
    answer.service_tier = text(&mut answer.extra, "service_tier");
    answer.usage = answer.usage.map(settled_usage);
    for candidate in &mut answer.candidates {
        candidate.logprobs = logprobs::take_choice(&mut candidate.extra);
        let images = images(&mut candidate.message.extra).into_iter();
        let images = images.map(ContentPart::new);
        candidate.message.parts.extend(images);
        candidate.stop = candidate.stop.take().map(reason);
        let parts = std::mem::take(&mut candidate.message.parts);
        candidate.message.parts = told_once(parts);
    }
    answer
}

/// Counts that say the same again: what is neither sound, picture nor thought, and DeepSeek's of its cache.
fn settled_usage(mut usage: UsageCounts) -> UsageCounts {
    for place in ["prompt_tokens_details", "completion_tokens_details"] {
        inside(&mut usage.extra, place, |inner| inner.remove("text_tokens"));
    }
    let hits = count(&mut usage.extra, "prompt_cache_hit_tokens");
    usage.cache_read = usage.cache_read.or(hits);
    usage.extra.remove("prompt_cache_miss_tokens");
    usage
}

/// Pictures that the model made, as OpenRouter and others tell them: all of them, or none where one is something else.
pub(super) fn images(message: &mut Extra) -> Vec<PartBody> {
    let read = |value: &Value| {
        let all = value.as_array().filter(|all| !all.is_empty())?;
        let one = |image: &Value| {
            let url = image.get("image_url")?.get("url")?.as_str()?;
            Some(PartBody::Image {
                source: MediaSource::Url(url.to_owned()),
                detail: None,
            })
        };
        all.iter().map(one).collect::<Option<Vec<PartBody>>>()
    };
    take(message, "images", read).unwrap_or_default()
}

fn reason(reason: StopReason) -> StopReason {
    match reason {
        StopReason::Other(word) => {
            let known = REASONS.iter().find(|(own, _)| *own == word);
            known.map_or(StopReason::Other(word), |(_, meant)| meant.clone())
        }
        reason => reason,
    }
}

/// Whether these words of a thought stood in another field before, as hosts tell them that know two names of one field.
/// `thinks_in`: the first field with words.
fn is_second_telling(thought: &ReasoningPart, thinks_in: &mut Option<&'static str>) -> bool {
    let says = thought.text.as_ref().is_some_and(|text| !text.is_empty());
    says && thought.field != DETAILS && *thinks_in.get_or_insert(thought.field) != thought.field
}

/// Thoughts of the first field that has words; those of the list stay beside them.
fn first_telling(parts: &mut Vec<ContentPart>) {
    let mut thinks_in = None;
    parts.retain(|part| match &part.body {
        PartBody::Reasoning(thought) => !is_second_telling(thought, &mut thinks_in),
        _ => true,
    });
}

/// Where the details have words, the other fields say the same.
fn told_once(mut parts: Vec<ContentPart>) -> Vec<ContentPart> {
    first_telling(&mut parts);
    let in_details = |part: &ContentPart| match &part.body {
        PartBody::Reasoning(thought) => thought.field == DETAILS,
        _ => false,
    };
    let words = |part: &ContentPart| match &part.body {
        PartBody::Reasoning(thought) => thought.text.as_ref().is_some_and(|text| !text.is_empty()),
        _ => false,
    };
    let any = parts.iter().any(|part| in_details(part) && words(part));
    if any {
        parts.retain(|part| !matches!(part.body, PartBody::Reasoning(_)) || in_details(part));
    }
    for part in parts.iter_mut().filter(|part| in_details(part)) {
        // Labels: who made it is known.
        part.extra.clear();
    }
    parts
}

/// A request: pictures that the model made before are parts of its messages, and thoughts that came in two fields, and so
/// come back, are one.
pub(in crate::wire::openai) fn settled_request(mut request: ChatRequest) -> ChatRequest {
    for message in &mut request.messages {
        if message.role == ChatRole::Assistant {
            let images = images(&mut message.extra).into_iter();
            message.parts.extend(images.map(ContentPart::new));
            first_telling(&mut message.parts);
        }
    }
    request
}

/// What one chunk says. `thinks_in`: the field in which the chunks before it told thoughts.
pub(super) fn settled_items(
    items: Vec<StreamItem>,
    thinks_in: &mut Option<&'static str>,
) -> Vec<StreamItem> {
    let told = items.iter().any(|item| match item {
        StreamItem::Delta {
            delta: ContentDelta::Reasoning(thought),
            ..
        } => thought.text.is_some(),
        _ => false,
    });
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        match item {
            StreamItem::Head {
                id,
                model,
                created,
                mut extra,
            } => {
                let tier = text(&mut extra, "service_tier");
                all.push(StreamItem::Head {
                    id,
                    model,
                    created,
                    extra,
                });
                all.extend(tier.map(StreamItem::ServiceTier));
            }
            StreamItem::CandidateExtra { candidate, extra } => {
                settle_choice(&mut all, candidate, extra);
            }
            StreamItem::Usage(usage) => all.push(StreamItem::Usage(settled_usage(usage))),
            StreamItem::Stop {
                candidate,
                reason: word,
            } => all.push(StreamItem::Stop {
                candidate,
                reason: reason(word),
            }),
            StreamItem::Delta {
                candidate,
                delta:
                    ContentDelta::Unknown {
                        field,
                        value: Value::Array(details),
                    },
            } if field == DETAILS => {
                let thoughts = details.into_iter().filter_map(|one| detail(one, told));
                all.extend(thoughts.map(|thought| StreamItem::Delta {
                    candidate,
                    delta: ContentDelta::Reasoning(thought),
                }));
            }
            StreamItem::Delta {
                delta: ContentDelta::Reasoning(thought),
                ..
            } if is_second_telling(&thought, thinks_in) => {}
            item => all.push(item),
        }
    }
    all
}

/// What else a chunk says of a choice: probabilities of its tokens, which go in front of the words that they are of, and
/// pictures.
fn settle_choice(all: &mut Vec<StreamItem>, candidate: u64, mut extra: Extra) {
    let say = |delta| StreamItem::Delta { candidate, delta };
    let tokens = logprobs::take_choice(&mut extra);
    if !tokens.is_empty() {
        let own = |item: &StreamItem| matches!(item, StreamItem::Delta { candidate: of, .. } if *of == candidate);
        let at = all.iter().position(own).unwrap_or(all.len());
        all.insert(at, say(ContentDelta::Logprobs(tokens)));
    }
    let images = inside(&mut extra, "delta", |delta| {
        Some(images(delta)).filter(|images| !images.is_empty())
    });
    let images = images.into_iter().flatten();
    all.extend(images.map(ContentDelta::Media).map(say));
    if !extra.is_empty() {
        all.push(StreamItem::CandidateExtra { candidate, extra });
    }
}

/// A detail of a thought whose words were told, or were not.
fn detail(value: Value, told: bool) -> Option<ReasoningPart> {
    let PartBody::Reasoning(mut thought) = decode_detail(value).body else {
        return None;
    };
    thought.text = thought.text.filter(|text| !told && !text.is_empty());
    let says = thought.text.is_some() || thought.signature.is_some() || thought.encrypted.is_some();
    says.then_some(thought)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::stream::decode_chunk;
    use super::super::{ChunkDecoder, decode_answer, decode_request};
    use super::*;
    use crate::wire::dialect::EventDecoder;
    use crate::wire::sse::RawEvent;

    #[test]
    fn a_thought_that_is_told_twice_is_read_once() {
        let answer = |message: Value| {
            let body = json!({"choices": [{"message": message, "finish_reason": "eos"}]});
            let answer = settled(decode_answer(body).unwrap());
            assert_eq!(answer.candidates[0].stop, Some(StopReason::EndTurn));
            let parts = answer.candidates[0].message.parts.iter();
            let thoughts = parts.filter_map(|part| match &part.body {
                PartBody::Reasoning(thought) => {
                    Some((thought.text.clone(), thought.signature.clone()))
                }
                _ => None,
            });
            thoughts.collect::<Vec<_>>()
        };
        let details = json!([{"type": "reasoning.text", "text": "hm", "signature": "s"}]);
        let hm = || Some("hm".to_owned());
        let both = json!({"reasoning": "hm", "reasoning_details": details});
        assert_eq!(answer(both), [(hm(), Some("s".to_owned()))]);
        let words = json!({"reasoning_content": "hm"});
        assert_eq!(answer(words), [(hm(), None)]);
        let twice = json!({"reasoning_content": "", "reasoning": "hm", "reasoning_details": []});
        assert_eq!(answer(twice).last(), Some(&(hm(), None)));
        let twice = json!({"reasoning_content": "hm", "reasoning": "hm"});
        assert_eq!(answer(twice), [(hm(), None)]);
        let sealed = json!({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.encrypted", "data": "d"}]});
        assert_eq!(answer(sealed), [(hm(), None), (None, None)]);
    }

    #[test]
    fn a_stream_tells_thoughts_in_the_field_that_was_first() {
        let mut decoder = ChunkDecoder::settling();
        let mut said = String::new();
        for delta in [
            json!({"reasoning": "", "reasoning_content": null}),
            json!({"reasoning": "h"}),
            json!({"reasoning": "m", "reasoning_content": "m"}),
            json!({"reasoning_content": "."}),
            json!({"reasoning": "."}),
        ] {
            let chunk = json!({"choices": [{"index": 0, "delta": delta}]});
            let raw = format!("data: {chunk}\n\n").into();
            for item in decoder.event(&RawEvent { raw }) {
                if let StreamItem::Delta {
                    delta: ContentDelta::Reasoning(thought),
                    ..
                } = item
                {
                    said.push_str(&thought.text.unwrap_or_default());
                }
            }
        }
        assert_eq!(said, "hm.");
    }

    #[test]
    fn what_a_client_had_in_two_fields_is_one_thought_of_its_request() {
        let said = json!({"role": "assistant", "content": "ok", "reasoning": "hm", "reasoning_content": "hm"});
        let request = decode_request(json!({"messages": [said]})).unwrap();
        let request = settled_request(request);
        assert_eq!(request.messages[0].parts.len(), 2);
    }

    #[test]
    fn in_a_stream_signatures_follow_words() {
        let read = |delta: Value| {
            let chunk = json!({"choices": [{"index": 0, "delta": delta}]});
            let Value::Object(chunk) = chunk else {
                unreachable!()
            };
            let items = settled_items(decode_chunk(chunk), &mut None).into_iter();
            let thoughts = items.filter_map(|item| match item {
                StreamItem::Delta {
                    delta: ContentDelta::Reasoning(thought),
                    ..
                } => Some((thought.text, thought.signature)),
                _ => None,
            });
            thoughts.collect::<Vec<_>>()
        };
        let text = |text: &str| Some(text.to_owned());
        let told = json!({"reasoning": "hm", "reasoning_details": [{"text": "hm"}]});
        assert_eq!(read(told), [(text("hm"), None)]);
        let alone = json!({"reasoning_details": [{"text": "hm"}]});
        assert_eq!(read(alone), [(text("hm"), None)]);
        let signed = json!({"reasoning_details": [{"signature": "s"}]});
        assert_eq!(read(signed), [(None, text("s"))]);
    }
}
