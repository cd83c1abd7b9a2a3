//! Floor 7: what the commands print.

pub mod check;
