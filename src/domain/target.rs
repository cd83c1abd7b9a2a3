//! Targets whose order depends on the request: trees whose nodes rank their members by a policy.
//!
//! A target whose policies are all fixed is flattened when the configuration is read (`domain/chain.rs`); only those that
//! are not stay trees. They are flattened for each request, once, so that all its attempts follow one order. No I/O,
//! no clock, no logging.

use std::sync::Arc;

mod look;
mod ranked;

use look::MemberLook;

pub use self::ranked::{
    AffinityStep, Chain, RankedChain, RankedMember, Ranking, RankingStep, TierLoad,
};
use super::asked::RequestShape;
use super::hash_map::SeenSet;
use super::ids::Upstream;
use super::policy::{Chance, Draw, MemberFacts, Needs, Policy, UpstreamFigures};
use super::session_affinity::{self, AffinityPolicy, Seat};
use super::spill::{Spill, TierKeys};
use super::unmet::Unmet;
use super::when::{ConditionSubject, When};

/// A request that is to be ranked.
pub struct Inquiry<'a> {
    /// What it is like.
    pub asked: &'a RequestShape<'a>,
    /// What is known of upstreams.
    pub figures: &'a dyn UpstreamFigures,
    /// Its random numbers.
    pub draw: Draw<'a>,
    /// Where the steps are told, if anybody wants to know.
    pub steps: Option<&'a mut Vec<RankingStep>>,
}

/// One target and the policy that ranks its members.
#[derive(Clone, PartialEq, Debug)]
pub struct Target {
    /// Its name.
    pub name: Arc<str>,
    /// How its members are ranked.
    pub policy: Policy,
    /// How it keeps conversations together, if it does.
    pub affinity: Option<AffinityPolicy>,
    /// When requests leave a tier while a part of it is out, if they do.
    pub spill: Option<Spill>,
    /// Its members as configured.
    pub members: Vec<Member>,
}

impl Target {
    /// How it keeps conversations together, or the first target in it that does.
    fn sessions(&self, forest: &[Self]) -> Option<AffinityPolicy> {
        self.affinity.or_else(|| {
            let mut inside = self.members.iter().filter_map(|member| member.ranked);
            inside.find_map(|at| forest.get(at)?.affinity)
        })
    }
}

/// A member of a target.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// As configured.
    pub name: Arc<str>,
    /// The hash of that.
    pub hash: u64,
    /// The configured weight.
    pub weight: u32,
    /// Its tier: all of a lower one are asked first.
    pub priority: u32,
    /// When it is asked at all.
    pub when: Option<Arc<When>>,
    /// Its tags besides those of its upstreams.
    pub tags: Vec<Arc<str>>,
    /// All of its upstreams, in configured order.
    pub chain: Arc<Chain>,
    /// Its place in the [`Forest`], when its own order depends on the request.
    pub ranked: Option<usize>,
}

/// All targets whose order depends on the request. Members precede the targets that contain them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Forest {
    targets: Vec<Target>,
    /// Of each, whether no upstream occurs twice in it, so that none has to be looked for when it is flattened.
    distinct: Vec<bool>,
}

impl Forest {
    /// Adds a target, and returns its place; `None` when its order is always that of the configuration.
    pub fn add(&mut self, mut target: Target) -> Option<usize> {
        let is_fixed =
            target.policy.is_fixed() && target.affinity.is_none() && target.spill.is_none();
        let plain = |member: &Member| member.ranked.is_none() && member.when.is_none();
        if is_fixed && target.members.iter().all(plain) {
            return None;
        }
        target.members.sort_by_key(|member| member.priority);
        self.distinct.push(self.is_distinct(&target));
        self.targets.push(target);
        Some(self.targets.len() - 1)
    }

    /// Whether no upstream occurs twice in its members, nor in theirs.
    fn is_distinct(&self, target: &Target) -> bool {
        let count = target.upstream_count();
        let mut seen: SeenSet<&Upstream> = SeenSet::with_capacity(count);
        let mut members = target.members.iter();
        members.all(|member| {
            let inside = member.ranked.map(|at| self.distinct.get(at));
            inside.is_none_or(|it| it.copied().unwrap_or_default())
                && member.chain.upstreams.iter().all(|it| seen.insert(it))
        })
    }

    /// How the target at that place keeps conversations together.
    pub fn sessions(&self, root: usize) -> Option<AffinityPolicy> {
        self.targets.get(root)?.sessions(&self.targets)
    }

    /// All of them.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The upstreams of target `root` in the order for one request: depth first, each upstream where it first occurs; last
    /// those that are only in members that were left out.
    ///
    /// The walk keeps its own stack and looks into each target once: neither depth nor shared members make it dear.
    pub fn order(
        &self,
        root: usize,
        inquiry: &mut Inquiry<'_>,
    ) -> (Vec<Upstream>, Vec<(usize, Unmet)>) {
        let count = self.targets.get(root).map_or(0, Target::upstream_count);
        let mut upstreams = Vec::with_capacity(count);
        // Comparing names would cost more than all the rest.
        let is_distinct = self.distinct.get(root).copied().unwrap_or_default();
        let mut seen: SeenSet<&Upstream> =
            SeenSet::with_capacity(if is_distinct { 0 } else { count });
        let mut entered: SeenSet<usize> = SeenSet::with_capacity(1);
        let mut stack: Vec<&Member> = Vec::new();
        let mut out: Vec<(&Member, Unmet)> = Vec::new();
        let mut next = Some(root);
        loop {
            let entering = next.take().filter(|at| entered.insert(*at));
            if let Some((at, target)) = entering.and_then(|at| Some((at, self.targets.get(at)?))) {
                let order = target.ranked(at, inquiry, &mut out);
                stack.reserve(order.len());
                let members = order.into_iter().rev();
                stack.extend(members.filter_map(|place| target.members.get(place)));
            }
            let Some(member) = stack.pop() else {
                break;
            };
            next = member.ranked;
            if next.is_none() {
                for upstream in &member.chain.upstreams {
                    if is_distinct || seen.insert(upstream) {
                        upstreams.push(upstream.clone());
                    }
                }
            }
        }
        let mut ruled_out = Vec::new();
        for (member, unmet) in out {
            for upstream in &member.chain.upstreams {
                if is_distinct || seen.insert(upstream) {
                    ruled_out.push((upstreams.len(), unmet));
                    upstreams.push(upstream.clone());
                }
            }
        }
        (upstreams, ruled_out)
    }
}

impl Target {
    /// How many upstreams its members have, those that occur twice counted twice.
    fn upstream_count(&self) -> usize {
        let counts = self.members.iter().map(|it| it.chain.upstreams.len());
        counts.sum()
    }

    /// The places of its members as ranked for one request; what is left out goes to `out`. `at` is its own place.
    fn ranked<'a>(
        &'a self,
        at: usize,
        inquiry: &mut Inquiry<'_>,
        out: &mut Vec<(&'a Member, Unmet)>,
    ) -> Vec<usize> {
        let facts = self.members.iter();
        let facts = facts.map(|member| member.facts(self.policy.needs(), inquiry));
        let facts: Vec<MemberFacts> = facts.collect();
        let (mut tiers, left_out) = self.tiers(&facts, inquiry);
        let session = inquiry.asked.session.zip(self.affinity);
        let known_by =
            session.map(|(session, _)| session ^ session_affinity::hash(self.name.as_bytes()));
        let loads = self.spill_over(&mut tiers, known_by, inquiry);
        let bound = |affinity: AffinityPolicy| match inquiry.asked.warm {
            true => affinity.bound,
            false => 1.0,
        };
        let bound = self.affinity.map_or(1.0, bound);
        let turn = inquiry.figures.turn(at);
        let mut order = Vec::with_capacity(self.members.len());
        let mut home = None;
        for tier in &tiers {
            let places = match known_by {
                Some(session) => {
                    let members = self.members_at(tier);
                    let seats = members.map(|member| member.seat(inquiry.figures));
                    let seats: Vec<Seat> = seats.collect();
                    let (places, first) = session_affinity::order_and_home(session, &seats, bound);
                    let over_bound = places.first() != first.as_ref();
                    let at = first.and_then(|first| tier.get(first));
                    home = home.or(at.map(|at| (*at, over_bound)));
                    places
                }
                None => {
                    let mut chance = Chance {
                        turn,
                        draw: &mut *inquiry.draw,
                    };
                    let own: Vec<MemberFacts>;
                    let own = if tier.len() == facts.len() {
                        // All of them, in their order.
                        &facts
                    } else {
                        let all = tier.iter().filter_map(|place| facts.get(*place).copied());
                        own = all.collect();
                        &own
                    };
                    self.policy.rank(own, &mut chance)
                }
            };
            order.extend(places.into_iter().filter_map(|at| tier.get(at).copied()));
        }
        if let Some(steps) = &mut inquiry.steps {
            let home = home.and_then(|home| self.home(home, inquiry.asked.warm));
            steps.push(RankingStep {
                affinity: home,
                tiers: loads,
                ..self.step(&order, &left_out, &facts)
            });
        }
        let members = left_out.into_iter();
        out.extend(members.filter_map(|(place, unmet)| Some((self.members.get(place)?, unmet))));
        order
    }

    /// The places of its members by tier, and those that are not for the request.
    fn tiers(
        &self,
        facts: &[MemberFacts],
        inquiry: &Inquiry<'_>,
    ) -> (Vec<Vec<usize>>, Vec<(usize, Unmet)>) {
        let mut tiers: Vec<Vec<usize>> = Vec::with_capacity(1);
        let mut left_out = Vec::new();
        let mut last = None;
        for (place, (member, facts)) in self.members.iter().zip(facts).enumerate() {
            let unmet = member
                .unmet(inquiry)
                .or_else(|| self.policy.excludes(facts));
            match unmet {
                Some(unmet) => left_out.push((place, unmet)),
                None if last == Some(member.priority) => {
                    tiers
                        .last_mut()
                        .into_iter()
                        .for_each(|tier| tier.push(place));
                }
                None => {
                    last = Some(member.priority);
                    let mut tier = Vec::with_capacity(self.members.len() - place);
                    tier.push(place);
                    tiers.push(tier);
                }
            }
        }
        (tiers, left_out)
    }

    /// Where a conversation belongs: the place of that member, and whether it has its share already.
    fn home(&self, (place, over_bound): (usize, bool), warm: bool) -> Option<AffinityStep> {
        let member = self.members.get(place)?;
        Some(AffinityStep {
            home: Arc::clone(&member.name),
            chain: Arc::clone(&member.chain),
            over_bound,
            warm,
        })
    }

    fn members_at<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = &'a Member> {
        places.iter().filter_map(|place| self.members.get(*place))
    }

    /// Puts the tier first that is drawn by what each takes, if requests spill over: by the conversation where there is one,
    /// so that it stays where it is. Returns that, if anybody wants to know.
    fn spill_over(
        &self,
        tiers: &mut [Vec<usize>],
        session: Option<u64>,
        inquiry: &mut Inquiry<'_>,
    ) -> Vec<TierLoad> {
        let Some(spill) = self.spill.filter(|_| tiers.len() > 1) else {
            return Vec::new();
        };
        let keys = |tier: &Vec<usize>| {
            let upstreams = self
                .members_at(tier)
                .flat_map(|member| &member.chain.upstreams);
            let keys = upstreams.map(|upstream| inquiry.figures.keys(upstream));
            keys.fold(TierKeys::default(), TierKeys::and)
        };
        let keys: Vec<TierKeys> = tiers.iter().map(keys).collect();
        let loads = spill.loads(&keys);
        let draw = match session {
            Some(session) => session_affinity::uniform(session.rotate_left(32)),
            None => (inquiry.draw)(),
        };
        let first = Spill::first(&loads, draw);
        let mut told = Vec::new();
        if inquiry.steps.is_some() {
            let all = tiers.iter().zip(keys.iter().zip(loads)).enumerate();
            told.extend(all.map(|(place, (tier, (keys, load)))| {
                TierLoad {
                    priority: self
                        .members_at(tier)
                        .next()
                        .map_or(0, |member| member.priority),
                    keys: *keys,
                    load,
                    drawn: place == first,
                }
            }));
        }
        if let Some(tiers) = tiers.get_mut(..=first) {
            tiers.rotate_right(1);
        }
        told
    }

    fn step(
        &self,
        order: &[usize],
        left_out: &[(usize, Unmet)],
        facts: &[MemberFacts],
    ) -> RankingStep {
        let told = |place: usize, unmet| {
            let member = self.members.get(place)?;
            Some(RankedMember {
                name: Arc::clone(&member.name),
                priority: member.priority,
                figure: facts.get(place).and_then(|facts| self.policy.figure(facts)),
                unmet,
            })
        };
        let ranked = order.iter().filter_map(|place| told(*place, None));
        let out = left_out.iter();
        let out = out.filter_map(|(place, unmet)| told(*place, Some(*unmet)));
        RankingStep {
            target: Arc::clone(&self.name),
            policy: self.policy.clone(),
            hints: None,
            affinity: None,
            tiers: Vec::new(),
            members: ranked.chain(out).collect(),
        }
    }
}

impl Member {
    /// Why it is not for the request: a condition, or each of its upstreams lacks something.
    fn unmet(&self, inquiry: &Inquiry<'_>) -> Option<Unmet> {
        let candidate = self.look(inquiry.figures);
        let when = self.when.as_ref();
        if let Some(unmet) = when.and_then(|when| when.unmet(inquiry.asked, &candidate)) {
            return Some(unmet);
        }
        let mut first = None;
        for upstream in &self.chain.upstreams {
            let lacks = inquiry.figures.lacks(upstream)?;
            first = first.or(Some(lacks));
        }
        first
    }

    fn facts(&self, needs: Needs<'_>, inquiry: &Inquiry<'_>) -> MemberFacts {
        let figures = inquiry.figures;
        let mut facts = MemberFacts {
            weight: self.weight,
            ..MemberFacts::default()
        };
        // What cannot serve the request does not speak for those that can.
        let able = || {
            let all = self.chain.upstreams.iter();
            all.filter(|upstream| figures.lacks(upstream).is_none())
        };
        match needs {
            Needs::Nothing => {}
            Needs::InFlight => facts.in_flight = self.look(figures).in_flight(),
            Needs::Cost => {
                let known = able().filter_map(|upstream| figures.cost(upstream));
                facts.cost = known.min();
            }
            Needs::Load(by) => {
                let loads = able().map(|upstream| {
                    let took = figures.latency(upstream, by.signal);
                    by.of(took, figures.pending(upstream))
                });
                facts.load = loads.reduce(f64::min).unwrap_or(f64::INFINITY);
            }
            Needs::Used => {
                let shares = able().map(|upstream| figures.used(upstream).unwrap_or(0.0));
                facts.used = shares.reduce(f64::min);
                facts.in_flight = self.look(figures).in_flight();
            }
            Needs::Score(by) => {
                let scores = able().map(|upstream| {
                    let window = figures.context_window(upstream);
                    let base = figures.base_priority(&upstream.provider);
                    by.score(&upstream.model, window, base)
                });
                facts.score = scores.reduce(f64::max).unwrap_or(0.0);
            }
            Needs::Expression(by) => {
                let scores = able().filter_map(|upstream| {
                    let upstreams = std::slice::from_ref(upstream);
                    by.of(inquiry.asked, &self.look_at(upstreams, figures))
                });
                facts.score = scores.reduce(f64::max).unwrap_or(f64::NAN);
            }
        }
        facts
    }

    fn seat(&self, figures: &dyn UpstreamFigures) -> Seat {
        Seat {
            name: self.hash,
            weight: self.weight,
            load: self.look(figures).pending(),
        }
    }

    fn look<'a>(&'a self, figures: &'a dyn UpstreamFigures) -> MemberLook<'a> {
        self.look_at(&self.chain.upstreams, figures)
    }

    /// The same with some of its upstreams only.
    fn look_at<'a>(
        &'a self,
        upstreams: &'a [Upstream],
        figures: &'a dyn UpstreamFigures,
    ) -> MemberLook<'a> {
        MemberLook {
            name: &self.name,
            tags: &self.tags,
            upstreams,
            figures,
        }
    }
}

#[cfg(test)]
pub(crate) mod fixed;
#[cfg(test)]
mod tests;
