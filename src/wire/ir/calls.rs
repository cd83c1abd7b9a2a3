//! Ids of calls that tell no two calls apart.
//!
//! Some servers count the calls of each answer anew, or have one id for all of them, and their callers send those ids back.
//! Anthropic and the Responses API refuse a conversation with two calls of one id, and others join a result to the wrong
//! call.

use std::collections::{HashMap, HashSet, VecDeque};

use super::part::{PartBody, ToolCall, ToolResult};
use super::request::{ChatRequest, ChatRole};

impl ChatRequest {
    /// Gives each call an id of its own: the first of an id keeps it. A result goes with the first call of its id that waits
    /// for one. What comes later in the conversation changes no id before it, so that the beginning of a prompt stays what
    /// was cached.
    pub fn tell_calls_apart(&mut self) {
        if !self.repeats_calls() {
            return;
        }
        let mut calls = OwnIds::default();
        for message in &mut self.messages {
            calls.over |= message.role != ChatRole::Assistant;
            for part in &mut message.parts {
                match &mut part.body {
                    PartBody::ToolCall(call) => calls.call(call),
                    PartBody::ToolResult(result) => calls.result(result),
                    _ => {}
                }
            }
        }
    }

    fn repeats_calls(&self) -> bool {
        let mut ids = HashSet::new();
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let mut given = parts.filter_map(|part| match &part.body {
            PartBody::ToolCall(call) => call.id.as_deref().filter(|id| !id.is_empty()),
            _ => None,
        });
        given.any(|id| !ids.insert(id))
    }
}

/// The ids of the calls so far.
#[derive(Default)]
struct OwnIds {
    used: HashSet<String>,
    given: HashMap<String, Given>,
    /// Counts the turns of the model: a call of an earlier turn waits for no result any more.
    turn: u64,
    /// The turn ended: another one begins with the next call.
    over: bool,
}

/// The calls of one given id.
#[derive(Default)]
struct Given {
    /// How many there were.
    count: u64,
    turn: u64,
    waiting: VecDeque<String>,
    latest: String,
}

impl OwnIds {
    fn call(&mut self, call: &mut ToolCall) {
        self.turn += u64::from(std::mem::take(&mut self.over));
        let Some(id) = call.id.as_mut().filter(|id| !id.is_empty()) else {
            return;
        };
        let given = self.given.entry(id.clone()).or_default();
        if given.turn != self.turn {
            given.waiting.clear();
        }
        given.turn = self.turn;
        given.count += 1;
        let mut own = id.clone();
        if given.count > 1 {
            own = format!("{id}_{}", given.count);
        }
        // The count goes on where the caller has such an id, so that many of them cost no more than they are long.
        while !self.used.insert(own.clone()) {
            given.count += 1;
            own = format!("{id}_{}", given.count);
        }
        given.waiting.push_back(own.clone());
        given.latest.clone_from(&own);
        *id = own;
    }

    fn result(&mut self, result: &mut ToolResult) {
        self.over = true;
        if let Some(given) = self.given.get_mut(&result.call_id) {
            let waiting = given.waiting.pop_front();
            result.call_id = waiting.unwrap_or_else(|| given.latest.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::wire::ir::{ChatMessage, ContentPart, Extra};

    /// A conversation: `c` is a call of that id, `r` a result, anything else a text of the user.
    fn conversation(parts: &[(&str, &str)]) -> ChatRequest {
        let mut request = ChatRequest::new("openai");
        for (kind, id) in parts {
            let id = (*id).to_owned();
            let (role, body) = match *kind {
                "c" => {
                    let call = ToolCall {
                        id: Some(id),
                        ..ToolCall::default()
                    };
                    (ChatRole::Assistant, PartBody::ToolCall(call))
                }
                "r" => {
                    let result = ToolResult {
                        call_id: id,
                        ..ToolResult::default()
                    };
                    (ChatRole::Tool, PartBody::ToolResult(result))
                }
                _ => (ChatRole::User, ContentPart::text("x").body),
            };
            request.messages.push(ChatMessage {
                role,
                parts: vec![ContentPart::new(body)],
                name: None,
                extra: Extra::new(),
            });
        }
        request.tell_calls_apart();
        request
    }

    fn ids(request: &ChatRequest) -> Vec<&str> {
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        let ids = parts.filter_map(|part| match &part.body {
            PartBody::ToolCall(call) => call.id.as_deref(),
            PartBody::ToolResult(result) => Some(&*result.call_id),
            _ => None,
        });
        ids.collect()
    }

    #[test]
    fn calls_of_one_id_get_ids_of_their_own_and_results_go_with_them() {
        let cases: [(Value, &[&str]); 8] = [
            // Each id once: nothing changes.
            (
                json!(["c a", "c b", "r b", "r a", "c c", "r c"]),
                &["a", "b", "b", "a", "c", "c"],
            ),
            // Counted anew in each turn.
            (
                json!(["c 0", "c 1", "r 0", "r 1", "c 0", "r 0", "c 0"]),
                &["0", "1", "0", "1", "0_2", "0_2", "0_3"],
            ),
            // One id for all calls of a turn.
            (
                json!(["c x", "c x", "r x", "r x", "c x", "r x"]),
                &["x", "x_2", "x", "x_2", "x_3", "x_3"],
            ),
            // An earlier call never got its result.
            (json!(["c x", "u ", "c x", "r x"]), &["x", "x_2", "x_2"]),
            // The result of a call comes late, but before the next call.
            (
                json!(["c x", "r x", "c x", "u ", "r x"]),
                &["x", "x", "x_2", "x_2"],
            ),
            // Two results of one call.
            (
                json!(["c x", "r x", "c x", "r x", "r x"]),
                &["x", "x", "x_2", "x_2", "x_2"],
            ),
            // The caller has such ids.
            (
                json!([
                    "c x_2", "r x_2", "c x", "r x", "c x", "r x", "c x_2", "r x_2"
                ]),
                &["x_2", "x_2", "x", "x", "x_3", "x_3", "x_2_2", "x_2_2"],
            ),
            // No ids at all stay as they are, and a result of nothing too.
            (
                json!(["c ", "c ", "r ", "c a", "c a", "r z"]),
                &["", "", "", "a", "a_2", "z"],
            ),
        ];
        for (parts, wanted) in cases {
            let all: Vec<String> = serde_json::from_value(parts).unwrap();
            let parts: Vec<_> = all.iter().filter_map(|part| part.split_once(' ')).collect();
            assert_eq!(ids(&conversation(&parts)), wanted, "{all:?}");
        }
    }

    #[test]
    fn many_calls_of_one_id_cost_no_more_than_their_number() {
        let mut parts = vec![("c", "x"); 50_000];
        parts.extend(vec![("r", "x"); 50_000]);
        let request = conversation(&parts);
        let ids = ids(&request);
        assert_eq!(ids.first(), ids.get(50_000));
        assert_eq!(ids.last(), Some(&"x_50000"));
    }

    proptest! {
        #[test]
        fn calls_are_told_apart_and_the_beginning_stays(
            parts in prop::collection::vec(("[cru]", "(x|y|x_2|x_3|x_2_2)"), 0..24),
            end in 0..24_usize,
        ) {
            let parts: Vec<_> = parts.iter().map(|(kind, id)| (&**kind, &**id)).collect();
            let request = conversation(&parts);
            let calls = request.messages.iter().flat_map(|message| &message.parts);
            let calls: Vec<_> = calls.filter_map(|part| match &part.body {
                PartBody::ToolCall(call) => call.id.clone(),
                _ => None,
            }).collect();
            let distinct: HashSet<_> = calls.iter().collect();
            prop_assert_eq!(distinct.len(), calls.len());
            let beginning = conversation(parts.get(..end).unwrap_or(&parts));
            let begun = ids(&beginning);
            let whole = ids(&request);
            prop_assert_eq!(Some(&*begun), whole.get(..begun.len()));
        }
    }
}
