//! What went out of a stream of answers, as far as another stream can go on from there. Each event stands by itself, but for
//! the names that all of them repeat.

use super::stream::{ContentDecoder, ContentEncoder};
use super::tools::names;
use crate::wire::dialect::{EventDecoder, EventEncoder, SentEvents};
use crate::wire::ir::StreamItem;
use crate::wire::json;
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

/// Reads the events that went out.
#[derive(Debug, Default)]
pub(in crate::wire::gemini) struct SentContent {
    decoder: ContentDecoder,
    id: Option<String>,
    model: Option<String>,
}

impl SentEvents for SentContent {
    fn note(&mut self, event: &RawEvent) -> Option<Vec<StreamItem>> {
        json::whole_object(&event.data())?;
        let items = self.decoder.event(event);
        for item in &items {
            if let StreamItem::Head { id, model, .. } = item {
                self.id = self.id.take().or_else(|| id.clone());
                self.model = self.model.take().or_else(|| model.clone());
            }
        }
        Some(items)
    }

    fn resumed(&self, doc: &RequestDoc, origin: &'static str) -> Box<dyn EventEncoder> {
        let tools = doc.raw("tools").and_then(json::value).unwrap_or_default();
        let mut encoder = ContentEncoder::new(names(&tools), origin);
        // The names alone say nothing yet.
        let _ = encoder.event(vec![StreamItem::Head {
            id: self.id.clone(),
            model: self.model.clone(),
            created: None,
            extra: serde_json::Map::new(),
        }]);
        Box::new(encoder)
    }
}
