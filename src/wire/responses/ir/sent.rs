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
                let open = self.place.open.as_mut()?;
                open.text = is_text.then(String::new);
                open.told = false;
                is_text.then_some(())?;
            }
            "response.content_part.done" => {
                let part = fields.remove("part")?;
                let open = self.place.open.as_mut()?;
                open.text = None;
                open.told = false;
                open.content.push(part);
            }
            "response.output_text.delta" => {
                let more = fields.get("delta")?.as_str()?;
                let text = &mut self.place.open.as_mut()?.text;
                text.get_or_insert_default().push_str(more);
            }
            "response.output_text.done" => {
                let all = fields.get("text").and_then(Value::as_str)?;
                let open = self.place.open.as_mut()?;
                all.clone_into(open.text.get_or_insert_default());
                open.told = true;
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
            told: false,
        });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::tests::check;
    use super::*;
    use crate::wire::ir::{ContentDelta, StopReason};

    /// The data of events.
    fn data(events: &[u8]) -> Vec<Value> {
        let text = String::from_utf8_lossy(events);
        let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn said(text: &str) -> StreamItem {
        StreamItem::Delta {
            candidate: 0,
            delta: ContentDelta::Text(text.to_owned()),
        }
    }

    #[test]
    fn wherever_a_response_breaks_off_no_end_is_told_twice() {
        let doc = RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
        let mut encoder = ResponseEncoder::new(&doc, "openai");
        let end = || StreamItem::Stop {
            candidate: 0,
            reason: StopReason::EndTurn,
        };
        let items = vec![said("Hel"), said("lo"), end(), StreamItem::End];
        let whole = data(&encoder.event(items));
        for cut in 2..whole.len() {
            for more in [Vec::new(), vec![said("!")]] {
                let mut sent = SentResponse::default();
                let (before, _) = whole.split_at(cut);
                for event in before {
                    let raw = format!("data: {event}\n\n").into();
                    assert!(sent.note(&RawEvent { raw }).is_some(), "{event}");
                }
                let mut rest = sent.resumed(&doc, "openai");
                let items = more.into_iter().chain([end(), StreamItem::End]);
                let mut all = before.to_vec();
                all.extend(data(&rest.event(items.collect())));
                check(&all);
            }
        }
    }
}
