//! Messages as the API has them, there and back.

use serde_json::Value;

use super::part::{decode_content, decode_parts, encode_content};
use crate::wire::ir::fields::{Encoder, list, put, text};
use crate::wire::ir::{ChatMessage, ChatRole, ContentPart, Extra, Loss};

fn role_of(word: &str) -> ChatRole {
    match word {
        "user" => ChatRole::User,
        "assistant" => ChatRole::Assistant,
        "system" => ChatRole::System,
        other => ChatRole::Other(other.to_owned()),
    }
}

fn word_of(role: ChatRole) -> String {
    match role {
        ChatRole::User | ChatRole::Tool => "user".to_owned(),
        ChatRole::Assistant => "assistant".to_owned(),
        ChatRole::System | ChatRole::Developer => "system".to_owned(),
        ChatRole::Other(word) => word,
    }
}

/// The instructions beside the messages.
pub(super) fn decode_system(fields: &mut Extra) -> Option<ChatMessage> {
    let mut own = Extra::new();
    let parts = match text(fields, "system") {
        Some(text) => {
            own.insert("content".to_owned(), Value::Null);
            vec![ContentPart::text(text)]
        }
        None => decode_parts(list(fields, "system")?),
    };
    Some(ChatMessage {
        role: ChatRole::System,
        parts,
        name: None,
        extra: own,
    })
}

/// One of the messages. Instructions among them are marked: their role stands in `extra`.
///
/// # Errors
/// What is no object, or has no role.
pub(super) fn decode_message(at: usize, value: Value) -> Result<ChatMessage, Loss> {
    let unreadable = |path: String, why| Loss { path, why };
    let Value::Object(mut fields) = value else {
        return Err(unreadable(
            format!("messages[{at}]"),
            "a message is an object",
        ));
    };
    let role = text(&mut fields, "role")
        .ok_or_else(|| unreadable(format!("messages[{at}].role"), "a message has a role"))?;
    let role = role_of(&role);
    if role == ChatRole::System {
        fields.insert("role".to_owned(), Value::Null);
    }
    Ok(ChatMessage {
        role,
        parts: decode_content(&mut fields),
        name: None,
        extra: fields,
    })
}

/// Messages that were read from this dialect: the instructions, and the rest.
pub(super) fn encode_messages(
    encoder: &mut Encoder,
    messages: Vec<ChatMessage>,
) -> (Option<Value>, Vec<Value>) {
    let (mut system, mut all) = (None, Vec::new());
    for (at, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{at}]");
        let beside = message.role == ChatRole::System && !message.extra.contains_key("role");
        let mut fields = message.extra;
        encode_content(encoder, &path, &mut fields, message.parts);
        if beside && at == 0 {
            system = fields.remove("content");
            continue;
        }
        put(&mut fields, "role", Some(word_of(message.role)));
        put(&mut fields, "name", message.name);
        all.push(Value::Object(fields));
    }
    (system, all)
}
