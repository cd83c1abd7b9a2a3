//! Tokens per minute of clients, where answers are kept: those that came from elsewhere take none (law L20).

use std::time::Duration;

use pointsman::domain::time::Time;

use super::plan::PROMPT;
use super::purses::TPM;
use super::state::State;

/// A bucket of tokens is full again after so long.
const MINUTE: Duration = Duration::from_secs(60);
/// More than the text of any answer is taken for, where nobody counted it.
const MOST_SAID: u64 = 64;

impl State {
    /// The most that a client's requests may have taken of its tokens and not paid yet, but for one of them.
    fn taken(&self, client: u64, but: Option<u32>, now: Time) -> u64 {
        let all = (0u32..).zip(&self.asked);
        let own = all.filter(|(number, asked)| {
            let is_own = asked.leader.is_none() && asked.plan.client == Some(client);
            is_own && Some(*number) != but
        });
        let taken = own.map(|(number, asked)| {
            let call = &self.asked[self.call_of(number) as usize];
            let ends = [asked.ended, call.ended];
            let is_over = asked.over && call.over;
            let ended = ends.into_iter().flatten().max().unwrap_or(now);
            if is_over && now.since(ended) > MINUTE {
                return 0;
            }
            let estimate = self.estimate(number);
            let said = PROMPT + asked.plan.answer.max(MOST_SAID);
            match is_over && asked.is_free {
                true => 0,
                false => estimate.max(said),
            }
        });
        taken.sum()
    }

    /// The most that a request's tokens are estimated at.
    fn estimate(&self, number: u32) -> u64 {
        let plan = &self.asked[number as usize].plan;
        plan.body(number).len() as u64 / 4 + plan.max_tokens.unwrap_or(0)
    }

    /// What clients may still take is at least what their own calls have left of it.
    pub(super) fn judge_tokens(&mut self) {
        let Some(keeping) = &self.world.keeping else {
            return;
        };
        let now = self.clock.now();
        for client in 0..keeping.clients() {
            let taken = self.taken(client, None, now);
            let own = self.purses.client(Some(client));
            let left = TPM.saturating_sub(taken);
            if own.is_some_and(|own| left > 0 && own.look(left, now).is_err()) {
                let what =
                    format!("client c{client} has not {left} tokens left, its calls took {taken}");
                self.break_law("L20", 0, what);
            }
        }
    }

    /// A request is refused because its client's tokens are used up.
    pub(super) fn may_refuse(&mut self, number: u32) {
        let now = self.clock.now();
        let asked = &self.asked[number as usize];
        let taken = asked
            .plan
            .client
            .map_or(0, |it| self.taken(it, Some(number), now));
        let estimate = self.estimate(number);
        if taken + estimate <= TPM {
            let what = format!("it is refused for {estimate} tokens, and {taken} are taken");
            self.break_law("L20", number, what);
        }
    }
}
