//! Continues a streamed chat completion with another upstream's chunks: the part that the caller has is left
//! out, and the other chunks get the first answer's id, model and time.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::overlap::Overlap;
use super::transcript::{IDENTITY, REASONING, Transcript, filled};
use crate::domain::usage::Usage;
use crate::wire::json;
use crate::wire::sse::{RawEvent, data_event};

/// What becomes of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spliced {
    /// Nothing of it is new.
    Nothing,
    /// This event is sent.
    Event(Bytes),
    /// The answer is another one: nothing of it may go out.
    Diverged,
}

/// The seam between what was sent and the stream that goes on.
#[derive(Debug)]
pub struct Splice {
    identity: Map<String, Value>,
    role: bool,
    overlap: Overlap,
    before: Usage,
    /// Whether it is a completion of OpenAI's older API, whose chunks have their text in the choice itself.
    in_choice: bool,
}

impl Splice {
    /// For an answer that starts from the beginning. `before` is what earlier attempts used.
    #[cfg(feature = "internals")]
    pub fn restarted(sent: &Transcript, before: Usage) -> Self {
        Self::new(sent, before, Overlap::restarted(sent.text()))
    }

    /// For an answer that goes on from a prefill; `echoed` when the upstream is known to repeat that first.
    #[cfg(feature = "internals")]
    pub fn continued(sent: &Transcript, before: Usage, echoed: bool) -> Self {
        Self::new(sent, before, Overlap::continued(sent.text(), echoed, 0))
    }

    /// For an answer whose text lies beside what was sent like this.
    pub fn new(sent: &Transcript, before: Usage, overlap: Overlap) -> Self {
        Self {
            identity: sent.identity(),
            role: sent.has_role(),
            overlap,
            before,
            in_choice: sent.is_completion(),
        }
    }

    /// What the caller gets of an event.
    pub fn event(&mut self, event: &RawEvent) -> Spliced {
        let data = event.data();
        if data.is_empty() {
            return Spliced::Event(event.raw.clone());
        }
        if data.trim_ascii() == b"[DONE]" {
            return match self.overlap.end() {
                None => Spliced::Diverged,
                Some(text) => Spliced::Event(self.ended(&text, &event.raw)),
            };
        }
        // What is no text was let through by the look at it, and goes on with marks in its place.
        match json::whole_object(String::from_utf8_lossy(&data).as_bytes()) {
            Some(chunk) => self.chunk(chunk),
            None => Spliced::Nothing,
        }
    }

    /// The end mark, with the text before it that only looked like a repetition.
    fn ended(&self, text: &str, mark: &Bytes) -> Bytes {
        if text.is_empty() {
            return mark.clone();
        }
        let mut chunk = self.identity.clone();
        let (object, choice) = match self.in_choice {
            true => (
                "text_completion",
                json!({"index": 0, "text": text, "logprobs": null, "finish_reason": null}),
            ),
            false => (
                "chat.completion.chunk",
                json!({"index": 0, "delta": {"content": text}, "finish_reason": null}),
            ),
        };
        chunk.insert("object".to_owned(), json!(object));
        chunk.insert("choices".to_owned(), json!([choice]));
        let event = data_event(Value::Object(chunk).to_string().as_bytes());
        [event.as_ref(), mark.as_ref()].concat().into()
    }

    fn chunk(&mut self, mut chunk: Map<String, Value>) -> Spliced {
        let mut says = false;
        if let Some(Value::Array(choices)) = chunk.get_mut("choices") {
            choices.retain(|choice| {
                choice
                    .get("index")
                    .is_none_or(|index| index.as_u64().unwrap_or(0) == 0)
            });
            choices.truncate(1);
            if let Some(Value::Object(choice)) = choices.first_mut() {
                match self.choice(choice) {
                    Some(new) => says = new,
                    None => return Spliced::Diverged,
                }
            }
        }
        if let Some(usage) = chunk.get_mut("usage").filter(|usage| filled(usage)) {
            says = true;
            self.add_before(usage);
        }
        if !says {
            return Spliced::Nothing;
        }
        for name in IDENTITY {
            match self.identity.get(name) {
                Some(first) => drop(chunk.insert(name.to_owned(), first.clone())),
                None if self.identity.is_empty() => {}
                None => drop(chunk.remove(name)),
            }
        }
        Spliced::Event(data_event(Value::Object(chunk).to_string().as_bytes()))
    }

    /// Leaves of a choice what is new; whether that is anything, and `None` for another answer.
    fn choice(&mut self, choice: &mut Map<String, Value>) -> Option<bool> {
        let ends = choice.get("finish_reason").is_some_and(filled);
        if self.in_choice {
            return self.completion(choice, ends);
        }
        choice.remove("text");
        if !matches!(choice.get("delta"), Some(Value::Object(_))) {
            choice.insert("delta".to_owned(), json!({}));
        }
        let Some(Value::Object(delta)) = choice.get_mut("delta") else {
            return Some(ends);
        };
        if self.role {
            delta.remove("role");
        }
        delta.retain(|name, _| !REASONING.iter().any(|part| name.contains(part)));
        let text = match delta.remove("content") {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let other = delta
            .iter()
            .any(|(name, value)| name != "role" && filled(value));
        let text = self.overlap.text(text, ends || other)?;
        let role = delta.contains_key("role");
        let says = ends || other || role || !text.is_empty();
        if role {
            self.role = true;
        }
        if !text.is_empty() {
            delta.insert("content".to_owned(), Value::String(text));
        }
        Some(says)
    }

    /// The same of a choice of a completion.
    fn completion(&mut self, choice: &mut Map<String, Value>, ends: bool) -> Option<bool> {
        choice.retain(|name, _| !REASONING.iter().any(|part| name.contains(part)));
        let text = match choice.remove("text") {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let text = self.overlap.text(text, ends)?;
        let says = ends || !text.is_empty();
        choice.insert("text".to_owned(), Value::String(text));
        Some(says)
    }

    /// The usage includes what earlier attempts used.
    fn add_before(&self, usage: &mut Value) {
        let prompt = self.before.prompt_tokens.unwrap_or(0);
        let completion = self.before.completion_tokens.unwrap_or(0);
        for (name, more) in [
            ("prompt_tokens", prompt),
            ("completion_tokens", completion),
            ("total_tokens", prompt.saturating_add(completion)),
        ] {
            if let Some(count) = usage.get_mut(name)
                && let Some(tokens) = count.as_u64()
            {
                *count = json!(tokens.saturating_add(more));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(data: &Value) -> RawEvent {
        RawEvent {
            raw: data_event(data.to_string().as_bytes()),
        }
    }

    fn text(id: &str, text: &str) -> RawEvent {
        event(
            &json!({"id": id, "created": 9, "model": "m2", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}),
        )
    }

    fn sent(pieces: &[&str]) -> Transcript {
        let mut transcript = Transcript::default();
        transcript.note(&event(&json!({"id": "first", "created": 1, "model": "m", "system_fingerprint": "f", "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": ""}}
        ]})));
        for piece in pieces {
            transcript.note(&text("first", piece));
        }
        transcript
    }

    /// What goes out of these pieces, and whether it ended in another answer.
    fn heard(splice: &mut Splice, pieces: &[String]) -> (String, bool) {
        let mut all = String::new();
        for piece in pieces {
            match splice.event(&text("second", piece)) {
                Spliced::Nothing => {}
                Spliced::Diverged => return (all, true),
                Spliced::Event(raw) => {
                    let chunk: Value = serde_json::from_slice(&RawEvent { raw }.data()).unwrap();
                    assert_eq!(chunk["id"], "first");
                    all.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap());
                }
            }
        }
        (all, false)
    }

    fn owned(pieces: &[&str]) -> Vec<String> {
        pieces.iter().map(|piece| (*piece).to_owned()).collect()
    }

    #[test]
    fn chunks_carry_the_first_answers_identity_and_no_second_role() {
        let mut splice = Splice::restarted(&sent(&["Hel"]), Usage::default());
        let role = event(
            &json!({"id": "2", "choices": [{"delta": {"role": "assistant", "content": ""}}]}),
        );
        assert_eq!(splice.event(&role), Spliced::Nothing);
        assert_eq!(splice.event(&text("2", "Hel")), Spliced::Nothing);
        let last = json!({"id": "2", "created": 7, "model": "o", "x": 1, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "lo"}, "finish_reason": "stop"}]});
        let Spliced::Event(raw) = splice.event(&event(&last)) else {
            panic!("nothing")
        };
        let chunk: Value = serde_json::from_slice(&RawEvent { raw }.data()).unwrap();
        assert_eq!(
            chunk,
            json!({"id": "first", "created": 1, "model": "m", "system_fingerprint": "f", "x": 1, "choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]})
        );
    }

    #[test]
    fn an_answer_that_ends_or_calls_a_tool_before_it_caught_up_is_another_one() {
        for choice in [
            json!({"delta": {}, "finish_reason": "stop"}),
            json!({"delta": {"content": "He"}, "finish_reason": "stop"}),
            json!({"delta": {"tool_calls": [{"index": 0}]}}),
        ] {
            let mut splice = Splice::restarted(&sent(&["Hello"]), Usage::default());
            assert_eq!(
                splice.event(&event(&json!({"choices": [choice]}))),
                Spliced::Diverged
            );
        }
        let mut splice = Splice::restarted(&sent(&["Hello"]), Usage::default());
        let raw = b"data: [DONE]\n\n".as_slice().into();
        assert_eq!(splice.event(&RawEvent { raw }), Spliced::Diverged);
    }

    #[test]
    fn an_answer_that_only_repeats_what_was_sent_still_tells_its_end() {
        let mut splice = Splice::restarted(&sent(&["Hello"]), Usage::default());
        assert_eq!(splice.event(&text("2", "Hello")), Spliced::Nothing);
        let end = event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
        assert!(matches!(splice.event(&end), Spliced::Event(_)));
    }

    #[test]
    fn thoughts_of_the_second_answer_stay_out() {
        let mut splice = Splice::continued(&sent(&["Hel"]), Usage::default(), false);
        let thought = event(&json!({"choices": [{"delta": {"reasoning_content": "hm"}}]}));
        assert_eq!(splice.event(&thought), Spliced::Nothing);
    }

    #[test]
    fn usage_is_the_sum() {
        let before = Usage {
            prompt_tokens: Some(3),
            completion_tokens: Some(2),
            ..Usage::default()
        };
        let mut splice = Splice::continued(&sent(&["Hel"]), before, false);
        let usage = event(
            &json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}),
        );
        let Spliced::Event(raw) = splice.event(&usage) else {
            panic!("nothing")
        };
        let chunk: Value = serde_json::from_slice(&RawEvent { raw }.data()).unwrap();
        assert_eq!(
            chunk["usage"],
            json!({"prompt_tokens": 13, "completion_tokens": 7, "total_tokens": 20})
        );
    }

    #[test]
    fn a_short_repetition_is_taken_for_chance_unless_the_upstream_is_known_for_it() {
        let sent = sent(&["1"]);
        let mut plain = Splice::continued(&sent, Usage::default(), false);
        assert_eq!(heard(&mut plain, &owned(&["10"])).0, "10");
        let mut echoed = Splice::continued(&sent, Usage::default(), true);
        assert_eq!(heard(&mut echoed, &owned(&["10"])).0, "0");
    }

    /// A text in pieces.
    fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
        let letters: Vec<char> = text.chars().collect();
        let mut rest = letters.as_slice();
        let mut all = Vec::new();
        for cut in cuts {
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            all.push(piece.iter().collect());
            rest = tail;
        }
        all.push(rest.iter().collect());
        all
    }

    proptest! {
        #[test]
        fn a_restart_says_exactly_what_is_new_however_it_is_cut(
            first in "[ab€]{1,12}", more in "[ab€]{0,12}", cuts in prop::collection::vec(0usize..4, 0..12),
        ) {
            let mut splice = Splice::restarted(&sent(&[&first]), Usage::default());
            let all = pieces(&format!("{first}{more}"), &cuts);
            prop_assert_eq!(heard(&mut splice, &all), (more, false));
        }

        #[test]
        fn nothing_of_another_answer_goes_out(
            first in "[ab€]{1,12}", other in "[ab€]{0,12}", cuts in prop::collection::vec(0usize..4, 0..12),
        ) {
            prop_assume!(!other.starts_with(&first));
            let mut splice = Splice::restarted(&sent(&[&first]), Usage::default());
            let (said, diverged) = heard(&mut splice, &pieces(&other, &cuts));
            prop_assert_eq!(said, "");
            let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
            prop_assert!(diverged || splice.event(&event(&end)) == Spliced::Diverged);
        }

        #[test]
        fn a_continuation_is_whole_with_and_without_an_echo(
            first in "[ab€]{24,40}", more in "[ab€]{0,12}", cuts in prop::collection::vec(0usize..9, 0..12), echo in any::<bool>(),
        ) {
            let mut splice = Splice::continued(&sent(&[&first]), Usage::default(), false);
            let told = if echo { format!("{first}{more}") } else { more.clone() };
            let (mut said, diverged) = heard(&mut splice, &pieces(&told, &cuts));
            let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
            if let Spliced::Event(raw) = splice.event(&event(&end)) {
                let chunk: Value = serde_json::from_slice(&RawEvent { raw }.data()).unwrap();
                said.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
            }
            prop_assert!(!diverged);
            prop_assert_eq!(said, more);
        }
    }
}
