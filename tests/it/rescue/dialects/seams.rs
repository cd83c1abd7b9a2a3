//! Wherever a stream is cut and whatever another one goes on with: the caller's events keep to its grammar, and it reads what
//! was sent and what is new.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, json};

use pointsman::domain::dialect::Operation;
use pointsman::domain::usage::Usage;
use pointsman::wire::dialects;
use pointsman::wire::ir::{
    ChatRole, ContentDelta, ReasoningPart, StopReason, StreamItem, ToolCallKind, UsageCounts,
};
use pointsman::wire::item_splice::ItemSplice;
use pointsman::wire::overlap::Overlap;
use pointsman::wire::request::RequestDoc;
use pointsman::wire::splice::{Splice, Spliced};
use pointsman::wire::sse::{EventSplitter, RawEvent};
use pointsman::wire::transcript::Transcript;

use crate::translation::grammar::faults;
use crate::translation::streams::{events, folded};

const CALLERS: [(&str, Operation); 4] = [
    ("openai", Operation::Chat),
    ("anthropic", Operation::Messages),
    ("gemini", Operation::GenerateContent),
    ("responses", Operation::Responses),
];
/// Whose answers they are.
const ORIGIN: &str = "bedrock";

fn delta(delta: ContentDelta) -> StreamItem {
    StreamItem::Delta {
        candidate: 0,
        delta,
    }
}

fn head(id: &str) -> Vec<StreamItem> {
    let head = StreamItem::Head {
        id: Some(id.to_owned()),
        model: Some("m".to_owned()),
        created: Some(1.into()),
        extra: Map::new(),
    };
    vec![head, delta(ContentDelta::Role(ChatRole::Assistant))]
}

fn texts(pieces: &[String]) -> Vec<Vec<StreamItem>> {
    let text = |piece: &String| vec![delta(ContentDelta::Text(piece.clone()))];
    pieces.iter().map(text).collect()
}

fn usage(input: u64, output: u64) -> StreamItem {
    StreamItem::Usage(UsageCounts {
        input: Some(input),
        output: Some(output),
        ..UsageCounts::default()
    })
}

/// What is said in an event of a second stream, where it is no text.
fn aside(kind: u8) -> Vec<StreamItem> {
    match kind {
        0 => vec![delta(ContentDelta::Reasoning(ReasoningPart {
            text: Some("hm".to_owned()),
            ..ReasoningPart::default()
        }))],
        1 => vec![usage(3, 1)],
        _ => Vec::new(),
    }
}

fn call() -> Vec<StreamItem> {
    vec![delta(ContentDelta::ToolCall {
        index: 0,
        id: Some("c".to_owned()),
        name: Some("f".to_owned()),
        arguments: Some("{}".to_owned()),
        kind: ToolCallKind::Function,
        signature: None,
        extra: Map::new(),
    })]
}

fn split(raw: Bytes) -> Vec<RawEvent> {
    let mut splitter = EventSplitter::new(usize::MAX);
    splitter.push(raw);
    std::iter::from_fn(|| splitter.next_event().unwrap()).collect()
}

/// A text in pieces that end at these places.
fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let mut rest = text;
    let mut all = Vec::new();
    for cut in cuts {
        let (piece, tail) = rest.split_at((*cut).min(rest.len()));
        all.push(piece.to_owned());
        rest = tail;
    }
    all.push(rest.to_owned());
    all
}

/// A second stream, and how it goes on.
#[derive(Clone, Debug)]
struct Second {
    restarts: bool,
    echoes: bool,
    more: String,
    cuts: Vec<usize>,
    asides: Vec<u8>,
    calls: bool,
}

impl Second {
    /// What it says behind `sent`.
    fn items(&self, sent: &str) -> Vec<Vec<StreamItem>> {
        let repeats = self.restarts || self.echoes;
        let text = format!("{}{}", if repeats { sent } else { "" }, self.more);
        let mut all = vec![head("second")];
        let said = texts(&pieces(&text, &self.cuts));
        for (at, items) in said.into_iter().enumerate() {
            all.extend(self.asides.get(at).map(|kind| aside(*kind)));
            all.push(items);
        }
        if self.calls {
            all.push(call());
        }
        let reason = match self.calls {
            true => StopReason::ToolCalls,
            false => StopReason::EndTurn,
        };
        let stop = StreamItem::Stop {
            candidate: 0,
            reason,
        };
        all.push(vec![stop, usage(7, 5)]);
        all.push(vec![StreamItem::End]);
        all
    }

    fn overlap(&self, sent: &str) -> Overlap {
        match self.restarts {
            true => Overlap::restarted(sent),
            false => Overlap::continued(sent, self.echoes, 0),
        }
    }

    fn splice(&self, sent: &Transcript, before: Usage) -> Splice {
        match self.restarts {
            true => Splice::restarted(sent, before),
            false => Splice::continued(sent, before, self.echoes),
        }
    }
}

fn second() -> impl Strategy<Value = Second> {
    (
        any::<bool>(),
        any::<bool>(),
        // Its letters are others than those of the first one, so that nothing is repeated by chance.
        "[xy]{0,6}",
        vec(0usize..4, 0..8),
        vec(0u8..3, 0..8),
        any::<bool>(),
    )
        .prop_map(|(restarts, echoes, more, cuts, asides, calls)| Second {
            restarts,
            echoes,
            more,
            cuts,
            asides,
            calls,
        })
}

/// What the caller reads of the first stream up to a cut, and of the second one behind it; and what was sent by then.
fn told(
    (caller, operation): (&str, Operation),
    first: &[String],
    cut: Index,
    second: &Second,
) -> (String, String) {
    let own = dialects::caller(operation);
    let body = json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}});
    let doc = RequestDoc::parse(body.to_string().into()).unwrap();
    let mut encoder = own.event_encoder(operation, &doc, ORIGIN);
    let items = [vec![head("first")], texts(first)].concat();
    let all: Vec<RawEvent> = items
        .into_iter()
        .flat_map(|items| split(encoder.event(items)))
        .collect();
    let mut sent = Transcript::of(operation, own.sent_events());
    let mut out = Vec::new();
    for event in all.iter().take(cut.index(all.len() + 1)) {
        sent.note(event);
        out.extend_from_slice(&event.raw);
    }
    assert!(!sent.is_spoiled(), "{caller}: {sent:?}");
    let before = Usage {
        prompt_tokens: Some(3),
        completion_tokens: Some(2),
        ..Usage::default()
    };
    let behind = second.items(sent.text());
    if sent.is_resumed() {
        let mut splice = ItemSplice::new(second.overlap(sent.text()), before);
        let mut encoder = sent.resumed(&doc, ORIGIN).unwrap();
        for items in behind {
            let new = splice
                .items(items)
                .unwrap_or_else(|| panic!("{caller}: another answer"));
            out.extend_from_slice(&encoder.event(new));
        }
    } else {
        let mut encoder = own.event_encoder(operation, &doc, ORIGIN);
        let mut splice = (!sent.is_empty()).then(|| second.splice(&sent, before));
        for event in behind
            .into_iter()
            .flat_map(|items| split(encoder.event(items)))
        {
            match splice.as_mut().map(|splice| splice.event(&event)) {
                None => out.extend_from_slice(&event.raw),
                Some(Spliced::Event(raw)) => out.extend_from_slice(&raw),
                Some(Spliced::Nothing) => {}
                Some(Spliced::Diverged) => panic!("{caller}: another answer"),
            }
        }
    }
    let out = String::from_utf8(out).unwrap();
    (out, sent.text().to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_stream_that_was_cut_anywhere_goes_on_in_its_callers_grammar(
        first in vec("[ab ]{1,4}", 0..6), cut in any::<Index>(), second in second(),
    ) {
        for caller in CALLERS {
            let (stream, sent) = told(caller, &first, cut, &second);
            let name = caller.0;
            let events = events(&stream);
            let (faults, folded) = (faults(name, &events), folded(name, &events));
            prop_assert!(faults.is_empty(), "{}: {:?}\n{}", name, faults, stream);
            prop_assert_eq!(&folded["text"], &json!(format!("{sent}{}", second.more)), "{}\n{}", name, stream);
            prop_assert_eq!(&folded["done"], &json!(true), "{}\n{}", name, stream);
        }
    }
}
