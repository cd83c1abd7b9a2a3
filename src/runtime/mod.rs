//! Floor 3: the clock, the spawning of tasks and their last moment, so that nothing else names them.

pub mod abort;
pub mod buffers;
pub mod clock;
pub mod descriptors;
pub mod gathered_bytes;
pub mod kept;
pub mod memory;
pub mod program;
pub mod spool;
pub mod task;
#[cfg(test)]
pub(crate) mod temp;
pub mod wake_relay;
pub mod yield_budget;
