//! One request as the simulator keeps it: what it met at each upstream, and what that may count for.

use pointsman::domain::outcome::{Class, Retry};
use pointsman::domain::time::Time;

use super::keeping::Standing;
use super::model::Spot;
use super::plan::Plan;
use super::script::Verdict;

/// What a request met at one of its upstreams.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub maker: usize,
    pub model: usize,
    pub(super) last: Option<Class>,
    pub(super) counted: bool,
    pub(super) closed: bool,
    pub(super) plain: u32,
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub plan: Plan,
    pub arrived: Time,
    pub deadline: Time,
    pub slots: Vec<Slot>,
    pub attempts: Vec<u32>,
    pub(super) plain: u32,
    pub(super) refusals: u32,
    pub(super) refused: Vec<(Spot, Time)>,
    pub(super) blamed: bool,
    pub left: bool,
    pub over: bool,
    /// What its client has read.
    pub seen: Vec<String>,
    /// Two attempts were under way at once.
    pub raced: bool,
    /// How often its client came for more when the deadline had passed.
    pub late_reads: u32,
    pub ended: Option<Time>,
    /// So many kills there were before it came.
    pub epoch: u32,
    /// No budget had room for it.
    pub over_budget: bool,
    /// A budget sent it elsewhere: the upstreams of the target that it asked for.
    pub steered: bool,
    pub own_slots: Vec<Slot>,
    /// Requests at each maker when it came, where that is clear.
    pub loads: Option<Vec<u64>>,
    /// What holds for it where answers are kept.
    pub standing: Option<Standing>,
    /// Where the call is found that was made for it and for all that are equal, and whose request such an entry is of.
    pub call: Option<u32>,
    pub leader: Option<u32>,
    /// The call that it reads; `None`: it waits.
    pub reads: Option<u32>,
    /// Of a call: since when nobody waits for it, and after how many that failed it was made.
    pub gone: Option<Time>,
    /// Since when somebody may have come who waits for it again.
    pub reopened: Option<Time>,
    pub elections: u32,
    /// By when its own caller wants something.
    pub hurries_until: Time,
    /// When its answer was found.
    pub looked_at: Option<Time>,
    /// The events that its client has read.
    pub lines: Vec<String>,
    /// Its answer came from elsewhere.
    pub is_free: bool,
}

impl Slot {
    pub fn new(maker: usize, model: usize) -> Self {
        Self {
            maker,
            model,
            last: None,
            counted: false,
            closed: false,
            plain: 0,
        }
    }
}

impl Asked {
    pub fn new(plan: Plan, slots: Vec<Slot>, arrived: Time, deadline: Time) -> Self {
        Self {
            plan,
            arrived,
            deadline,
            slots,
            attempts: Vec::new(),
            plain: 0,
            refusals: 0,
            refused: Vec::new(),
            blamed: false,
            left: false,
            over: false,
            seen: Vec::new(),
            raced: false,
            late_reads: 0,
            ended: None,
            epoch: 0,
            over_budget: false,
            steered: false,
            own_slots: Vec::new(),
            loads: None,
            standing: None,
            call: None,
            leader: None,
            reads: None,
            gone: None,
            reopened: None,
            elections: 0,
            hurries_until: deadline,
            looked_at: None,
            lines: Vec::new(),
            is_free: false,
        }
    }

    fn slot(&mut self, spot: Spot) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.maker == spot.maker && slot.model == spot.model)
    }

    /// Whether the request met the same class at another upstream.
    fn met_elsewhere(&self, at: usize, class: Class) -> bool {
        let mut others = self.slots.iter().enumerate();
        others.any(|(n, slot)| n != at && slot.last == Some(class))
    }

    /// Whether a failure counts against the health of anything (laws L7): of one request at most one failure per
    /// upstream, none that was seen at another upstream, of doubtful blame the first.
    pub(super) fn counts(&mut self, spot: Spot, verdict: Verdict) -> bool {
        let class = verdict.class;
        let Some(at) = self.slot(spot) else {
            return false;
        };
        if class == Class::Success {
            return false;
        }
        if about_key_or_model(class) {
            self.slots[at].last = Some(class);
            let doubtful = verdict.status == Some(400)
                || verdict.status == Some(422)
                || (verdict.status == Some(403) && class == Class::InvalidKey);
            if verdict.certain && doubtful {
                return !std::mem::replace(&mut self.blamed, true);
            }
            return verdict.certain;
        }
        let elsewhere = self.met_elsewhere(at, class);
        let slot = &mut self.slots[at];
        // An attempt that was given up says nothing about its upstream: what this one said before stands.
        if class != Class::Cancelled {
            slot.last = Some(class);
        }
        if !trips(class) || slot.counted || elsewhere {
            return false;
        }
        slot.counted = true;
        true
    }

    pub(super) fn failed(&mut self, spot: Spot, class: Class, retries: u32, now: Time) {
        if matches!(
            class,
            Class::RateLimited | Class::QuotaExhausted | Class::InvalidKey
        ) {
            self.refusals += 1;
            self.refused.push((spot, now));
            return;
        }
        self.plain += 1;
        if class == Class::Cancelled {
            // No failure of the upstream: the attempt lost a race, or its answer differed.
            return;
        }
        let Some(at) = self.slot(spot) else {
            return;
        };
        let slot = &mut self.slots[at];
        slot.plain += 1;
        slot.closed = match class.retry() {
            Retry::SameUpstream => slot.plain > retries,
            Retry::NextKey => false,
            Retry::Never | Retry::NextUpstream | Retry::Elsewhere | Retry::LargerWindow => true,
        };
    }
}

fn trips(class: Class) -> bool {
    matches!(
        class,
        Class::Overloaded | Class::Transient | Class::Network | Class::Timeout | Class::Malformed
    )
}

fn about_key_or_model(class: Class) -> bool {
    matches!(
        class,
        Class::InvalidKey | Class::QuotaExhausted | Class::ModelGone
    )
}
