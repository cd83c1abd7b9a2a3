//! What of a conversation an upstream could not read, or that says nothing to it: taken out before it is written.

use super::part::PartBody;
use super::request::ChatRequest;

/// In place of a signature of calls that another model made. It signs nothing.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
pub const PLACEHOLDER_SIGNATURE: &str = "skip_thought_signature_validator";
/// The dialect whose providers seal thoughts by account.
const SEALED_BY_ACCOUNT: &str = "responses";

impl ChatRequest {
    /// Takes out what only stands in place of a signature: nothing is lost with it, and the dialect that wants it puts it
    /// in by itself.
    pub fn drop_placeholder_signatures(&mut self) {
        let is_placeholder = |text: &mut String| text == PLACEHOLDER_SIGNATURE;
        for message in &mut self.messages {
            message.parts.retain_mut(|part| match &mut part.body {
                PartBody::ToolCall(call) => {
                    call.signature.take_if(is_placeholder);
                    true
                }
                PartBody::Reasoning(thought) => {
                    let held = thought.signature.take_if(is_placeholder).is_some();
                    let words = thought.text.as_deref().unwrap_or_default();
                    !held || !words.is_empty() || thought.encrypted.is_some()
                }
                _ => true,
            });
        }
    }

    /// Takes out thoughts that only the account can read that made them; whether there were any.
    pub fn drop_sealed(&mut self) -> bool {
        let mut any = false;
        for message in &mut self.messages {
            message.parts.retain(|part| match &part.body {
                PartBody::Reasoning(thought) => {
                    let sealed = thought.encrypted.is_some()
                        && thought.maker.as_deref() == Some(SEALED_BY_ACCOUNT);
                    any |= sealed;
                    !sealed
                }
                _ => true,
            });
        }
        any
    }
}
