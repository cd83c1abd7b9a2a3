//! Another configuration in the middle of everything: the same again, with a key less, with a new key (law L12).

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use pointsman::actors::spec::TreeSpec;
use pointsman::actors::tree::Tree;
use pointsman::dispatch::Dispatch;
use pointsman::domain::chain::{Targets, VirtualEntry};
use pointsman::domain::secret::ApiKey;
use pointsman::runtime::clock::Clock;

use super::calls::key;
use super::dice::Dice;
use super::model::Spot;
use super::run;
use super::state::Shared;
use super::world::{World, built, entry};

/// The running process's configuration, and the earlier ones under which requests may be under way.
pub struct Reloads {
    world: Arc<World>,
    shared: Shared,
    clock: Clock,
    tree: Tree,
    spec: TreeSpec,
    dice: Dice,
    /// For what is kept, of their own.
    kept: Dice,
    virtuals: Vec<VirtualEntry>,
    changed: Option<Arc<Targets>>,
    earlier: VecDeque<(u64, Weak<Dispatch>)>,
    /// Keys that each maker has had.
    known: Vec<usize>,
    /// What serves requests that arrive now.
    pub dispatch: Arc<Dispatch>,
}

impl Reloads {
    pub fn new(
        world: &Arc<World>,
        shared: &Shared,
        clock: Clock,
        tree: Tree,
        spec: TreeSpec,
    ) -> Self {
        let dispatch = run::dispatch(world, &tree, shared, clock, 0, None, None);
        Self {
            world: Arc::clone(world),
            shared: shared.clone(),
            clock,
            tree,
            spec,
            dice: Dice::of(&[world.setup.seed, 11]),
            kept: Dice::of(&[world.setup.seed, 23]),
            virtuals: world.virtuals.clone(),
            changed: None,
            earlier: VecDeque::new(),
            known: world.makers.iter().map(|maker| maker.keys).collect(),
            dispatch: Arc::new(dispatch),
        }
    }

    /// Another process with the same configuration serves from now on. What the earlier one serves goes on, for it cannot be
    /// taken back here.
    pub fn renew(&mut self) {
        let dispatch = run::dispatch(
            &self.world,
            &self.tree,
            &self.shared,
            self.clock,
            self.spec.generation,
            Some(&self.dispatch),
            self.changed.take().as_ref(),
        );
        self.dispatch = Arc::new(dispatch);
    }

    /// Before each client: now and then a reload, and now and then the end of an earlier configuration.
    pub async fn turn(&mut self) {
        let over = |(_, dispatch): &(u64, Weak<Dispatch>)| dispatch.strong_count() == 0;
        let count = self.earlier.len();
        while self.earlier.front().is_some_and(over) {
            self.earlier.pop_front();
        }
        let due = self.dice.chance(self.world.reloads);
        if due {
            self.reload();
            self.keep();
        }
        if due || self.earlier.len() < count {
            self.apply().await;
        }
        if due {
            self.renew();
        }
    }

    fn reload(&mut self) {
        self.earlier
            .push_back((self.spec.generation, Arc::downgrade(&self.dispatch)));
        self.spec.generation += 1;
        let mut state = self.shared.lock();
        state.tally.reloads += 1;
        state.note("reload", 0, 0, None, "");
        let maker = self.dice.below(self.spec.providers.len() as u64) as usize;
        let provider = &mut self.spec.providers[maker];
        let now = &mut state.keys_now[maker];
        if now.len() > 1 && self.dice.chance(0.3) {
            let at = self.dice.below(now.len() as u64) as usize;
            let key = now.remove(at);
            provider.keys.remove(at);
            let cells = state.cells.providers.get(&provider.name);
            let mut keys = cells.into_iter().flat_map(|cells| &cells.keys);
            let gone = keys
                .find(|status| status.id.index as usize == key + 1)
                .cloned();
            state.retired.extend(gone);
        }
        // A key that is new gets a number that no other had.
        let known = &mut self.known[maker];
        if *known < self.world.makers[maker].places && self.dice.chance(0.3) {
            let spot = Spot {
                maker,
                key: *known,
                model: 0,
            };
            let now = &mut state.keys_now[maker];
            let at = self.dice.below(now.len() as u64 + 1) as usize;
            now.insert(at, *known);
            provider.keys.insert(at, Some(ApiKey::new(key(spot))));
            *known += 1;
        }
    }

    /// What is kept and shared, and what targets mean, in worlds where answers are kept.
    fn keep(&mut self) {
        let mut state = self.shared.lock();
        let mut next = state.keepings.last().cloned().flatten();
        if let (Some(next), Some(plan)) = (&mut next, &self.world.keeping) {
            if self.kept.chance(plan.changes) {
                next.change(&mut self.kept);
            }
            if self.kept.chance(plan.changes) {
                let at = self.kept.below(self.virtuals.len() as u64) as usize;
                let makers = &self.world.makers;
                for member in &mut self.virtuals[at].upstreams {
                    let maker = self.kept.pick(makers);
                    let model = self.kept.pick(&maker.models);
                    member.name = format!("{}:{model}", maker.name);
                }
                let entries: Vec<_> = makers.iter().map(entry).collect();
                self.changed = Some(built(&entries, &self.virtuals));
            }
        }
        state.keepings.push(next);
    }

    async fn apply(&mut self) {
        let oldest = self.earlier.front().map(|(oldest, _)| *oldest);
        self.spec.oldest = oldest.unwrap_or(self.spec.generation);
        self.tree.apply(&self.spec).await;
        self.shared.lock().cells = self.tree.client().cells();
    }
}
