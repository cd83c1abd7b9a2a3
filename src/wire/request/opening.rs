//! The beginning of a conversation: what stays the same in all of its requests.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{RequestDoc, is_blob};
use crate::wire::json;

/// What comes before the first message.
const BEFORE: [&str; 5] = [
    "tools",
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
];
/// Where messages are.
const MESSAGES: [&str; 4] = ["messages", "input", "contents", "prompt"];

impl RequestDoc {
    /// A top-level field that is a text; `None` when it is absent, empty or something else.
    pub fn text_of(&self, name: &str) -> Option<Cow<'_, str>> {
        let text: Cow<'_, str> = match serde_json::from_slice::<&str>(self.raw(name)?) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(serde_json::from_slice(self.raw(name)?).ok()?),
        };
        (!text.is_empty()).then_some(text)
    }

    /// The user that the request names: `user`, or `metadata.user_id`.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        #[derive(serde::Deserialize)]
        struct UserField {
            user_id: Option<String>,
        }
        self.text_of("user").or_else(|| {
            let metadata: UserField = serde_json::from_slice(self.raw("metadata")?).ok()?;
            metadata.user_id.filter(|id| !id.is_empty()).map(Cow::Owned)
        })
    }

    /// The texts of the tools, of the system's words and of the messages up to the first of the user's. Marks of what is to
    /// be cached are no part of it: clients move them from request to request.
    pub fn opening(&self, mut each: impl FnMut(&[u8])) {
        let mut buffer = String::new();
        let mut texts = |raw: &str| {
            let skip = |name: json::Text<'_>| is_blob(name) || name.is("cache_control");
            // Nobody ends it early.
            let _ = json::texts(raw, skip, |text| {
                text.pieces(4096, &mut buffer, |piece| {
                    each(piece.as_bytes());
                    ControlFlow::Continue(())
                })
            });
        };
        for name in BEFORE {
            if let Some(Ok(raw)) = self.raw(name).map(std::str::from_utf8) {
                texts(raw);
            }
        }
        let mut messages = MESSAGES.into_iter();
        let Some(raw) = messages.find_map(|name| self.raw(name)) else {
            return;
        };
        if raw.first() != Some(&b'[') {
            std::str::from_utf8(raw).into_iter().for_each(&mut texts);
            return;
        }
        let mut reader = serde_json::Deserializer::from_slice(raw);
        // It ends with an error behind the first of the user's messages: the others are not read.
        let _ = reader.deserialize_seq(UntilUser(|message: &RawValue| texts(message.get())));
    }
}

/// Hands on the messages of a list until one is the user's.
struct UntilUser<F>(F);

impl<'de, F: FnMut(&RawValue)> Visitor<'de> for UntilUser<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        #[derive(serde::Deserialize)]
        struct RoleField<'a> {
            #[serde(borrow)]
            role: Option<Cow<'a, str>>,
        }
        while let Some(message) = seq.next_element::<&RawValue>()? {
            (self.0)(message);
            let read = serde_json::from_str::<RoleField<'_>>(message.get());
            // What has no role (a text in a list, Gemini's only content) is the user's.
            let role = read.ok().and_then(|message| message.role);
            if role.is_none_or(|role| role == "user") {
                return Err(A::Error::custom("the rest is not read"));
            }
        }
        Ok(())
    }
}
