//! A whole answer put together from the events of a streamed one, in their caller's own dialect.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::dialect::EventDecoder;
use super::dialects;
use super::ir::{Assembly, Losses};
use super::json;
use super::request::RequestDoc;
use super::sse::RawEvent;
use crate::domain::dialect::{EventForm, Operation};

/// What has come of one answer.
pub struct CollectedAnswer {
    operation: Operation,
    form: CollectedForm,
    /// Bytes of its events so far.
    bytes: usize,
}

enum CollectedForm {
    /// By the neutral form.
    Assembled(Box<dyn EventDecoder>, Box<Assembly>),
    /// The last event has all of it.
    Last(Option<RawEvent>),
    /// Texts that go on.
    Texts(TextChoices),
}

impl fmt::Debug for CollectedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CollectedAnswer({} bytes)", self.bytes)
    }
}

impl CollectedAnswer {
    /// Nothing yet, of an answer to this operation; `None` where its events cannot be put together.
    pub fn new(operation: Operation) -> Option<Self> {
        let form = match operation {
            Operation::Completions => CollectedForm::Texts(TextChoices::default()),
            _ if operation.events() == EventForm::Numbered => CollectedForm::Last(None),
            _ => {
                let dialect = dialects::upstream(dialects::caller(operation).id())?;
                if dialect.conversation() != Some(operation) {
                    return None;
                }
                let decoder = dialect.own_event_decoder();
                CollectedForm::Assembled(decoder, Box::new(Assembly::new(dialect.id())))
            }
        };
        Some(Self {
            operation,
            form,
            bytes: 0,
        })
    }

    /// Adds an event.
    pub fn add(&mut self, event: &RawEvent) {
        if event.is_empty() {
            return;
        }
        self.bytes = self.bytes.saturating_add(event.raw.len());
        match &mut self.form {
            CollectedForm::Assembled(decoder, assembly) => assembly.add(decoder.event(event)),
            CollectedForm::Last(last) => *last = Some(event.clone()),
            CollectedForm::Texts(texts) => texts.add(event),
        }
    }

    /// Bytes of its events so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The answer to the request `doc`, and what of the stream is not in it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn whole(self, doc: &RequestDoc) -> Result<(Bytes, Losses), String> {
        match self.form {
            CollectedForm::Assembled(_, assembly) => {
                let (answer, mut losses) = assembly.finish().map_err(|error| error.message)?;
                let caller = dialects::caller(self.operation);
                let (body, more) = caller.encode_answer(self.operation, doc, answer);
                losses.extend(more);
                Ok((body, losses))
            }
            CollectedForm::Last(last) => {
                let value = last.and_then(|last| json::value(&last.data()));
                let whole = value.as_ref().and_then(|value| value.get("response"));
                let whole = whole.ok_or("its last event has no answer in it")?;
                Ok((Bytes::from(whole.to_string()), Losses::new()))
            }
            CollectedForm::Texts(texts) => {
                let whole = texts.whole().ok_or("it has no choices")?;
                Ok((whole, Losses::new()))
            }
        }
    }
}

/// Text completions, by the place of each.
#[derive(Default)]
struct TextChoices {
    head: Map<String, Value>,
    choices: BTreeMap<u64, Map<String, Value>>,
}

impl TextChoices {
    fn add(&mut self, event: &RawEvent) {
        let Some(Value::Object(mut chunk)) = json::value(&event.data()) else {
            return;
        };
        let choices = chunk.remove("choices");
        for (name, value) in chunk {
            if !value.is_null() {
                self.head.insert(name, value);
            }
        }
        let Some(Value::Array(choices)) = choices else {
            return;
        };
        for choice in choices {
            let Value::Object(choice) = choice else {
                continue;
            };
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            let known = self.choices.entry(index).or_default();
            for (name, value) in choice {
                join(known, name, value);
            }
        }
    }

    fn whole(mut self) -> Option<Bytes> {
        if self.choices.is_empty() {
            return None;
        }
        let usage = self.head.remove("usage");
        let choices = self.choices.into_values().map(Value::Object).collect();
        self.head
            .insert("choices".to_owned(), Value::Array(choices));
        if let Some(usage) = usage {
            self.head.insert("usage".to_owned(), usage);
        }
        Some(Value::Object(self.head).to_string().into())
    }
}

/// Texts and lists go on; what else is said later counts, but for nothing said.
fn join(known: &mut Map<String, Value>, name: String, value: Value) {
    match (known.get_mut(&name), value) {
        (Some(Value::String(text)), Value::String(more)) if name == "text" => text.push_str(&more),
        (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
        (Some(Value::Object(fields)), Value::Object(more)) => {
            for (name, value) in more {
                join(fields, name, value);
            }
        }
        (Some(_), Value::Null) => {}
        (_, value) => _ = known.insert(name, value),
    }
}
