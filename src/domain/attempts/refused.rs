//! Why a request got no lease, as its machine takes it in.

use crate::domain::refusal::Refusal;

/// Why the router gave no lease.
#[derive(Clone, Debug)]
pub struct LeaseRefused {
    /// The reason for not waiting (any longer).
    pub cause: Cause,
    /// The refusal of each open candidate.
    pub declined: Vec<(usize, Refusal)>,
}

/// Why a request does not wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Nothing is left that could become ready.
    NothingLeft,
    /// What could become ready does so too late for the request's patience or deadline.
    TooLate,
    /// The caller forbade waiting.
    WaitForbidden,
    /// The waiting room is full.
    RoomFull,
    /// It waited, and its time is up.
    TimeUp,
}

impl Cause {
    /// Its name in traces and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NothingLeft => "nothing_left",
            Self::TooLate => "too_late",
            Self::WaitForbidden => "wait_forbidden",
            Self::RoomFull => "room_full",
            Self::TimeUp => "time_up",
        }
    }
}
