//! What a routing policy is, and what it ranks by.

/// What a policy knows of one member of a target, for one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemberFacts {
    /// Its configured share; 1 unless something else was written.
    pub weight: u32,
    /// Requests in flight at its providers, as published.
    pub in_flight: u32,
}

/// A source of random numbers, uniform in 0..1.
pub type Draw<'a> = &'a mut dyn FnMut() -> f64;

/// One way to rank the members of a target.
pub trait RoutingPolicy: Sync {
    /// The name used in the configuration.
    fn name(&self) -> &'static str;

    /// Whether the order is always that of the configuration. Such targets are flattened once and never ranked.
    fn is_fixed(&self) -> bool {
        false
    }

    /// Whether members may have a weight.
    fn takes_weights(&self) -> bool {
        false
    }

    /// The places of all members in the order in which they are to be asked.
    fn rank(&self, members: &[MemberFacts], draw: Draw<'_>) -> Vec<usize>;
}
