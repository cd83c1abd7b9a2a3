//! Which messages of a conversation still say something once parts of them were left out.

use super::loss::Losses;
use super::request::{ChatRequest, ChatRole};

/// How many parts each message of the user has, by its place in the conversation.
#[derive(Debug)]
pub struct MessageShape(Vec<(usize, usize)>);

impl MessageShape {
    /// Of a request, before it is written.
    pub fn of(request: &ChatRequest) -> Self {
        let messages = request.messages.iter().enumerate();
        let users = messages.filter(|(_, message)| message.role == ChatRole::User);
        Self(
            users
                .map(|(at, message)| (at, message.parts.len()))
                .collect(),
        )
    }

    /// Whether one of them lost all of its parts.
    pub fn is_emptied(&self, losses: &Losses) -> bool {
        if !losses.iter().any(|loss| loss.part) {
            return false;
        }
        self.0.iter().any(|(at, parts)| {
            let begin = format!("messages[{at}].content[");
            let own = losses.iter().filter(|loss| loss.part);
            let mut lost: Vec<&str> = own
                .filter_map(|loss| {
                    // What stands inside of a tool's result is not the message.
                    let (place, rest) = loss.path.strip_prefix(&begin)?.split_once("].")?;
                    (!rest.contains('[')).then_some(place)
                })
                .collect();
            lost.sort_unstable();
            lost.dedup();
            *parts > 0 && lost.len() == *parts
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ChatMessage, ContentPart, Extra, Loss};
    use super::*;

    fn lost(path: &str) -> Loss {
        Loss {
            part: true,
            ..Loss::new(path, "")
        }
    }

    #[test]
    fn a_message_is_emptied_once_all_of_its_parts_are_gone() {
        let mut request = ChatRequest::new("");
        request.messages.push(ChatMessage {
            role: ChatRole::User,
            parts: vec![ContentPart::text("a"), ContentPart::text("b")],
            name: None,
            extra: Extra::new(),
        });
        let shape = MessageShape::of(&request);
        let one = lost("messages[0].content[0].audio");
        let inner = lost("messages[0].content[1].content[0].audio");
        let detail = Loss::new("messages[0].content[1].detail", "");
        let other = lost("messages[1].content[1].audio");
        assert!(!shape.is_emptied(&vec![one.clone(), one.clone(), inner, detail, other]));
        assert!(shape.is_emptied(&vec![one, lost("messages[0].content[1].video")]));
    }
}
