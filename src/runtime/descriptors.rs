//! File descriptors: the process's limit, and how it is divided between connections of callers and calls to
//! upstreams.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For what every process has: standard streams, the runtime, listeners, signals, the log, files that are read again.
const OWN: usize = 32;

/// Raises the soft limit to the hard one. Returns the limit that holds now; `None`: there is none.
pub fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        // Some systems have an undocumented lower maximum; then the limit stays as it was.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    limit()
}

/// The limit that holds now; `None`: there is none.
pub fn limit() -> Option<usize> {
    let current = getrlimit(Resource::Nofile).current?;
    Some(usize::try_from(current).unwrap_or(usize::MAX))
}

/// How many connections of callers fit, at least one: each request may need a connection to an upstream, so these get as
/// many as callers do.
pub fn for_callers(limit: usize) -> usize {
    (limit.saturating_sub(OWN) / 2).max(1)
}

/// How many connections of the admin listener fit, at least four: a part of what is left for upstreams.
pub fn for_operators(limit: usize) -> usize {
    (limit.saturating_sub(OWN) / 4).max(4)
}

/// The limit with which `callers` connections of callers fit.
pub fn needed(callers: usize) -> usize {
    callers.saturating_mul(2).saturating_add(OWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_leave_as_much_for_upstreams() {
        for callers in [1, 16, 504, 20_000] {
            assert_eq!(for_callers(needed(callers)), callers);
        }
        assert_eq!((for_callers(64), for_operators(64)), (16, 8));
        assert_eq!((for_callers(8), for_operators(8)), (1, 4));
    }
}
