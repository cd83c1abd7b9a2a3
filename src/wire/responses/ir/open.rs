//! Items of a streamed response while they are told: words and thoughts. And the events that tell of them.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use super::fields::put;
use super::place::SentItem;
use super::seal::Seal;
use crate::wire::ir::{Citation, ReasoningPart};
use crate::wire::sse::named_event;

/// The events of a response so far, each with the next number.
#[derive(Debug, Default)]
pub(super) struct ResponseLog {
    bytes: BytesMut,
    next: u64,
    /// Items that have begun.
    begun: u64,
    /// Items that are whole, by their places.
    items: Vec<(u64, Value)>,
}

impl ResponseLog {
    /// Behind others, of which the next one would have had this number.
    pub(super) fn resumed(next: u64, begun: u64, items: Vec<(u64, Value)>) -> Self {
        Self {
            next,
            begun,
            items,
            ..Self::default()
        }
    }

    /// One more event with these fields.
    pub(super) fn say<const N: usize>(&mut self, kind: &str, fields: [(&str, Value); N]) {
        let mut event = Map::new();
        event.insert("type".to_owned(), kind.into());
        event.insert("sequence_number".to_owned(), self.next.into());
        for (name, value) in fields {
            event.insert(name.to_owned(), value);
        }
        self.next += 1;
        let json = Value::Object(event).to_string();
        self.bytes
            .extend_from_slice(&named_event(kind, json.as_bytes()));
    }

    /// An item begins; returns its place.
    pub(super) fn begin_item(&mut self, item: Value) -> u64 {
        let index = self.begun;
        self.begun += 1;
        let fields = [("output_index", index.into()), ("item", item)];
        self.say("response.output_item.added", fields);
        index
    }

    /// An item is whole.
    pub(super) fn end_item(&mut self, index: u64, item: Value) {
        let fields = [("output_index", index.into()), ("item", item.clone())];
        self.say("response.output_item.done", fields);
        self.items.push((index, item));
    }

    /// An item of which nothing is told piece by piece.
    pub(super) fn whole_item(&mut self, item: Value) {
        let index = self.begin_item(item.clone());
        self.end_item(index, item);
    }

    /// A picture, as its base64.
    pub(super) fn image(&mut self, id: &str, data: &str, format: &str) {
        let item = |status: &str, data: Value| json!({"id": id, "type": "image_generation_call", "status": status, "result": data});
        let index = self.begin_item(item("in_progress", Value::Null));
        let place = ItemPlace {
            id: id.to_owned(),
            index,
        };
        for kind in ["in_progress", "generating", "completed"] {
            place.say(self, &format!("response.image_generation_call.{kind}"), []);
        }
        let mut whole = item("completed", data.into());
        if let Value::Object(fields) = &mut whole {
            put(fields, "output_format", Some(format));
        }
        self.end_item(index, whole);
    }

    /// All items, by their places.
    pub(super) fn take_items(&mut self) -> Vec<Value> {
        let mut items = std::mem::take(&mut self.items);
        items.sort_by_key(|(index, _)| *index);
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// What was said since this was last asked.
    pub(super) fn take_bytes(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }
}

/// Where an item, or a part of one, stands.
#[derive(Debug)]
pub(super) struct ItemPlace {
    pub(super) id: String,
    pub(super) index: u64,
}

impl ItemPlace {
    /// An event about the item.
    pub(super) fn say<const N: usize>(
        &self,
        events: &mut ResponseLog,
        kind: &str,
        fields: [(&str, Value); N],
    ) {
        let mut all = Map::new();
        put(&mut all, "item_id", Some(self.id.clone()));
        put(&mut all, "output_index", Some(self.index));
        for (name, value) in fields {
            all.insert(name.to_owned(), value);
        }
        events.say_all(kind, all);
    }
}

impl ResponseLog {
    /// One more event with these fields.
    fn say_all(&mut self, kind: &str, mut fields: Map<String, Value>) {
        fields.shift_insert(0, "type".to_owned(), kind.into());
        fields.insert("sequence_number".to_owned(), self.next.into());
        self.next += 1;
        let json = Value::Object(fields).to_string();
        self.bytes
            .extend_from_slice(&named_event(kind, json.as_bytes()));
    }
}

/// Words, and perhaps a refusal.
#[derive(Debug)]
pub(super) struct MessageItem {
    place: ItemPlace,
    /// Parts that are whole.
    content: Vec<Value>,
    part: Part,
}

/// The part that is being told.
#[derive(Debug)]
enum Part {
    None,
    Text {
        text: String,
        annotations: Vec<Value>,
        /// Of its tokens.
        logprobs: Vec<Value>,
    },
    Refusal(String),
    /// One whose words are told to their end; the part itself is not.
    Told(Value),
}

impl MessageItem {
    /// A message begins.
    pub(super) fn begin(events: &mut ResponseLog, id: String) -> Self {
        let item = json!({"id": id, "type": "message", "role": "assistant", "status": "in_progress", "content": []});
        let index = events.begin_item(item);
        Self {
            place: ItemPlace { id, index },
            content: Vec::new(),
            part: Part::None,
        }
    }

    /// One that is being told already.
    pub(super) fn resumed(sent: SentItem) -> Self {
        let (id, index) = (sent.id, sent.index);
        Self {
            place: ItemPlace { id, index },
            content: sent.content,
            part: match sent.text {
                None => Part::None,
                Some(text) if sent.told => Part::Told(text_part(&text, &[], &[])),
                Some(text) => Part::Text {
                    text,
                    annotations: Vec::new(),
                    logprobs: Vec::new(),
                },
            },
        }
    }

    /// Whether words are being told.
    pub(super) fn has_text(&self) -> bool {
        matches!(self.part, Part::Text { .. })
    }

    /// How probable tokens were whose words went before.
    pub(super) fn add_logprobs(&mut self, tokens: Vec<Value>) {
        if let Part::Text { logprobs, .. } = &mut self.part {
            logprobs.extend(tokens);
        }
    }

    /// More words, and how probable their tokens were.
    pub(super) fn say(&mut self, events: &mut ResponseLog, words: &str, tokens: Vec<Value>) {
        if !self.has_text() {
            self.end_part(events);
            let part =
                json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
            self.tell(events, "response.content_part.added", [("part", part)]);
            self.part = Part::Text {
                text: String::new(),
                annotations: Vec::new(),
                logprobs: Vec::new(),
            };
        }
        if let Part::Text { text, .. } = &mut self.part {
            text.push_str(words);
        }
        let fields = [("delta", words.into()), ("logprobs", tokens.clone().into())];
        self.tell(events, "response.output_text.delta", fields);
        self.add_logprobs(tokens);
    }

    /// More of a refusal.
    pub(super) fn refuse(&mut self, events: &mut ResponseLog, words: &str) {
        if !matches!(self.part, Part::Refusal(_)) {
            self.end_part(events);
            let part = json!({"type": "refusal", "refusal": ""});
            self.tell(events, "response.content_part.added", [("part", part)]);
            self.part = Part::Refusal(String::new());
        }
        if let Part::Refusal(text) = &mut self.part {
            text.push_str(words);
        }
        self.tell(events, "response.refusal.delta", [("delta", words.into())]);
    }

    /// Where the words so far are from.
    pub(super) fn cite(&mut self, events: &mut ResponseLog, citation: Citation) {
        let Part::Text {
            text, annotations, ..
        } = &mut self.part
        else {
            return;
        };
        let end = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        let (start, end) = citation.span.unwrap_or((0, end));
        let annotation = json!({
            "type": "url_citation", "start_index": start, "end_index": end,
            "url": citation.url, "title": citation.title.unwrap_or_default(),
        });
        let number = annotations.len();
        annotations.push(annotation.clone());
        let fields = [
            ("annotation_index", number.into()),
            ("annotation", annotation),
        ];
        self.tell(events, "response.output_text.annotation.added", fields);
    }

    /// The message is whole, or cut.
    pub(super) fn end(mut self, events: &mut ResponseLog, cut: bool) {
        self.end_part(events);
        let status = if cut { "incomplete" } else { "completed" };
        let item = json!({
            "id": self.place.id, "type": "message", "role": "assistant", "status": status,
            "content": self.content,
        });
        events.end_item(self.place.index, item);
    }

    /// An event about the part that is being told.
    fn tell<const N: usize>(
        &self,
        events: &mut ResponseLog,
        kind: &str,
        fields: [(&str, Value); N],
    ) {
        let mut all = Map::new();
        put(&mut all, "item_id", Some(self.place.id.clone()));
        put(&mut all, "output_index", Some(self.place.index));
        put(&mut all, "content_index", Some(self.content.len()));
        for (name, value) in fields {
            all.insert(name.to_owned(), value);
        }
        events.say_all(kind, all);
    }

    fn end_part(&mut self, events: &mut ResponseLog) {
        let part = match std::mem::replace(&mut self.part, Part::None) {
            Part::None => return,
            Part::Text {
                text,
                annotations,
                logprobs,
            } => {
                let fields = [
                    ("text", text.as_str().into()),
                    ("logprobs", logprobs.clone().into()),
                ];
                self.tell(events, "response.output_text.done", fields);
                text_part(&text, &annotations, &logprobs)
            }
            Part::Told(part) => part,
            Part::Refusal(text) => {
                let fields = [("refusal", text.as_str().into())];
                self.tell(events, "response.refusal.done", fields);
                json!({"type": "refusal", "refusal": text})
            }
        };
        self.tell(
            events,
            "response.content_part.done",
            [("part", part.clone())],
        );
        self.content.push(part);
    }
}

fn text_part(text: &str, annotations: &[Value], logprobs: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs})
}

/// What the model thought.
#[derive(Debug)]
pub(super) struct ThoughtItem {
    place: ItemPlace,
    text: String,
    has_part: bool,
    seal: Seal,
}

impl ThoughtItem {
    /// A thought begins.
    pub(super) fn begin(events: &mut ResponseLog, id: String) -> Self {
        let item = json!({"id": id, "type": "reasoning", "summary": []});
        let index = events.begin_item(item);
        Self {
            place: ItemPlace { id, index },
            text: String::new(),
            has_part: false,
            seal: Seal::default(),
        }
    }

    /// Whether it has its seal already.
    pub(super) fn is_sealed(&self) -> bool {
        self.seal != Seal::default()
    }

    /// More words of it.
    pub(super) fn think(&mut self, events: &mut ResponseLog, words: &str) {
        if words.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.has_part, true) {
            let part = json!({"type": "summary_text", "text": ""});
            let fields = [("summary_index", 0.into()), ("part", part)];
            self.place
                .say(events, "response.reasoning_summary_part.added", fields);
        }
        self.text.push_str(words);
        let fields = [("summary_index", 0.into()), ("delta", words.into())];
        self.place
            .say(events, "response.reasoning_summary_text.delta", fields);
    }

    /// What seals it, made by a provider of the dialect `origin` unless the part says otherwise.
    pub(super) fn seal(&mut self, part: ReasoningPart, origin: &str) {
        let maker = part
            .maker
            .map_or_else(|| origin.to_owned(), |maker| maker.into_owned());
        self.seal.maker = Some(maker);
        self.seal.signature = part.signature.or(self.seal.signature.take());
        self.seal.encrypted = part.encrypted.or(self.seal.encrypted.take());
    }

    /// The thought is whole. Without a seal it says at least which dialect's provider had it: some want it back.
    pub(super) fn end(mut self, events: &mut ResponseLog, origin: &str) {
        self.seal.maker.get_or_insert_with(|| origin.to_owned());
        let mut summary = Vec::new();
        if self.has_part {
            let part = json!({"type": "summary_text", "text": self.text});
            let fields = [("summary_index", 0.into()), ("text", self.text.into())];
            self.place
                .say(events, "response.reasoning_summary_text.done", fields);
            let fields = [("summary_index", 0.into()), ("part", part.clone())];
            self.place
                .say(events, "response.reasoning_summary_part.done", fields);
            summary.push(part);
        }
        let mut item = Map::new();
        put(&mut item, "id", Some(self.place.id));
        put(&mut item, "type", Some("reasoning"));
        put(&mut item, "summary", Some(summary));
        put(&mut item, "encrypted_content", self.seal.write());
        events.end_item(self.place.index, Value::Object(item));
    }
}
