//! Floor 3: the clock and the spawning of tasks, so that nothing else names them.

pub mod clock;
pub mod task;
