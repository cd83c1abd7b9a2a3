//! Who tries first when a shared cooldown ends: the highest random weight (Thaler and Ravishankar, 1998) of each process
//! for the subject, so that all agree without asking, and subjects are spread over processes.

use std::time::Duration;

use super::fact::FleetSubject;
use crate::domain::ids::FleetNode;
use crate::domain::session_affinity::{hash, uniform};

/// How much later each further process tries.
pub const STEP: Duration = Duration::from_millis(250);
/// Nobody waits for more steps than that, however large the fleet is.
pub const MOST_STEPS: u32 = 12;

/// The place of `node` among `nodes` for `subject`, from 0. One that is not among them comes last.
pub fn rank(subject: &FleetSubject, node: &FleetNode, nodes: &[FleetNode]) -> u32 {
    let own = weight(subject, node);
    let before = |other: &&FleetNode| {
        let theirs = weight(subject, other);
        *other != node && (theirs, *other) > (own, node)
    };
    u32::try_from(nodes.iter().filter(before).count()).unwrap_or(u32::MAX)
}

/// The place of `node` among `nodes` for what these bytes name, from 0, by the same weights.
pub fn place(of: &[&[u8]], node: &FleetNode, nodes: &[FleetNode]) -> u32 {
    let weight = |node: &FleetNode| {
        let parts = [&of.concat()[..], node.as_str().as_bytes()].concat();
        uniform(hash(&parts)).to_bits()
    };
    let own = weight(node);
    let before = |other: &&FleetNode| *other != node && (weight(other), *other) > (own, node);
    u32::try_from(nodes.iter().filter(before).count()).unwrap_or(u32::MAX)
}

/// How much later than the one whose claim it is a process of this place tries.
pub fn delay(rank: u32) -> Duration {
    STEP * rank.clamp(1, MOST_STEPS)
}

fn weight(subject: &FleetSubject, node: &FleetNode) -> u64 {
    let model = subject.model.as_ref().map_or("", |model| model.as_str());
    let parts = [
        &subject.owner.0[..],
        subject.kind.word().as_bytes(),
        model.as_bytes(),
        node.as_str().as_bytes(),
    ];
    // FNV alone leaves names that differ in their last letter close to each other.
    uniform(hash(&parts.concat())).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::fact::FactKind;
    use crate::domain::persisted::Fingerprint;

    #[test]
    fn every_process_has_a_place_of_its_own_and_first_places_are_spread() {
        let nodes: Vec<FleetNode> = (0..8).map(|n| format!("web-{n}.aa").into()).collect();
        let mut first = [0; 8];
        for n in 0..800u32 {
            let mut owner = [0; 16];
            owner[..4].copy_from_slice(&n.to_be_bytes());
            let subject = FleetSubject {
                owner: Fingerprint(owner),
                kind: FactKind::Cooling,
                model: None,
                operation: None,
            };
            let mut ranks: Vec<u32> = nodes.iter().map(|it| rank(&subject, it, &nodes)).collect();
            first[ranks.iter().position(|rank| *rank == 0).unwrap()] += 1;
            ranks.sort_unstable();
            assert_eq!(ranks, [0, 1, 2, 3, 4, 5, 6, 7]);
        }
        assert!(
            first.iter().all(|count| (60..150).contains(count)),
            "{first:?}"
        );
        assert_eq!(delay(0), STEP, "whoever has no claim waits");
        assert_eq!(delay(9999), STEP * MOST_STEPS);
    }
}
