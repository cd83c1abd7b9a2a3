//! Flattens virtual providers depth first with an explicit stack, so that depth costs no stack
//! space, and keeps finished chains, so that shared members are expanded once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{
    Chain, ChainError, Listed, MemberEntry, ProviderEntry, ResolveError, Targets, VirtualEntry,
};
use crate::domain::ids::Upstream;
use crate::domain::near::near;
use crate::domain::session_affinity;
use crate::domain::target::{Member, Target};

/// Duplicate and clashing names, each once.
pub(super) fn name_errors(
    providers: &[ProviderEntry],
    virtuals: &[VirtualEntry],
) -> Vec<ChainError> {
    let mut errors = Vec::new();
    let mut mine: HashMap<&str, usize> = HashMap::new();
    for entry in providers {
        let seen = mine.entry(entry.name.as_str()).or_default();
        *seen += 1;
        if *seen == 2 {
            errors.push(ChainError::DuplicateProvider {
                name: entry.name.to_string(),
            });
        }
    }
    let mut others: HashMap<&str, usize> = HashMap::new();
    for entry in virtuals {
        let seen = others.entry(entry.name.as_str()).or_default();
        *seen += 1;
        let name = entry.name.clone();
        match *seen {
            1 if mine.contains_key(entry.name.as_str()) => {
                errors.push(ChainError::NameClash { name });
            }
            2 => errors.push(ChainError::DuplicateVirtual { name }),
            _ => {}
        }
    }
    errors
}

/// What became of a virtual provider.
enum ExpansionState {
    /// On the stack: meeting it again is a cycle.
    Open,
    /// The flattened chain, and its place in the forest if its order depends on the request.
    Done(Arc<Chain>, Option<usize>),
    /// Reported: what contains it is not reported again.
    Broken,
}

struct Frame<'a> {
    entry: &'a VirtualEntry,
    next: usize,
    upstreams: Vec<Upstream>,
    seen: HashSet<Upstream>,
    members: Vec<Member>,
    broken: bool,
}

impl<'a> Frame<'a> {
    fn of(entry: &'a VirtualEntry) -> Self {
        Self {
            entry,
            next: 0,
            upstreams: Vec::new(),
            seen: HashSet::new(),
            members: Vec::new(),
            broken: false,
        }
    }

    /// Takes in what its member means.
    fn extend(&mut self, member: &MemberEntry, chain: &Arc<Chain>, ranked: Option<usize>) {
        self.members.push(Member {
            name: Arc::from(member.name.as_str()),
            hash: session_affinity::hash(member.name.as_bytes()),
            weight: member.weight,
            priority: member.priority,
            when: member.when.clone(),
            tags: member.tags.clone(),
            chain: Arc::clone(chain),
            ranked,
        });
        for upstream in &chain.upstreams {
            if self.seen.insert(upstream.clone()) {
                self.upstreams.push(upstream.clone());
            }
        }
    }
}

/// Flattens every virtual provider into `targets`. Returns the mistakes.
pub(super) fn add_virtuals(targets: &mut Targets, virtuals: &[VirtualEntry]) -> Vec<ChainError> {
    let mut errors = Vec::new();
    // A name that a provider has too belongs to the provider; of two virtual providers the first counts.
    let mut entries: HashMap<&str, &VirtualEntry> = HashMap::new();
    for entry in virtuals {
        if !targets.prefixes.contains_key(entry.name.as_str()) {
            entries.entry(entry.name.as_str()).or_insert(entry);
        }
    }
    let mut states: HashMap<&str, ExpansionState> = HashMap::new();
    let mut order: Vec<Arc<Chain>> = Vec::new();
    for root in virtuals {
        let ours = entries
            .get(root.name.as_str())
            .is_some_and(|entry| std::ptr::eq(*entry, root));
        if ours && !states.contains_key(root.name.as_str()) {
            walk(root, targets, &entries, &mut states, &mut errors);
        }
        if ours && let Some(ExpansionState::Done(chain, ranked)) = states.get(root.name.as_str()) {
            order.push(Arc::clone(chain));
            let ranked = ranked.map(|at| (Arc::clone(&chain.target), at));
            targets.ranked.extend(ranked);
            if root.hints {
                targets.hinted.push(Arc::clone(&chain.target));
            }
        }
    }
    let mut listed: Vec<Listed> = Vec::new();
    for chain in order {
        targets
            .known
            .insert(Arc::clone(&chain.target), Arc::clone(&chain));
        listed.push(Listed {
            id: Arc::clone(&chain.target),
            provider: None,
            chain,
            discovered: false,
        });
    }
    targets.listed.splice(0..0, listed);
    // An upstream that is named twice is one mistake.
    let mut distinct: Vec<ChainError> = Vec::new();
    for error in errors {
        if !distinct.contains(&error) {
            distinct.push(error);
        }
    }
    distinct
}

fn walk<'a>(
    root: &'a VirtualEntry,
    targets: &mut Targets,
    entries: &HashMap<&'a str, &'a VirtualEntry>,
    states: &mut HashMap<&'a str, ExpansionState>,
    errors: &mut Vec<ChainError>,
) {
    let mut stack = vec![Frame::of(root)];
    states.insert(&root.name, ExpansionState::Open);
    while let Some(mut frame) = stack.pop() {
        // No member is left: the virtual provider is finished.
        let Some(member) = frame.entry.upstreams.get(frame.next) else {
            let state = finish(frame, targets, errors);
            states.insert(state.0, state.1);
            continue;
        };
        frame.next += 1;
        let upstream = &member.name;
        // A member that is no virtual provider: what the providers mean by it.
        let Some(child) = entries.get(upstream.as_str()) else {
            match targets.named(upstream) {
                Ok(chain) => frame.extend(member, &chain, None),
                Err(error) => {
                    frame.broken = true;
                    errors.push(unknown(frame.entry, upstream, &error, targets, entries));
                }
            }
            stack.push(frame);
            continue;
        };
        match states.get(child.name.as_str()) {
            Some(ExpansionState::Done(chain, ranked)) => frame.extend(member, chain, *ranked),
            Some(ExpansionState::Broken) => frame.broken = true,
            // It contains itself: the path of the cycle is on the stack.
            Some(ExpansionState::Open) => {
                frame.broken = true;
                let names = stack.iter().chain([&frame]).map(|frame| &frame.entry.name);
                let mut path: Vec<String> = names
                    .skip_while(|name| *name != &child.name)
                    .cloned()
                    .collect();
                path.push(child.name.clone());
                errors.push(ChainError::Cycle { path });
            }
            None => {
                // The frame asks for the same upstream again once the child is finished.
                frame.next -= 1;
                states.insert(&child.name, ExpansionState::Open);
                stack.push(frame);
                stack.push(Frame::of(child));
                continue;
            }
        }
        stack.push(frame);
    }
}

fn finish<'a>(
    frame: Frame<'a>,
    targets: &mut Targets,
    errors: &mut Vec<ChainError>,
) -> (&'a str, ExpansionState) {
    let name = frame.entry.name.as_str();
    if frame.entry.upstreams.is_empty() {
        errors.push(ChainError::EmptyChain {
            name: name.to_owned(),
        });
    }
    if frame.broken || frame.upstreams.is_empty() {
        return (name, ExpansionState::Broken);
    }
    let chain = Chain {
        target: Arc::from(name),
        upstreams: frame.upstreams,
    };
    let ranked = targets.forest.add(Target {
        name: Arc::clone(&chain.target),
        policy: frame.entry.policy.for_upstreams(&chain.upstreams),
        affinity: frame.entry.affinity,
        spill: frame.entry.spill,
        members: frame.members,
    });
    (name, ExpansionState::Done(Arc::new(chain), ranked))
}

fn unknown(
    entry: &VirtualEntry,
    upstream: &str,
    error: &ResolveError,
    targets: &Targets,
    entries: &HashMap<&str, &VirtualEntry>,
) -> ChainError {
    let name = entry.name.clone();
    let upstream = upstream.to_owned();
    match error {
        ResolveError::NoModel { .. } => ChainError::NoModel { name, upstream },
        _ => {
            let near = near(&upstream, targets.names().chain(entries.keys().copied()));
            ChainError::Dangling {
                name,
                upstream,
                near,
            }
        }
    }
}
