//! Which children run, found by the child and by its actor: with many keys, looking through all of them for each one would take
//! longer than starting them.

use ractor::ActorId;

use crate::actors::child::Child;
use crate::domain::hash_map::HashMap;

/// The incarnations that run, at most one of each child.
#[derive(Default)]
pub(super) struct RunningChildren {
    children: HashMap<ActorId, Child>,
    actors: HashMap<Child, ActorId>,
}

impl RunningChildren {
    pub(super) fn has(&self, child: &Child) -> bool {
        self.actors.contains_key(child)
    }

    /// In place of the incarnation that ran before, if there is one.
    pub(super) fn insert(&mut self, actor: ActorId, child: Child) {
        self.remove(&child);
        self.children.insert(actor, child.clone());
        self.actors.insert(child, actor);
    }

    /// Forgets a child: the end of what runs of it is nobody's concern any more.
    pub(super) fn remove(&mut self, child: &Child) {
        if let Some(actor) = self.actors.remove(child) {
            self.children.remove(&actor);
        }
    }

    /// The child whose incarnation has ended, unless it was forgotten.
    pub(super) fn ended(&mut self, actor: ActorId) -> Option<Child> {
        let child = self.children.remove(&actor)?;
        self.actors.remove(&child);
        Some(child)
    }

    pub(super) fn clear(&mut self) {
        self.children.clear();
        self.actors.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ProviderName;

    #[test]
    fn a_child_is_found_both_ways_until_it_ends_or_is_forgotten() {
        let mut running = RunningChildren::default();
        let child = |place| Child::Key(ProviderName::from("p"), place);
        running.insert(ActorId::Local(1), child(0));
        running.insert(ActorId::Local(2), child(1));
        assert!(running.has(&child(0)) && running.has(&child(1)));
        assert_eq!(running.ended(ActorId::Local(1)), Some(child(0)));
        assert!(!running.has(&child(0)));
        running.remove(&child(1));
        assert!(!running.has(&child(1)));
        assert_eq!(running.ended(ActorId::Local(2)), None);
        // The next incarnation takes the place of the last, whose end then says nothing.
        running.insert(ActorId::Local(3), child(0));
        running.insert(ActorId::Local(4), child(0));
        assert_eq!(running.ended(ActorId::Local(3)), None);
        assert!(running.has(&child(0)));
        running.clear();
        assert!(!running.has(&child(0)));
    }
}
