//! Another configuration in the middle of everything: the same again, or with a key less (law L12).

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use pointsman::actors::spec::TreeSpec;
use pointsman::actors::tree::Tree;
use pointsman::dispatch::Dispatch;
use pointsman::runtime::clock::Clock;

use super::dice::Dice;
use super::run;
use super::state::Shared;
use super::world::World;

/// The running process's configuration, and the earlier ones under which requests may be under way.
pub struct Reloads {
    world: Arc<World>,
    shared: Shared,
    clock: Clock,
    tree: Tree,
    spec: TreeSpec,
    dice: Dice,
    earlier: VecDeque<(u64, Weak<Dispatch>)>,
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
        let dispatch = run::dispatch(world, &tree, shared, clock, 0);
        Self {
            world: Arc::clone(world),
            shared: shared.clone(),
            clock,
            tree,
            spec,
            dice: Dice::of(&[world.setup.seed, 11]),
            earlier: VecDeque::new(),
            dispatch: Arc::new(dispatch),
        }
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
        }
        if due || self.earlier.len() < count {
            self.apply().await;
        }
        if due {
            let dispatch = run::dispatch(
                &self.world,
                &self.tree,
                &self.shared,
                self.clock,
                self.spec.generation,
            );
            self.dispatch = Arc::new(dispatch);
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
        if provider.keys.len() > 1 && self.dice.chance(0.3) {
            provider.keys.pop();
            state.keys_left[maker] -= 1;
            let cells = state.cells.providers.get(&provider.name);
            let gone = cells.and_then(|cells| cells.keys.last().cloned());
            state.retired.extend(gone);
        }
    }

    async fn apply(&mut self) {
        let oldest = self.earlier.front().map(|(oldest, _)| *oldest);
        self.spec.oldest = oldest.unwrap_or(self.spec.generation);
        self.tree.apply(&self.spec).await;
        self.shared.lock().cells = self.tree.dispatcher().cells();
    }
}
