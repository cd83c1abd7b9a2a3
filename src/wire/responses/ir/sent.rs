//! What went out of a streamed response, as far as another stream can go on from there: messages of text.

use serde_json::Value;

use super::encoder::ResponseEncoder;
use super::events::ResponseEvents;
use super::place::{SentItem, SentPlace};
use crate::wire::dialect::{EventDecoder, EventEncoder, SentEvents};
use crate::wire::ir::StreamItem;
use crate::wire::json;
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

/// Reads the events that went out.
#[derive(Debug, Default)]
pub(in crate::wire::responses) struct SentResponse {
    decoder: ResponseEvents,
    place: SentPlace,
}

impl SentEvents for SentResponse {
    fn note(&mut self, event: &RawEvent) -> Option<Vec<StreamItem>> {
        let mut fields = json::whole_object(&event.data())?;
        let number = fields.get("sequence_number").and_then(Value::as_u64);
        self.place.next = number.unwrap_or(self.place.next) + 1;
        let index = fields.get("output_index").and_then(Value::as_u64);
        let kind = fields.get("type")?.as_str()?.to_owned();
        match kind.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let (None, Some(Value::Object(response))) =
                    (&self.place.response, fields.remove("response"))
                {
                    self.place.response = Some(response);
                }
            }
            "response.output_item.added" => {
                self.open(index.unwrap_or(self.place.begun), fields.get("item")?)?;
            }
            "response.output_item.done" => {
                let item = fields.remove("item")?;
                let at = index.unwrap_or(self.place.begun.saturating_sub(1));
                self.place.begun = self.place.begun.max(at + 1);
                self.place.items.push((at, item));
                self.place.open = None;
            }
            "response.content_part.added" => {
                let part = fields.get("part")?.get("type")?.as_str()?;
                let is_text = part == "output_text";
                self.place.open.as_mut()?.text = is_text.then(String::new);
                is_text.then_some(())?;
            }
            "response.content_part.done" => {
                let part = fields.remove("part")?;
                let open = self.place.open.as_mut()?;
                open.text = None;
                open.content.push(part);
            }
            "response.output_text.delta" => {
                let more = fields.get("delta")?.as_str()?;
                let text = &mut self.place.open.as_mut()?.text;
                text.get_or_insert_default().push_str(more);
            }
            "response.output_text.done" => {
                let all = fields.get("text").and_then(Value::as_str)?;
                let text = &mut self.place.open.as_mut()?.text;
                all.clone_into(text.get_or_insert_default());
            }
            _ => {}
        }
        Some(self.decoder.event(event))
    }

    fn resumed(&self, doc: &RequestDoc, origin: &'static str) -> Box<dyn EventEncoder> {
        Box::new(ResponseEncoder::new(doc, origin).resumed(&self.place))
    }
}

impl SentResponse {
    /// An item begins: nothing goes on behind any but a message, nor beside one.
    fn open(&mut self, index: u64, item: &Value) -> Option<()> {
        let is_message = item.get("type")?.as_str()? == "message";
        if !is_message || self.place.open.is_some() {
            return None;
        }
        self.place.begun = self.place.begun.max(index + 1);
        self.place.open = Some(SentItem {
            id: item
                .get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            index,
            content: Vec::new(),
            text: None,
        });
        Some(())
    }
}
