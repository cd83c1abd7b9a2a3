//! Many processes with the same keys and a store that fails in every way: the laws of fleets (`docs/simulation.md`).
//!
//! The pure parts alone, `FleetState` and `KeyState`, as the actors drive them; time, the store and the network are made up.

pub mod node;
pub mod parts;
pub mod store;
pub mod world;
