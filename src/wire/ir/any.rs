//! Arbitrary streamed answers, for the tests of encoders: any sequence at all must come out in the grammar of a dialect.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-c \u{e9}\"\\\\\n]{1,4}"]
}

fn reason() -> impl Strategy<Value = StopReason> {
    prop_oneof![
        Just(StopReason::EndTurn),
        Just(StopReason::StopSequence(Some("END".to_owned()))),
        Just(StopReason::Length),
        Just(StopReason::ToolCalls),
        Just(StopReason::ContentFilter),
        Just(StopReason::Refusal),
        Just(StopReason::Pause),
        Just(StopReason::Other("odd".to_owned())),
    ]
}

fn call() -> impl Strategy<Value = ContentDelta> {
    let name = prop_oneof![Just("f".to_owned()), Just("g".to_owned())];
    let piece = prop_oneof![
        Just("{}".to_owned()),
        Just(r#"{"a":"#.to_owned()),
        Just("1}".to_owned()),
        text()
    ];
    (
        0..3u64,
        of("[a-z:.]{0,3}"),
        of(name),
        of(piece),
        any::<bool>(),
        of(Just("sig".to_owned())),
    )
        .prop_map(
            |(index, id, name, arguments, custom, signature)| ContentDelta::ToolCall {
                index,
                id,
                name,
                arguments,
                kind: match custom {
                    true => ToolCallKind::Custom,
                    false => ToolCallKind::Function,
                },
                signature,
                extra: Extra::new(),
            },
        )
}

fn delta() -> impl Strategy<Value = ContentDelta> {
    let thought =
        (of(text()), of(Just("sig")), of(Just("data"))).prop_map(|(text, signed, data)| {
            ContentDelta::Reasoning(ReasoningPart {
                text,
                signature: signed.map(str::to_owned),
                encrypted: data.map(str::to_owned),
                ..ReasoningPart::default()
            })
        });
    let citation = of(Just("https://x.example/".to_owned())).prop_map(|url| {
        ContentDelta::Citation(Citation {
            url,
            title: Some("t".to_owned()),
            span: None,
            extra: Extra::new(),
        })
    });
    let unknown = prop_oneof![Just(json!({"type": "odd"})), Just(json!(1))].prop_map(|value| {
        ContentDelta::Unknown {
            field: "content".to_owned(),
            value,
        }
    });
    let token = || TokenLogprob {
        token: "a".to_owned(),
        logprob: (-1).into(),
        bytes: None,
        top: Vec::new(),
    };
    let media = prop_oneof![
        Just("data:image/png;base64,aGk="),
        Just("https://x.example/a.png")
    ]
    .prop_map(|url| {
        ContentDelta::Media(PartBody::Image {
            source: MediaSource::Url(url.to_owned()),
            detail: None,
        })
    });
    prop_oneof![
        1 => Just(ContentDelta::Logprobs(vec![token()])),
        1 => media,
        1 => Just(ContentDelta::Role(ChatRole::Assistant)),
        4 => text().prop_map(ContentDelta::Text),
        2 => thought,
        1 => text().prop_map(ContentDelta::Refusal),
        5 => call(),
        1 => citation,
        1 => unknown,
    ]
}

fn item() -> impl Strategy<Value = StreamItem> {
    let head = (of("[a-c]{1,2}"), of("[m-o]")).prop_map(|(id, model)| StreamItem::Head {
        id,
        model,
        created: None,
        extra: Extra::new(),
    });
    let usage = (of(0..99u64), of(0..99u64), of(0..50u64)).prop_map(|(input, output, cached)| {
        StreamItem::Usage(UsageCounts {
            input,
            output,
            cache_read: cached,
            ..UsageCounts::default()
        })
    });
    let candidate = prop_oneof![8 => Just(0u64), 1 => Just(1u64)];
    prop_oneof![
        1 => head,
        12 => (candidate.clone(), delta())
            .prop_map(|(candidate, delta)| StreamItem::Delta { candidate, delta }),
        1 => (candidate, reason())
            .prop_map(|(candidate, reason)| StreamItem::Stop { candidate, reason }),
        1 => usage,
        1 => Just(StreamItem::ServiceTier("flex".to_owned())),
    ]
}

/// What the events of one stream say, without its end.
pub(in crate::wire) fn any_stream() -> impl Strategy<Value = Vec<Vec<StreamItem>>> {
    vec(vec(item(), 1..4), 0..12)
}
