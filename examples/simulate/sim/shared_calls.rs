//! Calls that several requests wait for. Each has an entry of its own among the requests, from its first attempt on: its
//! attempts are held against the laws like any others, by the longest deadline, and it is left when nobody waits for it (L18).
//! Equal requests that are under way are one call (L19).

use pointsman::domain::outcome::Class;
use pointsman::domain::time::Time;

use super::asked::Asked;
use super::flood::TICK;
use super::plan::{HangUp, Plan};
use super::state::State;

/// What is read comes from no call.
pub const NO_CALL: u32 = u32::MAX;
/// So often another one of those who wait makes the call again.
const ELECTIONS: u32 = 2;

impl State {
    /// The entry that a request's attempts are found at.
    pub fn call_of(&self, request: u32) -> u32 {
        self.asked[request as usize].call.unwrap_or(request)
    }

    /// An upstream is called for a request: the entry that this attempt belongs to.
    pub(super) fn calls_for(&mut self, request: u32) -> u32 {
        let asked = &self.asked[request as usize];
        let is_shared = asked.standing.as_ref().is_some_and(|it| it.shared);
        match asked.call {
            Some(call) => call,
            None if is_shared => self.opens(request),
            None => request,
        }
    }

    fn opens(&mut self, request: u32) -> u32 {
        let now = self.clock.now();
        let earlier = self.equal_calls(request);
        self.is_alone(request, &earlier, now);
        let elections = self.elections(request, earlier.last().copied());
        if elections > ELECTIONS {
            let what = format!("call number {} after failures", elections + 1);
            self.break_law("L19", request, what);
        }
        for call in earlier {
            self.closes(call, now);
        }
        let asked = &self.asked[request as usize];
        let plan = Plan {
            slow: None,
            stops: None,
            hang_up: HangUp::Never,
            ..asked.plan.clone()
        };
        let longest = asked.arrived + self.world.policy.deadline;
        let mut entry = Asked::new(plan, asked.slots.clone(), asked.arrived, longest);
        entry.hurries_until = asked.deadline;
        entry.standing = asked.standing.clone();
        entry.epoch = asked.epoch;
        entry.leader = Some(request);
        entry.elections = elections;
        let call = self.asked.len() as u32;
        self.asked.push(entry);
        self.asked[request as usize].call = Some(call);
        self.live += 1;
        self.tally.shared_calls += 1;
        self.note("is called for", request, call, None, "");
        if !self.is_wanted(call) {
            // Those who waited are gone since this moment, or longer.
            let gone = self.last_gone(call);
            self.asked[call as usize].gone = Some(gone);
            self.asked[call as usize].left = true;
            self.asked[call as usize].over = true;
            self.live -= 1;
        }
        call
    }

    /// When the last of those who may have waited for a call was gone.
    fn last_gone(&self, call: u32) -> Time {
        let members = self.members(call);
        let ends = members.filter_map(|number| self.asked[number as usize].ended);
        ends.max().unwrap_or(Time::ZERO)
    }

    /// The entries of equal requests' calls, in their order.
    fn equal_calls(&self, request: u32) -> Vec<u32> {
        let Some(own) = &self.asked[request as usize].standing else {
            return Vec::new();
        };
        let all = self.asked.iter().enumerate();
        let equal = all.filter(|(_, other)| {
            let standing = other.standing.as_ref();
            other.leader.is_some() && standing.is_some_and(|it| it.is_equal(own))
        });
        equal.map(|(number, _)| number as u32).collect()
    }

    /// The requests that are equal to that of a call.
    fn members(&self, call: u32) -> impl Iterator<Item = u32> {
        let own = self.asked[call as usize].standing.as_ref();
        let all = self.asked.iter().enumerate();
        let equal = all.filter(move |(_, other)| {
            let (other_one, own) = (other.standing.as_ref(), own);
            other.leader.is_none()
                && other_one.is_some_and(|it| own.is_some_and(|own| it.is_equal(own)))
        });
        equal.map(|(number, _)| number as u32)
    }

    /// No equal call is under way when one begins.
    fn is_alone(&mut self, request: u32, earlier: &[u32], now: Time) {
        let arrived = self.asked[request as usize].arrived;
        for call in earlier {
            let entry = &self.asked[*call as usize];
            let given_up = entry.gone.is_some_and(|gone| now <= gone + TICK);
            let mut attempts = entry.attempts.iter();
            let open = attempts.any(|it| self.attempts[*it as usize].open);
            if open && !given_up {
                let what =
                    format!("two calls for equal requests at once, the other one is r{call}");
                return self.break_law("L19", request, what);
            }
            let served = self.winner(*call).map(|it| &self.attempts[it as usize]);
            let served = served.filter(|it| it.outcome == Some(Class::Success) && it.won.is_some());
            let joined = served.is_some_and(|it| it.ended.is_some_and(|ended| arrived < ended));
            if joined && entry.gone.is_none_or(|gone| gone > arrived + TICK) {
                let what = format!("r{call} served equal requests while it waited");
                return self.break_law("L19", request, what);
            }
        }
    }

    /// After how many calls that failed a request makes one.
    fn elections(&self, request: u32, last: Option<u32>) -> u32 {
        let arrived = self.asked[request as usize].arrived;
        let Some(entry) = last.map(|last| &self.asked[last as usize]) else {
            return 0;
        };
        let attempts = entry.attempts.iter();
        let ends = attempts.filter_map(|it| self.attempts[*it as usize].ended);
        let waited = ends.max().is_some_and(|ended| arrived < ended) && entry.gone.is_none();
        if waited { entry.elections + 1 } else { 0 }
    }

    /// Whether anybody waits for a call, or reads it.
    fn is_wanted(&self, call: u32) -> bool {
        let latest = self.equal_calls(call).last() == Some(&call);
        self.members(call).any(|number| {
            let member = &self.asked[number as usize];
            let here = !member.over && !member.left;
            here && member.reads.map_or(latest, |read| read == call)
        })
    }

    /// A request needs its call no longer: those that nobody waits for are left.
    pub(super) fn lets_go(&mut self, request: u32) {
        if !self.asked[request as usize]
            .standing
            .as_ref()
            .is_some_and(|it| it.shared)
        {
            return;
        }
        let now = self.clock.now();
        for call in self.equal_calls(request) {
            if !self.asked[call as usize].over && !self.is_wanted(call) {
                self.closes(call, now);
                self.note("is left", call, 0, None, "");
            }
        }
    }

    /// Somebody comes the moment at which the last one leaves: it may join before the call is given up.
    pub(super) fn comes_back(&mut self, request: u32) {
        let now = self.clock.now();
        let asked = &self.asked[request as usize];
        if !asked.standing.as_ref().is_some_and(|it| it.shared) {
            return;
        }
        let Some(call) = self.equal_calls(request).pop() else {
            return;
        };
        // An attempt is under way, or none has served and the next one is waited for.
        let entry = &mut self.asked[call as usize];
        let attempts = || entry.attempts.iter().map(|it| &self.attempts[*it as usize]);
        let open = attempts().any(|it| it.open);
        let has_served = attempts().any(|it| it.won.is_some());
        if (open || !has_served) && entry.gone == Some(now) {
            entry.gone = None;
            entry.reopened = Some(now);
            (entry.over, entry.left) = (false, false);
            self.live += 1;
        }
    }

    fn closes(&mut self, call: u32, now: Time) {
        let entry = &mut self.asked[call as usize];
        if !std::mem::replace(&mut entry.over, true) {
            entry.left = true;
            entry.gone = Some(now);
            entry.ended = Some(now);
            self.live -= 1;
        }
    }

    /// A call of this entry is or was open: it must not be, if everybody has left.
    pub(super) fn is_cancelled(&mut self, request: u32) {
        let now = self.clock.now();
        let gone = self.asked[request as usize].gone;
        if let Some(gone) = gone.filter(|gone| now > *gone + TICK) {
            let what = format!("all who waited for it have left at {gone:?}, and it goes on");
            self.break_law("L18", request, what);
        }
    }

    /// All calls that are open are wanted.
    pub(super) fn judge_calls(&mut self) {
        let open = self.attempts.iter().filter(|call| call.open);
        let requests: Vec<u32> = open.map(|call| call.request).collect();
        for request in requests {
            self.is_cancelled(request);
        }
    }
}
