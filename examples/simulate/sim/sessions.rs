//! Conversations: where their prompts are cached, how many are found there, and whether nobody carries more than a share
//! (law L14).

use std::collections::BTreeMap;
use std::time::Duration;

use pointsman::domain::time::Time;

use super::model::Spot;
use super::scenario::Scenario;
use super::state::State;
use super::tally::Tally;

/// An upstream has a prompt in its cache for so long after its last request.
const KEPT: Duration = Duration::from_secs(30);
/// An upstream that was out is asked again so long after, at the latest.
const HOME_AFTER: Duration = Duration::from_secs(20);

/// The caches of all keys, and one that has everything.
#[derive(Default)]
pub struct Caches {
    kept: BTreeMap<(usize, usize, u64), Time>,
    ideal: BTreeMap<u64, Time>,
}

impl State {
    /// A good answer begins: is its conversation in the key's cache, and would it be if there were one upstream only?
    pub(super) fn caches(&mut self, request: u32, spot: Spot, now: Time) {
        let Some(session) = self.asked[request as usize].plan.session else {
            return;
        };
        let is_warm = |last: Option<Time>| last.is_some_and(|last| now.since(last) <= KEPT);
        let caches = &mut self.caches;
        let ideal = is_warm(caches.ideal.insert(session, now));
        let place = (spot.maker, spot.key, session);
        let found = is_warm(caches.kept.insert(place, now));
        self.tally.cacheable += u64::from(ideal);
        self.tally.cached += u64::from(found);
    }

    /// How many requests are at each maker when one arrives; nothing where that is not clear, because one has just come.
    pub(super) fn loads(&self) -> Option<Vec<u64>> {
        if self.world.setup.scenario != Scenario::Sessions || self.calm {
            return None;
        }
        let mut loads = vec![0; self.world.makers.len()];
        for asked in self.asked.iter().filter(|asked| !asked.over) {
            let last = asked.attempts.last()?;
            loads[self.attempts[*last as usize].spot.maker] += 1;
        }
        Some(loads)
    }

    /// Why a first attempt must not go to this maker: it has its share already, and others have room.
    pub(super) fn overloads(&self, request: u32, maker: usize) -> Option<String> {
        let asked = &self.asked[request as usize];
        let loads = asked.loads.as_ref().filter(|_| asked.attempts.is_empty())?;
        let members = asked.slots.len() as u64;
        // Five quarters of the share, the new one included, rounded up.
        let all = loads.iter().sum::<u64>() + 1;
        let cap = (5 * all).div_ceil(4 * members);
        let load = loads[maker] + 1;
        (load > cap).then(|| format!("{load} of {all} requests go to one of {members}, {cap} may"))
    }
}

/// How many conversations are where they were before an outage, once that is over.
pub fn come_home(state: &State, tally: &mut Tally) {
    let troubles = state.world.makers.iter().flat_map(|maker| &maker.troubles);
    let (from, to) = troubles.fold((Duration::MAX, Duration::ZERO), |(from, to), trouble| {
        (from.min(trouble.from), to.max(trouble.to))
    });
    let mut homes: BTreeMap<u64, BTreeMap<usize, u32>> = BTreeMap::new();
    for asked in &state.asked {
        let (Some(session), Some(first)) = (asked.plan.session, asked.attempts.first()) else {
            continue;
        };
        let maker = state.attempts[*first as usize].spot.maker;
        let at = asked.arrived.since(Time::ZERO);
        let seen = homes.entry(session).or_default();
        if at < from {
            *seen.entry(maker).or_default() += 1;
        } else if at >= to + HOME_AFTER {
            let home = seen.iter().max_by_key(|(_, count)| **count);
            if let Some((home, _)) = home {
                tally.homes += 1;
                tally.at_home += u64::from(*home == maker);
            }
        }
    }
}
