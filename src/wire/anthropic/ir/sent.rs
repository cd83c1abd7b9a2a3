//! What went out of a stream of messages, as far as another stream can go on from there: one text after the other.

use serde_json::Value;

use super::decoder::MessageDecoder;
use super::encoder::MessageEncoder;
use crate::wire::dialect::{EventDecoder, EventEncoder, SentEvents};
use crate::wire::ir::StreamItem;
use crate::wire::json;
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

/// Reads the events that went out.
#[derive(Debug, Default)]
pub(in crate::wire::anthropic) struct SentMessage {
    decoder: MessageDecoder,
    started: bool,
    /// Blocks that are closed.
    blocks: u64,
    /// Whether a text is open behind them.
    open: bool,
}

impl SentEvents for SentMessage {
    fn note(&mut self, event: &RawEvent) -> Option<Vec<StreamItem>> {
        let fields = json::whole_object(&event.data())?;
        let index = fields.get("index").and_then(Value::as_u64);
        let inner = |name: &str| {
            let inner = fields.get(name)?.get("type")?;
            inner.as_str()
        };
        match fields.get("type")?.as_str()? {
            "message_start" => self.started = true,
            "content_block_start" if inner("content_block") == Some("text") => {
                self.blocks = index.unwrap_or(self.blocks);
                self.open = true;
            }
            "content_block_start" => return None,
            "content_block_delta" if inner("delta") != Some("text_delta") => return None,
            "content_block_stop" => {
                self.blocks = index.unwrap_or(self.blocks) + 1;
                self.open = false;
            }
            _ => {}
        }
        Some(self.decoder.event(event))
    }

    fn resumed(&self, _doc: &RequestDoc, origin: &'static str) -> Box<dyn EventEncoder> {
        let encoder = MessageEncoder::new(origin);
        Box::new(match self.started {
            true => encoder.resumed(self.blocks, self.open),
            false => encoder,
        })
    }
}
