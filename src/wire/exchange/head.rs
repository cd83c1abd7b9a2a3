//! What every answer must tell and its upstream may leave out: the ids of the answer and of its calls, the model, the time.
//!
//! Clients join what has one id: Claude Code takes messages of the same id for one, and Codex sends items back by
//! their ids. So an id that is made here is that of no other answer. Servers that count the calls of each answer anew give
//! ids that the conversation has already: Claude Code leaves out a second call of one id, with its result, and its model asks
//! for the same again without end. Such a call gets an id that is made here, too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::Number;

use super::given_ids::GivenIds;
use crate::wire::dialect::{CallerDialect, IdPrefixes};
use crate::wire::ir::{ChatAnswer, ContentDelta, Extra, PartBody, StreamItem};

/// What is told of an attempt to those that translate its answer.
#[derive(Clone, Copy, Debug)]
pub struct AttemptStamp {
    /// A number that no other attempt has, of no meaning: ids are made of it.
    pub unique: u128,
    /// The time of an answer that does not tell its own.
    pub now: SystemTime,
}

/// What an answer gets that does not tell it.
#[derive(Debug)]
pub(super) struct AnswerHead {
    /// What its headers tell, which holds before all else.
    pub(super) id: Option<String>,
    /// The model that was asked for.
    pub(super) model: Option<String>,
    pub(super) prefixes: IdPrefixes,
    pub(super) stamp: AttemptStamp,
    /// What of it the stream has told so far.
    told: Told,
    calls: MadeCallIds,
}

/// Whose calls they are.
#[derive(Debug)]
pub(super) struct AskedCalls {
    pub(super) caller: &'static dyn CallerDialect,
    /// The ids in the request.
    pub(super) given: GivenIds,
}

#[derive(Clone, Copy, Default, Debug)]
struct Told {
    id: bool,
    model: bool,
    time: bool,
    all: bool,
}

impl AnswerHead {
    pub(super) fn new(
        id: Option<String>,
        model: Option<String>,
        prefixes: IdPrefixes,
        stamp: AttemptStamp,
        asked: AskedCalls,
    ) -> Self {
        Self {
            id,
            model,
            prefixes,
            stamp,
            told: Told::default(),
            calls: MadeCallIds::new(asked),
        }
    }

    /// The same for an answer that goes on behind another one, which has told all but its calls.
    pub(super) fn behind(mut self) -> Self {
        self.told.all = true;
        self
    }

    /// Completes a whole answer.
    pub(super) fn whole(mut self, answer: &mut ChatAnswer) {
        let own = answer.id.take().filter(|id| !id.is_empty());
        let id = own.or_else(|| self.id.take());
        answer.id = Some(id.unwrap_or_else(|| self.made()));
        let model = answer.model.take().filter(|model| !model.is_empty());
        answer.model = model.or(self.model);
        answer
            .created
            .get_or_insert_with(|| seconds(self.stamp.now));
        for (at, candidate) in answer.candidates.iter_mut().enumerate() {
            let calls = candidate.message.parts.iter_mut();
            let calls = calls.filter_map(|part| match &mut part.body {
                PartBody::ToolCall(call) => Some(call),
                _ => None,
            });
            for (index, call) in calls.enumerate() {
                let place = (at as u64, index as u64);
                let name = (self.prefixes, self.stamp.unique);
                self.calls.settle(name, place, true, &mut call.id);
            }
        }
    }

    /// Completes what one event of a stream says. The id and the model are made only when words go out, as some upstreams
    /// begin with an event that has neither.
    pub(super) fn stream(&mut self, items: &mut Vec<StreamItem>) {
        if !self.told.all {
            self.begin(items);
        }
        for item in items {
            if let StreamItem::Delta {
                candidate,
                delta:
                    ContentDelta::ToolCall {
                        index, id, name, ..
                    },
            } = item
            {
                let place = (*candidate, *index);
                let own = (self.prefixes, self.stamp.unique);
                self.calls.settle(own, place, name.is_some(), id);
            }
        }
    }

    fn begin(&mut self, items: &mut Vec<StreamItem>) {
        let header = self.id.take();
        let mut told = self.told;
        told.id |= header.is_some();
        let mut begins = false;
        for item in items.iter_mut() {
            match item {
                StreamItem::Head {
                    id, model, created, ..
                } => {
                    id.take_if(|id| id.is_empty());
                    model.take_if(|model| model.is_empty());
                    told.id |= id.is_some();
                    told.model |= model.is_some();
                    if !told.time {
                        created.get_or_insert_with(|| seconds(self.stamp.now));
                    }
                    told.time = true;
                }
                StreamItem::Usage(_)
                | StreamItem::ServiceTier(_)
                | StreamItem::CandidateExtra { .. } => {}
                StreamItem::Delta { .. }
                | StreamItem::Stop { .. }
                | StreamItem::Error(_)
                | StreamItem::End => begins = true,
            }
        }
        let made = (begins && !told.id).then(|| self.made());
        let id = header.or(made);
        let model = self.model.take_if(|_| begins && !told.model);
        let created = (!told.time).then(|| seconds(self.stamp.now));
        if id.is_some() || model.is_some() || created.is_some() {
            let head = StreamItem::Head {
                id,
                model,
                created,
                extra: Extra::new(),
            };
            items.insert(0, head);
        }
        self.told = Told {
            id: told.id,
            model: told.model,
            time: true,
            all: begins,
        };
    }

    fn made(&self) -> String {
        format!("{}{}", self.prefixes.answer, digits(self.stamp.unique))
    }
}

/// The ids of the calls of one answer.
#[derive(Debug)]
struct MadeCallIds {
    asked: AskedCalls,
    /// Whether a call has one, by its candidate and its index.
    calls: BTreeMap<(u64, u64), bool>,
    used: BTreeSet<String>,
}

impl MadeCallIds {
    fn new(asked: AskedCalls) -> Self {
        Self {
            asked,
            calls: BTreeMap::new(),
            used: BTreeSet::new(),
        }
    }

    /// Gives a call an id of its own that has none, or one of another call. Its id may still come while it has no name.
    fn settle(
        &mut self,
        (prefixes, unique): (IdPrefixes, u128),
        place: (u64, u64),
        is_named: bool,
        id: &mut Option<String>,
    ) {
        let number = self.calls.len();
        let has_id = self.calls.entry(place).or_default();
        if *has_id {
            return;
        }
        id.take_if(|id| id.is_empty());
        let is_new = id.as_ref().map(|id| {
            let id = self.asked.caller.call_id(id);
            !self.asked.given.has(&id) && self.used.insert(id)
        });
        if is_new == Some(false) || (is_new.is_none() && is_named) {
            let call = prefixes.call;
            *id = Some(format!("{call}{}_{number}", digits(unique)));
        }
        *has_id = id.is_some();
    }
}

/// Short enough for every dialect's ids of calls, of which some end at 40 characters.
fn digits(unique: u128) -> String {
    format!("{:024x}", unique & ((1 << 96) - 1))
}

/// Seconds since 1970.
fn seconds(now: SystemTime) -> Number {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs().into()
}
